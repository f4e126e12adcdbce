//! Expressions and operators.

use super::{Builtin, Subroutine, VarId};
use crate::diag::Span;
use crate::types::{Int, Type};

/// An expression with its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it computes.
    pub kind: ExprKind,
    /// The type of the result.
    pub ty: Type,
    /// Where it stands.
    pub span: Span,
}

/// What an expression computes. Integers are computed in 64 bits, so the result of an operator may
/// be outside of the range of its type; [`Expr::fits`] tells where it cannot be. The operands of an
/// operator keep their own types, see [`BinaryOp::is_signed`].
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// An integer or character constant. A folded one may be outside of the range of its type,
    /// as the operator that it is the result of.
    Int(i64),
    /// A string literal, escapes resolved, without its terminating NUL.
    Str(Vec<u8>),
    /// A scalar variable.
    Var(VarId),
    /// An element of an associative array; the key expressions have the array's key types.
    Element(VarId, Vec<Expr>),
    /// A built-in variable without an index.
    Builtin(Builtin),
    /// `arg0` to `arg9`: the raw argument, `int64_t`.
    Arg(u8),
    /// `args[n]`: the argument with the probe's own type.
    TypedArg(u8),
    /// A prefix operator without a side effect.
    Unary(UnaryOp, Box<Expr>),
    /// An arithmetic, bitwise or comparing operator. Comparisons may have two strings; shifts
    /// have the left operand's type. Pointer arithmetic is already scaled to bytes.
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `&&`, `||` or `^^`, on scalars; the result is `int` 0 or 1. The first two short-circuit.
    Logic(LogicOp, Box<Expr>, Box<Expr>),
    /// `cond ? then : otherwise`: both branches integers, or both of one type.
    Ternary(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `target = value`: the target is a variable, an element, a part of one or a dereference. An integer is cut
    /// to the target's type as it is stored; the result is the value before that. `target op=
    /// value` has the operator, which goes by the sign of the target's type.
    Assign(Option<BinaryOp>, Box<Expr>, Box<Expr>),
    /// `++x`, `x++` and the decrementing ones; for pointers `by` is the element size.
    Step {
        /// What is changed.
        target: Box<Expr>,
        /// What is added: 1 or -1, times the element size for pointers.
        by: i64,
        /// Whether the result is the old value (postfix).
        post: bool,
    },
    /// A conversion to this expression's own type: between integers and pointers, where the value
    /// is cut to the type ([`Int::wrap`]); from a pointer or a `char` array to `string` it is
    /// `stringof`.
    Cast(Box<Expr>),
    /// The object at an address: `*p`, `p->m`, `a[i]`, all reduced to address arithmetic.
    /// The type may be an integer or a pointer; an array only below a `stringof`, a struct or union
    /// where it is assigned or recorded as a whole.
    Deref(Box<Expr>),
    /// `of.name`, a member of a struct or union in a variable or element: the object of this
    /// expression's type so many bytes from the start of `of`. What a pointer leads to is
    /// [`ExprKind::Deref`].
    Member {
        /// The struct or union: a variable, an element, or a part of one.
        of: Box<Expr>,
        /// The member's name.
        name: String,
        /// Its distance from the start, those of anonymous members around it included.
        offset: u32,
    },
    /// `of[index]` of an array in a variable or element; an index outside of it is a fault.
    Index {
        /// The array: a variable, an element, or a part of one.
        of: Box<Expr>,
        /// The index, `int64_t`.
        index: Box<Expr>,
    },
    /// The address of a part of a variable, or of an array variable.
    AddressOf(Box<Expr>),
    /// `bits` of the integer below, from bit `first`, sign-extended if the type is signed.
    BitField {
        /// The integer that holds the field.
        of: Box<Expr>,
        /// The lowest bit.
        first: u8,
        /// How many bits.
        bits: u8,
    },
    /// `s[i]`, `*s`: byte `i` of a string as a `char`, 0 where the string has none.
    Byte(Box<Expr>, Box<Expr>),
    /// A call of a subroutine.
    Call(Subroutine, Vec<Expr>),
    /// `a, b`: both evaluated, the value is the second's.
    Comma(Box<Expr>, Box<Expr>),
    /// A value that the record carries: never made by `check`, but put by `actions` in the place
    /// of what the kernel side computes, so that the consumer can compute the rest.
    Recorded(u16),
}

