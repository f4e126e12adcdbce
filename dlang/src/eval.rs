//! What an expression means: the one definition, shared by the constant folder and by the output
//! consumer, and the one that the generated code is tested against.
//!
//! Every integer is computed in 64 bits, whatever its type: the type says which sign an operator
//! goes by, and how a value is cut where it is stored, converted or shown (see [`Int::wrap`]).
//! Strings are without their NUL.
//! It allocates only where a string is made that is not part of another one (`strjoin`,
//! `lltostr`). What depends on the traced machine (variables, arguments, memory, assignments) has
//! no value here: [`EvalError::NotConstant`].

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::json;
use crate::program::{BinaryOp, Builtin, Expr, ExprKind, LogicOp, Subroutine, UnaryOp};
use crate::strings;
use crate::types::{Int, Type};

/// The value of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// An integer or an address, in 64 bits: the result of an operator may be outside of the range
    /// of the expression's type.
    Int(i64),
    /// A string without its NUL.
    Str(Cow<'a, [u8]>),
}

/// What an evaluation knows beside the expression.
pub trait Env<'a> {
    /// The value that the record carries as field `index`.
    fn recorded(&self, index: u16) -> Value<'a>;
    /// A built-in variable, where it is known.
    fn builtin(&self, builtin: Builtin) -> Option<Value<'a>>;
    /// The size of a string variable, its NUL included.
    fn strsize(&self) -> usize;
}

/// Why an expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A division by zero, which is a fault at run time.
    #[error("division by zero")]
    DivideByZero,
    /// The value is the null string, which only generated code can handle.
    #[error("the null string")]
    NullString,
    /// A use of the null string, which is a fault at run time.
    #[error("a use of the null string")]
    BadAddress,
    /// Something that only the traced machine knows.
    #[error("not a constant")]
    NotConstant,
}

/// The environment of the constant folder: nothing is known but the string size.
#[derive(Clone, Copy, Debug)]
pub struct Constants {
    /// The size of a string variable, its NUL included.
    pub strsize: usize,
}

impl<'a> Env<'a> for Constants {
    fn recorded(&self, _index: u16) -> Value<'a> {
        Value::Int(0)
    }

    fn builtin(&self, _builtin: Builtin) -> Option<Value<'a>> {
        None
    }

    fn strsize(&self) -> usize {
        self.strsize
    }
}

/// Computes `expr`.
pub fn eval<'a>(expr: &'a Expr, env: &impl Env<'a>) -> Result<Value<'a>, EvalError> {
    Ok(match &expr.kind {
        ExprKind::Int(value) => Value::Int(*value),
        ExprKind::Str(text) => Value::Str(Cow::Borrowed(strings::cut(text, env.strsize()))),
        ExprKind::Recorded(index) => env.recorded(*index),
        ExprKind::Builtin(builtin) => env.builtin(*builtin).ok_or(EvalError::NotConstant)?,
        ExprKind::Unary(op, operand) => {
            let value = eval_int(operand, env)?;
            Value::Int(unary(*op, value))
        }
        ExprKind::Binary(op, left, right) => {
            if left.ty == Type::String {
                // The null string comes before all others.
                let order = eval_or_null(left, env)?.cmp(&eval_or_null(right, env)?);
                let truth = compare(*op, order).ok_or(EvalError::NotConstant)?;
                return Ok(Value::Int(i64::from(truth)));
            }
            let (a, b) = (eval_int(left, env)?, eval_int(right, env)?);
            Value::Int(binary(*op, a, b, op.is_signed(&left.ty, &right.ty))?)
        }
        ExprKind::Logic(op, left, right) => {
            let a = eval_int(left, env)? != 0;
            let truth = match op {
                LogicOp::And => a && eval_int(right, env)? != 0,
                LogicOp::Or => a || eval_int(right, env)? != 0,
                LogicOp::Xor => a != (eval_int(right, env)? != 0),
            };
            Value::Int(i64::from(truth))
        }
        ExprKind::Ternary(cond, then, otherwise) => {
            let branch = if eval_int(cond, env)? != 0 {
                then
            } else {
                otherwise
            };
            eval(branch, env)?
        }
        ExprKind::Cast(_) if expr.is_null_string() => return Err(EvalError::NullString),
        ExprKind::Cast(operand) => match (eval(operand, env)?, &expr.ty) {
            (Value::Str(s), Type::String) => Value::Str(s),
            (Value::Int(value), ty) => Value::Int(int_of(ty)?.wrap(value)),
            (Value::Str(_), _) => return Err(EvalError::NotConstant),
        },
        ExprKind::BitField { of, first, bits } => Value::Int(bit_field(
            eval_int(of, env)?,
            *first,
            *bits,
            int_of(&expr.ty)?,
        )),
        ExprKind::Comma(first, second) => {
            eval(first, env)?;
            eval(second, env)?
        }
        ExprKind::Byte(of, index) => {
            let (text, index) = (eval_str(of, env)?, eval_int(index, env)?);
            let byte = usize::try_from(index).ok().and_then(|at| text.get(at));
            Value::Int(byte.map_or(0, |byte| i64::from(byte.cast_signed())))
        }
        ExprKind::Call(subroutine, args) => call(*subroutine, args, env)?,
        ExprKind::Var(_)
        | ExprKind::Element(..)
        | ExprKind::Arg(_)
        | ExprKind::TypedArg(_)
        | ExprKind::Assign(..)
        | ExprKind::Step { .. }
        | ExprKind::Member { .. }
        | ExprKind::Index { .. }
        | ExprKind::AddressOf(_)
        | ExprKind::Deref(_) => return Err(EvalError::NotConstant),
    })
}

