//! eBPF instructions as data: the subset that generated code uses, and how it is encoded.
//!
//! An instruction is eight bytes, little-endian:
//!
//! ```text
//!      0      1         2          4                  8
//!      +------+----+----+----------+------------------+
//!      | code | dst| src|  offset  |    immediate     |
//!      +------+----+----+----------+------------------+
//! ```
//!
//! `ld_imm64` takes two, the second holding the upper half of the value. Names and numbers are
//! those of the kernel's `Documentation/bpf/standardization/instruction-set.rst`.

use std::fmt;

/// A register. `r0` holds results, `r1`-`r5` arguments (both lost at a call), `r6`-`r9` survive
/// calls, `r10` is the read-only frame pointer: the end of 512 bytes of stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(u8);

#[expect(missing_docs, reason = "the names are the registers")]
impl Reg {
    pub const R0: Self = Self(0);
    pub const R1: Self = Self(1);
    pub const R2: Self = Self(2);
    pub const R3: Self = Self(3);
    pub const R4: Self = Self(4);
    pub const R5: Self = Self(5);
    pub const R6: Self = Self(6);
    pub const R7: Self = Self(7);
    pub const R8: Self = Self(8);
    pub const R9: Self = Self(9);
    pub const FP: Self = Self(10);

    /// All but the frame pointer.
    pub(crate) const GENERAL: [Self; 10] = [
        Self::R0,
        Self::R1,
        Self::R2,
        Self::R3,
        Self::R4,
        Self::R5,
        Self::R6,
        Self::R7,
        Self::R8,
        Self::R9,
    ];

    pub(crate) const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// How many bytes a load or store moves. Loads extend with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the sizes")]
pub enum Size {
    Byte,
    Half,
    Word,
    Double,
}

impl Size {
    /// The size for so many bytes; 8 for anything that is not 1, 2 or 4.
    #[must_use]
    pub const fn of(bytes: u8) -> Self {
        match bytes {
            1 => Self::Byte,
            2 => Self::Half,
            4 => Self::Word,
            _ => Self::Double,
        }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::Word => 0x00,
            Self::Half => 0x08,
            Self::Byte => 0x10,
            Self::Double => 0x18,
        }
    }

    const fn bytes(self) -> u8 {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
            Self::Double => 8,
        }
    }
}

/// Arithmetic on 64 bits. Division and remainder are unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the operations")]
pub enum Alu {
    Add,
    Sub,
    Mul,
    Div,
    Or,
    And,
    Lsh,
    Rsh,
    Neg,
    Mod,
    Xor,
    Mov,
    Arsh,
}

impl Alu {
    const fn bits(self) -> u8 {
        match self {
            Self::Add => 0x00,
            Self::Sub => 0x10,
            Self::Mul => 0x20,
            Self::Div => 0x30,
            Self::Or => 0x40,
            Self::And => 0x50,
            Self::Lsh => 0x60,
            Self::Rsh => 0x70,
            Self::Neg => 0x80,
            Self::Mod => 0x90,
            Self::Xor => 0xa0,
            Self::Mov => 0xb0,
            Self::Arsh => 0xc0,
        }
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x00 => Self::Add,
            0x10 => Self::Sub,
            0x20 => Self::Mul,
            0x30 => Self::Div,
            0x40 => Self::Or,
            0x50 => Self::And,
            0x60 => Self::Lsh,
            0x70 => Self::Rsh,
            0x80 => Self::Neg,
            0x90 => Self::Mod,
            0xa0 => Self::Xor,
            0xb0 => Self::Mov,
            0xc0 => Self::Arsh,
            _ => return None,
        })
    }

    const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+=",
            Self::Sub => "-=",
            Self::Mul => "*=",
            Self::Div => "/=",
            Self::Or => "|=",
            Self::And => "&=",
            Self::Lsh => "<<=",
            Self::Rsh => ">>=",
            Self::Neg => "= -",
            Self::Mod => "%=",
            Self::Xor => "^=",
            Self::Mov => "=",
            Self::Arsh => "s>>=",
        }
    }
}

