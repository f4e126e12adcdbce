//! Where Python's objects keep what `repr` shows of them: the offsets that values are read by.
//!
//! The fields are where the headers of each minor version have them; a patch release never moves one.
//! A fork or a debug build may: so the sizes that the file's own type objects say (`tp_basicsize` of
//! `PyLong_Type` and its like, exported by every build) are compared with those that the offsets mean,
//! and a file that differs is refused rather than misread.
//!
//! ```text
//!     every object      ob_refcnt, ob_type                            16 bytes, free-threaded 32
//!     int               size and sign, digits of 30 bits              3.12 on: both in `lv_tag`
//!     dict              ma_used, -, ma_keys, ma_values
//!       ma_keys         3.6-3.10: dk_size at 8, entries behind dk_size indices of 1, 2, 4 or 8 bytes
//!                       3.11 on: log2 of the indices' bytes at 9, the entries' kind at 10
//!       ma_values       of a dict that shares its keys: values by the index of the key
//!     set               fill, used, mask, table of (object, hash)
//! ```

use std::path::Path;

use super::headers::offsets_of;
use super::identify::identify;
use super::image::{BadImage, Image};
use super::offsets::{Offsets, StringOffsets};
use super::refusal::Refusal;
use super::version::Version;

/// Offsets in the objects of one build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objects {
    /// Which Python has them.
    pub version: Version,
    /// Bytes of what every object starts with: where its own fields begin.
    pub header: u16,
    /// In a type: `tp_name`, the address of its name.
    pub type_name: u16,
    /// In a type: `tp_flags`, 64 bits.
    pub type_flags: u16,
    /// A `str`.
    pub string: StringOffsets,
    /// The first byte of a `bytes`.
    pub bytes_data: u16,
    /// Whether an `int` has its size above three bits of other meaning, the lowest two of which are the
    /// sign (3.12 on).
    pub tagged_int: bool,
    /// The first digit of an `int`.
    pub digits: u16,
    /// The first item of a `tuple`.
    pub tuple_items: u16,
    /// In a `list`: the address of its items.
    pub list_items: u16,
    /// In a `dict`: the address of the keys.
    pub dict_keys: u16,
    /// In a `dict`: the address of the values, if it shares its keys.
    pub dict_values: u16,
    /// How its keys are laid out.
    pub keys: KeysOffsets,
    /// How values that belong to shared keys are laid out.
    pub values: ValuesOffsets,
    /// 3.11 on: where objects have their attributes, if not in a dict of their own.
    pub attributes: Option<AttributeOffsets>,
    /// In a `set`: how many it has; `mask` and `table` follow.
    pub set_used: u16,
    /// In an exception: its arguments, a tuple.
    pub exception_arguments: u16,
    /// A function's arguments and variables.
    pub variables: VariableOffsets,
    /// In an asyncio task, as C has it: its name; 3.8 on.
    pub task_name: Option<u16>,
}

impl Objects {
    /// Whether it is a build without the global lock.
    #[must_use]
    pub fn is_free_threaded(&self) -> bool {
        self.header > WITH_LOCK
    }
}

/// Where a function's arguments and variables are, and their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariableOffsets {
    /// In a frame: the address of the code object.
    pub code: u16,
    /// In a frame: the first of them.
    pub locals: u16,
    /// In a frame: the address of the `dict` with the names of its function's module.
    pub globals: u16,
    /// In a code object: the tuple of their names.
    pub names: u16,
    /// How a code object tells which are in cells.
    pub cells: CellOffsets,
    /// In a code object: how many arguments there are that may be given by their place.
    pub arguments: u16,
    /// In a code object: how many arguments there are that may be given by name only.
    pub keyword_only: u16,
    /// In a code object: `co_flags`.
    pub flags: u16,
}

/// How a code object tells which of its variables are in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellOffsets {
    /// 3.11 on: a `bytes` says what each name is.
    Kinds(u16),
    /// Before: tuples of their own for the names of cells and of free variables, whose values stand behind
    /// so many variables.
    Names {
        /// `co_cellvars`.
        cells: u16,
        /// `co_freevars`.
        free: u16,
        /// `co_nlocals`.
        locals: u16,
    },
}

/// Offsets in a `PyDictKeysObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysOffsets {
    /// `dk_nentries`: how many entries have been used.
    pub used: u16,
    /// Where the indices start, which the entries follow.
    pub indices: u16,
    /// 3.11 on: the byte with the logarithm of the indices' size and, behind it, the kind of the entries:
    /// 0 if these have hashes. Before, `dk_size` says how many indices there are, and all entries have.
    pub logarithm: Option<u16>,
}

/// Where the values of shared keys keep the order in which they were set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValuesOffsets {
    /// That of the keys (3.6 to 3.10).
    Keys,
    /// In bytes in front of the values, backwards, behind their number (3.11 and 3.12).
    Before,
    /// In bytes behind the values, whose room and number are in the first two bytes (3.13 on).
    After,
}

