//! What a clause records: decided from the typed program alone, before any code is made.
//!
//! An action's arguments are taken apart. What only the kernel side can know (variables,
//! arguments, memory) becomes a *field* of the record; what is a function of that, and only shown,
//! stays an expression for the consumer to compute: `basename(copyinstr(arg0))` records the whole
//! path. So a hit pays for fetching, never for formatting, and constants (`probename`, literals)
//! do not travel at all.
//!
//! Left to the consumer are only expressions that cannot fault and whose operands are all
//! needed: a conditional operand that reads memory is computed where its condition is.

use std::sync::Arc;

use dlang::format::{Piece, Spec};
use dlang::program::{Action, BinaryOp, Builtin, Expr, ExprKind, Stmt, StmtKind, Subroutine};
use dlang::types::{Int, Type};
pub(crate) use dlang::walk::{each_clause_expr, each_expr, each_statement};
use predicates::storage::has_process;

use crate::record::{Field, HEADER_SIZE, Output, OutputKind, RecordLayout, Speculation};

/// A clause's record and how its statements fill it.
#[derive(Debug, Default)]
pub(crate) struct RecordPlan {
    /// The layout that the consumer decodes by.
    pub(crate) layout: RecordLayout,
    /// What to compute for each field; `None` for guards, speculations, the ids of process and thread, and the time.
    pub(crate) sources: Vec<Option<Expr>>,
    /// The fields that `-F` needs, whatever the clause does.
    pub(crate) flow: std::ops::Range<usize>,
    /// The fields of each recording action and the guards of each `if`, in statement order.
    pub(crate) steps: Vec<Step>,
    /// Whether the firing leaves a record at all.
    pub(crate) recording: bool,
}

/// What the code has to store for one statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// An action: these fields.
    Fields(std::ops::Range<usize>),
    /// An `if`: the guards of its branches, where they record something.
    Guards(Option<u16>, Option<u16>),
}

/// What a record carries beside what its clause says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras {
    /// What `-F` needs.
    pub flow: bool,
    /// When it was made, and in which process and thread.
    pub origin: bool,
    /// In which task of asyncio, if the program asks for tasks at all.
    pub tasks: bool,
}

/// Plans the record of a clause. `constant` tells which built-ins the consumer knows for it.
pub(crate) fn plan_record(
    body: &[Stmt],
    (flow, task): (Option<Expr>, Option<Expr>),
    extras: Extras,
    constant: &dyn Fn(Builtin) -> bool,
) -> RecordPlan {
    let mut planner = Planner {
        plan: RecordPlan::default(),
        fixed: HEADER_SIZE,
        constant,
    };
    planner.plan.recording = body.is_empty() || records(body);
    if planner.plan.recording {
        if extras.flow || extras.origin {
            planner.plan.layout.thread = Some(planner.int_field(Int::U32, None));
        }
        if extras.origin || names_process(body) {
            planner.plan.layout.process = Some(planner.int_field(Int::U32, None));
        }
        if extras.flow {
            let first = planner.plan.sources.len();
            planner.plan.layout.flow_name = flow.map(|expr| planner.defer(&expr));
            planner.plan.layout.task = task.map(|expr| planner.defer(&expr));
            planner.plan.flow = first..planner.plan.sources.len();
        }
        if extras.origin || uses_aggregation(body) {
            planner.plan.layout.time = Some(planner.int_field(Int::U64, None));
        }
    }
    planner.statements(body, None);
    planner.plan.layout.fixed = planner.fixed.next_multiple_of(8);
    planner.plan
}

/// Whether any of the statements leaves something in a record.
fn records(body: &[Stmt]) -> bool {
    body.iter().any(|stmt| match &stmt.kind {
        StmtKind::Action(_) => true,
        StmtKind::If {
            then, otherwise, ..
        } => records(then) || records(otherwise),
        StmtKind::Expr(_) | StmtKind::Aggregate { .. } => false,
    })
}

