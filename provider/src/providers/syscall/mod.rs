//! The `syscall` provider: entry and return of every system call, by the names that the kernel's sources
//! give them: `newstat`, where a C program says `stat`.
//!
//! The kernel has one tracepoint for all entries and one for all returns, which pass the number of the
//! call. Which names there are, and the types of their arguments, it says in tracefs, one directory for
//! each; which number has which name is fixed for each architecture (`numbers.rs`). Calls of 32-bit
//! programs have numbers of their own, and no probes, as in DTrace.

mod numbers;

use std::sync::{Arc, OnceLock};
use std::{fs, io};

use dlang::program::ProbeDesc;
use dlang::types::{Int, Space, Type};

use self::numbers::numbers;
use super::names::{description, fits};
use super::part::{Made, Offer, Provider};
use crate::c_type;
use crate::diagnosis::Diagnosis;
use crate::glob::Glob;
use crate::probe::{Arguments, ProbeArg, ProbeKind, SystemCall, Way};
use crate::spelling::near;
use crate::tracefs;

/// The provider.
#[derive(Debug)]
pub(super) struct Syscall;

const NAME: &str = "syscall";

/// The module of all its probes, as in DTrace: the kernel itself.
const MODULE: &str = "vmlinux";

const WAYS: [(&str, Way); 2] = [("entry", Way::Entry), ("return", Way::Return)];

/// The most arguments of a system call.
const MOST_ARGUMENTS: usize = 6;

impl Provider for Syscall {
    fn summary(&self) -> &'static str {
        "`syscall`"
    }

    fn name(&self) -> Option<&'static str> {
        Some(NAME)
    }

    fn own(&self, desc: &ProbeDesc) -> Vec<Offer<'static>> {
        let (names, function) = (Glob::new(&desc.name), Glob::new(&desc.function));
        let ways = WAYS.iter().filter(|(name, _)| names.matches(name));
        let ways: Vec<&(&str, Way)> = ways.collect();
        // Most descriptions end here, before anything is read.
        if ways.is_empty()
            || !Glob::new(&desc.provider).matches(NAME)
            || !Glob::new(&desc.module).matches(MODULE)
        {
            return Vec::new();
        }
        let calls = calls().iter().filter(|call| function.matches(&call.name));
        let mut offers = Vec::new();
        for call in calls {
            for &&(name, way) in &ways {
                let full = description(NAME, MODULE, &call.name, name);
                offers.push(Offer::own(full, make(call, way)));
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
        let names = WAYS.map(|(name, _)| name);
        if !fits(desc, MODULE, &desc.function, &desc.name) {
            return Some(Diagnosis {
                reason: format!("the module of all probes of `{NAME}` is `{MODULE}`"),
                ..Diagnosis::default()
            });
        }
        if !names.iter().any(|name| Glob::new(&desc.name).matches(name)) {
            return Some(Diagnosis {
                reason: format!("`{NAME}` has no probe `{}`", desc.name),
                available: names.map(str::to_owned).to_vec(),
                did_you_mean: near(&desc.name, &names),
                ..Diagnosis::default()
            });
        }
        let calls: Vec<&str> = calls().iter().map(|call| &*call.name).collect();
        let renamed = numbers::kernel_name(&desc.function, |name| calls.contains(&name));
        let advice = match renamed {
            Some(name) => format!("the kernel's name for it is `{name}`"),
            None => format!("rdtrace -l -P {NAME} lists all"),
        };
        let near = || near(&desc.function, &calls);
        Some(Diagnosis {
            reason: format!("this kernel has no system call `{}`", desc.function),
            did_you_mean: if renamed.is_none() { near() } else { None },
            advice: vec![advice],
            ..Diagnosis::default()
        })
    }
}

/// A system call that this kernel has.
#[derive(Clone, Debug)]
struct Call {
    name: Arc<str>,
    number: u16,
}

/// Those that this kernel has, by their numbers; looked up once.
fn calls() -> &'static [Call] {
    static CALLS: OnceLock<Vec<Call>> = OnceLock::new();
    CALLS.get_or_init(|| {
        let there = directories();
        let has = |name: &str| {
            there
                .as_ref()
                .is_none_or(|there| there.contains(&name.to_owned()))
        };
        let found = numbers(has).into_iter();
        found
            .map(|(number, name)| Call {
                name: name.into(),
                number,
            })
            .collect()
    })
}

