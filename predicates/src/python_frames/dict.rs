//! The entries of a `dict` of names: those of a module, the modules of an interpreter, what a thread keeps.
//!
//! ```text
//!     dict --> its keys: how many entries, indices, then entries: (key, value) or (hash, key, value)
//! ```
//!
//! They are gone through one after the other: without the interpreter's secret no hash is known.

use unwind::objects::Fact as Object;
use unwind::python::LAYOUT;

use super::Slots;
use crate::asm::Label;
use crate::emit::Emit;
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::python_layout::{PythonFrames, area};

// What the loop remembers: words from `area::WORK` on.
/// Where the next entry is, and how far apart they are.
const AT: i16 = 0;
const STEP: i16 = 8;
/// How many are left.
const LEFT: i16 = 16;

/// What was read: the keys' head, a name.
const READ: i16 = 40;
/// Bytes of the keys' head in which all is that is needed.
const HEAD: i64 = 40;
/// The longest name that is compared.
const LONGEST: usize = 32;
/// The bits of a place in the keys' head; behind it is memory enough.
const PLACE: i32 = 0x38;

/// How many entries are looked at.
const MOST_ENTRIES: i32 = 1 << 14;

impl Emit<'_> {
    /// `dst = how the process lays out its objects`: one number.
    pub(super) fn object_fact(&mut self, dst: Reg, fact: Object, s: Slots) {
        self.asm.load(Size::Double, dst, Reg::FP, s.facts);
        let at = LAYOUT + 4 * u32::from(fact as u8);
        let at = i16::try_from(at).expect("there are few facts");
        self.asm.load(Size::Word, dst, dst, at);
    }

    pub(super) fn add_object_fact(&mut self, dst: Reg, fact: Object, spare: Reg, s: Slots) {
        self.object_fact(spare, fact, s);
        self.asm.alu(Alu::Add, dst, spare);
    }

    /// Finds the entries of the `dict` at `r3`. Destroys `a`.
    pub(super) fn open_dict(&mut self, python: PythonFrames, s: Slots, none: Label) {
        let keys = s.a;
        self.add_object_fact(Reg::R3, Object::DictKeys, Reg::R0, s);
        self.read_python(s, 16, none);
        // Where the values are apart, it is an object's own dict.
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.read + 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, none);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.read);
        self.asm.store(Size::Double, Reg::FP, keys, Reg::R3);
        self.read_to_work(python, HEAD, none);
        self.object_fact(Reg::R0, Object::KeysUsed, s);
        self.asm.alu_imm(Alu::And, Reg::R0, PLACE);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R0);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, READ);
        self.at_most(Reg::R0, MOST_ENTRIES);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.store(Size::Double, Reg::R5, LEFT, Reg::R0);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, READ + 8);
        self.object_fact(Reg::R0, Object::KeysLogarithm, s);
        self.size_of_indices();
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.store(Size::Double, Reg::R5, STEP, Reg::R4);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, keys);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.add_object_fact(Reg::R1, Object::KeysIndices, Reg::R0, s);
        // A hash stands before the key.
        self.asm.alu_imm(Alu::Add, Reg::R4, -16);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R4);
        self.asm.store(Size::Double, Reg::R5, AT, Reg::R1);
    }

    /// Reads so many bytes at `r3` to what was read; on to `failed` if they are not there.
    fn read_to_work(&mut self, python: PythonFrames, bytes: i64, failed: Label) {
        self.python_at(Reg::R1, python, area::WORK);
        self.asm.alu_imm(Alu::Add, Reg::R1, READ.into());
        self.asm.mov_imm(Reg::R2, bytes);
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, failed);
    }

    /// `b = the key, c = the value` of the next entry that has one; on to `none` if there is none.
    fn next_entry(&mut self, python: PythonFrames, s: Slots, (again, none): (Label, Label)) {
        self.asm.bind(again);
        self.asm.may_goto(none);
        self.python_at(Reg::R5, python, area::WORK);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, LEFT);
        self.asm.jump_if_imm(Cond::SLe, Reg::R0, 0, none);
        self.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.asm.store(Size::Double, Reg::R5, LEFT, Reg::R0);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, AT);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, STEP);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R3);
        self.asm.store(Size::Double, Reg::R5, AT, Reg::R0);
        self.read_python(s, 16, none);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.read + 8);
        self.asm.store(Size::Double, Reg::FP, s.c, Reg::R0);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, again);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.read);
        self.asm.store(Size::Double, Reg::FP, s.b, Reg::R3);
        self.asm.jump_if_imm(Cond::Eq, Reg::R3, 0, again);
    }

    /// `r0 = c = the value under a name` of 8 to [`LONGEST`] characters of ASCII in the `dict` that has been opened; on to
    /// `none` if there is none.
    pub(super) fn value_of_name(
        &mut self,
        python: PythonFrames,
        s: Slots,
        name: &[u8],
        none: Label,
    ) {
        let again = self.asm.label();
        self.next_entry(python, s, (again, none));
        self.add_object_fact(Reg::R3, Object::Header, Reg::R0, s);
        self.python_word(s, none);
        debug_assert!(name.len() <= LONGEST);
        let length = i32::try_from(name.len()).expect("a name is short");
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, length, again);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, s.b);
        self.add_object_fact(Reg::R3, Object::AsciiData, Reg::R0, s);
        self.read_to_work(python, length.into(), none);
        self.python_at(Reg::R5, python, area::WORK);
        for (at, word) in words_of(name) {
            self.asm.load(Size::Double, Reg::R0, Reg::R5, READ + at);
            self.asm.mov_imm(Reg::R1, word);
            self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, again);
        }
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.c);
    }

    /// `r0 = c = the value under the key at *key` in the `dict` that has been opened; on to `none` if there is none.
    pub(super) fn value_of_key(&mut self, python: PythonFrames, s: Slots, key: i16, none: Label) {
        let again = self.asm.label();
        self.next_entry(python, s, (again, none));
        self.asm.load(Size::Double, Reg::R1, Reg::FP, key);
        self.asm.jump_if(Cond::Ne, Reg::R1, Reg::R3, again);
        self.asm.load(Size::Double, Reg::R0, Reg::FP, s.c);
    }
}

/// A text as words and where they are in it; the last one may begin within the one before.
pub(crate) fn words_of(text: &[u8]) -> Vec<(i16, i64)> {
    let last = text.len().checked_sub(8).expect("it has a word");
    let starts = (0..last).step_by(8).chain([last]);
    let word = |at: usize| {
        let bytes = text[at..at + 8].try_into().expect("eight bytes");
        let at = i16::try_from(at).expect("a text is short");
        (at, i64::from_le_bytes(bytes))
    };
    starts.map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::words_of;

    #[test]
    fn every_byte_of_a_text_is_in_a_word() {
        let word = |bytes: &[u8; 8]| i64::from_le_bytes(*bytes);
        assert_eq!(words_of(b"__name__"), [(0, word(b"__name__"))]);
        assert_eq!(
            words_of(b"asyncio.tasks"),
            [(0, word(b"asyncio.")), (5, word(b"io.tasks"))]
        );
        assert_eq!(words_of(&[b'a'; 16]).len(), 2);
    }
}