/// Whether any of the statements shows the address of a process by its name, for which the process
/// must be known.
fn names_process(body: &[Stmt]) -> bool {
    let of_process = |piece: &Piece| matches!(piece, Piece::Conversion(conversion) if conversion.spec == Spec::UserAddress);
    let mut found = false;
    each_statement(body, &mut |stmt| {
        if let StmtKind::Action(action) = &stmt.kind {
            found |= match action {
                Action::Trace(expr) => has_process(&expr.ty),
                Action::Printf(format, _)
                | Action::System(format, _)
                | Action::Freopen(Some(format), _) => format.pieces.iter().any(of_process),
                Action::Printa(..)
                | Action::Clear(_)
                | Action::Trunc(..)
                | Action::Exit(_)
                | Action::Normalize(..)
                | Action::Denormalize(_)
                | Action::Tracemem(..)
                | Action::Print { .. }
                | Action::Freopen(None, _)
                | Action::Ftruncate
                | Action::Setopt(..)
                | Action::Raise(_)
                | Action::WriteUser(_)
                | Action::Speculate(_)
                | Action::Commit(_)
                | Action::Discard(_) => false,
            };
        }
    });
    found
}

/// Whether any of the statements prints or changes an aggregation as a whole.
fn uses_aggregation(body: &[Stmt]) -> bool {
    let mut found = false;
    each_statement(body, &mut |stmt| {
        found |= match &stmt.kind {
            StmtKind::Action(action) => match action {
                Action::Printa(..) | Action::Clear(_) | Action::Trunc(..) => true,
                Action::Trace(_)
                | Action::Printf(..)
                | Action::Exit(_)
                | Action::Normalize(..)
                | Action::Denormalize(_)
                | Action::Tracemem(..)
                | Action::Print { .. }
                | Action::Speculate(_)
                | Action::Commit(_)
                | Action::Discard(_)
                | Action::System(..)
                | Action::Freopen(..)
                | Action::Ftruncate
                | Action::Setopt(..)
                | Action::Raise(_)
                | Action::WriteUser(_) => false,
            },
            StmtKind::Expr(_) | StmtKind::If { .. } | StmtKind::Aggregate { .. } => false,
        };
    });
    found
}

struct Planner<'a> {
    plan: RecordPlan,
    fixed: u32,
    constant: &'a dyn Fn(Builtin) -> bool,
}

