//! The `fbt` provider: entry and return of the kernel's functions.
//!
//! Which there are, and their types, the kernel's BTF says; whether one can be traced, the function itself
//! (`traceable`). Each probe is a program of its own, which the kernel calls from the function's start, or
//! when it returns. So it answers only if its name is spelled out: a description such as `:::entry` would
//! mean a hundred thousand.

use std::io;
use std::sync::{Arc, OnceLock};

use dlang::program::ProbeDesc;
use dlang::types::{Int, Type};

use super::names::{description, fits};
use super::part::{Made, Offer, Provider};
use super::rawtp::probe_arg;
use crate::diagnosis::Diagnosis;
use crate::features::forbids_functions;
use crate::glob::Glob;
use crate::kernel_types::{FunctionType, KernelArg, Signatures, with_signatures};
use crate::probe::{KernelFunction, KernelHook, ProbeArg, ProbeKind, Way};
use crate::remedy::errno_text;
use crate::spelling::near;
use crate::traceable::is_traceable;

/// The provider.
#[derive(Debug)]
pub(super) struct Fbt;

const NAME: &str = "fbt";

/// The module of all its probes: functions of loadable modules are described elsewhere.
const MODULE: &str = "vmlinux";

const WAYS: [(&str, Way); 2] = [("entry", Way::Entry), ("return", Way::Return)];

/// The probes of a function that a description means.
pub(super) fn ways(desc: &ProbeDesc) -> Vec<(&'static str, Way)> {
    let glob = Glob::new(&desc.name);
    let ways = WAYS.into_iter().filter(|(name, _)| glob.matches(name));
    ways.collect()
}

/// That functions of the kernel have no probe of a description's name.
pub(super) fn no_such_way(desc: &ProbeDesc) -> Diagnosis {
    let names = WAYS.map(|(name, _)| name);
    Diagnosis {
        reason: format!("`{}` has no probe `{}`", desc.provider, desc.name),
        available: names.map(str::to_owned).to_vec(),
        did_you_mean: near(&desc.name, &names),
        ..Diagnosis::default()
    }
}

impl Provider for Fbt {
    fn summary(&self) -> &'static str {
        "`fbt` for the kernel's functions"
    }

    fn name(&self) -> Option<&'static str> {
        Some(NAME)
    }

    fn own(&self, desc: &ProbeDesc) -> Vec<Offer<'static>> {
        let ways = ways(desc);
        if ways.is_empty() || desc.provider != NAME || !Glob::new(&desc.module).matches(MODULE) {
            return Vec::new();
        }
        let found = with_signatures(|signatures| {
            let mut offers = Vec::new();
            if forbidden(signatures).is_some() {
                return offers;
            }
            for function in functions(signatures, &desc.function) {
                let Some(ty) = signatures.function(function) else {
                    continue;
                };
                if is_traceable(function) == Some(false) {
                    continue;
                }
                let function: Arc<str> = function.into();
                for &(name, way) in &ways {
                    let full = description(NAME, MODULE, &function, name);
                    offers.push(Offer::own(full, make(&function, &ty, way)));
                }
            }
            offers
        });
        found.unwrap_or_default()
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
        if !fits(desc, MODULE, &desc.function, &desc.name) {
            return Some(Diagnosis {
                reason: format!("the module of all probes of `{NAME}` is `{MODULE}` here"),
                ..Diagnosis::default()
            });
        }
        let told = with_signatures(|signatures| {
            let function = &desc.function;
            if let Some(error) = forbidden(signatures) {
                return Diagnosis {
                    reason: format!(
                        "this machine allows no programs at the kernel's functions (fentry): {}",
                        errno_text(error)
                    ),
                    advice: vec![
                        "`rawtp` has the kernel's tracepoints, `syscall` its system calls".into(),
                    ],
                    ..Diagnosis::default()
                };
            }
            if signatures.function(function).is_some() {
                return Diagnosis {
                    reason: format!(
                        "the kernel's function `{function}` cannot be traced: it is one that tracing needs, \
                         or has been inlined everywhere"
                    ),
                    ..Diagnosis::default()
                };
            }
            Diagnosis {
                reason: format!("this kernel has no function `{function}`"),
                did_you_mean: near(function, &signatures.function_names()),
                advice: vec!["what the compiler has inlined is none any more".into()],
                ..Diagnosis::default()
            }
        });
        Some(told.unwrap_or_else(|| Diagnosis {
            reason: "this kernel does not describe its functions: /sys/kernel/btf/vmlinux is missing".into(),
            ..Diagnosis::default()
        }))
    }
}