/// Conditions of jumps, on 64 bits; those with an `S` are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the conditions")]
pub enum Cond {
    Eq,
    Gt,
    Ge,
    Ne,
    SGt,
    SGe,
    Lt,
    Le,
    SLt,
    SLe,
}

impl Cond {
    const fn bits(self) -> u8 {
        match self {
            Self::Eq => 0x10,
            Self::Gt => 0x20,
            Self::Ge => 0x30,
            Self::Ne => 0x50,
            Self::SGt => 0x60,
            Self::SGe => 0x70,
            Self::Lt => 0xa0,
            Self::Le => 0xb0,
            Self::SLt => 0xc0,
            Self::SLe => 0xd0,
        }
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x10 => Self::Eq,
            0x20 => Self::Gt,
            0x30 => Self::Ge,
            0x50 => Self::Ne,
            0x60 => Self::SGt,
            0x70 => Self::SGe,
            0xa0 => Self::Lt,
            0xb0 => Self::Le,
            0xc0 => Self::SLt,
            0xd0 => Self::SLe,
            _ => return None,
        })
    }

    /// The condition that holds exactly when this one does not.
    #[must_use]
    pub const fn negated(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Gt => Self::Le,
            Self::Le => Self::Gt,
            Self::Ge => Self::Lt,
            Self::Lt => Self::Ge,
            Self::SGt => Self::SLe,
            Self::SLe => Self::SGt,
            Self::SGe => Self::SLt,
            Self::SLt => Self::SGe,
        }
    }

    const fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Ne => "!=",
            Self::SGt => "s>",
            Self::SGe => "s>=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::SLt => "s<",
            Self::SLe => "s<=",
        }
    }
}

/// Kernel helpers by their number in `enum bpf_func_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[expect(missing_docs, reason = "the names are the kernel's, without `bpf_`")]
pub enum Helper {
    MapLookupElem = 1,
    MapUpdateElem = 2,
    MapDeleteElem = 3,
    KtimeGetNs = 5,
    GetPrandomU32 = 7,
    GetSmpProcessorId = 8,
    TailCall = 12,
    GetCurrentPidTgid = 14,
    GetCurrentUidGid = 15,
    GetCurrentComm = 16,
    GetCurrentTask = 35,
    GetStack = 67,
    SendSignal = 109,
    ProbeReadUser = 112,
    ProbeReadKernel = 113,
    ProbeReadUserStr = 114,
    ProbeReadKernelStr = 115,
    GetNsCurrentPidTgid = 120,
    RingbufOutput = 130,
    TaskStorageGet = 156,
    GetCurrentTaskBtf = 158,
    GetAttachCookie = 174,
    TaskPtRegs = 175,
    GetFuncArg = 183,
    GetFuncRet = 184,
}

/// One instruction (or half of an `ld_imm64`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// The opcode byte.
    pub code: u8,
    /// Destination register.
    pub dst: Reg,
    /// Source register; also a pseudo-source in `ld_imm64`.
    pub src: Reg,
    /// Memory or jump offset.
    pub offset: i16,
    /// Immediate operand.
    pub imm: i32,
}

pub(crate) const CLASS_LD: u8 = 0x00;
pub(crate) const CLASS_LDX: u8 = 0x01;
pub(crate) const CLASS_ST: u8 = 0x02;
pub(crate) const CLASS_STX: u8 = 0x03;
const CLASS_ALU: u8 = 0x04;
pub(crate) const CLASS_JMP: u8 = 0x05;
pub(crate) const CLASS_ALU64: u8 = 0x07;
pub(crate) const SOURCE_REG: u8 = 0x08;
const MODE_MEM: u8 = 0x60;
pub(crate) const MODE_ATOMIC: u8 = 0xc0;
const LD_IMM64: u8 = 0x18;
pub(crate) const CALL: u8 = 0x85;
pub(crate) const EXIT: u8 = 0x95;
pub(crate) const JA: u8 = 0x05;
pub(crate) const TO_BIG_ENDIAN: u8 = CLASS_ALU | SOURCE_REG | 0xd0;
pub(crate) const MAY_GOTO: u8 = 0xe5;
/// The helper `bpf_loop`.
const BPF_LOOP: i32 = 181;
pub(crate) const ATOMIC_FETCH: i32 = 0x01;
pub(crate) const ATOMIC_CMPXCHG: i32 = 0xf1;

