//! The checked, typed program: what `check` gives and every later stage reads.
//!
//! Everything a later stage would have to look up or infer is settled here: names are ids,
//! inlines and macro arguments are expanded, `sizeof` is a number, every implicit conversion is
//! a [`ExprKind::Cast`] and every expression has a type. What rdtrace parses but cannot run never
//! gets this far; `check` refuses it at its position.

use crate::aggregating::{AggregatingName, aggregating_name};
use crate::diag::{Diagnostic, Span};
use crate::format::Format;
use crate::types::{Int, Type};

/// A whole D program, from one or more sources.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The clauses in program order, which is the order they run in on a common probe.
    pub clauses: Vec<Clause>,
    /// Which probes do not run which of their clauses.
    pub unfit: Vec<Unfit>,
    /// Every variable of every scope; a [`VarId`] is an index into this.
    pub variables: Vec<Variable>,
    /// Every aggregation; an [`AggId`] is an index into this.
    pub aggregations: Vec<Aggregation>,
    /// `#pragma D option` lines in order: name and value, if one was given.
    pub options: Vec<(String, Option<String>)>,
    /// `provider` declarations in order.
    pub providers: Vec<DeclaredProvider>,
}

/// A provider that the program declares: what `-h` writes a header for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredProvider {
    /// Its name, without a process id.
    pub name: String,
    /// Its probes, in order.
    pub probes: Vec<DeclaredProbe>,
}

/// A probe of a declared provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredProbe {
    /// The name as it is written, with `__` for `-`.
    pub name: String,
    /// What the program gives: `arg0` and so on.
    pub input: Vec<Type>,
    /// What `args[]` are: which input each one is, and its type.
    pub output: Vec<(usize, Type)>,
    /// Where its name stands.
    pub span: Span,
}

/// How a probe depends on another one, the *underlying* probe: when it fires, and what its arguments are made
/// of. All of it is D, over the arguments of the underlying probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependent {
    /// When it fires: whenever the other one does if this is empty.
    pub when: &'static str,
    /// `arg0` and so on.
    pub inputs: &'static [&'static str],
    /// `args[0]` and so on: each is the input of this number, as this type. A translator is used if there
    /// is one.
    pub outputs: &'static [(u8, &'static str)],
}

/// Probe descriptions, an optional predicate and what to do.
#[derive(Clone, Debug)]
pub struct Clause {
    /// Which clause of the text it is, from 0. One that names `args[n]` whose types differ between
    /// its probes is several here.
    pub number: usize,
    /// The probe descriptions, macros expanded.
    pub probes: Vec<ProbeSpec>,
    /// The `args[n]` that it names, with the types that it was checked with: a probe runs it if it has
    /// these.
    pub args: Vec<(u8, Type)>,
    /// How its probes depend on others, if they do: of dependent probes one runs it that does so, too.
    pub dependent: Option<Dependent>,
    /// The predicate, of a scalar type.
    pub predicate: Option<Expr>,
    /// The statements; none means the default action.
    pub body: Vec<Stmt>,
    /// Where the clause starts (its probe descriptions).
    pub span: Span,
}

/// A clause that is wrong for probes with these arguments, though its description matches them and it is right for
/// others. They do not run it.
#[derive(Clone, Debug)]
pub struct Unfit {
    /// Which clause of the text it is, from 0.
    pub number: usize,
    /// The probe description.
    pub spec: ProbeSpec,
    /// The types of `args[]`, all of them.
    pub args: Vec<Type>,
    /// How the probes depend on others, if they do.
    pub dependent: Option<Dependent>,
    /// What is wrong.
    pub error: Diagnostic,
}

/// What a probe gives a clause: the types of its `args[]`, of a dependent one those of the underlying probe, and
/// how it depends on that.
pub type Given<'p> = (&'p dyn Fn(u8) -> Option<Type>, Option<Dependent>);

impl Program {
    /// The clause that a probe runs: of those that the clause `number` of the text has become and that
    /// have the description, the one that was checked with these types of `args[]`.
    #[must_use]
    pub fn clause_for(
        &self,
        number: usize,
        spec: &ProbeSpec,
        (args, dependent): Given<'_>,
    ) -> Option<usize> {
        self.clauses_of(number, spec)
            .find(|(_, clause)| clause.dependent == dependent && clause.fits(args))
            .map(|(index, _)| index)
    }

