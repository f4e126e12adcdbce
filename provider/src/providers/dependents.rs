//! Providers whose probes depend on others: on the kernel's tracepoints, system calls and functions.
//!
//! Such a provider is a table ([`Dependents`]). Each row is a probe: what its `args[]` are, and the places in
//! the kernel that make it fire. A kernel may not have all of them; a probe without any is none, and is
//! refused with what it would take. What a place passes becomes the probe's arguments by expressions in D
//! (`dlang::program::Dependent`), so that a new probe is a row, and no code.
//!
//! The module of all of them is the kernel itself, and they have no function, as in DTrace.

use dlang::program::{Dependent, ProbeDesc};

use super::names::{description, fits};
use super::part::{Key, Made, Offer, Provider};
use super::{fbt, rawfbt, rawtp, syscall};
use crate::diagnosis::Diagnosis;
use crate::glob::Glob;
use crate::probe::Way;
use crate::spelling::near;

/// A provider of dependent probes.
#[derive(Debug)]
pub(super) struct Dependents {
    pub(super) name: &'static str,
    /// What it has, for people who look for a provider.
    pub(super) summary: &'static str,
    pub(super) probes: &'static [Row],
}

/// A probe that depends on others.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// `args[]`: which of the inputs each is, and the type as it is shown. Types of D libraries are made by
    /// their translators.
    pub(super) args: &'static [(u8, &'static str)],
    /// What makes it fire: all of these that the kernel has.
    pub(super) on: &'static [On],
    /// What the kernel lacks if it has none of them.
    pub(super) lack: &'static str,
}

/// A place that makes a probe fire.
#[derive(Debug)]
pub(super) struct On {
    pub(super) place: Place,
    /// The tracepoint in whose place it is: where the kernel has that one, this is not needed.
    pub(super) instead_of: Option<&'static str>,
    /// On which condition, in D; always if it is empty.
    pub(super) when: &'static str,
    /// `arg0` and so on, in D.
    pub(super) inputs: &'static [&'static str],
}

/// A place in the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// A tracepoint.
    Tracepoint(&'static str),
    /// A system call, by the kernel's name for it.
    Call(&'static str, Way),
    /// A function.
    Function(&'static str, Way),
    /// The entry of a function that the kernel may have under a name of the compiler's, with nothing known of its
    /// arguments.
    Code(&'static str),
}

/// The module of all dependent probes.
const MODULE: &str = "vmlinux";

impl Place {
    /// What its arguments are and what makes it fire, if the kernel has it; the rest is the caller's.
    fn find(self) -> Option<Made> {
        match self {
            Self::Tracepoint(name) => rawtp::exists(name).then(|| rawtp::make(&name.into())),
            Self::Call(name, way) => syscall::find(name, way),
            Self::Function(name, way) => fbt::find(name, way),
            Self::Code(name) => rawfbt::code_of(name),
        }
    }
}

impl Row {
    /// What makes it fire on this kernel.
    fn found(&'static self) -> impl Iterator<Item = Made> {
        let is_needed = |on: &&On| !on.instead_of.is_some_and(rawtp::exists);
        self.on.iter().filter(is_needed).filter_map(|on| {
            let dependent = Dependent {
                when: on.when,
                inputs: on.inputs,
                outputs: self.args,
            };
            Some(Made {
                dependent: Some(dependent),
                ..on.place.find()?
            })
        })
    }

    fn is_meant(&self, desc: &ProbeDesc) -> bool {
        fits(desc, MODULE, "", self.name)
    }
}

impl Dependents {
    /// The rows that a description means, by their names.
    fn meant(&self, desc: &ProbeDesc) -> impl Iterator<Item = &'static Row> {
        let is_ours = Glob::new(&desc.provider).matches(self.name);
        let rows = self.probes.iter().filter(move |_| is_ours);
        rows.filter(|row| row.is_meant(desc))
    }

    fn lacks(&self, row: &Row) -> Diagnosis {
        let needs_function = |on: &On| matches!(on.place, Place::Function(..));
        let needs_code = |on: &On| matches!(on.place, Place::Code(..));
        let forbidden = row.on.iter().any(needs_function).then(fbt::refusal);
        let no_kprobes = row.on.iter().any(needs_code).then(rawfbt::lacks_kprobes);
        Diagnosis {
            reason: format!(
                "this kernel has nothing that would make `{}:::{}` fire: {}",
                self.name, row.name, row.lack
            ),
            advice: [forbidden, no_kprobes]
                .into_iter()
                .flatten()
                .flatten()
                .collect(),
            ..Diagnosis::default()
        }
    }
}

impl Provider for Dependents {
    fn summary(&self) -> &'static str {
        self.summary
    }

    fn name(&self) -> Option<&'static str> {
        Some(self.name)
    }

    fn own(&self, desc: &ProbeDesc) -> Vec<Offer<'static>> {
        let mut offers = Vec::new();
        for row in self.meant(desc) {
            for (hook, made) in (0..).zip(row.found()) {
                offers.push(Offer {
                    key: Key {
                        desc: description(self.name, MODULE, "", row.name),
                        place: None,
                        hook,
                    },
                    make: Box::new(|| made),
                });
            }
        }
        offers
    }

    fn is_meant_alone(&self, desc: &ProbeDesc) -> bool {
        desc.provider == self.name
    }

    fn translated_types(&self, desc: &ProbeDesc) -> Vec<&'static str> {
        let args = self.meant(desc).flat_map(|row| row.args);
        args.map(|(_, ty)| *ty).collect()
    }

    fn why_not(&self, desc: &ProbeDesc) -> Option<Diagnosis> {
        if desc.provider != self.name {
            return None;
        }
        if let Some(row) = self.meant(desc).next() {
            return Some(self.lacks(row));
        }
        let names: Vec<&str> = self.probes.iter().map(|row| row.name).collect();
        let is_known = names.contains(&&*desc.name);
        if is_known {
            return Some(Diagnosis {
                reason: format!(
                    "the module of all probes of `{}` is `{MODULE}`, and they have no function",
                    self.name
                ),
                advice: vec![format!("write {}:::{}", self.name, desc.name)],
                ..Diagnosis::default()
            });
        }
        let there = self
            .probes
            .iter()
            .filter(|row| row.found().next().is_some());
        Some(Diagnosis {
            reason: format!("`{}` has no probe `{}`", self.name, desc.name),
            available: there.map(|row| row.name.to_owned()).collect(),
            did_you_mean: near(&desc.name, &names),
            ..Diagnosis::default()
        })
    }
}

