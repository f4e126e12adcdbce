//! One enabling's kernel objects: its maps, its programs and what they are attached to.
//!
//! Everything lives as long as the session: dropping it detaches and frees all. Maps and rings are
//! handles of their own, so that another thread can read them while this one goes on.

mod attach;
mod links;
mod load;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};

use aya_obj::generated::{bpf_attach_type, bpf_prog_type};

use self::attach::{is_gone, make_link};
pub use self::links::{Detacher, LinkId};
pub(crate) use self::links::{Link, close_all, lock};
use self::links::{Links, Raised};
pub(crate) use self::load::load_explained;
use crate::error::{Error, LoadError};
use crate::features::{KernelFeatures, NOTHING};
use crate::map::Map;
use crate::object::{
    Attachment, Called, Context, MapId, MapKind, MapSpec, Program, ProgramId, Target, UprobeSite,
};
use crate::plan::{Plan, PlannedLink, plan};
use crate::probe::{File, Probe, ProbeKind, Scope, Way};
use crate::sys;
use crate::sys::prog::NewProgram;
pub use crate::sys::ring::Ring;

/// An enabling in the kernel.
#[derive(Debug)]
pub struct Session {
    features: KernelFeatures,
    /// The CPU on which programs are run by hand, if not on that of whoever runs them.
    cpu: Option<u32>,
    /// By their ids; `None` once nobody needs the descriptor any more.
    pub(crate) maps: Vec<Option<Map>>,
    pub(crate) programs: Vec<Loaded>,
    /// The empty program that holds semaphores raised.
    raising: Option<OwnedFd>,
    pub(crate) links: Arc<Mutex<Links>>,
}

/// A loaded program that is given [nothing](Context::Nothing), ready to be run by hand.
#[derive(Debug)]
pub struct Runnable {
    name: String,
    fd: OwnedFd,
    cpu: Option<u32>,
}

impl Runnable {
    /// Runs it once, on the session's CPU or else on whatever CPU this thread is on, and waits for its end.
    pub fn run(&self) -> Result<(), Error> {
        run_once(&self.name, self.fd.as_fd(), self.cpu)
    }
}

/// A loaded program.
#[derive(Debug)]
pub(crate) struct Loaded {
    name: String,
    /// `None` once it is attached for good.
    pub(crate) fd: Option<OwnedFd>,
}

impl Session {
    /// A session on a kernel with these features; nothing is made yet.
    #[must_use]
    pub fn new(features: KernelFeatures) -> Self {
        raise_memlock();
        Self {
            features,
            cpu: None,
            maps: Vec::new(),
            programs: Vec::new(),
            raising: None,
            links: Arc::default(),
        }
    }

    /// The same, with timers on one CPU only, on which programs are run by hand, too.
    #[must_use]
    pub fn on_cpu(mut self, cpu: u32) -> Self {
        self.features = std::mem::take(&mut self.features).with_cpus(&[cpu]);
        self.cpu = Some(cpu);
        self
    }

    /// What the kernel can do.
    #[must_use]
    pub fn features(&self) -> &KernelFeatures {
        &self.features
    }

    /// Makes maps; the first gets the id after the last that there was. May be called again.
    pub fn create_maps(&mut self, specs: &[MapSpec]) -> Result<(), Error> {
        for spec in specs {
            self.maps.push(Some(Map::create(spec)?));
        }
        Ok(())
    }

    /// A map, as a handle that any thread may use.
    pub fn map(&self, id: MapId) -> Result<Map, Error> {
        self.find_map(id).cloned()
    }

    /// A new consumer of a ring buffer. There must be one only that drains.
    pub fn ring(&self, id: MapId) -> Result<Ring, Error> {
        let map = self.find_map(id)?;
        if map.spec().kind != MapKind::RingBuf {
            return Err(Error::Unknown {
                what: "ring buffer",
                id: id.0,
            });
        }
        Ring::new(map.as_fd()).map_err(|source| Error::Map {
            operation: "map into memory",
            name: map.spec().name.clone(),
            source,
        })
    }

