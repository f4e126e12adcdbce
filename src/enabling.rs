//! What a run has enabled: the clauses of its program on probes, compiled, loaded and attached.
//!
//! More can be added while it runs; what is added together is enabled as a whole or not at all.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write as _};
use std::sync::Arc;

use actions::consume::pipeline::EcbTable;
use actions::consume::{Consumer, OutputOptions};
use actions::lower::{
    Compiler, Enabled, LowerOptions, Object, finds_greenlets, names_tasks, reads_objects,
    shows_awaiting, shows_processes,
};
use actions::record::Ecb;
use anyhow::Result;
use dlang::diag::Source;
use dlang::tags::Tag;
use predicates::asm::{Code, OpenLoops};
use predicates::storage::own_globals;
use provider::addresses::{Addresses, Missing, OfTasks, Pythons, Tables};
use provider::features::KernelFeatures;
use provider::object::{Attachment, ProgramId, Target};
use provider::probe::Probe;
use provider::python::{Refusal, Version};
use provider::session::{LinkId, Session};

use crate::buffers;
use crate::checked::Checked;
use crate::compile::{Spec, refusal};
use crate::kernel::{KernelMaps, KernelNames, wall_offset};
use crate::matching::Found;
use crate::message::Messages;
use crate::notices::tell_unfit;
use crate::options::Options;
use crate::otlp;
use crate::rejection::{self, Rejected};

/// The clauses of a program on probes, in the kernel.
#[derive(Debug)]
pub(crate) struct Enabling {
    /// The program.
    pub(crate) checked: Checked,
    /// What has compiled it, and knows where its maps are.
    pub(crate) compiler: Compiler,
    /// Its maps, programs and links.
    pub(crate) session: Session,
    lower: LowerOptions,
    options: Arc<Options>,
    messages: Messages,
    /// Whether the compiled programs are shown, as `-S` asks.
    show_code: bool,
    /// The descriptions of which some probes do not run their clause, which has been told.
    told_unfit: HashSet<Spec>,
}

/// What was enabled first, and has been loaded: ready to be attached.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What the consumer must know.
    pub(crate) ecbs: Vec<Ecb>,
    /// The program of BEGIN, if there are clauses on it.
    pub(crate) begin: Option<ProgramId>,
    /// The program of END.
    pub(crate) end: Option<ProgramId>,
    attachments: Vec<Attachment>,
    probes: Vec<Arc<Probe>>,
}

impl Enabling {
    /// Nothing yet of a program.
    pub(crate) fn new(
        checked: Checked,
        lower: LowerOptions,
        options: Arc<Options>,
        messages: Messages,
        show_code: bool,
    ) -> Self {
        Self {
            compiler: Compiler::new(Arc::clone(&checked.program), lower),
            session: session(&options),
            checked,
            lower,
            options,
            messages,
            show_code,
            told_unfit: HashSet::new(),
        }
    }

    /// The generated programs as text, for `--dump bpf`.
    pub(crate) fn listings(mut self, found: &[Found]) -> Result<String> {
        let enabled = self.checked.on(found);
        let codes = self.compile(&enabled)?.codes;
        Ok(codes
            .iter()
            .map(Code::listing)
            .collect::<Vec<_>>()
            .join("\n"))
    }

    /// Makes the maps and loads the programs for the probes that were found first. It is the first call,
    /// and the only one.
    pub(crate) fn load(&mut self, found: &[Found]) -> Result<Loaded> {
        self.tell_unfit(found);
        let loaded = self
            .try_to_load(found)
            .or_else(|error| self.load_with_other_loops(found, error))?;
        if let Some(bytes) = buffers::increased_bufsize(self.options.bufsize) {
            self.messages
                .say_unnamed(&format!("bufsize increased to {bytes}"));
        }
        Ok(loaded)
    }

    /// After an error, which stays if this changes nothing.
    fn load_with_other_loops(&mut self, found: &[Found], error: anyhow::Error) -> Result<Loaded> {
        let rejected = error.downcast_ref::<Rejected>();
        if rejected.is_some_and(|rejected| rejected.is_too_much)
            && self.take_other_loops()
            && let Ok(loaded) = self.try_to_load(found)
        {
            return Ok(loaded);
        }
        Err(error)
    }

    /// Starts again with loops that are functions, which the verifier of Linux 6.12 follows to their ends sooner than those by
    /// `may_goto` in programs that walk stacks. Whether there is something to change.
    fn take_other_loops(&mut self) -> bool {
        if self.lower.open_loops != Some(OpenLoops::MayGoto) {
            return false;
        }
        self.lower.open_loops = Some(OpenLoops::Calls);
        self.compiler = Compiler::new(Arc::clone(&self.checked.program), self.lower);
        self.session = session(&self.options);
        true
    }

