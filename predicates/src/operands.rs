//! Which registers an instruction reads and writes.

use crate::flow::Regs;
use crate::insn::{
    ATOMIC_CMPXCHG, ATOMIC_FETCH, Alu, CALL, CLASS_ALU64, CLASS_JMP, CLASS_LD, CLASS_LDX, CLASS_ST,
    CLASS_STX, EXIT, Helper, Insn, JA, MAY_GOTO, MODE_ATOMIC, Reg, SOURCE_REG, TO_BIG_ENDIAN,
};

/// The registers of arguments, in their order.
const ARGUMENTS: [Reg; 5] = [Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5];

impl Insn {
    /// The registers that the instruction reads, and those that it writes or makes unknown.
    pub(crate) fn reads_and_writes(&self) -> (Regs, Regs) {
        let Self {
            code,
            dst,
            src,
            imm,
            ..
        } = *self;
        let none = Regs::default();
        let of_source = if code & SOURCE_REG == 0 {
            none
        } else {
            Regs::of(&[src])
        };
        match code {
            JA | MAY_GOTO => return (none, none),
            EXIT => return (Regs::of(&[Reg::R0]), none),
            CALL => {
                let count = Helper::arguments(imm);
                let lost = Regs::of(&ARGUMENTS).and(Regs::of(&[Reg::R0]));
                return (Regs::of(&ARGUMENTS[..count]), lost);
            }
            TO_BIG_ENDIAN => return (Regs::of(&[dst]), Regs::of(&[dst])),
            _operation => {}
        }
        match code & 0x07 {
            // An `ld_imm64`.
            CLASS_LD => (none, Regs::of(&[dst])),
            CLASS_LDX => (Regs::of(&[src]), Regs::of(&[dst])),
            CLASS_ST => (Regs::of(&[dst]), none),
            CLASS_STX if code & 0xe0 != MODE_ATOMIC => (Regs::of(&[dst, src]), none),
            CLASS_STX if imm == ATOMIC_CMPXCHG => {
                (Regs::of(&[dst, src, Reg::R0]), Regs::of(&[Reg::R0]))
            }
            CLASS_STX if imm & ATOMIC_FETCH != 0 => (Regs::of(&[dst, src]), Regs::of(&[src])),
            CLASS_STX => (Regs::of(&[dst, src]), none),
            CLASS_JMP => (of_source.and(Regs::of(&[dst])), none),
            CLASS_ALU64 if self.is_move() => (of_source, Regs::of(&[dst])),
            _arithmetic => (of_source.and(Regs::of(&[dst])), Regs::of(&[dst])),
        }
    }

    fn is_move(self) -> bool {
        self.code & !SOURCE_REG == Self::alu_imm(Alu::Mov, self.dst, 0).code
    }

    /// The instruction with another register in the place of the frame pointer.
    pub(crate) fn with_frame_pointer(self, base: Reg) -> Self {
        let other = |reg: Reg| if reg == Reg::FP { base } else { reg };
        Self {
            dst: other(self.dst),
            src: other(self.src),
            ..self
        }
    }
}

impl Helper {
    /// How many arguments the helper of this number has; as many as there can be for one that generated code does not
    /// call.
    fn arguments(number: i32) -> usize {
        let known = |helper: Self| helper as i32 == number;
        let counts = [
            (
                0,
                &[
                    Self::KtimeGetNs,
                    Self::GetPrandomU32,
                    Self::GetSmpProcessorId,
                    Self::GetCurrentPidTgid,
                    Self::GetCurrentUidGid,
                    Self::GetCurrentTask,
                    Self::GetCurrentTaskBtf,
                ][..],
            ),
            (
                1,
                &[Self::GetAttachCookie, Self::SendSignal, Self::TaskPtRegs],
            ),
            (
                2,
                &[
                    Self::MapLookupElem,
                    Self::MapDeleteElem,
                    Self::GetCurrentComm,
                    Self::GetFuncRet,
                ],
            ),
            (
                3,
                &[
                    Self::TailCall,
                    Self::ProbeReadUser,
                    Self::ProbeReadKernel,
                    Self::ProbeReadUserStr,
                    Self::ProbeReadKernelStr,
                    Self::GetFuncArg,
                ],
            ),
            (
                4,
                &[
                    Self::MapUpdateElem,
                    Self::GetStack,
                    Self::GetNsCurrentPidTgid,
                    Self::RingbufOutput,
                    Self::TaskStorageGet,
                ],
            ),
        ];
        let found = counts
            .into_iter()
            .find(|(_, of)| of.iter().any(|helper| known(*helper)));
        found.map_or(ARGUMENTS.len(), |(count, _)| count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insn::{Cond, Size};

    #[test]
    fn registers_are_read_and_written() {
        let of = |insn: Insn| insn.reads_and_writes();
        let regs = Regs::of;
        let none = regs(&[]);
        for (insn, reads, writes) in [
            (
                Insn::alu(Alu::Mov, Reg::R1, Reg::R2),
                regs(&[Reg::R2]),
                regs(&[Reg::R1]),
            ),
            (Insn::alu_imm(Alu::Mov, Reg::R1, 7), none, regs(&[Reg::R1])),
            (
                Insn::alu(Alu::Add, Reg::R1, Reg::R2),
                regs(&[Reg::R1, Reg::R2]),
                regs(&[Reg::R1]),
            ),
            (
                Insn::alu_imm(Alu::Neg, Reg::R3, 0),
                regs(&[Reg::R3]),
                regs(&[Reg::R3]),
            ),
            (
                Insn::load(Size::Byte, Reg::R4, Reg::FP, -8),
                none,
                regs(&[Reg::R4]),
            ),
            (
                Insn::store(Size::Byte, Reg::R4, 0, Reg::R5),
                regs(&[Reg::R4, Reg::R5]),
                none,
            ),
            (
                Insn::store_imm(Size::Byte, Reg::R4, 0, 1),
                regs(&[Reg::R4]),
                none,
            ),
            (
                Insn::jump_if(Cond::Eq, Reg::R6, Reg::R7),
                regs(&[Reg::R6, Reg::R7]),
                none,
            ),
            (
                Insn::jump_if_imm(Cond::Eq, Reg::R6, 1),
                regs(&[Reg::R6]),
                none,
            ),
            (Insn::jump(), none, none),
            (Insn::exit(), regs(&[Reg::R0]), none),
            (Insn::load_imm64(Reg::R8, 1, 7)[0], none, regs(&[Reg::R8])),
            (
                Insn::atomic_add(Size::Double, Reg::R1, 0, Reg::R2, true),
                regs(&[Reg::R1, Reg::R2]),
                regs(&[Reg::R2]),
            ),
            (
                Insn::call(Helper::MapLookupElem),
                regs(&[Reg::R1, Reg::R2]),
                regs(&[Reg::R0, Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5]),
            ),
        ] {
            assert_eq!(of(insn), (reads, writes), "{insn}");
        }
    }
}