    /// Why such a probe does not run the clause `number` of the text, though the description matches it.
    #[must_use]
    pub fn unfit_for(
        &self,
        number: usize,
        spec: &ProbeSpec,
        (args, dependent): Given<'_>,
    ) -> Option<&Unfit> {
        let has = |types: &[Type]| {
            let mut numbered = (0..).zip(types.iter().map(Some).chain([None]));
            numbered.all(|(n, ty)| args(n).as_ref() == ty)
        };
        self.unfit.iter().find(|unfit| {
            unfit.number == number
                && unfit.spec == *spec
                && unfit.dependent == dependent
                && has(&unfit.args)
        })
    }

    fn clauses_of(
        &self,
        number: usize,
        spec: &ProbeSpec,
    ) -> impl Iterator<Item = (usize, &Clause)> {
        let clauses = self.clauses.iter().enumerate();
        clauses.filter(move |(_, clause)| clause.number == number && clause.probes.contains(spec))
    }
}

impl Clause {
    /// Whether it was checked with these types of `args[]`, as far as it names them.
    fn fits(&self, args: &dyn Fn(u8) -> Option<Type>) -> bool {
        let same = |(n, ty): &(u8, Type)| args(*n).as_ref() == Some(ty);
        self.args.iter().all(same)
    }
}

/// A probe description as written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSpec {
    /// The four fields.
    pub desc: ProbeDesc,
    /// Where it stands in the source.
    pub span: Span,
}

/// `provider:module:function:name`; an empty field matches anything, and each may be a glob
/// (`*`, `?`, `[...]`). Shared with `provider`, where the fields of a real probe are all literal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProbeDesc {
    /// The provider with its process id, as in `python1234`.
    pub provider: String,
    /// The module: the file's name.
    pub module: String,
    /// The function that holds the probe.
    pub function: String,
    /// The probe's name, in D's spelling (`function-entry`).
    pub name: String,
}

/// Index into [`Program::variables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VarId(pub u32);

/// Index into [`Program::aggregations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AggId(pub u32);

/// A variable, scalar or associative array, of any scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name without `self->` or `this->`.
    pub name: String,
    /// Where it lives.
    pub scope: Scope,
    /// The type of the value (of an element, for an associative array).
    pub ty: Type,
    /// The key types of an associative array; `None` for a scalar.
    pub key: Option<Vec<Type>>,
}

/// Where a variable lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `x`: one for all threads and CPUs.
    Global,
    /// `self->x`: one for each thread, zero until assigned.
    ThreadLocal,
    /// `this->x`: lives through all clauses of one firing; undefined before it is assigned.
    ClauseLocal,
}

/// An aggregation: its name, the one aggregating function it is used with, and its key types.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    /// The name without `@`; `_` for the anonymous one.
    pub name: String,
    /// The aggregating function with its constant parameters.
    pub func: AggFunc,
    /// The types of the tuple; empty for an unkeyed aggregation.
    pub key: Vec<Type>,
    /// Where it is first used.
    pub span: Span,
}

/// An aggregating function and its compile-time parameters (as in libdtrace's `dt_agg`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggFunc {
    /// `count()`.
    Count,
    /// `sum(e)`.
    Sum,
    /// `avg(e)`.
    Avg,
    /// `min(e)`.
    Min,
    /// `max(e)`.
    Max,
    /// `stddev(e)`.
    Stddev,
    /// `quantize(e[, incr])`: power-of-two buckets.
    Quantize,
    /// `lquantize(e, low, high[, step[, incr]])`.
    Lquantize {
        /// Lower bound of the first bucket.
        low: i32,
        /// Upper bound of the last bucket.
        high: i32,
        /// Width of a bucket; `(high - low) / step` buckets, plus one below and one above.
        step: u16,
    },
    /// `llquantize(e, factor, low, high, steps[, incr])`: log-linear buckets.
    Llquantize {
        /// The base of the magnitudes.
        factor: u16,
        /// The lowest magnitude.
        low: u16,
        /// The highest magnitude.
        high: u16,
        /// Linear buckets in each magnitude.
        steps: u16,
    },
}

impl AggFunc {
    /// The function without its parameters.
    #[must_use]
    pub const fn kind(self) -> AggregatingName {
        match self {
            Self::Count => AggregatingName::Count,
            Self::Sum => AggregatingName::Sum,
            Self::Avg => AggregatingName::Avg,
            Self::Min => AggregatingName::Min,
            Self::Max => AggregatingName::Max,
            Self::Stddev => AggregatingName::Stddev,
            Self::Quantize => AggregatingName::Quantize,
            Self::Lquantize { .. } => AggregatingName::Lquantize,
            Self::Llquantize { .. } => AggregatingName::Llquantize,
        }
    }

    /// The function's name in D.
    #[must_use]
    pub fn name(self) -> &'static str {
        aggregating_name(self.kind())
    }
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// What it does.
    pub kind: StmtKind,
    /// Where it stands.
    pub span: Span,
}

