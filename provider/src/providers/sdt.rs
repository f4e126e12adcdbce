//! The `sdt` provider: the kernel's tracepoints, with what they write for those who read its traces: the fields that
//! tracefs describes. `rawtp` has what the kernel's code passes to the same tracepoints.
//!
//! The module is the group that tracefs has a tracepoint in, as in DTrace; there is no function.

use dlang::program::ProbeDesc;
use dlang::types::{Int, Space, Type};

use super::names::{description, fits};
use super::part::{Made, Offer, Provider};
use super::rawtp;
use crate::c_type;
use crate::diagnosis::Diagnosis;
use crate::glob::Glob;
use crate::probe::{Arguments, KernelHook, ProbeArg, ProbeKind, TraceEvent};
use crate::tracefs::{self, Field};

/// The provider.
#[derive(Debug)]
pub(super) struct Sdt;

const NAME: &str = "sdt";

impl Provider for Sdt {
    fn summary(&self) -> &'static str {
        "`sdt` for what they write"
    }

    fn name(&self) -> Option<&'static str> {
        Some(NAME)
    }

    fn own(&self, desc: &ProbeDesc) -> Vec<Offer<'static>> {
        let is_meant = Glob::new(&desc.provider).matches(NAME)
            && Glob::new(&desc.function).matches("")
            && rawtp::may_be_tracepoint(desc);
        if !is_meant {
            return Vec::new(); // as most descriptions, before anything is read
        }
        let found = rawtp::tracepoints().iter();
        let found = found.filter(|(group, name)| fits(desc, group, "", name));
        found
            .map(|(group, name)| {
                let event = TraceEvent {
                    group: group.clone(),
                    name: name.clone(),
                };
                Offer::own(description(NAME, group, "", name), make(event))
            })
            .collect()
    }

    fn is_meant_alone(&self, desc: &ProbeDesc) -> bool {
        desc.provider == NAME
    }

    fn why_not(&self, desc: &ProbeDesc) -> Option<Diagnosis> {
        (desc.provider == NAME).then(|| rawtp::why_no_tracepoint(NAME, desc))
    }
}

fn make(event: TraceEvent) -> Made {
    let asked = event.clone();
    let arguments = move || {
        let fields = tracefs::fields_of(&asked.group, &asked.name);
        fields.iter().map(argument).collect()
    };
    Made {
        args: Arguments::found_by(arguments),
        dependent: None,
        kind: ProbeKind::Kernel(KernelHook::Event(event)),
        source: None,
        python: None,
    }
}

/// A field as an argument. The argument of an array is its address.
fn argument(field: &Field) -> ProbeArg {
    let length = field.name.find('[').map_or("", |at| &field.name[at..]);
    let ty = c_type::parse(&field.ty, Space::Unknown);
    let ty = match (ty, field.size) {
        (ty, _) if field.is_array() => {
            let element = ty.unwrap_or(Type::Int(Int::U8));
            let count = length.trim_matches(['[', ']']).parse();
            match count {
                Ok(count) => Type::Array(element.into(), count),
                Err(_no_number) => Type::pointer_in(Space::Kernel, element),
            }
        }
        (Some(ty), _) => ty,
        (None, 1) => Type::Int(Int::U8),
        (None, 2) => Type::Int(Int::U16),
        (None, 4) => Type::Int(Int::U32),
        (None, 8) => Type::Int(Int::U64),
        (None, _) => Type::pointer_in(Space::Kernel, Type::Void),
    };
    let space = if length.is_empty() { "" } else { " " };
    ProbeArg {
        ty,
        meaning: Some(format!("{}{space}{length}", c_type::plain(&field.ty)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::desc;

    #[test]
    fn fields_are_arguments() {
        if tracefs::available().is_empty() {
            return;
        }
        let found = Sdt.own(&desc("sdt:sched::sched_switch")).into_iter();
        let made: Vec<Made> = found.map(|offer| (offer.make)()).collect();
        assert_eq!(made.len(), 1);
        let shown = |n: usize| made[0].args[n].meaning.clone().unwrap_or_default();
        assert_eq!((&*shown(0), &*shown(1)), ("char [16]", "pid_t"));
        assert!(matches!(made[0].args[0].ty, Type::Array(_, 16)));
        assert_eq!(made[0].args[1].ty, Type::INT);
        assert!(Sdt.own(&desc(":::BEGIN")).is_empty());
        let told = Sdt.why_not(&desc("sdt:::sched_swich")).unwrap().to_string();
        assert!(told.contains("did you mean `sched_switch`"), "{told}");
    }
}