/// `op value`.
#[must_use]
pub fn unary(op: UnaryOp, value: i64) -> i64 {
    match op {
        UnaryOp::Negate => value.wrapping_neg(),
        UnaryOp::Complement => !value,
        UnaryOp::Not => i64::from(value == 0),
    }
}

/// `a op b`; comparisons, division and right shift take their operands as `signed` or not, see
/// [`BinaryOp::is_signed`].
///
/// Shift counts are taken modulo 64, as the eBPF CPU does. The smallest integer divided by -1 is
/// itself.
pub fn binary(op: BinaryOp, a: i64, b: i64, signed: bool) -> Result<i64, EvalError> {
    let (ua, ub) = (a.cast_unsigned(), b.cast_unsigned());
    let order = if signed { a.cmp(&b) } else { ua.cmp(&ub) };
    if let Some(truth) = compare(op, order) {
        return Ok(i64::from(truth));
    }
    Ok(match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Subtract => a.wrapping_sub(b),
        BinaryOp::Multiply => a.wrapping_mul(b),
        BinaryOp::Divide | BinaryOp::Remainder if b == 0 => return Err(EvalError::DivideByZero),
        BinaryOp::Divide if signed => a.wrapping_div(b),
        BinaryOp::Divide => (ua / ub).cast_signed(),
        BinaryOp::Remainder if signed => a.wrapping_rem(b),
        BinaryOp::Remainder => (ua % ub).cast_signed(),
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::ShiftLeft => a.wrapping_shl(shift_count(b)),
        BinaryOp::ShiftRight if signed => a.wrapping_shr(shift_count(b)),
        BinaryOp::ShiftRight => ua.wrapping_shr(shift_count(b)).cast_signed(),
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Less
        | BinaryOp::LessEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterEqual => i64::from(compare(op, order).unwrap_or(false)),
    })
}

/// The part of a text that a search has found; without one, D's null string.
fn found(
    text: Cow<'_, [u8]>,
    search: impl Fn(&[u8]) -> Option<&[u8]>,
) -> Result<Value<'_>, EvalError> {
    if search(&text).is_none() {
        return Err(EvalError::NullString);
    }
    let part = strings::slice_cow(text, |s| search(s).unwrap_or_default());
    Ok(Value::Str(part))
}

/// The low bits of a shift count, of which `wrapping_shl` and `wrapping_shr` take six.
fn shift_count(count: i64) -> u32 {
    u32::from(count.to_le_bytes()[0])
}