/// What a statement does.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// An expression run for its effect.
    Expr(Expr),
    /// `if (cond) ... else ...`.
    If {
        /// The condition, of a scalar type.
        cond: Expr,
        /// What runs when it is not zero.
        then: Vec<Stmt>,
        /// What runs when it is zero.
        otherwise: Vec<Stmt>,
    },
    /// An action: something recorded or changed outside the program's variables.
    Action(Action),
    /// `@name[keys] = func(value[, increment])`.
    Aggregate {
        /// The aggregation.
        agg: AggId,
        /// The tuple, converted to the aggregation's key types.
        keys: Vec<Expr>,
        /// The value, `int64_t`; `None` for `count()`.
        value: Option<Expr>,
        /// The increment of the quantizing functions, when given.
        increment: Option<Expr>,
    },
}

/// An action, with its arguments checked.
#[derive(Clone, Debug)]
pub enum Action {
    /// `trace(e)`.
    Trace(Expr),
    /// `printf(format, ...)`; one expression for each argument the format consumes, `*` widths
    /// and precisions included, in order.
    Printf(Format, Vec<Expr>),
    /// `printa([format,] @a, ...)`.
    Printa(Option<Format>, Vec<AggId>),
    /// `exit(status)`.
    Exit(Expr),
    /// `clear(@a)`.
    Clear(AggId),
    /// `trunc(@a[, n])`: keep the `n` largest, or the `-n` smallest; none: remove all.
    Trunc(AggId, Option<Expr>),
    /// `normalize(@a, n)`.
    Normalize(AggId, Expr),
    /// `denormalize(@a)`.
    Denormalize(AggId),
    /// `tracemem(address, size[, shown])`: the memory as a struct of that size, and how much of it shows.
    Tracemem(Expr, Option<Expr>),
    /// `print(pointer)`.
    Print {
        /// The pointer.
        address: Expr,
        /// What it leads to as a struct of so many bytes as are recorded.
        memory: Expr,
        /// The type of what it leads to, with all members.
        ty: Type,
    },
    /// `speculate(id)`: the record is a part of a speculation.
    Speculate(Expr),
    /// `commit(id)`: the records of a speculation show.
    Commit(Expr),
    /// `discard(id)`: they do not.
    Discard(Expr),
    /// `system(format, ...)`: runs a command with `sh`, arguments as in [`Action::Printf`].
    System(Format, Vec<Expr>),
    /// `freopen(format, ...)`: what is printed from then on goes to this file; `None`, of `""`: to
    /// where it went at first.
    Freopen(Option<Format>, Vec<Expr>),
    /// `ftruncate()`: empties the file that the output goes to.
    Ftruncate,
    /// `setopt(name[, value])`.
    Setopt(Expr, Option<Expr>),
    /// `raise(signal)`, and `stop()` with `SIGSTOP`: sends the process that fires a signal.
    Raise(Expr),
    /// `copyout(from, to, size)` and `copyoutstr(from, to, size)`: writes to the memory of the process that
    /// fires. It is checked, and no code is made of it yet.
    WriteUser([Expr; 3]),
}

impl Action {
    /// Whether it changes the traced system, so that `-w` must allow it.
    #[must_use]
    pub fn is_destructive(&self) -> bool {
        match self {
            Self::System(..) | Self::Freopen(..) | Self::Raise(_) | Self::WriteUser(_) => true,
            Self::Trace(_)
            | Self::Printf(..)
            | Self::Printa(..)
            | Self::Exit(_)
            | Self::Clear(_)
            | Self::Trunc(..)
            | Self::Normalize(..)
            | Self::Denormalize(_)
            | Self::Tracemem(..)
            | Self::Print { .. }
            | Self::Speculate(_)
            | Self::Commit(_)
            | Self::Discard(_)
            | Self::Ftruncate
            | Self::Setopt(..) => false,
        }
    }
}

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

