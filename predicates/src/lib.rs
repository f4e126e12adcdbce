//! D expressions to eBPF: instructions, assembler, registers, expressions, strings.

pub mod asm;
pub mod emit;
mod fetch;
mod heap;
pub mod insn;
mod int;
mod join;
mod layout;
mod letters;
mod locals;
mod machine;
mod memory;
mod number;
pub mod part;
mod place;
mod rodata;
mod scan;
pub mod scratch;
mod search;
mod share;
pub mod shared;
mod speculation;
pub mod stack;
pub mod storage;
pub mod string;
pub mod tuple;
mod variable;