impl Planner<'_> {
    fn statements(&mut self, body: &[Stmt], guard: Option<u16>) {
        for stmt in body {
            match &stmt.kind {
                StmtKind::Action(action) => {
                    let first = self.plan.sources.len();
                    let kind = self.action(action);
                    self.plan.layout.outputs.push(Output { guard, kind });
                    self.plan
                        .steps
                        .push(Step::Fields(first..self.plan.sources.len()));
                }
                StmtKind::If {
                    then, otherwise, ..
                } => {
                    let mut guard_of =
                        |branch: &[Stmt]| records(branch).then(|| self.int_field(Int::U8, None));
                    let (yes, no) = (guard_of(then), guard_of(otherwise));
                    self.plan.steps.push(Step::Guards(yes, no));
                    self.statements(then, yes);
                    self.statements(otherwise, no);
                }
                StmtKind::Expr(_) | StmtKind::Aggregate { .. } => {}
            }
        }
    }

    fn action(&mut self, action: &Action) -> OutputKind {
        match action {
            Action::Trace(expr) => OutputKind::Trace(self.defer(expr)),
            Action::Printf(format, args) => {
                OutputKind::Printf(Arc::new(format.clone()), self.defer_all(args))
            }
            Action::System(format, args) => {
                OutputKind::System(Arc::new(format.clone()), self.defer_all(args))
            }
            Action::Freopen(format, args) => {
                OutputKind::Freopen(format.clone().map(Arc::new), self.defer_all(args))
            }
            Action::Ftruncate => OutputKind::Ftruncate,
            Action::Setopt(name, value) => {
                let name = self.defer(name);
                OutputKind::Setopt(name, value.as_ref().map(|value| self.defer(value)))
            }
            Action::Raise(_) | Action::WriteUser(_) => OutputKind::Silent,
            Action::Printa(format, aggs) => {
                OutputKind::Printa(format.clone().map(Arc::new), aggs.clone())
            }
            Action::Exit(_) => OutputKind::Exit,
            Action::Clear(agg) => OutputKind::Clear(*agg),
            Action::Trunc(agg, count) => {
                OutputKind::Trunc(*agg, count.as_ref().map(|count| self.defer(count)))
            }
            Action::Normalize(agg, factor) => OutputKind::Normalize(*agg, self.defer(factor)),
            Action::Denormalize(agg) => OutputKind::Denormalize(*agg),
            Action::Tracemem(memory, shown) => {
                let memory = self.defer(memory);
                OutputKind::Tracemem(memory, shown.as_ref().map(|shown| self.defer(shown)))
            }
            Action::Print {
                address,
                memory,
                ty,
            } => OutputKind::Print {
                address: self.defer(address),
                memory: self.defer(memory),
                ty: Arc::new(ty.clone()),
            },
            Action::Speculate(_) => OutputKind::Speculate(self.speculation()),
            Action::Commit(_) => OutputKind::Commit(self.speculation()),
            Action::Discard(_) => OutputKind::Discard(self.speculation()),
        }
    }

    fn speculation(&mut self) -> Speculation {
        Speculation {
            number: self.int_field(Int::U32, None),
            state: self.int_field(Int::U32, None),
        }
    }

    fn defer_all(&mut self, exprs: &[Expr]) -> Vec<Expr> {
        exprs.iter().map(|expr| self.defer(expr)).collect()
    }

    /// The expression that the consumer computes in the place of `expr`.
    fn defer(&mut self, expr: &Expr) -> Expr {
        if !self.can_defer(expr) {
            return self.record(expr);
        }
        let mut deferred = expr.clone();
        match &mut deferred.kind {
            ExprKind::Unary(_, of) | ExprKind::Cast(of) | ExprKind::BitField { of, .. } => {
                **of = self.defer(of);
            }
            ExprKind::Binary(_, a, b) => {
                **a = self.defer(a);
                **b = self.defer(b);
            }
            ExprKind::Ternary(cond, a, b) => {
                for part in [cond, a, b] {
                    **part = self.defer(part);
                }
            }
            ExprKind::Call(_, args) => {
                for arg in args {
                    *arg = self.defer(arg);
                }
            }
            ExprKind::Int(_)
            | ExprKind::Str(_)
            | ExprKind::Var(_)
            | ExprKind::Element(..)
            | ExprKind::Builtin(_)
            | ExprKind::Arg(_)
            | ExprKind::TypedArg(_)
            | ExprKind::Logic(..)
            | ExprKind::Assign(..)
            | ExprKind::Step { .. }
            | ExprKind::Deref(_)
            | ExprKind::Member { .. }
            | ExprKind::Index { .. }
            | ExprKind::AddressOf(_)
            | ExprKind::Byte(..)
            | ExprKind::Comma(..)
            | ExprKind::Recorded(_) => {}
        }
        deferred
    }

    /// Whether the consumer can compute the outermost operation of `expr`.
    fn can_defer(&self, expr: &Expr) -> bool {
        if let ExprKind::Builtin(builtin) = &expr.kind {
            return (self.constant)(*builtin);
        }
        if self.is_known(expr) {
            return true;
        }
        // Arithmetic on numbers costs the kernel side nothing and saves fields.
        if !mentions_string(expr) {
            return false;
        }
        match &expr.kind {
            ExprKind::Int(_) | ExprKind::Str(_) => true,
            ExprKind::Binary(BinaryOp::Divide | BinaryOp::Remainder, _, divisor) => {
                matches!(divisor.kind, ExprKind::Int(value) if value != 0)
            }
            // A string that may be null cannot be recorded.
            ExprKind::Binary(_, a, b) => ![a, b].iter().any(|e| e.may_be_null(&|_| true)),
            ExprKind::Unary(..) | ExprKind::BitField { .. } => true,
            ExprKind::Cast(of) => {
                of.ty == Type::String && expr.ty == Type::String
                    || of.ty.is_scalar() && expr.ty.is_scalar()
            }
            ExprKind::Ternary(_, a, b) => self.is_known(a) && self.is_known(b),
            ExprKind::Call(subroutine, _) => subroutine.is_pure() && !subroutine.may_find_nothing(),
            ExprKind::Var(_)
            | ExprKind::Element(..)
            | ExprKind::Builtin(_)
            | ExprKind::Arg(_)
            | ExprKind::TypedArg(_)
            | ExprKind::Logic(..)
            | ExprKind::Assign(..)
            | ExprKind::Step { .. }
            | ExprKind::Deref(_)
            | ExprKind::Member { .. }
            | ExprKind::Index { .. }
            | ExprKind::AddressOf(_)
            | ExprKind::Byte(..)
            | ExprKind::Comma(..)
            | ExprKind::Recorded(_) => false,
        }
    }

    /// Whether the consumer knows all of `expr` without any field.
    fn is_known(&self, expr: &Expr) -> bool {
        let own = match &expr.kind {
            ExprKind::Int(_) | ExprKind::Str(_) => true,
            ExprKind::Builtin(builtin) => (self.constant)(*builtin),
            ExprKind::Unary(..) | ExprKind::Ternary(..) | ExprKind::Logic(..) => true,
            ExprKind::Binary(op, _, divisor) => {
                !matches!(op, BinaryOp::Divide | BinaryOp::Remainder)
                    || matches!(divisor.kind, ExprKind::Int(value) if value != 0)
            }
            ExprKind::Cast(of) => (of.ty == Type::String) == (expr.ty == Type::String),
            ExprKind::Call(subroutine, _) => subroutine.is_pure() && !subroutine.may_find_nothing(),
            ExprKind::Var(_)
            | ExprKind::Element(..)
            | ExprKind::Arg(_)
            | ExprKind::TypedArg(_)
            | ExprKind::Assign(..)
            | ExprKind::Step { .. }
            | ExprKind::Deref(_)
            | ExprKind::Member { .. }
            | ExprKind::Index { .. }
            | ExprKind::AddressOf(_)
            | ExprKind::BitField { .. }
            | ExprKind::Byte(..)
            | ExprKind::Comma(..)
            | ExprKind::Recorded(_) => false,
        };
        own && expr
            .operands()
            .into_iter()
            .all(|operand| self.is_known(operand))
    }

    /// Makes a field for `expr` and gives the expression that reads it.
    fn record(&mut self, expr: &Expr) -> Expr {
        let is_memory = matches!(expr.ty, Type::Struct(_) | Type::Array(..));
        let index = match expr.ty.as_int().filter(|_| !is_memory) {
            // What is computed from it needs all bits of a value beyond its type's range.
            Some(int) => {
                let int = if expr.fits(int) { int } else { Int::I64 };
                self.int_field(int, Some(expr.clone()))
            }
            None if is_memory => {
                let len = recorded_bytes(expr);
                let offset = self.room(len.next_multiple_of(8), 8);
                self.field(Field::Bytes { offset, len }, Some(expr.clone()))
            }
            None if matches!(expr.kind, ExprKind::Call(Subroutine::Pyrepr, _)) => {
                let offset = self.room(8, 4);
                self.field(Field::Object { offset }, Some(expr.clone()))
            }
            None => {
                let offset = self.room(8, 4);
                self.field(Field::Str { offset }, Some(expr.clone()))
            }
        };
        Expr {
            kind: ExprKind::Recorded(index),
            ty: expr.ty.clone(),
            span: expr.span,
        }
    }

    fn int_field(&mut self, int: Int, source: Option<Expr>) -> u16 {
        let size = u32::from(int.size);
        let offset = self.room(size, size);
        self.field(Field::Int { offset, int }, source)
    }

    fn room(&mut self, size: u32, align: u32) -> u32 {
        let offset = self.fixed.next_multiple_of(align);
        self.fixed = offset + size;
        offset
    }

    fn field(&mut self, field: Field, source: Option<Expr>) -> u16 {
        let index = u16::try_from(self.plan.sources.len()).unwrap_or(u16::MAX);
        self.plan.layout.fields.push(field);
        self.plan.sources.push(source);
        index
    }
}