/// A function of the kernel as what makes a probe fire, if it can be traced. On return, its arguments follow the two that
/// the probes of this provider have: what it was called with is still known then.
pub(super) fn find(name: &str, way: Way) -> Option<Made> {
    let ty = with_signatures(|signatures| {
        let may = forbidden(signatures).is_none();
        signatures.function(name).filter(|_| may)
    })??;
    let can = is_traceable(name) != Some(false);
    can.then(|| {
        let made = make(&name.into(), &ty, way);
        match way {
            Way::Entry => made,
            Way::Return => Made {
                args: returned(&ty).into(),
                ..made
            },
        }
    })
}

/// What there is to say of this machine, if it allows no programs at the kernel's functions.
pub(super) fn refusal() -> Option<String> {
    let error = with_signatures(|signatures| forbidden(signatures).map(errno_text))??;
    Some(format!(
        "this machine allows no programs at the kernel's functions (fentry): {error}"
    ))
}

/// Why no function at all may be traced, if that is so: asked once, for one that every kernel has.
fn forbidden(signatures: &Signatures) -> Option<&'static io::Error> {
    static WHY: OnceLock<Option<io::Error>> = OnceLock::new();
    let ask = || forbids_functions(signatures.function("do_exit")?.id);
    WHY.get_or_init(ask).as_ref()
}

/// The functions that a field of a description means.
fn functions<'s>(signatures: &'s Signatures, field: &'s str) -> Vec<&'s str> {
    let glob = Glob::new(field);
    if glob.is_literal() && !field.is_empty() {
        return vec![field];
    }
    let mut names = signatures.function_names();
    names.retain(|name| glob.matches(name));
    names
}

/// What is known when a function returns: where, which is not, its result (a number that means nothing, if it has
/// none), and its arguments.
fn returned(ty: &FunctionType) -> Vec<ProbeArg> {
    let result = ty.result.clone().unwrap_or_else(unknown);
    let all = [unknown(), result].into_iter().chain(ty.args.clone());
    all.map(probe_arg).collect()
}

fn unknown() -> KernelArg {
    KernelArg {
        ty: Type::Int(Int::U64),
        shown: "uint64_t".into(),
    }
}

fn make(name: &Arc<str>, ty: &FunctionType, way: Way) -> Made {
    let args = match way {
        Way::Entry => ty.args.clone(),
        Way::Return => {
            // Where it returned is not known.
            std::iter::once(unknown())
                .chain(ty.result.clone())
                .collect()
        }
    };
    let function = KernelFunction {
        name: Arc::clone(name),
        id: ty.id,
    };
    Made {
        args: args.into_iter().map(probe_arg).collect::<Vec<_>>().into(),
        dependent: None,
        kind: ProbeKind::Kernel(KernelHook::Function(function, way)),
        source: None,
        python: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::desc;

    #[test]
    fn functions_have_two_probes() {
        if with_signatures(|signatures| forbidden(signatures).is_none()) != Some(true) {
            test_support::skipped("needs programs at the kernel's functions");
            return;
        }
        let found = Fbt.own(&desc("fbt::do_filp_open:"));
        let names: Vec<_> = found
            .iter()
            .map(|offer| offer.key.desc.to_string())
            .collect();
        let expected = [
            "fbt:vmlinux:do_filp_open:entry",
            "fbt:vmlinux:do_filp_open:return",
        ];
        assert_eq!(names, expected);
        let args = |offer: Offer<'static>| {
            let args = (offer.make)().args;
            args.iter()
                .map(|arg| arg.meaning.clone().unwrap_or_default().into_owned())
                .collect::<Vec<_>>()
        };
        let all: Vec<_> = found.into_iter().map(args).collect();
        assert_eq!(all[0][0], "int");
        assert_eq!(all[1], ["uint64_t", "struct file *"]);
        assert!(Fbt.own(&desc(":::entry")).is_empty());
        let told = |text: &str| Fbt.why_not(&desc(text)).unwrap().to_string();
        assert!(told("fbt::do_flip_open:entry").contains("did you mean `do_filp_open`"));
        assert!(told("fbt::do_filp_open:entri").contains("did you mean `entry`"));
    }
}