/// A system call, by the kernel's name for it, as what makes a probe fire.
pub(super) fn find(name: &str, way: Way) -> Option<Made> {
    let call = calls().iter().find(|call| *call.name == *name)?;
    Some(make(call, way))
}

/// The names of system calls that the kernel says it has; `None` if tracefs is not mounted.
fn directories() -> Option<Vec<String>> {
    let all = tracefs::names_in(&tracefs::events()?.join("syscalls"));
    let names = all
        .iter()
        .filter_map(|name| name.strip_prefix("sys_enter_"));
    Some(names.map(str::to_owned).collect())
}

fn make(call: &Call, way: Way) -> Made {
    let args = match way {
        Way::Entry => {
            let name = Arc::clone(&call.name);
            Arguments::found_by(move || arguments(&name))
        }
        Way::Return => vec![shown(Type::Int(Int::I64), "long")].into(),
    };
    Made {
        args,
        dependent: None,
        kind: ProbeKind::SystemCall(SystemCall {
            number: call.number,
            way,
        }),
        source: None,
        python: None,
    }
}

/// The arguments of a call, as the kernel describes them; without a description, all that a call may have.
fn arguments(name: &str) -> Vec<ProbeArg> {
    let described = || -> io::Result<String> {
        let events = tracefs::events().ok_or(io::ErrorKind::NotFound)?;
        fs::read_to_string(events.join(format!("syscalls/sys_enter_{name}/format")))
    };
    let Ok(format) = described() else {
        return vec![shown(Type::Int(Int::I64), "long"); MOST_ARGUMENTS];
    };
    let mut fields = tracefs::own_fields(&format);
    fields.retain(|field| field.name != "__syscall_nr");
    let fields = fields.iter().take(MOST_ARGUMENTS);
    fields
        .map(|field| {
            let ty = c_type::parse(&field.ty, Space::User).unwrap_or(Type::Int(Int::I64));
            shown(ty, &c_type::plain(&field.ty))
        })
        .collect()
}

fn shown(ty: Type, text: &str) -> ProbeArg {
    ProbeArg {
        ty,
        meaning: Some(text.to_owned().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::desc;

    fn listed(text: &str) -> Vec<String> {
        let offers = Syscall.own(&desc(text));
        let names = offers.into_iter().map(|offer| offer.key.desc.to_string());
        names.collect()
    }

    #[test]
    fn calls_have_the_kernels_names() {
        assert_eq!(
            listed("syscall::read:"),
            ["syscall:vmlinux:read:entry", "syscall:vmlinux:read:return"]
        );
        assert_eq!(listed("syscall::newuname:entry").len(), 1);
        assert!(listed("syscall::uname:entry").is_empty());
        assert!(listed("syscall:ext4:read:entry").is_empty());
        assert!(listed("::read:BEGIN").is_empty());
        assert_eq!(listed("::read:entry"), ["syscall:vmlinux:read:entry"]);
    }

    #[test]
    fn what_is_not_there_is_told() {
        let told = |text: &str| Syscall.why_not(&desc(text)).unwrap().to_string();
        assert!(told("syscall::stat:entry").contains("the kernel's name for it is `newstat`"));
        assert!(told("syscall::opena:entry").contains("did you mean"));
        assert!(told("syscall::read:entri").contains("did you mean `entry`"));
        assert!(told("syscall:ext4:read:entry").contains("`vmlinux`"));
        assert!(Syscall.why_not(&desc("foo:::entry")).is_none());
    }

    #[test]
    fn arguments_have_types() {
        if tracefs::events().is_none() {
            return;
        }
        let shown: Vec<_> = arguments("read")
            .into_iter()
            .map(|arg| format!("{} as {}", arg.meaning.unwrap_or_default(), arg.ty))
            .collect();
        assert_eq!(
            shown,
            [
                "unsigned int as uint32_t",
                "char * as char *",
                "size_t as uint64_t"
            ]
        );
    }
}
