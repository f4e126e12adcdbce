//! The `rawfbt` provider: entry and return of functions by their symbols.
//!
//! `fbt` has the functions that the kernel's BTF describes, by their types. This one has all that the list of symbols has
//! and that can be traced: those of modules, and those that the compiler has changed and given another name
//! (`finish_task_switch.isra.0`). Their arguments are words, found where the calling convention has them. Each is a
//! kprobe, which takes a kernel that has them. As in `fbt`, the provider has to be spelled out.

use std::collections::HashMap;

use dlang::program::ProbeDesc;

use super::fbt::{no_such_way, ways};
use super::names::description;
use super::part::{Key, Made, Offer, Provider};
use crate::diagnosis::Diagnosis;
use crate::glob::Glob;
use crate::kallsyms::Line;
use crate::kprobes;
use crate::probe::{KernelHook, KernelSymbol, ProbeKind, Way};
use crate::spelling::near;

/// The provider.
#[derive(Debug)]
pub(super) struct RawFbt;

const NAME: &str = "rawfbt";

impl Provider for RawFbt {
    fn summary(&self) -> &'static str {
        "`rawfbt` for the kernel's functions by their symbols"
    }

    fn name(&self) -> Option<&'static str> {
        Some(NAME)
    }

    fn own(&self, desc: &ProbeDesc) -> Vec<Offer<'static>> {
        let ways = ways(desc);
        if ways.is_empty() || desc.provider != NAME || kprobes::event_type().is_none() {
            return Vec::new();
        }
        // Several functions may have one name.
        let mut same: HashMap<(&str, &str), u8> = HashMap::new();
        let mut offers = Vec::new();
        for symbol in named(desc).filter(kprobes::is_traceable) {
            let hook = same.entry((symbol.module, symbol.name)).or_default();
            for &(name, way) in &ways {
                let made = make(kprobes::symbol_of(&symbol), way);
                offers.push(Offer {
                    key: Key {
                        desc: description(NAME, symbol.module, symbol.name, name),
                        place: None,
                        hook: *hook,
                    },
                    make: Box::new(|| made),
                });
            }
            match hook.checked_add(1) {
                Some(next) => *hook = next,
                None => break,
            }
        }
        offers
    }

    fn is_meant_alone(&self, desc: &ProbeDesc) -> bool {
        desc.provider == NAME
    }

    fn why_not(&self, desc: &ProbeDesc) -> Option<Diagnosis> {
        if desc.provider != NAME {
            return None;
        }
        if ways(desc).is_empty() {
            return Some(no_such_way(desc));
        }
        if let Some(reason) = lacks_kprobes() {
            return Some(Diagnosis {
                reason,
                advice: vec!["`fbt` has the functions that the kernel describes, where the machine allows it; `rawtp` \
                     its tracepoints"
                    .into()],
                ..Diagnosis::default()
            });
        }
        if kprobes::functions().next().is_none() {
            return Some(Diagnosis {
                reason:
                    "the addresses of the kernel's functions are hidden from us in /proc/kallsyms"
                        .into(),
                advice: vec![
                    "this needs root, or CAP_SYSLOG where kernel.kptr_restrict is 1".into(),
                ],
                ..Diagnosis::default()
            });
        }
        if named(desc).next().is_some() {
            return Some(Diagnosis {
                reason: format!(
                    "the kernel's function `{}` cannot be traced: it is one that tracing needs",
                    desc.function
                ),
                ..Diagnosis::default()
            });
        }
        let there: Vec<&str> = kprobes::functions().map(|symbol| symbol.name).collect();
        Some(Diagnosis {
            reason: format!("this kernel has no function `{}`", desc.function),
            did_you_mean: near(&desc.function, &there),
            advice: vec!["what the compiler has inlined is none any more".into()],
            ..Diagnosis::default()
        })
    }
}

/// What there is to say of a kernel without kprobes.
pub(super) fn lacks_kprobes() -> Option<String> {
    kprobes::event_type().is_none().then(|| {
        "this kernel has no kprobes (CONFIG_KPROBE_EVENTS), by which functions without a type are traced".into()
    })
}

/// The functions that a description means, traceable or not.
fn named(desc: &ProbeDesc) -> impl Iterator<Item = Line<'static>> {
    let (modules, functions) = (Glob::new(&desc.module), Glob::new(&desc.function));
    kprobes::functions()
        .filter(move |symbol| functions.matches(symbol.name) && modules.matches(symbol.module))
}

/// The entry of a function of the kernel that has no type, and of whose arguments nothing is known.
pub(super) fn code_of(function: &str) -> Option<Made> {
    kprobes::event_type()?;
    Some(make(kprobes::code_of(function)?, Way::Entry))
}

fn make(symbol: KernelSymbol, way: Way) -> Made {
    Made::plain(ProbeKind::Kernel(KernelHook::Symbol(symbol, way)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::desc;

    #[test]
    fn a_kernel_without_kprobes_says_so() {
        let told = |text: &str| RawFbt.why_not(&desc(text)).map(|why| why.to_string());
        assert_eq!(told("fbt::do_exit:entry"), None);
        assert!(
            told("rawfbt::do_exit:entri")
                .unwrap()
                .contains("did you mean `entry`")
        );
        assert!(RawFbt.own(&desc(":::entry")).is_empty());
        let found = RawFbt.own(&desc("rawfbt:vmlinux:do_filp_open:"));
        let names: Vec<String> = found
            .iter()
            .map(|offer| offer.key.desc.to_string())
            .collect();
        if kprobes::event_type().is_none() {
            assert!(names.is_empty());
            assert!(
                told("rawfbt::do_filp_open:entry")
                    .unwrap()
                    .contains("CONFIG_KPROBE_EVENTS")
            );
        } else if kprobes::functions().next().is_some() {
            let expected = [
                "rawfbt:vmlinux:do_filp_open:entry",
                "rawfbt:vmlinux:do_filp_open:return",
            ];
            assert_eq!(names, expected);
        }
    }
}