/// What a comparing operator says about an order; `None` for the other operators.
fn compare(op: BinaryOp, order: Ordering) -> Option<bool> {
    Some(match op {
        BinaryOp::Equal => order.is_eq(),
        BinaryOp::NotEqual => order.is_ne(),
        BinaryOp::Less => order.is_lt(),
        BinaryOp::LessEqual => order.is_le(),
        BinaryOp::Greater => order.is_gt(),
        BinaryOp::GreaterEqual => order.is_ge(),
        BinaryOp::Add
        | BinaryOp::Subtract
        | BinaryOp::Multiply
        | BinaryOp::Divide
        | BinaryOp::Remainder
        | BinaryOp::And
        | BinaryOp::Or
        | BinaryOp::Xor
        | BinaryOp::ShiftLeft
        | BinaryOp::ShiftRight => return None,
    })
}

/// `bits` bits of `value` from bit `first` on, extended by the sign of `int`.
#[must_use]
pub fn bit_field(value: i64, first: u8, bits: u8, int: Int) -> i64 {
    let bits = u32::from(bits).clamp(1, 64);
    let above = 64 - bits;
    let top = value.wrapping_shr(u32::from(first)).wrapping_shl(above);
    int.wrap(if int.signed {
        top >> above
    } else {
        (top.cast_unsigned() >> above).cast_signed()
    })
}

fn call<'a>(
    subroutine: Subroutine,
    args: &'a [Expr],
    env: &impl Env<'a>,
) -> Result<Value<'a>, EvalError> {
    let string = |n: usize| eval_str(args.get(n).ok_or(EvalError::NotConstant)?, env);
    let number = |n: usize| eval_int(args.get(n).ok_or(EvalError::NotConstant)?, env);
    let optional = |n: usize| args.get(n).map(|arg| eval_int(arg, env)).transpose();
    Ok(match subroutine {
        Subroutine::Basename => Value::Str(strings::slice_cow(string(0)?, strings::basename)),
        Subroutine::Dirname => Value::Str(strings::slice_cow(string(0)?, strings::dirname)),
        Subroutine::Strlen => Value::Int(i64::try_from(string(0)?.len()).unwrap_or(i64::MAX)),
        Subroutine::Strjoin => {
            let mut joined = string(0)?.into_owned();
            joined.extend_from_slice(&string(1)?);
            joined.truncate(env.strsize().saturating_sub(1));
            Value::Str(Cow::Owned(joined))
        }
        Subroutine::Strstr => {
            let sub = string(1)?;
            found(string(0)?, |s| strings::strstr(s, &sub))?
        }
        Subroutine::Strchr => {
            let c = to_byte(number(1)?);
            found(string(0)?, |s| strings::strchr(s, c))?
        }
        Subroutine::Strrchr => {
            let c = to_byte(number(1)?);
            found(string(0)?, |s| strings::strrchr(s, c))?
        }
        Subroutine::Substr => {
            let (start, length) = (number(1)?, optional(2)?);
            Value::Str(strings::slice_cow(string(0)?, |s| {
                strings::substr(s, start, length)
            }))
        }
        Subroutine::Index => Value::Int(strings::index(&string(0)?, &string(1)?, optional(2)?)),
        Subroutine::Rindex => Value::Int(strings::rindex(&string(0)?, &string(1)?, optional(2)?)),
        Subroutine::Lltostr => {
            let base = u32::try_from(optional(1)?.unwrap_or(10)).unwrap_or(10);
            let mut text = strings::lltostr(number(0)?, base);
            text.truncate(env.strsize().saturating_sub(1));
            Value::Str(Cow::Owned(text))
        }
        Subroutine::Toupper => Value::Str(Cow::Owned(string(0)?.to_ascii_uppercase())),
        Subroutine::Tolower => Value::Str(Cow::Owned(string(0)?.to_ascii_lowercase())),
        Subroutine::Strtoll => {
            let base = optional(1)?.unwrap_or(10);
            Value::Int(strings::strtoll(&string(0)?, base))
        }
        Subroutine::Cleanpath => Value::Str(Cow::Owned(strings::cleanpath(&string(0)?))),
        Subroutine::Getmajor => Value::Int(Int::U32.wrap(number(0)?) >> MINOR_BITS),
        Subroutine::Getminor => Value::Int(number(0)? & ((1 << MINOR_BITS) - 1)),
        Subroutine::Htons | Subroutine::Ntohs => {
            Value::Int(i64::from(u16::from_be_bytes(low_bytes(number(0)?))))
        }
        Subroutine::Htonl | Subroutine::Ntohl => {
            Value::Int(i64::from(u32::from_be_bytes(low_bytes(number(0)?))))
        }
        Subroutine::Json => {
            let (text, path) = (string(0)?, string(1)?);
            Value::Str(Cow::Owned(
                json::find(&text, &path).unwrap_or_default().to_vec(),
            ))
        }
        Subroutine::InetNtoa | Subroutine::InetNtoa6 | Subroutine::LinkNtop => {
            let mut bytes = Vec::new();
            for arg in args {
                let size = int_of(&arg.ty)?.size;
                let value = eval_int(arg, env)?.to_le_bytes();
                bytes.extend_from_slice(&value[..usize::from(size)]);
            }
            let mut text = strings::address(&bytes, subroutine == Subroutine::LinkNtop);
            text.truncate(env.strsize().saturating_sub(1));
            Value::Str(Cow::Owned(text))
        }
        Subroutine::Htonll | Subroutine::Ntohll => Value::Int(number(0)?.swap_bytes()),
        Subroutine::Copyin
        | Subroutine::Copyinstr
        | Subroutine::Copyinto
        | Subroutine::Alloca
        | Subroutine::Bcopy
        | Subroutine::Strtok
        | Subroutine::Rand
        | Subroutine::DPath
        | Subroutine::Execargs
        | Subroutine::Uregs
        | Subroutine::Progenyof
        | Subroutine::Contention
        | Subroutine::Stack
        | Subroutine::Ustack
        | Subroutine::Pyarg
        | Subroutine::Pylocal
        | Subroutine::Pyattr
        | Subroutine::Pyself
        | Subroutine::Pyaudit
        | Subroutine::Pyfloat
        | Subroutine::Pyint
        | Subroutine::Pylen
        | Subroutine::Pyrepr
        | Subroutine::Pystr
        | Subroutine::Pytype
        | Subroutine::Pystack
        | Subroutine::PystackAsync
        | Subroutine::Speculation => return Err(EvalError::NotConstant),
    })
}