/// `src` of an `ld_imm64` that loads a map.
pub const PSEUDO_MAP_FD: u8 = 1;
/// `src` of an `ld_imm64` that loads an address in a map's first value.
pub const PSEUDO_MAP_VALUE: u8 = 2;
/// `src` of an `ld_imm64` that loads a function of the program, by how far it is from the next instruction.
pub const PSEUDO_FUNC: u8 = 4;

impl Insn {
    const fn new(code: u8, dst: Reg, src: Reg, offset: i16, imm: i32) -> Self {
        Self {
            code,
            dst,
            src,
            offset,
            imm,
        }
    }

    /// `dst op= src`.
    #[must_use]
    pub const fn alu(op: Alu, dst: Reg, src: Reg) -> Self {
        Self::new(CLASS_ALU64 | SOURCE_REG | op.bits(), dst, src, 0, 0)
    }

    /// `dst op= imm`.
    #[must_use]
    pub const fn alu_imm(op: Alu, dst: Reg, imm: i32) -> Self {
        Self::new(CLASS_ALU64 | op.bits(), dst, Reg::R0, 0, imm)
    }

    /// `dst = the lowest bits of dst (16, 32 or 64) in big-endian order`, the others 0.
    #[must_use]
    pub const fn to_big_endian(dst: Reg, bits: i32) -> Self {
        Self::new(TO_BIG_ENDIAN, dst, Reg::R0, 0, bits)
    }

    /// `dst = *(size *)(base + offset)`.
    #[must_use]
    pub const fn load(size: Size, dst: Reg, base: Reg, offset: i16) -> Self {
        Self::new(CLASS_LDX | MODE_MEM | size.bits(), dst, base, offset, 0)
    }

    /// `*(size *)(base + offset) = src`.
    #[must_use]
    pub const fn store(size: Size, base: Reg, offset: i16, src: Reg) -> Self {
        Self::new(CLASS_STX | MODE_MEM | size.bits(), base, src, offset, 0)
    }

    /// `*(size *)(base + offset) = imm`.
    #[must_use]
    pub const fn store_imm(size: Size, base: Reg, offset: i16, imm: i32) -> Self {
        Self::new(
            CLASS_ST | MODE_MEM | size.bits(),
            base,
            Reg::R0,
            offset,
            imm,
        )
    }

    /// `lock *(size *)(base + offset) += src`, `size` being 4 or 8 bytes; with `fetch`, `src`
    /// becomes the old value.
    #[must_use]
    pub const fn atomic_add(size: Size, base: Reg, offset: i16, src: Reg, fetch: bool) -> Self {
        let imm = if fetch { ATOMIC_FETCH } else { 0 };
        Self::new(
            CLASS_STX | MODE_ATOMIC | size.bits(),
            base,
            src,
            offset,
            imm,
        )
    }

    /// `r0 = cmpxchg(base + offset, r0, src)` on 64 bits: stores `src` if the memory holds `r0`,
    /// and gives what it held.
    #[must_use]
    pub const fn compare_exchange(base: Reg, offset: i16, src: Reg) -> Self {
        Self::new(
            CLASS_STX | MODE_ATOMIC | Size::Double.bits(),
            base,
            src,
            offset,
            ATOMIC_CMPXCHG,
        )
    }

    /// `if dst cond src goto`; the offset is filled in later.
    #[must_use]
    pub const fn jump_if(cond: Cond, dst: Reg, src: Reg) -> Self {
        Self::new(CLASS_JMP | SOURCE_REG | cond.bits(), dst, src, 0, 0)
    }

    /// `if dst cond imm goto`; the offset is filled in later.
    #[must_use]
    pub const fn jump_if_imm(cond: Cond, dst: Reg, imm: i32) -> Self {
        Self::new(CLASS_JMP | cond.bits(), dst, Reg::R0, 0, imm)
    }

    /// `goto`; the offset is filled in later.
    #[must_use]
    pub const fn jump() -> Self {
        Self::new(JA, Reg::R0, Reg::R0, 0, 0)
    }

