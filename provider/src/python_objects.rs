//! How the objects of a Python's interpreter are laid out: found out when a program asks for values.
//!
//! Reading the file takes some milliseconds, which programs that ask for none are spared. What a program
//! asks for is known once it has been checked: [`PythonObjects::look`] is called before code is made,
//! which then reads what is [`known`](PythonObjects::known).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use unwind::objects::{AFTER, BEFORE, Fact, INLINE, KEYS, Layout, OWN_WORD, TAGGED};

use crate::python::objects::{CellOffsets, InstanceValues, ValuesOffsets};
use crate::python::{Objects, objects_in};

/// The objects of the interpreter in one file.
#[derive(Debug)]
pub struct PythonObjects {
    path: PathBuf,
    found: OnceLock<Result<Objects, String>>,
}

impl PythonObjects {
    /// Those of the interpreter in a file, which is not looked at yet.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            found: OnceLock::new(),
        }
    }

    /// Looks at the file, if nobody has.
    pub fn look(&self) {
        self.found
            .get_or_init(|| objects_in(&self.path).map_err(|why| why.to_string()));
    }

    /// How they are laid out, or why that is not known.
    pub fn known(&self) -> Result<Objects, &str> {
        match self.found.get() {
            Some(Ok(objects)) => Ok(*objects),
            Some(Err(why)) => Err(why),
            None => Err("nobody has looked at the interpreter"),
        }
    }
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
#[must_use]
pub fn layout(objects: &Objects) -> Layout {
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
        Fact::InstanceValues => {
            objects
                .attributes
                .map_or(0, |attributes| match attributes.values {
                    InstanceValues::OwnWord => OWN_WORD,
                    InstanceValues::Tagged => TAGGED,
                    InstanceValues::Inline => INLINE,
                })
        }
        Fact::CachedKeys => objects
            .attributes
            .map_or(0, |attributes| attributes.keys.into()),
        Fact::SetUsed => objects.set_used.into(),
        Fact::ExceptionArguments => objects.exception_arguments.into(),
        Fact::FrameCode => objects.variables.code.into(),
        Fact::FrameLocals => objects.variables.locals.into(),
        Fact::FrameGlobals => objects.variables.globals.into(),
        Fact::CodeNames => objects.variables.names.into(),
        Fact::CodeArguments => objects.variables.arguments.into(),
        Fact::CodeKeywordOnly => objects.variables.keyword_only.into(),
        Fact::CodeFlags => objects.variables.flags.into(),
        Fact::TaskName => objects.task_name.unwrap_or(0).into(),
        Fact::CodeCells | Fact::CodeFree | Fact::CodeLocals | Fact::CodeKinds => {
            cell_fact(fact, objects.variables.cells).into()
        }
    })
}