/// The expressions directly below one of this kind, borrowed as the kind is.
macro_rules! operands_of {
    ($kind:expr, $iter:ident) => {
        match $kind {
            ExprKind::Int(_)
            | ExprKind::Str(_)
            | ExprKind::Var(_)
            | ExprKind::Builtin(_)
            | ExprKind::Arg(_)
            | ExprKind::TypedArg(_)
            | ExprKind::Recorded(_) => Vec::new(),
            ExprKind::Element(_, list) | ExprKind::Call(_, list) => list.$iter().collect(),
            ExprKind::Unary(_, of)
            | ExprKind::Cast(of)
            | ExprKind::Deref(of)
            | ExprKind::Member { of, .. }
            | ExprKind::AddressOf(of)
            | ExprKind::Step { target: of, .. }
            | ExprKind::BitField { of, .. } => vec![of],
            ExprKind::Index { of, index } => vec![of, index],
            ExprKind::Binary(_, a, b)
            | ExprKind::Logic(_, a, b)
            | ExprKind::Assign(_, a, b)
            | ExprKind::Byte(a, b)
            | ExprKind::Comma(a, b) => vec![a, b],
            ExprKind::Ternary(a, b, c) => vec![a, b, c],
        }
    };
}

impl Expr {
    /// Whether the value of this integer expression is certainly in the range of `int`, so that
    /// storing it in a variable of this type changes nothing.
    #[must_use]
    pub fn fits(&self, int: Int) -> bool {
        if int.size == 8 {
            return true;
        }
        let own = || self.ty.as_int().is_some_and(|own| own.fits(int));
        match &self.kind {
            ExprKind::Int(value) => int.wrap(*value) == *value,
            ExprKind::Unary(UnaryOp::Not, _) | ExprKind::Logic(..) => true,
            ExprKind::Unary(UnaryOp::Complement, of) => int.signed && of.fits(int),
            ExprKind::Unary(UnaryOp::Negate, _) => false,
            ExprKind::Binary(op, a, b) => match op {
                BinaryOp::And => {
                    let mask = |e: &Self| matches!(e.kind, ExprKind::Int(0..)) && e.fits(int);
                    a.fits(int) && b.fits(int) || mask(a) || mask(b)
                }
                BinaryOp::Or | BinaryOp::Xor => a.fits(int) && b.fits(int),
                BinaryOp::ShiftRight => a.fits(int) && (op.is_signed(&a.ty, &b.ty) || !int.signed),
                BinaryOp::Equal
                | BinaryOp::NotEqual
                | BinaryOp::Less
                | BinaryOp::LessEqual
                | BinaryOp::Greater
                | BinaryOp::GreaterEqual => true,
                BinaryOp::Remainder => a.fits(int) && (op.is_signed(&a.ty, &b.ty) || !int.signed),
                // The least integer divided by -1 leaves the range.
                BinaryOp::Divide if op.is_signed(&a.ty, &b.ty) => {
                    int.signed && a.fits(int) && matches!(b.kind, ExprKind::Int(by) if by != -1)
                }
                BinaryOp::Divide => !int.signed && a.fits(int),
                BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::ShiftLeft => {
                    false
                }
            },
            ExprKind::Ternary(_, a, b) => a.fits(int) && b.fits(int),
            ExprKind::Comma(_, last) | ExprKind::Assign(None, _, last) => last.fits(int),
            ExprKind::Assign(Some(_), ..) => false,
            ExprKind::Step { post, .. } => *post && own(),
            ExprKind::Str(_)
            | ExprKind::Var(_)
            | ExprKind::Element(..)
            | ExprKind::Builtin(_)
            | ExprKind::Arg(_)
            | ExprKind::TypedArg(_)
            | ExprKind::Cast(_)
            | ExprKind::Deref(_)
            | ExprKind::Member { .. }
            | ExprKind::Index { .. }
            | ExprKind::AddressOf(_)
            | ExprKind::BitField { .. }
            | ExprKind::Byte(..)
            | ExprKind::Call(..)
            | ExprKind::Recorded(_) => own(),
        }
    }