/// Whether a string takes part in computing `expr`.
fn mentions_string(expr: &Expr) -> bool {
    expr.ty == Type::String || expr.operands().into_iter().any(mentions_string)
}

/// An upper bound of the header and fixed part of a clause's record, in bytes.
pub(crate) fn most_fixed(body: &[Stmt]) -> u32 {
    // Only what has to do with strings is left to the consumer in parts; all else is one field.
    fn nodes(expr: &Expr) -> u32 {
        let parts = if mentions_string(expr) {
            expr.operands()
        } else {
            Vec::new()
        };
        1 + parts.into_iter().map(nodes).sum::<u32>()
    }
    let (mut fields, mut bytes) = (4, 0);
    each_statement(body, &mut |stmt| {
        fields += 2;
        if let StmtKind::Action(
            Action::Trace(expr) | Action::Tracemem(expr, _) | Action::Print { memory: expr, .. },
        ) = &stmt.kind
        {
            bytes += recorded_bytes(expr).next_multiple_of(8);
        }
        each_expr(stmt, &mut |expr| fields += nodes(expr));
    });
    HEADER_SIZE + 8 * fields + bytes
}

/// Bytes that a struct or union takes in the record.
fn recorded_bytes(expr: &Expr) -> u32 {
    match &expr.ty {
        Type::Struct(_) | Type::Array(..) => expr.ty.size(0),
        Type::Void
        | Type::Int(_)
        | Type::Float(_)
        | Type::String
        | Type::Pointer(..)
        | Type::Symbol(_)
        | Type::Stack
        | Type::Named(_) => 0,
    }
}
