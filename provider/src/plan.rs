//! From attachments to the links that realise them: deciding, without doing.
//!
//! Links are few: detaching one takes the kernel some 40 ms however many instructions it covers,
//! so all sites of one program in one file and scope share a link. Where the kernel has no such
//! links, each site gets a perf event of its own.

use std::collections::HashMap;
use std::sync::Arc;

use crate::features::KernelFeatures;
use crate::object::{Attachment, ProgramId, Target, UprobeSite};
use crate::probe::{Counted, Cpus, File, KernelSymbol, Scope, Timer, TraceEvent, Way};

/// The links to make, in order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Each is one kernel object that stays until it is dropped.
    pub links: Vec<PlannedLink>,
}

/// One link.
#[derive(Clone, Debug)]
pub enum PlannedLink {
    /// Many instructions of one file (`BPF_TRACE_UPROBE_MULTI`).
    UprobeMulti {
        /// The program.
        program: ProgramId,
        /// The file.
        file: Arc<File>,
        /// Whose executions count.
        scope: Scope,
        /// The instructions.
        sites: Vec<UprobeSite>,
        /// Whether they are functions' first ones, and their returns meant.
        returns: bool,
    },
    /// One instruction (a perf event of the `uprobe` type).
    UprobeEvent {
        /// The program.
        program: ProgramId,
        /// The file.
        file: Arc<File>,
        /// Whose executions count.
        scope: Scope,
        /// The instruction.
        site: UprobeSite,
        /// Whether it is a function's first one, and its return meant.
        returns: bool,
    },
    /// A kernel tracepoint (`BPF_RAW_TRACEPOINT_OPEN`).
    Tracepoint {
        /// The program.
        program: ProgramId,
        /// Its name.
        name: Arc<str>,
    },
    /// A function of the kernel (`BPF_TRACE_FENTRY`, `BPF_TRACE_FEXIT`).
    Function {
        /// The program.
        program: ProgramId,
        /// The function's name.
        name: Arc<str>,
    },
    /// A function of the kernel by its symbol (a perf event of the `kprobe` type).
    Kprobe {
        /// The program.
        program: ProgramId,
        /// The function.
        symbol: KernelSymbol,
        /// Whether its return is meant.
        returns: bool,
    },
    /// An event of a kernel tracepoint (a perf event).
    Event {
        /// The program.
        program: ProgramId,
        /// The event.
        event: TraceEvent,
    },
    /// A timer on one CPU (a perf event).
    Timer {
        /// The program.
        program: ProgramId,
        /// The CPU.
        cpu: u32,
        /// What is counted.
        counted: Counted,
        /// How much of it there is between firings.
        period: u64,
    },
}

