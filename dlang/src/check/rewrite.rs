//! Subroutines that look at memory and are a short expression: what they read becomes an operand that
//! is read like any other, so that neither code generation nor the consumer knows of the memory.

use super::assign::changes_state;
use super::checker::{Checked, Checker};
use super::convert::{convert, convert_pointer, int_node, node};
use crate::diag::Span;
use crate::names::MemoryFunction;
use crate::program::{BinaryOp, Expr, ExprKind, Subroutine};
use crate::tags::Tag;
use crate::types::{Int, Type};

/// `ARPHRD_ETHER` and `ARPHRD_INFINIBAND` of `<net/if_arp.h>`, and the bytes of their addresses.
const LINKS: [(i64, &[Int]); 2] = [
    (1, &[Int::U32, Int::U16]),
    (32, &[Int::U64, Int::U64, Int::U32]),
];
/// `AF_INET` and `AF_INET6` of `<sys/socket.h>`.
const AF_INET: i64 = 2;
const AF_INET6: i64 = 10;

/// The bits of a mutex's owner that are flags, in `kernel/locking/mutex.c`.
const MUTEX_FLAGS: i64 = 7;
/// Of a lock for readers and a writer, `<asm-generic/qrwlock.h>`: the byte of the writer, the bit
/// for a writer that waits, and how many bits these are, above which readers are counted.
const WRITER: i64 = 0xff;
const WRITER_OR_WAITING: i64 = 0x1ff;
const READERS_FROM: i64 = 9;

impl Checker<'_> {
    /// The expression that a call stands for; its arguments have been checked.
    pub(super) fn memory_function(
        &mut self,
        function: MemoryFunction,
        args: &[Expr],
        ty: Type,
        span: Span,
    ) -> Checked<Expr> {
        if args.iter().any(changes_state) {
            let message = "an address that changes a variable is not supported here";
            let hint = "assign it in a statement of its own";
            let error = self.diagnostic(Tag::Unsupported, span, message);
            return self.reject(error.with_hint(hint));
        }
        let memory = args
            .last()
            .cloned()
            .unwrap_or_else(|| int_node(0, Int::U64, span));
        let call = |subroutine, args| node(ExprKind::Call(subroutine, args), Type::String, span);
        let number = |value| int_node(value, Int::U64, span);
        let made = match function {
            MemoryFunction::DPath => return self.path_of_file(memory, span),
            MemoryFunction::InetNtoa => {
                call(Subroutine::InetNtoa, vec![word(&memory, 0, Int::U32)])
            }
            MemoryFunction::InetNtoa6 => {
                let address = args.first().unwrap_or(&memory);
                call(Subroutine::InetNtoa6, words(address, &[Int::U64, Int::U64]))
            }
            MemoryFunction::InetNtop => match constant(&args[0]) {
                Some(AF_INET) => call(Subroutine::InetNtoa, vec![word(&memory, 0, Int::U32)]),
                Some(AF_INET6) => {
                    call(Subroutine::InetNtoa6, words(&memory, &[Int::U64, Int::U64]))
                }
                _other => {
                    let message = "inet_ntop( ) of an address family that is not the constant 2 (AF_INET) or 10 (AF_INET6)";
                    return self.unsupported(args[0].span, message);
                }
            },
            MemoryFunction::LinkNtop => {
                let kind = constant(&args[0]);
                let Some((_, ints)) = LINKS.iter().find(|(link, _)| Some(*link) == kind) else {
                    let message = "link_ntop( ) of a type that is not the constant 1 (ARPHRD_ETHER) or 32 (ARPHRD_INFINIBAND)";
                    return self.unsupported(args[0].span, message);
                };
                call(Subroutine::LinkNtop, words(&memory, ints))
            }
            MemoryFunction::MutexOwner | MemoryFunction::MutexOwned => {
                let owner = word(&memory, 0, Int::U64);
                let owner = binary(BinaryOp::And, owner, number(!MUTEX_FLAGS));
                if function == MemoryFunction::MutexOwner {
                    convert(owner, &ty)
                } else {
                    binary(BinaryOp::NotEqual, owner, number(0))
                }
            }
            MemoryFunction::MutexTypeAdaptive | MemoryFunction::MutexTypeSpin => {
                let is = i64::from(function == MemoryFunction::MutexTypeAdaptive);
                let is = Box::new(int_node(is, Int::I32, span));
                node(ExprKind::Comma(Box::new(memory), is), Type::INT, span)
            }
            MemoryFunction::RwReadHeld => {
                let held = word(&memory, 0, Int::U32);
                let readers = binary(BinaryOp::ShiftRight, held.clone(), number(READERS_FROM));
                let writer = binary(BinaryOp::And, held, number(WRITER));
                let reads = binary(BinaryOp::NotEqual, readers, number(0));
                let no_writer = binary(BinaryOp::Equal, writer, number(0));
                binary(BinaryOp::And, reads, no_writer)
            }
            MemoryFunction::RwWriteHeld => {
                let writer = binary(BinaryOp::And, word(&memory, 0, Int::U32), number(WRITER));
                binary(BinaryOp::Equal, writer, number(WRITER))
            }
            MemoryFunction::RwIswriter => {
                let bits = number(WRITER_OR_WAITING);
                let writer = binary(BinaryOp::And, word(&memory, 0, Int::U32), bits);
                binary(BinaryOp::NotEqual, writer, number(0))
            }
        };
        Ok(made)
    }
}

fn constant(expr: &Expr) -> Option<i64> {
    if let ExprKind::Int(value) = expr.kind {
        Some(value)
    } else {
        None
    }
}

/// Integers that stand one after the other in memory.
fn words(memory: &Expr, ints: &[Int]) -> Vec<Expr> {
    let mut at = 0;
    let mut read = Vec::with_capacity(ints.len());
    for int in ints {
        read.push(word(memory, at, *int));
        at += i64::from(int.size);
    }
    read
}

/// The integer that stands so many bytes behind an address.
fn word(memory: &Expr, at: i64, int: Int) -> Expr {
    let span = memory.span;
    let pointer = convert_pointer(memory.clone(), Type::Int(int));
    let ty = pointer.ty.clone();
    let pointer = if at == 0 {
        pointer
    } else {
        let sum = binary(
            BinaryOp::Add,
            convert(pointer, &Type::U64),
            int_node(at, Int::U64, span),
        );
        convert(sum, &ty)
    };
    node(ExprKind::Deref(Box::new(pointer)), Type::Int(int), span)
}

fn binary(op: BinaryOp, a: Expr, b: Expr) -> Expr {
    let span = a.span;
    let ty = if matches!(op, BinaryOp::Equal | BinaryOp::NotEqual) {
        Type::INT
    } else {
        a.ty.clone()
    };
    node(ExprKind::Binary(op, Box::new(a), Box::new(b)), ty, span)
}