fn eval_int<'a>(expr: &'a Expr, env: &impl Env<'a>) -> Result<i64, EvalError> {
    match eval(expr, env)? {
        Value::Int(value) => Ok(value),
        Value::Str(_) => Err(EvalError::NotConstant),
    }
}

fn eval_str<'a>(expr: &'a Expr, env: &impl Env<'a>) -> Result<Cow<'a, [u8]>, EvalError> {
    eval_or_null(expr, env)?.ok_or(EvalError::BadAddress)
}

/// A string; `None` is the null string.
fn eval_or_null<'a>(
    expr: &'a Expr,
    env: &impl Env<'a>,
) -> Result<Option<Cow<'a, [u8]>>, EvalError> {
    match eval(expr, env) {
        Ok(Value::Str(s)) => Ok(Some(s)),
        Ok(Value::Int(_)) => Err(EvalError::NotConstant),
        Err(EvalError::NullString) => Ok(None),
        Err(error) => Err(error),
    }
}

fn int_of(ty: &Type) -> Result<Int, EvalError> {
    ty.as_int().ok_or(EvalError::NotConstant)
}

/// Bits of the minor number in the kernel's `dev_t`.
pub const MINOR_BITS: u32 = 20;

/// The lowest bytes of a value, from the lowest on, as memory has them.
fn low_bytes<const N: usize>(value: i64) -> [u8; N] {
    let bytes = value.to_le_bytes();
    std::array::from_fn(|n| bytes[n])
}