/// Decides which links realise `attachments` on a kernel with these features. BEGIN and END need
/// none: rdtrace runs their programs itself.
#[must_use]
pub fn plan(attachments: &[Attachment], features: &KernelFeatures) -> Plan {
    let mut links = Vec::new();
    let mut multi: HashMap<(ProgramId, (u64, u64), Scope, bool), usize> = HashMap::new();
    for Attachment { program, target } in attachments {
        let program = *program;
        match target {
            Target::Uprobes { file, scope, sites } | Target::Returns { file, scope, sites }
                if features.has_uprobe_multi() =>
            {
                let returns = matches!(target, Target::Returns { .. });
                if sites.is_empty() {
                    continue;
                }
                let at = *multi
                    .entry((program, file.identity, *scope, returns))
                    .or_insert_with(|| {
                        links.push(PlannedLink::UprobeMulti {
                            program,
                            file: Arc::clone(file),
                            scope: *scope,
                            sites: Vec::new(),
                            returns,
                        });
                        links.len() - 1
                    });
                if let PlannedLink::UprobeMulti { sites: all, .. } = &mut links[at] {
                    all.extend(sites);
                }
            }
            Target::Uprobes { file, scope, sites } | Target::Returns { file, scope, sites } => {
                let returns = matches!(target, Target::Returns { .. });
                links.extend(sites.iter().map(|&site| PlannedLink::UprobeEvent {
                    program,
                    file: Arc::clone(file),
                    scope: *scope,
                    site,
                    returns,
                }));
            }
            Target::Timer(Timer {
                counted,
                period,
                cpus,
            }) => {
                let cpus = match cpus {
                    Cpus::One => &features.online_cpus()[..features.online_cpus().len().min(1)],
                    Cpus::Every => features.online_cpus(),
                };
                links.extend(cpus.iter().map(|&cpu| PlannedLink::Timer {
                    program,
                    cpu,
                    counted: *counted,
                    period: *period,
                }));
            }
            Target::Tracepoint(name) => links.push(PlannedLink::Tracepoint {
                program,
                name: Arc::clone(name),
            }),
            Target::Function(function, _) => links.push(PlannedLink::Function {
                program,
                name: Arc::clone(&function.name),
            }),
            Target::Symbol(symbol, way) => links.push(PlannedLink::Kprobe {
                program,
                symbol: symbol.clone(),
                returns: *way == Way::Return,
            }),
            Target::Event(event) => links.push(PlannedLink::Event {
                program,
                event: event.clone(),
            }),
            Target::Begin | Target::End => {}
        }
    }
    Plan { links }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(inode: u64) -> Arc<File> {
        let path = format!("/bin/{inode}");
        Arc::new(File {
            path: path.clone().into(),
            shown: path.into(),
            identity: (1, inode),
            born: None,
        })
    }

    fn uprobes(program: u32, inode: u64, scope: Scope, offsets: &[u64]) -> Attachment {
        let sites = offsets
            .iter()
            .map(|&file_offset| UprobeSite {
                file_offset,
                semaphore: None,
                cookie: file_offset,
            })
            .collect();
        Attachment {
            program: ProgramId(program),
            target: Target::Uprobes {
                file: file(inode),
                scope,
                sites,
            },
        }
    }

    /// A plan in a few words: `multi 0 /bin/7 [1, 2]`.
    fn shown(attachments: &[Attachment], features: &KernelFeatures) -> Vec<String> {
        plan(attachments, features)
            .links
            .iter()
            .map(|link| match link {
                PlannedLink::UprobeMulti {
                    program,
                    file,
                    sites,
                    ..
                } => {
                    let offsets: Vec<_> = sites.iter().map(|site| site.file_offset).collect();
                    format!("multi {} {} {offsets:?}", program.0, file.path.display())
                }
                PlannedLink::UprobeEvent {
                    program,
                    file,
                    site,
                    ..
                } => {
                    format!(
                        "event {} {} {}",
                        program.0,
                        file.path.display(),
                        site.file_offset
                    )
                }
                PlannedLink::Tracepoint { program, name } => {
                    format!("tracepoint {} {name}", program.0)
                }
                PlannedLink::Function { program, name } => {
                    format!("function {} {name}", program.0)
                }
                PlannedLink::Kprobe {
                    program, symbol, ..
                } => {
                    format!("kprobe {} {}", program.0, symbol.name)
                }
                PlannedLink::Event { program, event } => {
                    format!("event {} {}", program.0, event.name)
                }
                PlannedLink::Timer {
                    program,
                    cpu,
                    period,
                    ..
                } => {
                    format!("timer {} {cpu} {period}", program.0)
                }
            })
            .collect()
    }

    #[test]
    fn one_link_for_each_program_file_and_scope() {
        let attachments = [
            uprobes(0, 7, Scope::System, &[1]),
            uprobes(0, 8, Scope::System, &[1]),
            uprobes(0, 7, Scope::System, &[2, 3]),
            uprobes(0, 7, Scope::Process(9), &[1]),
            uprobes(1, 7, Scope::System, &[4]),
        ];
        assert_eq!(
            shown(&attachments, &KernelFeatures::complete()),
            [
                "multi 0 /bin/7 [1, 2, 3]",
                "multi 0 /bin/8 [1]",
                "multi 0 /bin/7 [1]",
                "multi 1 /bin/7 [4]"
            ]
        );
    }

    #[test]
    fn one_event_for_each_site_without_multi_links() {
        let features = KernelFeatures::complete().without_uprobe_multi();
        assert_eq!(
            shown(&[uprobes(0, 7, Scope::System, &[1, 2])], &features),
            ["event 0 /bin/7 1", "event 0 /bin/7 2"]
        );
    }

    #[test]
    fn profile_runs_on_every_cpu_and_tick_on_one() {
        let features = KernelFeatures::complete().with_cpus(&[2, 3]);
        let timer = |period, cpus| {
            [Attachment {
                program: ProgramId(5),
                target: Target::Timer(Timer::of_clock(period, cpus)),
            }]
        };
        assert_eq!(
            shown(&timer(10, Cpus::Every), &features),
            ["timer 5 2 10", "timer 5 3 10"]
        );
        assert_eq!(shown(&timer(9, Cpus::One), &features), ["timer 5 2 9"]);
    }

    #[test]
    fn nothing_to_attach_makes_no_link() {
        let nothing = [
            uprobes(0, 7, Scope::System, &[]),
            Attachment {
                program: ProgramId(1),
                target: Target::Begin,
            },
            Attachment {
                program: ProgramId(1),
                target: Target::End,
            },
        ];
        assert!(shown(&nothing, &KernelFeatures::complete()).is_empty());
    }
}
