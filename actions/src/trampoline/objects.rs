//! What a firing knows of the Python that it is in: how objects are laid out there, and where the probe
//! has one.

use predicates::python::{AFTER, BEFORE, Fact, KEYS, Layout, Python};
use provider::probe::{Probe, ProbeKind, PythonEvent};
use provider::python::Objects;
use provider::python::objects::{CellOffsets, ValuesOffsets};

/// The number of the argument of `audit` that is the tuple of the event's own.
pub(crate) const AUDIT_TUPLE: u8 = 1;

/// Where the frame of the function that fires is put: the last of the places for arguments, of which
/// Python's probes have fewer.
pub(crate) const FRAME: u8 = 9;

/// What is known of the Python that fires a probe; `None` if it may be any program.
pub(super) fn python(probe: &Probe) -> Option<Python> {
    let objects = probe.python.as_ref()?;
    Some(Python {
        layout: objects
            .known()
            .map(|objects| layout(&objects))
            .map_err(str::to_owned),
        audit: audit(probe),
        frame: Err(format!(
            "the frame of a Python function is known in function-entry and function-return that are made from the \
             interpreter's code, and not in {}",
            probe.desc.name
        )),
    })
}

/// The argument that is an audit event's tuple.
fn audit(probe: &Probe) -> Result<u8, String> {
    let name = &probe.desc.name;
    if name != PythonEvent::Audit.name() {
        return Err(format!("{name} is no audit event"));
    }
    if let ProbeKind::Sites(_) = &probe.kind
        && probe.arg_types().len() > usize::from(AUDIT_TUPLE)
    {
        return Ok(AUDIT_TUPLE);
    }
    Err(
        "this Python has no audit marker, and where its code raises an event the tuple of the \
         event's arguments does not exist"
            .to_owned(),
    )
}

/// What there is to know of cells; 0 for what the version does not have.
fn cell_fact(fact: Fact, cells: CellOffsets) -> u16 {
    match cells {
        CellOffsets::Kinds(kinds) if fact == Fact::CodeKinds => kinds,
        CellOffsets::Names { cells, .. } if fact == Fact::CodeCells => cells,
        CellOffsets::Names { free, .. } if fact == Fact::CodeFree => free,
        CellOffsets::Names { locals, .. } if fact == Fact::CodeLocals => locals,
        CellOffsets::Kinds(_) | CellOffsets::Names { .. } => 0,
    }
}

/// The offsets as code wants them.
fn layout(objects: &Objects) -> Layout {
    let string = &objects.string;
    let bits = |bits: i32| u32::try_from(bits).expect("a bit of the state's lower half");
    Layout::new(|fact| match fact {
        Fact::Header => objects.header.into(),
        Fact::TypeName => objects.type_name.into(),
        Fact::TypeFlags => objects.type_flags.into(),
        Fact::StringState => string.state.into(),
        Fact::StringKind => string.kind.shift.into(),
        Fact::StringCompact => bits(string.compact),
        Fact::StringAscii => bits(string.ascii),
        Fact::AsciiData => string.ascii_data.into(),
        Fact::WideData => string.wide_data.into(),
        Fact::BytesData => objects.bytes_data.into(),
        Fact::TaggedInt => objects.tagged_int.into(),
        Fact::Digits => objects.digits.into(),
        Fact::TupleItems => objects.tuple_items.into(),
        Fact::ListItems => objects.list_items.into(),
        Fact::DictKeys => objects.dict_keys.into(),
        Fact::KeysUsed => objects.keys.used.into(),
        Fact::KeysIndices => objects.keys.indices.into(),
        Fact::KeysLogarithm => objects.keys.logarithm.unwrap_or(0).into(),
        Fact::ValuesOrder => match objects.values {
            ValuesOffsets::Keys => KEYS,
            ValuesOffsets::Before => BEFORE,
            ValuesOffsets::After => AFTER,
        },
        Fact::SetUsed => objects.set_used.into(),
        Fact::ExceptionArguments => objects.exception_arguments.into(),
        Fact::FrameCode => objects.variables.code.into(),
        Fact::FrameLocals => objects.variables.locals.into(),
        Fact::CodeNames => objects.variables.names.into(),
        Fact::CodeArguments => objects.variables.arguments.into(),
        Fact::CodeKeywordOnly => objects.variables.keyword_only.into(),
        Fact::CodeFlags => objects.variables.flags.into(),
        Fact::CodeCells | Fact::CodeFree | Fact::CodeLocals | Fact::CodeKinds => {
            cell_fact(fact, objects.variables.cells).into()
        }
    })
}