    /// The variable or element of which this is a part, or which it is.
    #[must_use]
    pub fn whole(&self) -> &Expr {
        let mut part = self;
        while let ExprKind::Member { of, .. } | ExprKind::Index { of, .. } = &part.kind {
            part = of;
        }
        part
    }

    /// The null string: `NULL` where a string is wanted.
    #[must_use]
    pub fn null_string(span: Span) -> Self {
        let zero = Self {
            kind: ExprKind::Int(0),
            ty: Type::pointer_to(Type::Void),
            span,
        };
        Self {
            kind: ExprKind::Cast(Box::new(zero)),
            ty: Type::String,
            span,
        }
    }

    /// Whether this is the null string as it is written.
    #[must_use]
    pub fn is_null_string(&self) -> bool {
        let ExprKind::Cast(of) = &self.kind else {
            return false;
        };
        self.ty == Type::String && of.kind == ExprKind::Int(0)
    }

    /// Whether a string may turn out to be the null string, if `variable` tells whether a scalar
    /// variable may hold it.
    #[must_use]
    pub fn may_be_null(&self, variable: &dyn Fn(VarId) -> bool) -> bool {
        if self.ty != Type::String {
            return false;
        }
        match &self.kind {
            ExprKind::Var(var) => variable(*var),
            ExprKind::Element(..) => true,
            ExprKind::Call(subroutine, _) => subroutine.may_find_nothing(),
            ExprKind::Cast(of) => self.is_null_string() || of.may_be_null(variable),
            ExprKind::Ternary(_, a, b) => a.may_be_null(variable) || b.may_be_null(variable),
            ExprKind::Comma(_, last) => last.may_be_null(variable),
            ExprKind::Assign(_, target, _) => target.may_be_null(variable),
            ExprKind::Int(_)
            | ExprKind::Str(_)
            | ExprKind::Builtin(_)
            | ExprKind::Arg(_)
            | ExprKind::TypedArg(_)
            | ExprKind::Unary(..)
            | ExprKind::Binary(..)
            | ExprKind::Logic(..)
            | ExprKind::Step { .. }
            | ExprKind::Deref(_)
            | ExprKind::Member { .. }
            | ExprKind::Index { .. }
            | ExprKind::AddressOf(_)
            | ExprKind::BitField { .. }
            | ExprKind::Byte(..)
            | ExprKind::Recorded(_) => false,
        }
    }

    /// The same expression as if all of it stood in one place.
    #[must_use]
    pub fn placed_at(mut self, span: Span) -> Self {
        fn place(expr: &mut Expr, span: Span) {
            expr.span = span;
            for operand in expr.operands_mut() {
                place(operand, span);
            }
        }
        place(&mut self, span);
        self
    }

    /// How many expressions this one consists of.
    #[must_use]
    pub fn count_nodes(&self) -> usize {
        let below = self.operands().into_iter().map(Self::count_nodes);
        1 + below.sum::<usize>()
    }

    /// The expressions directly below this one, in source order.
    #[must_use]
    pub fn operands(&self) -> Vec<&Expr> {
        operands_of!(&self.kind, iter)
    }

    /// The same, to be changed.
    fn operands_mut(&mut self) -> Vec<&mut Expr> {
        operands_of!(&mut self.kind, iter_mut)
    }
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `-e`.
    Negate,
    /// `~e`.
    Complement,
    /// `!e`: `int` 0 or 1.
    Not,
}

/// Operators with two operands that are always evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the operators")]
pub enum BinaryOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl BinaryOp {
    /// Whether the operator takes operands of these types as signed numbers, where that makes a
    /// difference: a shift goes by its left operand, the others by both.
    #[must_use]
    pub fn is_signed(self, left: &Type, right: &Type) -> bool {
        let (Some(a), Some(b)) = (left.as_int(), right.as_int()) else {
            return false;
        };
        match self {
            Self::ShiftLeft | Self::ShiftRight => a.signed,
            Self::Add
            | Self::Subtract
            | Self::Multiply
            | Self::Divide
            | Self::Remainder
            | Self::And
            | Self::Or
            | Self::Xor
            | Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessEqual
            | Self::Greater
            | Self::GreaterEqual => Int::common(a, b).signed,
        }
    }
}

/// `&&`, `||`, `^^`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the operators")]
pub enum LogicOp {
    And,
    Or,
    Xor,
}