    /// Loads a program, and puts it where others find it; ids count up from 0.
    pub fn load(&mut self, program: &Program) -> Result<ProgramId, Error> {
        let insns = self.relocate(program)?;
        let (prog_type, attach_type) = match program.context {
            Context::Registers => (
                bpf_prog_type::BPF_PROG_TYPE_KPROBE,
                self.features
                    .has_uprobe_multi()
                    .then_some(bpf_attach_type::BPF_TRACE_UPROBE_MULTI),
            ),
            Context::FunctionArguments(_, way) => (
                bpf_prog_type::BPF_PROG_TYPE_TRACING,
                Some(match way {
                    Way::Entry => bpf_attach_type::BPF_TRACE_FENTRY,
                    Way::Return => bpf_attach_type::BPF_TRACE_FEXIT,
                }),
            ),
            // A program that is given nothing can be run by hand as a raw tracepoint's.
            Context::TracepointArguments | Context::Nothing => {
                (bpf_prog_type::BPF_PROG_TYPE_RAW_TRACEPOINT, None)
            }
            Context::KernelRegisters => (bpf_prog_type::BPF_PROG_TYPE_KPROBE, None),
            Context::EventRecord => (bpf_prog_type::BPF_PROG_TYPE_TRACEPOINT, None),
            Context::PerfData => (bpf_prog_type::BPF_PROG_TYPE_PERF_EVENT, None),
        };
        let fd = load_explained(&NewProgram {
            prog_type,
            attach_type,
            function: match program.context {
                Context::FunctionArguments(id, _) => Some(id),
                Context::Registers
                | Context::KernelRegisters
                | Context::TracepointArguments
                | Context::EventRecord
                | Context::PerfData
                | Context::Nothing => None,
            },
            name: &program.name,
            insns: &insns,
            functions: &program.functions,
        })?;
        if let Some(Called { programs, index }) = program.called {
            self.find_map(programs)?.put_program(index, fd.as_fd())?;
        }
        self.programs.push(Loaded {
            name: program.name.clone(),
            fd: Some(fd),
        });
        Ok(ProgramId(
            u32::try_from(self.programs.len() - 1).unwrap_or(u32::MAX),
        ))
    }

    /// Attaches a program to what fires it. Nothing for BEGIN and END, which
    /// [`run`](Self::run) runs.
    pub fn attach(&mut self, attachment: &Attachment) -> Result<LinkId, Error> {
        self.attach_all(std::slice::from_ref(attachment))
    }

    /// Attaches several programs with as few links as possible; all or none.
    pub fn attach_all(&mut self, attachments: &[Attachment]) -> Result<LinkId, Error> {
        let made = self.apply(&plan(attachments, &self.features))?;
        let mut links = lock(&self.links);
        links.attached.push(made);
        let id = LinkId(links.attached.len() - 1);
        Self::close_if_over(links);
        Ok(id)
    }

    /// Once everything has been detached for good, nothing stays attached.
    fn close_if_over(mut links: MutexGuard<'_, Links>) {
        if links.is_over {
            let late = links.take_all();
            drop(links);
            close_all(late);
        }
    }

    /// What detaches all that this session attaches.
    #[must_use]
    pub fn detacher(&self) -> Detacher {
        Detacher(Arc::clone(&self.links))
    }

    /// Raises the semaphores that the probes' quirks ask for beside their own (see
    /// [`Sites::raises`](crate::probe::Sites)). Semaphores that this session holds already are not
    /// taken twice.
    pub fn raise_semaphores(&mut self, probes: &[Arc<Probe>]) -> Result<(), Error> {
        for probe in probes {
            let ProbeKind::Sites(sites) = &probe.kind else {
                continue;
            };
            let held = lock(&self.links).raised.iter().any(|raised| {
                raised.file.identity == sites.file.identity
                    && raised.scope == sites.scope
                    && raised.sites == sites.raises
            });
            if sites.raises.is_empty() || held {
                continue;
            }
            let links = self.attach_raising(&sites.file, sites.scope, &sites.raises)?;
            let mut all = lock(&self.links);
            all.raised.push(Raised {
                file: Arc::clone(&sites.file),
                scope: sites.scope,
                sites: sites.raises.clone(),
                links,
            });
            Self::close_if_over(all);
        }
        Ok(())
    }

    fn attach_raising(
        &mut self,
        file: &Arc<File>,
        scope: Scope,
        sites: &[UprobeSite],
    ) -> Result<Vec<Link>, Error> {
        if self.raising.is_none() {
            self.raising = Some(load_explained(&NewProgram {
                prog_type: bpf_prog_type::BPF_PROG_TYPE_KPROBE,
                attach_type: self
                    .features
                    .has_uprobe_multi()
                    .then_some(bpf_attach_type::BPF_TRACE_UPROBE_MULTI),
                function: None,
                name: "rdtrace_raise",
                insns: &NOTHING,
                functions: &[],
            })?);
        }
        let attachment = Attachment {
            program: ProgramId(0), // the plan only passes it on
            target: Target::Uprobes {
                file: Arc::clone(file),
                scope,
                sites: sites.to_vec(),
            },
        };
        let plan = plan(&[attachment], &self.features);
        let Some(raising) = &self.raising else {
            return Ok(Vec::new());
        };
        self.make_links(&plan, |_| Ok(raising.as_fd()))
    }

    /// Runs a program once that is given [nothing](Context::Nothing), as [`Runnable::run`] does.
    pub fn run(&self, program: ProgramId) -> Result<(), Error> {
        let (name, fd) = self.program(program)?;
        run_once(name, fd, self.cpu)
    }

    /// A program that is given [nothing](Context::Nothing), to be run whatever this session is busy with.
    pub fn runnable(&self, program: ProgramId) -> Result<Runnable, Error> {
        let (name, fd) = self.program(program)?;
        let name = name.to_owned();
        match fd.try_clone_to_owned() {
            Ok(fd) => Ok(Runnable {
                name,
                fd,
                cpu: self.cpu,
            }),
            Err(source) => Err(Error::Run { name, source }),
        }
    }