/// Where objects have their attributes, if not in a dict of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeOffsets {
    /// Where the values are.
    pub values: InstanceValues,
    /// In a class: the keys that all its objects share (`ht_cached_keys`).
    pub keys: u16,
}

/// Where an object's values are whose keys it shares with the others of its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceValues {
    /// Their address is 32 bytes in front of the object, that of a dict 24 (3.11).
    OwnWord,
    /// One word does for both: the values' has its lowest bit set (3.12).
    Tagged,
    /// They follow the object (3.13 on).
    Inline,
}

/// Why the objects of a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoObjects {
    /// It cannot be read itself.
    #[error("{0}")]
    File(String),
    /// It is no interpreter that is known.
    #[error(transparent)]
    Unknown(#[from] Refusal),
    /// Its own types say that they are others.
    #[error(
        "objects of this build of {version} are not laid out as those of CPython: `{what}` has {found} bytes and not {expected}"
    )]
    Layout {
        /// Which Python it says it is.
        version: Version,
        /// The type.
        what: &'static str,
        /// What the file says.
        found: u64,
        /// What CPython has.
        expected: u64,
    },
    /// It has no type objects to compare with.
    #[error("this build of {version} does not export `{what}`")]
    Hidden {
        /// Which Python it says it is.
        version: Version,
        /// The name.
        what: &'static str,
    },
}

/// The offsets of the interpreter in a file, checked against its own types.
pub fn objects_in(path: &Path) -> Result<Objects, NoObjects> {
    let contents = std::fs::read(path).map_err(|error| NoObjects::File(error.to_string()))?;
    let image = Image::parse(&contents).map_err(|bad| match bad {
        BadImage::NotElf(why) => Refusal::NotElf(why),
        BadImage::Machine => Refusal::Machine,
    })?;
    let identity = identify(&image)?;
    of_image(&image, identity.version, identity.free_threaded())
}

/// The same of a file that is known to be of this version.
pub(super) fn of_image(
    image: &Image<'_>,
    version: Version,
    free_threaded: bool,
) -> Result<Objects, NoObjects> {
    let objects = objects_of(version, free_threaded)
        .filter(|_| version.major == 3)
        .ok_or(Refusal::Unsupported { version })?;
    check(image, &objects)?;
    Ok(objects)
}

/// The offsets of a version, 3.6 to 3.15.
#[must_use]
pub fn objects_of(version: Version, free_threaded: bool) -> Option<Objects> {
    let minor = version.minor;
    let offsets = offsets_of(minor, free_threaded)?;
    let string = offsets.string;
    let header = string.length;
    let keys = if minor >= 11 {
        KeysOffsets {
            used: 24,
            indices: 32,
            logarithm: Some(9),
        }
    } else {
        KeysOffsets {
            used: 32,
            indices: 40,
            logarithm: None,
        }
    };
    Some(Objects {
        version,
        header,
        type_name: header + 8,
        type_flags: string.type_flags(),
        string,
        bytes_data: header + 16,
        tagged_int: minor >= 12,
        digits: header + 8,
        // From 3.14 on, a tuple keeps its hash.
        tuple_items: header + if minor >= 14 { 16 } else { 8 },
        list_items: header + 8,
        dict_keys: header + 16,
        dict_values: header + 24,
        keys,
        values: match minor {
            ..=10 => ValuesOffsets::Keys,
            11 | 12 => ValuesOffsets::Before,
            13.. => ValuesOffsets::After,
        },
        attributes: attributes(minor, free_threaded),
        set_used: header + 8,
        exception_arguments: header + 8,
        variables: variables(minor, &offsets),
        task_name: task_name(minor).map(|of_lock| of_lock - WITH_LOCK + header),
    })
}

/// `ht_cached_keys` moves with what types get from version to version. Nobody has tried builds without the lock, in
/// which other threads change them at any time.
fn attributes(minor: u8, free_threaded: bool) -> Option<AttributeOffsets> {
    let (values, keys) = match minor {
        _ if free_threaded => return None,
        11 => (InstanceValues::OwnWord, 872),
        12 => (InstanceValues::Tagged, 880),
        13 | 14 => (InstanceValues::Inline, 880),
        15 => (InstanceValues::Inline, 888),
        _ => return None,
    };
    Some(AttributeOffsets { values, keys })
}

/// How large a type is that a Python program makes: it ends some words behind `ht_cached_keys`.
fn size_of_type(minor: u8) -> u64 {
    match minor {
        ..=7 => 864,
        8 | 9 => 880,
        10 => 888,
        11 => 904,
        12 => 920,
        13 => 928,
        14 => 936,
        15.. => 944,
    }
}

/// `task_name` in `_asynciomodule.c`, where a task is a future with some more fields.
fn task_name(minor: u8) -> Option<u16> {
    Some(match minor {
        8 => 120,
        9 => 160,
        10 => 168,
        11 | 12 => 144,
        13 => 128,
        14 | 15 => 136,
        _ => return None,
    })
}

