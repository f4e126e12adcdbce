//! How a Python lays out its objects: offsets, which the generated code loads from memory when it reads one.
//!
//! The code is the same for every version. Where a probe fires in one known file, the numbers are in the program's
//! read-only memory; elsewhere they are looked up by process, behind the words of [`Facts`](crate::python::Facts).

/// An enum without data, and all of its variants.
macro_rules! facts {
    ($(#[$of:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)* }) => {
        $(#[$of])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: [Self; [$(Self::$variant),*].len()] = [$(Self::$variant),*];
        }
    };
}

facts! {
    /// A number that depends on the version of Python.
    Fact {
        /// Bytes of what every object starts with; its last eight are the address of its type.
        Header,
        /// In a type: the address of its name.
        TypeName,
        /// In a type: its flags.
        TypeFlags,
        /// In a `str`: kind, compact and ascii.
        StringState,
        /// How far to shift the state of a `str` for the bytes of one character.
        StringKind,
        /// The bit of the state that says that the characters follow.
        StringCompact,
        /// The bit of the state that says that all characters are ASCII.
        StringAscii,
        /// Where the characters of a compact ASCII `str` start.
        AsciiData,
        /// Where those of any other compact `str` start, or where their address is.
        WideData,
        /// Where the bytes of a `bytes` start.
        BytesData,
        /// 1 if the size of an `int` is above three bits, of which the lowest two are its sign.
        TaggedInt,
        /// Where the digits of an `int` start.
        Digits,
        /// Where the items of a `tuple` start.
        TupleItems,
        /// In a `list`: the address of its items.
        ListItems,
        /// In a `dict`: the address of its keys; that of the values follows it.
        DictKeys,
        /// In a dict's keys: how many entries have been used.
        KeysUsed,
        /// In a dict's keys: where the indices start.
        KeysIndices,
        /// In a dict's keys: the byte with the logarithm of the indices' size, the kind of the entries
        /// behind it; 0 if the number of indices is at 8 instead.
        KeysLogarithm,
        /// Where the values of shared keys have their order: one of [`KEYS`], [`BEFORE`], [`AFTER`].
        ValuesOrder,
        /// Where an object has its attributes, if not in a dict of its own: 0, [`OWN_WORD`], [`TAGGED`] or [`INLINE`].
        InstanceValues,
        /// In a class: the keys that its objects share, for those.
        CachedKeys,
        /// In a `set`: how many it has; mask and table follow.
        SetUsed,
        /// In an exception: the address of its arguments.
        ExceptionArguments,
        /// In a frame: the address of its code object, the lowest bits tags.
        FrameCode,
        /// In a frame: the first argument or variable.
        FrameLocals,
        /// In a frame: the address of the `dict` of its module's names.
        FrameGlobals,
        /// In a code object: the names of arguments and variables.
        CodeNames,
        /// In a code object: those of its cells, before 3.11; 0 if the names have all.
        CodeCells,
        /// In a code object: those of its free variables, before 3.11.
        CodeFree,
        /// In a code object: how many arguments and variables it has, before 3.11.
        CodeLocals,
        /// In a code object: what each name is, 3.11 on.
        CodeKinds,
        /// In a code object: how many arguments it has that may be given by their place.
        CodeArguments,
        /// In a code object: how many of those that have names only.
        CodeKeywordOnly,
        /// In a code object: its flags.
        CodeFlags,
        /// In an asyncio task, as C has it: its name; 0 if tasks have none.
        TaskName,
    }
}

/// The values of shared keys have the keys' order.
pub const KEYS: u32 = 0;
/// Their order is in front of the values.
pub const BEFORE: u32 = 1;
/// Their order is behind the values.
pub const AFTER: u32 = 2;

/// The address of an object's values is in a word in front of it (3.11).
pub const OWN_WORD: u32 = 1;
/// It shares that word with the dict's, and has its lowest bit set (3.12).
pub const TAGGED: u32 = 2;
/// They are behind the object (3.13 on).
pub const INLINE: u32 = 3;

/// All that depends on the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout([u32; Fact::ALL.len()]);

impl Layout {
    /// Bytes of it in memory.
    pub const BYTES: u32 = 4 * (Fact::TaskName as u32 + 1);

    /// The facts as `of` has them.
    #[must_use]
    pub fn new(of: impl Fn(Fact) -> u32) -> Self {
        Self(Fact::ALL.map(of))
    }

    /// As it stands in memory.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|fact| fact.to_ne_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_is_at_its_own_place() {
        let layout = Layout::new(|fact| fact as u32);
        let numbers: Vec<u32> = (0..).take(Fact::ALL.len()).collect();
        assert_eq!(layout.0.as_slice(), numbers);
        assert_eq!(layout.bytes().len(), Layout::BYTES as usize);
    }
}