    /// Detaches what one call of [`attach`](Self::attach) attached.
    pub fn detach(&mut self, id: LinkId) {
        let mut links = lock(&self.links);
        let gone = links.attached.get_mut(id.0).map(std::mem::take);
        drop(links);
        close_all(gone.unwrap_or_default());
    }

    /// Detaches all that was attached to a file; its programs' maps stay.
    pub fn detach_file(&mut self, link: LinkId, file: &File) {
        self.detach(link);
        let mut links = lock(&self.links);
        let (gone, kept) = std::mem::take(&mut links.raised)
            .into_iter()
            .partition(|raised| raised.file.identity == file.identity);
        links.raised = kept;
        drop(links);
        close_all(
            Vec::into_iter(gone)
                .flat_map(|raised: Raised| raised.links)
                .collect(),
        );
    }

    /// Detaches everything; returns when no program runs any more. Maps and programs stay.
    pub fn detach_all(&mut self) {
        let links = lock(&self.links).take_all();
        close_all(links);
    }

    fn find_map(&self, id: MapId) -> Result<&Map, Error> {
        let map = self.maps.get(id.0 as usize).and_then(Option::as_ref);
        map.ok_or(Error::Unknown {
            what: "map",
            id: id.0,
        })
    }

    fn program(&self, id: ProgramId) -> Result<(&str, BorrowedFd<'_>), Error> {
        let program = self.programs.get(id.0 as usize);
        program
            .and_then(|program| Some((&*program.name, program.fd.as_ref()?.as_fd())))
            .ok_or(Error::Unknown {
                what: "program",
                id: id.0,
            })
    }

    /// The program's instructions with the maps' descriptors in them.
    ///
    /// ```text
    ///     ld_imm64  word 0: opcode 8 | dst 4 | src 4 | offset 16 | imm 32    word 1: imm in the upper half
    ///     src 1 (BPF_PSEUDO_MAP_FD)       imm 0 = descriptor
    ///     src 2 (BPF_PSEUDO_MAP_VALUE)    imm 0 = descriptor, imm 1 = offset into the first value
    /// ```
    fn relocate(&self, program: &Program) -> Result<Vec<u64>, Error> {
        const KEPT: u64 = 0xffff_0fff; // opcode, destination, offset
        let mut insns = program.insns.clone();
        for relocation in &program.relocations {
            let fd = self
                .find_map(relocation.map)?
                .as_fd()
                .as_raw_fd()
                .cast_unsigned();
            let (source, offset) = match relocation.value_offset {
                None => (1, 0),
                Some(offset) => (2, offset),
            };
            let Some([first, second]) = insns.get_mut(relocation.insn..relocation.insn + 2) else {
                return Err(LoadError {
                    name: program.name.clone(),
                    source: io::ErrorKind::InvalidInput.into(),
                    log: format!(
                        "relocation of instruction {}, which is not there",
                        relocation.insn
                    ),
                }
                .into());
            };
            *first = *first & KEPT | source << 12 | u64::from(fd) << 32;
            *second = u64::from(offset) << 32;
        }
        Ok(insns)
    }

    fn apply(&self, plan: &Plan) -> Result<Vec<Link>, Error> {
        self.make_links(plan, |id| Ok(self.program(id)?.1))
    }

    /// Makes the links of a plan, but for those to files that are gone by now: of a container that
    /// has ended, say, while the whole machine is traced.
    fn make_links<'s>(
        &self,
        plan: &Plan,
        program: impl Fn(ProgramId) -> Result<BorrowedFd<'s>, Error>,
    ) -> Result<Vec<Link>, Error> {
        let links = plan.links.iter().filter_map(|link| {
            let (PlannedLink::UprobeMulti { program: id, .. }
            | PlannedLink::UprobeEvent { program: id, .. }
            | PlannedLink::Tracepoint { program: id, .. }
            | PlannedLink::Function { program: id, .. }
            | PlannedLink::Kprobe { program: id, .. }
            | PlannedLink::Event { program: id, .. }
            | PlannedLink::Timer { program: id, .. }) = link;
            let made = program(*id).and_then(|program| make_link(&self.features, link, program));
            (made.is_ok() || !is_gone(link)).then_some(made)
        });
        links.collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.detach_all();
    }
}

fn run_once(name: &str, fd: BorrowedFd<'_>, cpu: Option<u32>) -> Result<(), Error> {
    let ran = sys::prog::run(fd, cpu).map(drop);
    ran.map_err(|source| Error::Run {
        name: name.to_owned(),
        source,
    })
}

/// Before 5.11, maps and programs counted as locked memory, of which a process may have little.
/// Failing is no error: newer kernels don't need it, and on older ones making a map will say so.
fn raise_memlock() {
    use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
    let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
}