/// A `char` argument's byte, whatever its sign.
fn to_byte(value: i64) -> u8 {
    value.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Span;

    fn expr(kind: ExprKind, ty: Type) -> Expr {
        Expr {
            kind,
            ty,
            span: Span::default(),
        }
    }

    #[expect(clippy::unnecessary_box_returns, reason = "operands are boxed")]
    fn int(value: i64, int: Int) -> Box<Expr> {
        Box::new(expr(ExprKind::Int(value), Type::Int(int)))
    }

    fn value(e: &Expr) -> Result<Value<'_>, EvalError> {
        eval(e, &Constants { strsize: 8 })
    }

    #[test]
    fn arithmetic_has_64_bits_whatever_the_type() {
        use BinaryOp as Op;
        for (a, op, b, ty, result) in [
            (-7, Op::Divide, 2, Int::I32, -3),
            (-7, Op::Remainder, 2, Int::I32, -1),
            (i64::from(i32::MAX), Op::Add, 1, Int::I32, 1 << 31),
            (0, Op::Subtract, 1, Int::U32, -1),
            (100, Op::Multiply, 100, Int::I8, 10_000),
            (i64::MIN, Op::Divide, -1, Int::I64, i64::MIN),
            (-1, Op::Divide, 2, Int::U64, i64::MAX),
            (1, Op::ShiftLeft, 33, Int::I32, 1 << 33),
            (1, Op::ShiftLeft, 65, Int::I64, 2),
            (-8, Op::ShiftRight, 1, Int::I32, -4),
            (0xffff_fff8, Op::ShiftRight, 1, Int::U32, 0x7fff_fffc),
            (-1, Op::Less, 1, Int::I64, 1),
            (-1, Op::Less, 1, Int::U64, 0),
            (6, Op::Xor, 3, Int::I32, 5),
        ] {
            let e = expr(ExprKind::Binary(op, int(a, ty), int(b, ty)), Type::Int(ty));
            assert_eq!(value(&e), Ok(Value::Int(result)), "{a} {op:?} {b}");
        }
        let e = expr(
            ExprKind::Binary(Op::Divide, int(1, Int::I32), int(0, Int::I32)),
            Type::INT,
        );
        assert_eq!(value(&e), Err(EvalError::DivideByZero));
    }

    #[test]
    fn logic_stops_as_soon_as_the_result_is_known() {
        let fault = || {
            let zero = int(0, Int::I32);
            Box::new(expr(
                ExprKind::Binary(BinaryOp::Divide, zero.clone(), zero),
                Type::INT,
            ))
        };
        for (a, op, result) in [(0, LogicOp::And, 0), (1, LogicOp::Or, 1)] {
            let e = expr(ExprKind::Logic(op, int(a, Int::I32), fault()), Type::INT);
            assert_eq!(value(&e), Ok(Value::Int(result)));
        }
    }

    #[test]
    fn bit_fields_extend_by_their_sign() {
        assert_eq!(bit_field(0b1011_0000, 4, 4, Int::I32), -5);
        assert_eq!(bit_field(0b1011_0000, 4, 4, Int::U32), 11);
        assert_eq!(bit_field(-1, 0, 64, Int::U64), -1);
    }

    #[test]
    fn strings_are_cut_to_strsize() {
        let text = |s: &str| expr(ExprKind::Str(s.into()), Type::String);
        let joined = expr(
            ExprKind::Call(Subroutine::Strjoin, vec![text("abcd"), text("efgh")]),
            Type::String,
        );
        assert_eq!(value(&joined), Ok(Value::Str(Cow::Borrowed(b"abcdefg"))));
        let length = expr(
            ExprKind::Call(Subroutine::Strlen, vec![text("abcdefghij")]),
            Type::U64,
        );
        assert_eq!(value(&length), Ok(Value::Int(7)));
    }

    #[test]
    fn the_directory_of_a_computed_name_is_not_the_name() {
        let ten = int(10, Int::I32);
        let name = expr(
            ExprKind::Call(Subroutine::Lltostr, vec![*ten, *int(36, Int::I32)]),
            Type::String,
        );
        let call = expr(
            ExprKind::Call(Subroutine::Dirname, vec![name]),
            Type::String,
        );
        assert_eq!(value(&call), Ok(Value::Str(Cow::Borrowed(b"."))));
    }

    #[test]
    fn slices_of_borrowed_strings_borrow() {
        let path = expr(ExprKind::Str("/a/b".into()), Type::String);
        let call = expr(
            ExprKind::Call(Subroutine::Basename, vec![path]),
            Type::String,
        );
        assert!(matches!(value(&call), Ok(Value::Str(Cow::Borrowed(b"b")))));
    }

    #[test]
    fn machine_state_is_not_constant() {
        let e = expr(ExprKind::Builtin(Builtin::Pid), Type::INT);
        assert_eq!(value(&e), Err(EvalError::NotConstant));
    }
}
