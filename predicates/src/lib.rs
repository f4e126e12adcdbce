//! D expressions to eBPF: instructions, assembler, registers, expressions, strings.

pub mod asm;
pub mod emit;
pub mod insn;
mod int;
mod memory;
mod scan;
mod search;
pub mod stack;
pub mod storage;
pub mod string;
pub mod tuple;
mod variable;