/// Built-in variables; the type is on the expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// `pid`, `int`: the process, that is the thread group.
    Pid,
    /// `tid`, `int`: the thread.
    Tid,
    /// `ppid`, `int`: the parent process.
    Ppid,
    /// `uid`, `uint32_t`: the real user.
    Uid,
    /// `gid`, `uint32_t`: the real group.
    Gid,
    /// `execname`: the thread's command name.
    Execname,
    /// `timestamp`, `uint64_t`: monotonic nanoseconds.
    Timestamp,
    /// `walltimestamp`, `int64_t`: nanoseconds since 1970.
    Walltimestamp,
    /// `vtimestamp`, `uint64_t`: nanoseconds this thread has run on a CPU.
    Vtimestamp,
    /// `cpu`, `int`: the CPU that fires.
    Cpu,
    /// `probeprov`: the provider.
    Probeprov,
    /// `probemod`: the module.
    Probemod,
    /// `probefunc`: the function.
    Probefunc,
    /// `probename`: the name.
    Probename,
    /// `id`, `uint32_t`: the probe's id, as `-l` shows it.
    Id,
    /// `epid`, `uint32_t`: the enabled probe's id.
    Epid,
    /// `curthread`, `struct task_struct *`: the kernel's record of the thread.
    Curthread,
    /// `errno`, `int`: the error of the current system call, 0 outside of one.
    Errno,
    /// `caller`, `uint64_t`: where the kernel's function returns to that the probe is in; 0 if none is.
    Caller,
    /// `stackdepth`, `uint32_t`: the number of the kernel's frames.
    Stackdepth,
    /// `ucaller`, `uint64_t`: where the program's function returns to that it is in.
    Ucaller,
    /// `ustackdepth`, `uint32_t`: the number of the program's frames.
    Ustackdepth,
    /// `pyfile`: the file of the Python function that the thread is in; empty if it is in none.
    Pyfile,
    /// `pyfunc`: its name.
    Pyfunc,
    /// `pyqualname`: its qualified name; before Python 3.11 its name.
    Pyqualname,
    /// `pyexception`: the exception that the thread is raising, a Python object.
    Pyexception,
    /// `pytraceback`, `uint64_t`: the address of the traceback that this exception has so far; 0 if it is in the
    /// function in which it was raised.
    Pytraceback,
    /// `pyreturn`: what the function returns whose end fires, a Python object.
    Pyreturn,
    /// `pythread`: the name that Python has for the thread, or else the kernel's.
    Pythread,
    /// `pymodule`: the name of its module.
    Pymodule,
    /// `pyline`, `int`: its line; 0 if it is in none, -1 where the code has no line.
    Pyline,
    /// `pydepth`, `uint32_t`: how many Python functions the thread is in.
    Pydepth,
    /// `pyframe`, `uint64_t`: the address of its frame.
    Pyframe,
}