/// The fields stand at fixed distances from others that are known.
fn variables(minor: u8, offsets: &Offsets) -> VariableOffsets {
    let Offsets { frame, code, .. } = offsets;
    let (names, cells) = if minor >= 11 {
        (code.filename - 16, CellOffsets::Kinds(code.filename - 8))
    } else {
        let cells = CellOffsets::Names {
            cells: code.filename - 16,
            free: code.filename - 24,
            locals: code.flags - 8,
        };
        (code.filename - 32, cells)
    };
    let (arguments, keyword_only) = match minor {
        // argcount, kwonlyargcount; from 3.8 on posonlyargcount between them.
        ..=7 => (code.header, code.header + 4),
        8..=10 => (code.header, code.header + 8),
        11.. => (code.first_line - 16, code.first_line - 8),
    };
    let globals = match minor {
        // Code, built-ins, globals.
        ..=10 => frame.code + 16,
        // Function, globals, ..., code.
        11 => 8,
        // Code, the caller, function, globals.
        12.. => 24,
    };
    VariableOffsets {
        code: frame.code,
        locals: frame.locals,
        globals,
        names,
        cells,
        arguments,
        keyword_only,
        flags: code.flags,
    }
}

/// Bytes of what objects start with in builds with the lock.
const WITH_LOCK: u16 = 16;

/// `tp_itemsize` of `int`: digits of 30 bits.
const DIGIT: u64 = 4;

/// Compares the sizes that a file's types say with those that the offsets mean.
fn check(image: &Image<'_>, objects: &Objects) -> Result<(), NoObjects> {
    let header = u64::from(objects.header);
    let string = u64::from(objects.string.wide_data) + 8;
    let free_threaded = objects.is_free_threaded();
    // What classes have behind the keys is not known of builds without the lock.
    let class =
        (!free_threaded).then(|| ("type", "PyType_Type", size_of_type(objects.version.minor)));
    let sizes = [
        ("int", "PyLong_Type", objects.digits.into()),
        ("float", "PyFloat_Type", header + 8),
        ("str", "PyUnicode_Type", string),
        ("bytes", "PyBytes_Type", u64::from(objects.bytes_data) + 1),
        ("tuple", "PyTuple_Type", objects.tuple_items.into()),
        ("list", "PyList_Type", header + 24),
        ("dict", "PyDict_Type", u64::from(objects.dict_values) + 8),
        ("set", "PySet_Type", header + 184),
        ("object", "PyBaseObject_Type", header),
    ];
    let version = objects.version;
    for (what, symbol, expected) in sizes.into_iter().chain(class) {
        let (size, item) = sizes_of(image, objects, symbol).ok_or(NoObjects::Hidden {
            version,
            what: symbol,
        })?;
        let layout = |found, expected| NoObjects::Layout {
            version,
            what,
            found,
            expected,
        };
        if size != expected {
            return Err(layout(size, expected));
        }
        if what == "int" && item != DIGIT {
            return Err(layout(item, DIGIT));
        }
    }
    Ok(())
}

/// `tp_basicsize` and `tp_itemsize` of an exported type.
fn sizes_of(image: &Image<'_>, objects: &Objects, symbol: &str) -> Option<(u64, u64)> {
    let address = image.symbol(symbol)?.address;
    let at = address.checked_add(u64::from(objects.type_name) + 8)?;
    Some((image.word(at)?, image.word(at.checked_add(8)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(minor: u8) -> Version {
        Version {
            major: 3,
            minor,
            micro: None,
        }
    }

    #[test]
    fn fields_are_where_the_headers_have_them() {
        for (minor, items, text) in [(6, 24, 72), (11, 24, 72), (12, 24, 56), (14, 32, 56)] {
            let objects = objects_of(version(minor), false).unwrap();
            assert_eq!(objects.tuple_items, items, "3.{minor}");
            assert_eq!(objects.string.wide_data, text, "3.{minor}");
            let types = [objects.type_name, objects.type_flags, objects.header];
            assert_eq!(types, [24, 168, 16], "3.{minor}");
        }
        let objects = objects_of(version(14), true).unwrap();
        assert_eq!([objects.header, objects.digits], [32, 40]);
        assert_eq!([objects.tuple_items, objects.list_items], [48, 40]);
        assert_eq!([objects.dict_keys, objects.dict_values], [48, 56]);
    }

    #[test]
    fn versions_that_nobody_has_seen_have_none() {
        assert_eq!(objects_of(version(5), false), None);
        assert_eq!(objects_of(version(16), false), None);
    }

    #[test]
    fn a_file_that_is_no_interpreter_has_no_objects() {
        let refusal = objects_in(Path::new("/bin/true")).unwrap_err();
        assert!(matches!(refusal, NoObjects::Unknown(_)), "{refusal}");
        let refusal = objects_in(Path::new("/nonexistent")).unwrap_err();
        assert!(matches!(refusal, NoObjects::File(_)), "{refusal}");
    }
}