    fn try_to_load(&mut self, found: &[Found]) -> Result<Loaded> {
        let enabled = self.checked.on(found);
        let object = self.compile(&enabled)?;
        buffers::check(&self.checked.program, &object.ecbs, &self.options)?;
        let mut maps = object.maps.clone();
        if let Some(globals) = maps.get_mut(self.compiler.globals().0 as usize) {
            let mut value = vec![0; globals.value_size as usize];
            let at = own_globals::WALL_OFFSET as usize;
            value[at..at + 8].copy_from_slice(&wall_offset().to_ne_bytes());
            globals.initial = Some(value);
        }
        self.session.create_maps(&maps)?;
        let at = (&*self.checked.parsed.sources, &*self.options);
        load_programs(&mut self.session, &object, at)?;
        let find = |wanted: fn(&Target) -> bool| {
            let mut attachments = object.attachments.iter();
            let found = attachments.find(|attachment| wanted(&attachment.target));
            found.map(|attachment| attachment.program)
        };
        Ok(Loaded {
            begin: find(|target| matches!(target, Target::Begin)),
            end: find(|target| matches!(target, Target::End)),
            attachments: attachable(&object.attachments, 0),
            ecbs: object.ecbs,
            probes: found.iter().map(|found| Arc::clone(&found.probe)).collect(),
        })
    }

    /// Attaches what has been loaded.
    pub(crate) fn attach(&mut self, loaded: &Loaded) -> Result<()> {
        self.session.raise_semaphores(&loaded.probes)?;
        self.session.attach_all(&loaded.attachments)?;
        Ok(())
    }

    /// Tells which of these probes do not run a clause, once for each description.
    fn tell_unfit(&mut self, found: &[Found]) {
        let told = tell_unfit(&self.checked, found, &self.told_unfit, &self.messages);
        self.told_unfit.extend(told);
    }

    /// What looks addresses up. If the program may ask for those of processes, what these map is
    /// followed from now on: when the answer is wanted they may be gone.
    fn addresses(&self, targets: &[u32]) -> Result<Addresses> {
        let mut addresses = Addresses::new(self.options.demangle);
        if let Some([tables, processes]) = self.compiler.unwind() {
            let tables = self.session.map(tables)?;
            let processes = self.session.map(processes)?;
            addresses.keep(Tables::new(&tables, processes)?);
        }
        let messages = self.messages.clone();
        addresses.tell(Box::new(move |what: &Missing| {
            messages.say(&what.to_string());
        }));
        if let Some(processes) = self.compiler.python_processes() {
            let messages = self.messages.clone();
            let tell = move |pid, file: &str, why: &Refusal| {
                messages.say(&format!(
                    "the Python functions that {file} runs cannot be found (process {pid}): {why}; what asks for them \
                     (pyfunc, jstack() and their like) gets nothing there"
                ));
            };
            let processes = self.session.map(processes)?;
            let mut pythons = Pythons::new(processes, Box::new(tell));
            let program = &self.checked.program;
            for (asked, is_asked, lacks) in [
                (OfTasks::Name, names_tasks(program), "pytask is empty"),
                (
                    OfTasks::Awaiting,
                    shows_awaiting(program),
                    "pystack(ASYNC) shows no more than pystack()",
                ),
            ] {
                if !is_asked {
                    continue;
                }
                let messages = self.messages.clone();
                let targets = targets.to_vec();
                let tell = move |pid: u32, file: &str, version: Version, why: &str| {
                    // Of a program with targets nobody asks about others.
                    let matters = targets.is_empty() || targets.contains(&pid);
                    if matters {
                        messages.say(&format!(
                            "{lacks} in {file}, which is Python {version} (process {pid}): {why}"
                        ));
                    }
                    matters
                };
                pythons = pythons.tell_of_tasks(asked, Box::new(tell));
            }
            if finds_greenlets(program) {
                let messages = self.messages.clone();
                let targets = targets.to_vec();
                let tell = move |pid: u32, file: &str| {
                    if targets.is_empty() || targets.contains(&pid) {
                        messages.say(&format!(
                            "pygreenlet is 0 in process {pid}: how {file} keeps its greenlets is not known; its code is not \
                             that of greenlet 0.4 to 3.5 for glibc"
                        ));
                    }
                };
                pythons = pythons.find_greenlets(Box::new(tell));
            }
            addresses.keep_pythons(pythons);
        }
        if shows_processes(&self.checked.program) {
            addresses.follow(&KernelFeatures::detect(), targets)?;
        }
        Ok(addresses)
    }

