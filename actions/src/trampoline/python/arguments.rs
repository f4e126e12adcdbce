//! A function's file, name and line, from its code object and the instruction that it is at.
//!
//! The names are read from the code object. The line has to be decoded from a table, so where it is
//! wanted, all are kept in a map, by process, code object and instruction, and most firings cost
//! one look-up. Code objects die, and others take their place in memory: an entry of the map
//! also has the start of the code object as it was, and counts only if that is still the same.
//! From 3.12 on it holds a number that no other code object has had (`co_version`).
//!
//! arg0 and arg1 are addresses of zero-terminated text. A string of ASCII characters is stored
//! so in the interpreter; the map has the address of its text. For others the map has the
//! string's address with [`WIDE`] set.

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use provider::python::offsets::ByteCode;

use super::dispatch::Dispatch;
use super::read::{add, read};
use super::text::Strings;

impl Dispatch<'_> {
    /// Emits the fetching of the arguments into their slots.
    pub(super) fn arguments(&self, emit: &mut Emit<'_>) -> Emitted<()> {
        let scratch = self.scratch;
        emit.asm.note("arguments");
        if self.reads_code_late() {
            emit.asm
                .load(Size::Double, Reg::R7, Reg::FP, scratch.code());
            self.read_code(emit, self.code_bytes());
        }
        if self.keeps_arguments() {
            self.look_up_arguments(emit)?;
        } else {
            for (field, slot) in self.names() {
                if let Some(slot) = slot {
                    self.load_name(emit, field, slot);
                }
            }
        }
        let [file, function, _] = self.slots;
        for (slot, which) in [file, function].iter().zip(0..) {
            if let Some(slot) = slot {
                self.strings().convert(emit, *slot, which)?;
            }
        }
        Ok(())
    }

    /// Whether the arguments are worth to be kept.
    pub(super) fn keeps_arguments(&self) -> bool {
        self.slots[2].is_some()
    }

    /// The fields of a code object with the names, and the slots of the arguments.
    fn names(&self) -> [(u16, Option<i16>); 2] {
        let code = self.build.offsets.code;
        let [file, function, _] = self.slots;
        [(code.filename, file), (code.name, function)]
    }

    /// Stores the address of the text in this field of the code object to `to`.
    fn load_name(&self, emit: &mut Emit<'_>, field: u16, to: i16) {
        emit.asm
            .load(Size::Double, Reg::R6, Reg::FP, self.field(field));
        self.strings().address(emit);
        emit.asm.store(Size::Double, Reg::FP, to, Reg::R0);
    }

    /// Takes the arguments from the map, or finds them and puts them there.
    fn look_up_arguments(&self, emit: &mut Emit<'_>) -> Emitted<()> {
        let scratch = self.scratch;
        let (miss, have) = (emit.asm.label(), emit.asm.label());
        emit.asm.map(Reg::R1, self.maps.cache);
        emit.stack_address(Reg::R2, scratch.process());
        emit.asm.call(Helper::MapLookupElem);
        emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, miss);
        for offset in self.witnesses() {
            let field = self.field(offset);
            emit.asm
                .load(Size::Double, Reg::R1, Reg::R0, field - scratch.value);
            emit.asm.load(Size::Double, Reg::R2, Reg::FP, field);
            emit.asm.jump_if(Cond::Ne, Reg::R1, Reg::R2, miss);
        }
        for (slot, n) in self.slots.iter().zip(0_i16..) {
            if let Some(slot) = slot {
                emit.asm.load(Size::Double, Reg::R1, Reg::R0, 8 * n);
                emit.asm.store(Size::Double, Reg::FP, *slot, Reg::R1);
            }
        }
        emit.asm.jump(have);
        emit.asm.bind(miss);
        self.find_arguments(emit)?;
        emit.asm.bind(have);
        Ok(())
    }

    fn strings(&self) -> Strings {
        Strings::new(self.build, self.maps, self.scratch.word)
    }

    /// Whether hits do not read the code object by themselves.
    fn reads_code_late(&self) -> bool {
        matches!(self.build.offsets.code.byte_code, ByteCode::Bytes { .. })
    }

    /// The words of a code object that tell it from another one in the same place: all from its
    /// size to its line table that nothing changes.
    fn witnesses(&self) -> impl Iterator<Item = u16> + use<> {
        let code = self.build.offsets.code;
        // 3.11 counts calls beside the flags.
        let changing = (self.build.version.minor == 11).then_some(48);
        (code.header..=code.line_table)
            .step_by(8)
            .filter(move |&offset| Some(offset) != changing)
    }

    /// Reads the arguments from the objects of the interpreter, and keeps them.
    fn find_arguments(&self, emit: &mut Emit<'_>) -> Emitted<()> {
        let scratch = self.scratch;
        emit.asm.note("arguments that are not known");
        for ((field, _), n) in self.names().into_iter().zip([0, 8]) {
            self.load_name(emit, field, scratch.value + n);
        }
        let done = emit.asm.label();
        if self.maps.open_loops {
            self.find_line(emit, done)?;
        } else {
            emit.asm.mov_imm(Reg::R7, 0);
        }
        emit.asm.bind(done);
        emit.asm
            .store(Size::Double, Reg::FP, scratch.value + 16, Reg::R7);
        emit.asm.map(Reg::R1, self.maps.cache);
        emit.stack_address(Reg::R2, scratch.process());
        emit.stack_address(Reg::R3, scratch.value);
        emit.asm.mov_imm(Reg::R4, 0); // BPF_ANY
        emit.asm.call(Helper::MapUpdateElem);
        for (slot, n) in self.slots.iter().zip(0_i16..) {
            if let Some(slot) = slot {
                emit.asm
                    .load(Size::Double, Reg::R1, Reg::FP, scratch.value + 8 * n);
                emit.asm.store(Size::Double, Reg::FP, *slot, Reg::R1);
            }
        }
        Ok(())
    }

    /// `r7 = line` of the instruction; on to `done`.
    fn find_line(&self, emit: &mut Emit<'_>, done: Label) -> Emitted<()> {
        let scratch = self.scratch;
        let code = self.build.offsets.code;
        emit.asm
            .load(Size::Word, Reg::R7, Reg::FP, self.field(code.first_line));
        emit.asm
            .load(Size::Double, Reg::R8, Reg::FP, scratch.instruction());
        match code.byte_code {
            ByteCode::Inline { start, .. } => {
                emit.asm
                    .load(Size::Double, Reg::R1, Reg::FP, scratch.code());
                emit.asm.alu(Alu::Sub, Reg::R8, Reg::R1);
                add(emit, Reg::R8, -i32::from(start));
            }
            ByteCode::Bytes { pointer } => {
                // Before its first instruction a function is at its first line.
                emit.asm.jump_if_imm(Cond::SLt, Reg::R8, 0, done);
                let scale = i32::from(self.build.offsets.frame.index_scale);
                emit.asm.alu_imm(Alu::Mul, Reg::R8, scale);
                emit.asm
                    .load(Size::Double, Reg::R3, Reg::FP, self.field(pointer));
                add(emit, Reg::R3, i32::from(self.build.offsets.bytes.length));
                read(emit, scratch.word, 8);
                emit.asm.load(Size::Double, Reg::R1, Reg::FP, scratch.word);
                emit.asm.jump_if(Cond::Ge, Reg::R8, Reg::R1, self.mismatch);
            }
        }
        let span = Span::default();
        self.decode_line(emit, span)
    }
}