/// Subroutines: functions that give a value. Signatures as in libdtrace's identifier table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subroutine {
    /// `string copyinstr(uintptr_t addr[, size_t max])`.
    Copyinstr,
    /// `void *copyin(uintptr_t addr, size_t size)`.
    Copyin,
    /// `void copyinto(uintptr_t addr, size_t size, void *to)`.
    Copyinto,
    /// `void *alloca(size_t size)`.
    Alloca,
    /// `void bcopy(const void *from, void *to, size_t size)`.
    Bcopy,
    /// `string basename(const char *)`.
    Basename,
    /// `string d_path(struct path *)`: the path of a file from the root of the process that fires. Behind the path
    /// follow that root, another `struct path *`, and where the kernel keeps what leads from one directory to the
    /// next: seven offsets of members.
    DPath,
    /// `execargs`: the words of the memory between two addresses of the traced program, with blanks in the place
    /// of the NULs that end them; empty if there is none.
    Execargs,
    /// `uint64_t uregs[n]`: a register of the thread as its program left it, by its number in `regs.d`.
    Uregs,
    /// `string dirname(const char *)`.
    Dirname,
    /// `size_t strlen(const char *)`.
    Strlen,
    /// `string strjoin(const char *, const char *)`.
    Strjoin,
    /// `string strstr(const char *, const char *)`: from the match on, or the null string.
    Strstr,
    /// `string strchr(const char *, char)`.
    Strchr,
    /// `string strrchr(const char *, char)`.
    Strrchr,
    /// `string substr(const char *, int index[, int length])`.
    Substr,
    /// `int index(const char *, const char *[, int start])`: -1 when absent.
    Index,
    /// `int rindex(const char *, const char *[, int start])`.
    Rindex,
    /// `string lltostr(int64_t[, int base])`.
    Lltostr,
    /// `int speculation(void)`: the id of a speculation that begins, or 0 if there is none to be had.
    Speculation,
    /// `string toupper(const char *)`: ASCII letters only.
    Toupper,
    /// `string tolower(const char *)`.
    Tolower,
    /// `int64_t strtoll(const char *[, int base])`: the number at the start, 0 if there is none.
    Strtoll,
    /// `string strtok(const char *, const char *)`: the next token of a string, or of the one
    /// before when the first argument is NULL.
    Strtok,
    /// `string cleanpath(const char *)`: without `.`, `..` and empty components.
    Cleanpath,
    /// `int rand()`: a pseudo-random number of 32 bits.
    Rand,
    /// `int progenyof(pid_t)`: whether the process is that one or a descendant of it.
    Progenyof,
    /// `dev_t getmajor(dev_t)`.
    Getmajor,
    /// `dev_t getminor(dev_t)`.
    Getminor,
    /// `uint16_t htons(uint16_t)`: to network byte order.
    Htons,
    /// `uint32_t htonl(uint32_t)`.
    Htonl,
    /// `uint64_t htonll(uint64_t)`.
    Htonll,
    /// `uint16_t ntohs(uint16_t)`: from network byte order.
    Ntohs,
    /// `uint32_t ntohl(uint32_t)`.
    Ntohl,
    /// `uint64_t ntohll(uint64_t)`.
    Ntohll,
    /// `stack([uint32_t frames])`: the kernel's stack.
    Stack,
    /// `ustack([uint32_t frames[, uint32_t strsize]])`: the stack of the thread's program.
    Ustack,
    /// `pyarg(name or number)`: an argument of the function that fires, a Python object.
    Pyarg,
    /// `pylocal(name)`: one of its variables, arguments among them.
    Pylocal,
    /// `pyattr(object, name)`: an attribute of a Python object, a Python object.
    Pyattr,
    /// `pyself(name)`: an attribute of the first argument of the function that fires.
    Pyself,
    /// `pyaudit(int)`: an argument of an audit event, a Python object.
    Pyaudit,
    /// `int64_t pyfloat(object)`: the integer part of a Python `float` or `int`.
    Pyfloat,
    /// `int64_t pyint(object)`: the value of a Python `int`, cut to what 64 bits hold.
    Pyint,
    /// `int64_t pylen(object)`: how many items, characters or bytes it has.
    Pylen,
    /// `string pyrepr(object)`: a Python object as `repr` shows it. Its text is made where it is shown.
    Pyrepr,
    /// `string pystr(object)`: the text of a `str`, or the bytes of a `bytes`.
    Pystr,
    /// `string pytype(object)`: the name of its type.
    Pytype,
    /// `jstack([uint32_t frames[, uint32_t strsize]])`, `pystack`: the Python functions that the thread is in.
    Pystack,
    /// `string json(const char *, const char *)`: the part of a JSON text that a path leads to.
    Json,
    /// `inet_ntoa` of the four bytes that the argument has in memory.
    InetNtoa,
    /// `inet_ntoa6` of the sixteen bytes that the two arguments have in memory.
    InetNtoa6,
    /// `link_ntop` of the bytes that the arguments have in memory, each in the size of its type.
    LinkNtop,
}

impl Subroutine {
    /// Whether its value may be the null string, for "there is none".
    #[must_use]
    pub const fn may_find_nothing(self) -> bool {
        matches!(
            self,
            Self::Strstr | Self::Strchr | Self::Strrchr | Self::Strtok
        )
    }

    /// Whether its value depends on its arguments only, so that it can be computed anywhere.
    #[must_use]
    pub const fn is_pure(self) -> bool {
        match self {
            Self::Copyinstr
            | Self::Copyin
            | Self::Copyinto
            | Self::Alloca
            | Self::Bcopy
            | Self::Speculation
            | Self::Strtok
            | Self::Rand
            | Self::DPath
            | Self::Execargs
            | Self::Uregs
            | Self::Progenyof
            | Self::Stack
            | Self::Pyarg
            | Self::Pylocal
            | Self::Pyattr
            | Self::Pyself
            | Self::Pyaudit
            | Self::Pyfloat
            | Self::Pyint
            | Self::Pylen
            | Self::Pyrepr
            | Self::Pystr
            | Self::Pytype
            | Self::Ustack
            | Self::Pystack => false,
            Self::Basename
            | Self::Dirname
            | Self::Strlen
            | Self::Strjoin
            | Self::Strstr
            | Self::Strchr
            | Self::Strrchr
            | Self::Substr
            | Self::Index
            | Self::Rindex
            | Self::Lltostr
            | Self::Toupper
            | Self::Tolower
            | Self::Strtoll
            | Self::Cleanpath
            | Self::Getmajor
            | Self::Getminor
            | Self::Htons
            | Self::Htonl
            | Self::Htonll
            | Self::Ntohs
            | Self::Ntohl
            | Self::Ntohll
            | Self::Json
            | Self::InetNtoa
            | Self::InetNtoa6
            | Self::LinkNtop => true,
        }
    }
}

impl std::fmt::Display for ProbeDesc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{}:{}:{}",
            self.provider, self.module, self.function, self.name
        )
    }
}