    /// `may_goto`: goes on for the first 8 million times or so, then jumps; a loop with it need
    /// have no bound that the verifier sees. From Linux 6.9 on; the offset is filled in later.
    #[must_use]
    pub const fn may_goto() -> Self {
        Self::new(MAY_GOTO, Reg::R0, Reg::R0, 0, 0)
    }

    /// `r0 = helper(r1, ..., r5)`.
    #[must_use]
    pub const fn call(helper: Helper) -> Self {
        Self::new(CALL, Reg::R0, Reg::R0, 0, helper as i32)
    }

    /// `r0 = bpf_loop(r1, r2, r3, r4)`: calls a function of the program again and again.
    pub(crate) const fn call_loop() -> Self {
        Self::new(CALL, Reg::R0, Reg::R0, 0, BPF_LOOP)
    }

    /// Return `r0`.
    #[must_use]
    pub const fn exit() -> Self {
        Self::new(EXIT, Reg::R0, Reg::R0, 0, 0)
    }

    /// The two halves of `dst = value`, or of a map reference when `pseudo` is not 0.
    #[must_use]
    pub const fn load_imm64(dst: Reg, pseudo: u8, value: u64) -> [Self; 2] {
        let low = (value & 0xffff_ffff) as u32;
        let high = (value >> 32) as u32;
        [
            Self::new(LD_IMM64, dst, Reg(pseudo), 0, low.cast_signed()),
            Self::new(CLASS_LD, Reg::R0, Reg::R0, 0, high.cast_signed()),
        ]
    }

    /// The jump that is taken exactly when this one is not; `None` for what is no such jump.
    #[must_use]
    pub const fn opposite(self) -> Option<Self> {
        const CLASSES: u8 = 0x07;
        const OPERATIONS: u8 = 0xf0;
        let op = match (self.code & CLASSES, self.code & OPERATIONS) {
            (0x05 | 0x06, op) => op,
            _no_jump => return None,
        };
        let opposite = match op {
            0x10 => 0x50, // == and !=
            0x50 => 0x10,
            0x20 => 0xb0, // > and <=
            0xb0 => 0x20,
            0x30 => 0xa0, // >= and <
            0xa0 => 0x30,
            0x60 => 0xd0, // the same, signed
            0xd0 => 0x60,
            0x70 => 0xc0,
            0xc0 => 0x70,
            _no_condition => return None,
        };
        Some(Self {
            code: self.code & !OPERATIONS | opposite,
            ..self
        })
    }

    /// Whether this is the first half of an `ld_imm64`.
    #[must_use]
    pub const fn is_wide(self) -> bool {
        self.code == LD_IMM64
    }

    /// Whether this is a `may_goto`.
    pub(crate) const fn is_may_goto(self) -> bool {
        self.code == MAY_GOTO
    }

    /// Whether the next instruction may run after this one.
    #[must_use]
    pub const fn falls_through(self) -> bool {
        self.code != JA && self.code != EXIT
    }

    /// The instruction as the kernel reads it.
    #[must_use]
    pub const fn encode(self) -> u64 {
        (self.code as u64)
            | ((self.dst.0 as u64) << 8)
            | ((self.src.0 as u64) << 12)
            | ((self.offset.cast_unsigned() as u64) << 16)
            | ((self.imm.cast_unsigned() as u64) << 32)
    }
}