    /// The consumer of its records. The targets are looked at first if addresses are to be named.
    pub(crate) fn consumer(&self, ecbs: Vec<Ecb>, targets: &[u32]) -> Result<Consumer> {
        let layouts = self.compiler.aggregation_layouts();
        let mut maps = HashMap::new();
        for layout in &layouts {
            let selector = layout.selector.iter();
            let epochs = selector.filter_map(|selector| Some(&selector.epoch.as_ref()?.map));
            for id in layout.maps.iter().chain(epochs) {
                maps.insert(*id, self.session.map(*id)?);
            }
        }
        let options = OutputOptions {
            wall_offset: wall_offset(),
            resource: otlp::resource(),
            process: if let [one] = targets {
                Some(*one)
            } else {
                None
            },
            ..self.options.output.clone()
        };
        let stacks = self.compiler.stacks().map(|map| self.session.map(map));
        let codes = self.compiler.python_codes();
        let codes = codes.map(|[texts, tables]| {
            let maps = (self.session.map(texts)?, self.session.map(tables)?);
            anyhow::Ok(maps)
        });
        let names = KernelNames {
            addresses: self.addresses(targets)?,
            stacks: stacks.transpose()?,
            codes: codes.transpose()?,
        };
        let maps = Box::new(KernelMaps(maps));
        let mut consumer = Consumer::with_names(options, maps, Box::new(names));
        let mut all = Options::clone(&self.options);
        consumer.on_setopt(Box::new(move |name, value, output| {
            let set = all.set_while_tracing(name, value);
            set.map_err(|error| error.to_string())?;
            *output = OutputOptions {
                wall_offset: output.wall_offset,
                ..all.output.clone()
            };
            Ok(())
        }));
        consumer.expect(&self.checked.program);
        consumer.add_aggregations(layouts);
        consumer.add_ecbs(ecbs);
        Ok(consumer)
    }

    /// Adds the clauses on more probes to what runs: all of them, or none and everything is as before.
    /// Their ECBs are added to `ecbs`.
    pub(crate) fn join(&mut self, found: &[Found], ecbs: &EcbTable) -> Result<Vec<LinkId>> {
        let before = self.compiler.clone();
        let checked = self.checked.with(found, &self.options)?;
        if let Some(checked) = &checked
            && !self.compiler.adopt(Arc::clone(&checked.program))
        {
            return Err(self.checked.refuse_types(found, &self.options));
        }
        let enabled = checked.as_ref().unwrap_or(&self.checked).on(found);
        match (self.try_to_join(&enabled, ecbs), checked) {
            (Ok(links), checked) => {
                if let Some(checked) = checked {
                    self.checked = checked;
                }
                self.tell_unfit(found);
                Ok(links)
            }
            (Err(error), _) => {
                self.compiler.go_back(before);
                Err(error)
            }
        }
    }

    fn try_to_join(&mut self, enabled: &[Enabled], ecbs: &EcbTable) -> Result<Vec<LinkId>> {
        let object = self.compile(enabled)?;
        let mut addition = self.session.add();
        addition.create_maps(&object.maps)?;
        let at = (&*self.checked.parsed.sources, &*self.options);
        let first = load_programs(&mut addition, &object, at)?;
        // The consumer must know the records before the first one comes.
        ecbs.add(object.ecbs);
        let probes: Vec<_> = enabled.iter().map(|one| Arc::clone(&one.probe)).collect();
        addition.raise_semaphores(&probes)?;
        addition.attach_all(&attachable(&object.attachments, first))?;
        Ok(addition.join())
    }

    /// Compiles clauses on probes. What cannot be compiled is told as an error of the program.
    fn compile(&mut self, enabled: &[Enabled]) -> Result<Object> {
        let program = &self.checked.program;
        if reads_objects(program) || shows_awaiting(program) {
            for one in enabled {
                one.probe.python.iter().for_each(|python| python.look());
            }
        }
        let object = self.compiler.lower(enabled).map_err(|error| {
            let sources = &self.checked.parsed.sources;
            let (span, text) = (error.span, &error.message);
            anyhow::Error::msg(refusal(
                Tag::Unsupported,
                span,
                text,
                sources,
                &self.options,
            ))
        })?;
        if self.show_code {
            let mut stderr = io::stderr().lock();
            for code in &object.codes {
                let _ = writeln!(stderr, "{}", code.listing());
            }
        }
        Ok(object)
    }
}

/// Where nothing has been loaded yet.
fn session(options: &Options) -> Session {
    let session = Session::new(KernelFeatures::detect());
    match options.cpu {
        Some(cpu) => session.on_cpu(cpu),
        None => session,
    }
}

/// The attachments with the session's program ids, of which `first` is the object's first.
fn attachable(attachments: &[Attachment], first: u32) -> Vec<Attachment> {
    attachments
        .iter()
        .filter(|attachment| !matches!(attachment.target, Target::Begin | Target::End))
        .map(|attachment| Attachment {
            program: ProgramId(attachment.program.0 + first),
            target: attachment.target.clone(),
        })
        .collect()
}

/// Loads an object's programs; gives the session's id of the first. What the kernel refuses is told with
/// its place in the sources.
fn load_programs(
    session: &mut Session,
    object: &Object,
    (sources, options): (&[Source], &Options),
) -> Result<u32> {
    let mut first = None;
    for (program, code) in object.programs.iter().zip(&object.codes) {
        let loaded = session.load(program);
        let id = loaded.map_err(|error| rejection::told(error, code, sources, options))?;
        first.get_or_insert(id.0);
    }
    Ok(first.unwrap_or(0))
}
