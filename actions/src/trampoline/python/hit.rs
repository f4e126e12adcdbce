//! A hit, up to its pairing: from the registers to the frame, its code object and its instruction.

use dlang::diag::Span;
use predicates::asm::Label;
use predicates::emit::{Emit, Emitted};
use predicates::insn::{Alu, Cond, Helper, Reg, Size};
use predicates::storage::Counter;
use provider::python::offsets::ByteCode;
use provider::python::{Condition, Event, InstructionPointer, Method, Site};

use super::dispatch::{Dispatch, PythonSite, starts};
use super::read::{add, leave_unless, locate, read, signed};
use crate::trampoline::locations::load_register;

impl Dispatch<'_> {
    /// Emits what a hit at a site does up to its pairing.
    ///
    /// `r6` is the frame, `r7` the code object, `r8` the instruction: its address, before 3.11
    /// its index.
    pub(in crate::trampoline) fn hit(
        &self,
        emit: &mut Emit<'_>,
        hit: PythonSite<'_>,
    ) -> Emitted<()> {
        let PythonSite { site, flags, .. } = hit;
        emit.asm
            .note(format!("{:?} at {:#x}", site.event, site.address));
        if site.event == Event::Compiled {
            emit.count(Counter::PythonCompiled, Span::default())?;
            emit.asm.jump(self.leave);
            return Ok(());
        }
        emit.asm.load(Size::Double, Reg::R9, Reg::FP, Emit::CONTEXT);
        if let Some(Condition::NonZero32(register)) = site.condition {
            load_register(emit, Reg::R0, Reg::R9, register);
            emit.asm.alu_imm(Alu::Lsh, Reg::R0, 32);
            emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, self.leave);
        }
        if let Some(flags) = flags {
            leave_unless(emit, flags, self.leave);
        }
        if self.pairs || self.gives_arguments(site) {
            self.examine_frame(emit, hit);
        } else if !site.opcodes.is_empty() {
            // The opcode alone is enough to tell that this is what it is taken for.
            if let InstructionPointer::Variable { location, ahead } = site.instruction {
                locate(emit, Reg::R8, location, self.scratch.word);
                add(emit, Reg::R8, -ahead);
            } else {
                locate(emit, Reg::R6, site.frame, self.scratch.word);
                self.read_frame(emit, site);
            }
            self.check_opcode(emit, hit);
        }
        emit.asm.jump(if starts(site.event) {
            self.enter
        } else {
            self.exit
        });
        Ok(())
    }

    /// Looks at a frame that arguments are wanted of, or that is to be paired.
    fn examine_frame(&self, emit: &mut Emit<'_>, hit: PythonSite<'_>) {
        let site = hit.site;
        locate(emit, Reg::R6, site.frame, self.scratch.word);
        if let Some(slot) = self.frame {
            emit.asm.store(Size::Double, Reg::FP, slot, Reg::R6);
        }
        if self.pairs || self.keeps_arguments() {
            self.identify(emit);
        }
        self.look_for_earlier_frames(emit, site);
        if self.needs_code(site) {
            self.read_frame(emit, site);
            if let ByteCode::Inline { start, units, .. } = self.build.offsets.code.byte_code {
                self.check_instruction(emit, hit, start, units);
            }
        }
        if let Some(slot) = self.returned_at(site) {
            self.find_returned(emit, slot);
        }
        if let Some(slot) = self.resumed_at(site) {
            self.find_resumed(emit, site, slot);
        }
        if self.gives_arguments(site) {
            emit.asm
                .store(Size::Double, Reg::FP, self.scratch.code(), Reg::R7);
            emit.asm
                .store(Size::Double, Reg::FP, self.scratch.instruction(), Reg::R8);
        }
    }

    /// Whether a hit needs to look at the code object: for arguments, and to check where a frame
    /// becomes active. One that is active was checked then.
    fn needs_code(&self, site: &Site) -> bool {
        self.gives_arguments(site) || starts(site.event) && self.build.method == Method::Handlers
    }

    /// Stores the frame and the process, which an active frame is known by; `r7 = thread`, as
    /// `bpf_get_current_pid_tgid` has it.
    ///
    /// A process is its id and the number of its execs, where the kernel tells it: a program that
    /// another one becomes may have frames at the same addresses.
    fn identify(&self, emit: &mut Emit<'_>) {
        let scratch = self.scratch;
        emit.asm.call(Helper::GetCurrentPidTgid);
        emit.asm.mov(Reg::R7, Reg::R0);
        let execs = emit.storage.task.self_exec_id;
        if let Some(execs) = execs.and_then(|offset| i16::try_from(offset).ok()) {
            emit.asm.call(Helper::GetCurrentTaskBtf);
            emit.asm.load(Size::Word, Reg::R1, Reg::R0, execs);
            emit.asm.alu_imm(Alu::Lsh, Reg::R1, 32);
            emit.asm.mov(Reg::R0, Reg::R7);
            emit.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
            emit.asm.alu(Alu::Or, Reg::R0, Reg::R1);
        } else {
            emit.asm.alu_imm(Alu::Rsh, Reg::R0, 32);
        }
        emit.asm
            .store(Size::Double, Reg::FP, scratch.process(), Reg::R0);
        emit.asm
            .store(Size::Double, Reg::FP, scratch.frame(), Reg::R6);
    }

    /// From the frame to its code object and instruction, by one read where both are in it.
    fn read_frame(&self, emit: &mut Emit<'_>, site: &Site) {
        let frame = self.build.offsets.frame;
        let at = self.scratch.value;
        let instruction = at + signed(frame.instruction) - signed(frame.code);
        let size = match site.instruction {
            _ if self.copies().is_some() => frame.locals - frame.code,
            InstructionPointer::Variable { .. } => 8,
            InstructionPointer::Saved { .. } => frame.instruction + 8 - frame.code,
            InstructionPointer::LastIndex => frame.instruction + 4 - frame.code,
        };
        emit.asm.mov(Reg::R3, Reg::R6);
        add(emit, Reg::R3, i32::from(frame.code));
        read(emit, at, size);
        emit.asm.load(Size::Double, Reg::R7, Reg::FP, at);
        self.untag_code(emit);
        match site.instruction {
            InstructionPointer::Saved { ahead } => {
                emit.asm.load(Size::Double, Reg::R8, Reg::FP, instruction);
                add(emit, Reg::R8, -ahead);
            }
            InstructionPointer::Variable { location, ahead } => {
                locate(emit, Reg::R8, location, self.scratch.word);
                add(emit, Reg::R8, -ahead);
            }
            InstructionPointer::LastIndex => {
                emit.asm.load(Size::Word, Reg::R8, Reg::FP, instruction);
                emit.asm.alu_imm(Alu::Lsh, Reg::R8, 32);
                emit.asm.alu_imm(Alu::Arsh, Reg::R8, 32);
            }
        }
        if let Some((copies, _)) = self.copies() {
            let number = at + signed(copies.number) - signed(frame.code);
            emit.asm.store(Size::Double, Reg::FP, instruction, Reg::R8);
            self.leave_copy(emit, number, instruction);
            emit.asm.load(Size::Double, Reg::R8, Reg::FP, instruction);
        }
    }

    /// Checks that the instruction is inside of the code object and has an opcode that belongs
    /// to the site.
    fn check_instruction(&self, emit: &mut Emit<'_>, hit: PythonSite<'_>, start: u16, units: u16) {
        let site = hit.site;
        self.read_code(
            emit,
            if self.gives_arguments(site) {
                self.code_bytes()
            } else {
                8
            },
        );
        if site.event == Event::Exit && self.build.version.minor < 13 {
            // A frame for which the stack was too deep is cleared before its first instruction.
            emit.asm.mov(Reg::R1, Reg::R8);
            emit.asm.alu(Alu::Sub, Reg::R1, Reg::R7);
            let before = i32::from(signed(start)) - 2;
            emit.asm.jump_if_imm(Cond::Eq, Reg::R1, before, self.leave);
        }
        emit.asm.mov(Reg::R1, Reg::R8);
        self.compare_to_code(emit, start, units, self.mismatch);
        self.check_opcode(emit, hit);
    }

    /// Checks that the instruction at `r8` has an opcode that belongs to the site, if that has any.
    fn check_opcode(&self, emit: &mut Emit<'_>, hit: PythonSite<'_>) {
        let site = hit.site;
        if site.opcodes.is_empty() {
            return;
        }
        let process = self.keeps_start(hit);
        let checked = emit.asm.label();
        if let Some(process) = process {
            if hit.specialised {
                self.find_start(emit, process);
                emit.asm.load(Size::Double, Reg::R0, Reg::R2, 0);
                emit.asm.jump_if(Cond::Eq, Reg::R0, Reg::R1, checked);
            } else {
                self.forget_start(emit, process);
            }
        }
        emit.asm.mov(Reg::R3, Reg::R8);
        read(emit, self.scratch.word, 2); // opcode and argument
        if let Some(Condition::ArgumentIsNot(argument)) = site.condition {
            emit.asm
                .load(Size::Byte, Reg::R0, Reg::FP, self.scratch.word + 1);
            emit.asm
                .alu_imm(Alu::And, Reg::R0, i32::from(argument.mask));
            emit.asm
                .jump_if_imm(Cond::Eq, Reg::R0, i32::from(argument.value), self.leave);
        }
        emit.asm
            .load(Size::Byte, Reg::R0, Reg::FP, self.scratch.word);
        let good = emit.asm.label();
        for &opcode in site.opcodes.iter().chain(self.build.masking_opcodes) {
            emit.asm
                .jump_if_imm(Cond::Eq, Reg::R0, i32::from(opcode), good);
        }
        emit.asm.jump(self.mismatch);
        emit.asm.bind(good);
        if let Some(process) = process {
            self.keep_start(emit, process);
        }
        emit.asm.bind(checked);
    }

    /// Clears the tag bits of the code object's address in `r7`.
    pub(super) fn untag_code(&self, emit: &mut Emit<'_>) {
        let mask = self.build.offsets.frame.code_mask;
        if mask != !0 {
            emit.asm.alu_imm(Alu::And, Reg::R7, mask);
        }
    }

    /// On to `outside` unless the instruction in `r1` is in the code object in `r7`, which has
    /// been read.
    pub(super) fn compare_to_code(
        &self,
        emit: &mut Emit<'_>,
        start: u16,
        units: u16,
        outside: Label,
    ) {
        emit.asm.alu(Alu::Sub, Reg::R1, Reg::R7);
        add(emit, Reg::R1, -i32::from(start));
        emit.asm
            .load(Size::Double, Reg::R2, Reg::FP, self.field(units));
        emit.asm.alu_imm(Alu::Lsh, Reg::R2, 1);
        emit.asm.jump_if(Cond::Ge, Reg::R1, Reg::R2, outside);
    }

    /// How much of a code object the arguments need: up to its last field that they use.
    pub(super) fn code_bytes(&self) -> u16 {
        let code = self.build.offsets.code;
        code.line_table + 8 - code.header
    }

    /// Reads the start of the code object in `r7`.
    pub(super) fn read_code(&self, emit: &mut Emit<'_>, size: u16) {
        emit.asm.mov(Reg::R3, Reg::R7);
        add(emit, Reg::R3, i32::from(self.build.offsets.code.header));
        read(emit, self.scratch.code_fields(), size);
    }

    /// A field of the code object, in what was read of it.
    pub(super) fn field(&self, offset: u16) -> i16 {
        let into = offset - self.build.offsets.code.header;
        self.scratch.code_fields() + signed(into)
    }
}