/// One line of a listing, in the notation of the verifier's log.
impl fmt::Display for Insn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            dst,
            src,
            offset,
            imm,
        } = *self;
        let class = code & 0x07;
        let from_reg = code & SOURCE_REG != 0;
        let bits = 8 * match code & 0x18 {
            0x00 => Size::Word.bytes(),
            0x08 => Size::Half.bytes(),
            0x10 => Size::Byte.bytes(),
            _ => Size::Double.bytes(),
        };
        match (code, class) {
            (LD_IMM64, _) if src.0 == PSEUDO_MAP_FD => write!(f, "{dst} = map[{imm}]"),
            (LD_IMM64, _) if src.0 == PSEUDO_MAP_VALUE => write!(f, "{dst} = &map[{imm}] + ..."),
            (LD_IMM64, _) if src.0 == PSEUDO_FUNC => write!(f, "{dst} = function {imm:+}"),
            (LD_IMM64, _) => write!(f, "{dst} = {:#x} ll", imm.cast_unsigned()),
            (CLASS_LD, _) => write!(f, "            ... {:#x}", imm.cast_unsigned()),
            (CALL, _) => write!(f, "call {imm}"),
            (EXIT, _) => f.write_str("exit"),
            (JA, _) => write!(f, "goto {offset:+}"),
            (TO_BIG_ENDIAN, _) => write!(f, "{dst} = be{imm} {dst}"),
            (MAY_GOTO, _) => write!(f, "may_goto {offset:+}"),
            (_, CLASS_LDX) => write!(f, "{dst} = *(u{bits} *)({src} {offset:+})"),
            (_, CLASS_ST) => write!(f, "*(u{bits} *)({dst} {offset:+}) = {imm}"),
            (_, CLASS_STX) if code & 0xe0 == MODE_ATOMIC => {
                let what = match imm {
                    ATOMIC_CMPXCHG => "r0 = cmpxchg",
                    ATOMIC_FETCH => "fetch_add",
                    _ => "lock add",
                };
                write!(f, "{what} *(u{bits} *)({dst} {offset:+}), {src}")
            }
            (_, CLASS_STX) => write!(f, "*(u{bits} *)({dst} {offset:+}) = {src}"),
            (_, CLASS_ALU64) => match Alu::from_bits(code & 0xf0) {
                Some(Alu::Neg) => write!(f, "{dst} = -{dst}"),
                Some(op) if from_reg => write!(f, "{dst} {} {src}", op.symbol()),
                Some(op) => write!(f, "{dst} {} {imm}", op.symbol()),
                None => write!(f, "alu {code:#x}"),
            },
            (_, CLASS_JMP) => match Cond::from_bits(code & 0xf0) {
                Some(c) if from_reg => write!(f, "if {dst} {} {src} goto {offset:+}", c.symbol()),
                Some(c) => write!(f, "if {dst} {} {imm} goto {offset:+}", c.symbol()),
                None => write!(f, "jmp {code:#x}"),
            },
            _ => write!(f, "insn {code:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_the_kernels() {
        // Bytes as clang assembles the same text.
        assert_eq!(Insn::alu(Alu::Mov, Reg::R6, Reg::R1).encode(), 0x16bf);
        assert_eq!(Insn::alu_imm(Alu::Mov, Reg::R0, 0).encode(), 0xb7);
        assert_eq!(Insn::exit().encode(), 0x95);
        assert_eq!(Insn::call(Helper::KtimeGetNs).encode(), 0x5_0000_0085);
        assert_eq!(
            Insn::load(Size::Double, Reg::R1, Reg::R6, 96).encode(),
            0x0060_6179
        );
        assert_eq!(
            Insn::store(Size::Word, Reg::FP, -4, Reg::R2).encode(),
            0xfffc_2a63
        );
        assert_eq!(
            Insn::atomic_add(Size::Double, Reg::R0, 8, Reg::R1, false).encode(),
            0x0008_10db
        );
        assert_eq!(Insn::to_big_endian(Reg::R3, 16).encode(), 0x10_0000_03dc);
        let [low, high] = Insn::load_imm64(Reg::R1, PSEUDO_MAP_FD, 7);
        assert_eq!((low.encode(), high.encode()), (0x7_0000_1118, 0));
    }

    #[test]
    fn listings_read_like_the_verifiers() {
        let line = |insn: Insn| insn.to_string();
        assert_eq!(
            line(Insn::load(Size::Word, Reg::R1, Reg::FP, -8)),
            "r1 = *(u32 *)(r10 -8)"
        );
        assert_eq!(line(Insn::alu_imm(Alu::Arsh, Reg::R3, 32)), "r3 s>>= 32");
        assert_eq!(
            line(Insn::jump_if_imm(Cond::SLt, Reg::R0, 0)),
            "if r0 s< 0 goto +0"
        );
    }
}