/// An `on` of a tracepoint.
pub(super) const fn tracepoint(
    name: &'static str,
    when: &'static str,
    inputs: &'static [&'static str],
) -> On {
    On {
        place: Place::Tracepoint(name),
        instead_of: None,
        when,
        inputs,
    }
}

/// An `on` of the return of a function of the kernel: `args[1]` is its result, `args[2]` its first argument.
pub(super) const fn function_return(
    name: &'static str,
    when: &'static str,
    inputs: &'static [&'static str],
) -> On {
    On {
        place: Place::Function(name, Way::Return),
        instead_of: None,
        when,
        inputs,
    }
}

/// An `on` of the entry of a function without arguments, for kernels that lack a tracepoint.
pub(super) const fn without(
    tracepoint: &'static str,
    function: &'static str,
    when: &'static str,
) -> On {
    On {
        place: Place::Code(function),
        instead_of: Some(tracepoint),
        when,
        inputs: &[],
    }
}

/// An `on` of a system call's entry.
pub(super) const fn entry(name: &'static str, inputs: &'static [&'static str]) -> On {
    On {
        place: Place::Call(name, Way::Entry),
        instead_of: None,
        when: "",
        inputs,
    }
}

/// An `on` of a system call's return.
pub(super) const fn return_of(
    name: &'static str,
    when: &'static str,
    inputs: &'static [&'static str],
) -> On {
    On {
        place: Place::Call(name, Way::Return),
        instead_of: None,
        when,
        inputs,
    }
}

/// An `on` of a function of the kernel.
pub(super) const fn function(name: &'static str, inputs: &'static [&'static str]) -> On {
    function_if(name, "", inputs)
}

/// The same on a condition.
pub(super) const fn function_if(
    name: &'static str,
    when: &'static str,
    inputs: &'static [&'static str],
) -> On {
    On {
        place: Place::Function(name, Way::Entry),
        instead_of: None,
        when,
        inputs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::desc;
    use crate::providers::{io, lockstat, net, proc, sched};

    #[test]
    fn all_definitions_are_d() {
        let all = [
            &proc::PROC,
            &sched::SCHED,
            &io::IO,
            &lockstat::LOCKSTAT,
            &net::IP,
            &net::TCP,
            &net::UDP,
        ];
        for provider in all {
            for row in provider.probes {
                for on in row.on {
                    let dependent = Dependent {
                        when: on.when,
                        inputs: on.inputs,
                        outputs: row.args,
                    };
                    dependent.parse().unwrap();
                    for (input, _) in row.args {
                        assert!(usize::from(*input) < on.inputs.len(), "{}", row.name);
                    }
                }
            }
        }
    }

    #[test]
    fn probes_are_found_by_their_names() {
        let names = |text: &str| -> Vec<String> {
            let offers = proc::PROC.own(&desc(text)).into_iter();
            let first = offers.filter(|offer| offer.key.hook == 0);
            first.map(|offer| offer.key.desc.to_string()).collect()
        };
        assert_eq!(names("proc:::create"), ["proc:vmlinux::create"]);
        assert_eq!(names("proc:vmlinux::exec").len(), 1);
        assert!(names("proc:ext4::create").is_empty());
        assert!(names("proc::x:create").is_empty());
        assert!(names("sched:::create").is_empty());
        let told = |text: &str| proc::PROC.why_not(&desc(text)).unwrap().to_string();
        assert!(told("proc:::creat").contains("did you mean `create`"));
        assert!(told("proc::fork:create").contains("write proc:::create"));
    }
}
