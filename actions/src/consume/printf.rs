//! `printf`: a format and its arguments as a plan that is made once per ECB, so that a record
//! costs a walk over a few steps and allocates nothing.
//!
//! Making the plan computes what no record can change: `probename`, literals, and widths that are
//! constant; a conversion with only such parts becomes text.

use std::mem;

use dlang::eval::{self, Env, EvalError, Value};
use dlang::format::{Amount, Format, Piece, Spec};
use dlang::program::{Builtin, Expr, ExprKind};
use dlang::types::Int;

use super::convert::{self, Dates, Style};
use super::decode::{self, Record};
use super::names::Namer;
use crate::record::{Ecb, Field};

/// A `printf` action, ready to print records.
#[derive(Debug)]
pub(super) struct Plan {
    steps: Vec<Step>,
    names: Namer,
}

#[derive(Debug)]
enum Step {
    Text(Vec<u8>),
    Convert(Box<Conversion>),
}

#[derive(Debug)]
struct Conversion {
    spec: Spec,
    style: Style,
    /// The width and the precision, where each record has its own.
    width: Option<Expr>,
    precision: Option<Expr>,
    arg: Arg,
}

/// Where an argument comes from; the two commonest cases skip the evaluator.
#[derive(Debug)]
enum Arg {
    Int { offset: u32, int: Int },
    Str { offset: u32 },
    Computed { expr: Expr, int: Int },
}

impl Plan {
    /// Plans `format` with `args` for the records of `ecb`.
    pub(super) fn new(
        format: &Format,
        args: &[Expr],
        ecb: &Ecb,
        (strsize, names): (u32, Namer),
    ) -> Self {
        let mut planner = Planner {
            ecb,
            strsize,
            steps: Vec::new(),
            text: Vec::new(),
        };
        let mut args = args.iter();
        for piece in &format.pieces {
            match piece {
                Piece::Literal(text) => planner.text.extend_from_slice(text),
                Piece::Conversion(conversion) => {
                    let mut style = Style {
                        flags: conversion.flags,
                        ..Style::default()
                    };
                    let width = planner.amount(conversion.width, &mut args, |n| style.set_width(n));
                    let precision =
                        planner.amount(conversion.precision, &mut args, |n| style.set_precision(n));
                    // `check` has matched the arguments; one that is missing prints nothing.
                    let Some(arg) = args.next() else { continue };
                    planner.convert(conversion.spec, style, width, precision, arg);
                }
            }
        }
        planner.flush();
        Self {
            steps: planner.steps,
            names,
        }
    }

    /// What names addresses have.
    pub(super) fn names(&self) -> &Namer {
        &self.names
    }

    /// Prints `record` to `out`.
    pub(super) fn print(
        &self,
        record: &Record<'_>,
        dates: &mut Dates,
        out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        for step in &self.steps {
            match step {
                Step::Text(text) => out.extend_from_slice(text),
                Step::Convert(conversion) => {
                    conversion.print(record, &self.names, dates, out)?;
                }
            }
        }
        Ok(())
    }
}

impl Conversion {
    fn print(
        &self,
        record: &Record<'_>,
        names: &Namer,
        dates: &mut Dates,
        out: &mut Vec<u8>,
    ) -> Result<(), EvalError> {
        let mut style = self.style;
        if let Some(width) = &self.width {
            style.set_width(integer(width, record)?);
        }
        if let Some(precision) = &self.precision {
            style.set_precision(integer(precision, record)?);
        }
        let (value, int) = match &self.arg {
            Arg::Int { offset, int } => {
                let value = decode::int(record.bytes, *offset, *int);
                (value.map(Value::Int), *int)
            }
            Arg::Str { offset } => {
                let value = decode::string(record.bytes, *offset);
                (value.map(|s| Value::Str(s.into())), Int::I64)
            }
            Arg::Computed { expr, int } => (Some(eval::eval(expr, record)?), *int),
        };
        match value {
            Some(Value::Int(number)) if shows_names(self.spec) => {
                let (number, process) = (number.cast_unsigned(), record.process());
                if self.spec == Spec::Stack {
                    let frames = names.frames(&names.stack(number));
                    convert::put_frames(out, &frames, style);
                } else {
                    let process = process.filter(|_| self.spec == Spec::UserAddress);
                    let name = names.address(process, number);
                    convert::put_text(out, name.as_bytes(), style);
                }
            }
            Some(value) => convert::put(out, self.spec, style, &value, int, dates),
            None => record.corrupt.set(true),
        }
        Ok(())
    }
}

/// Whether a conversion shows addresses by their names.
fn shows_names(spec: Spec) -> bool {
    matches!(spec, Spec::Address | Spec::UserAddress | Spec::Stack)
}

/// The integer value of `expr`; a string has none.
pub(super) fn integer<'a>(expr: &'a Expr, env: &impl Env<'a>) -> Result<i64, EvalError> {
    match eval::eval(expr, env)? {
        Value::Int(n) => Ok(n),
        Value::Str(_) => Err(EvalError::NotConstant),
    }
}

struct Planner<'a> {
    ecb: &'a Ecb,
    strsize: u32,
    steps: Vec<Step>,
    text: Vec<u8>,
}

impl<'a> Planner<'a> {
    /// Settles a width or precision with `set`, or gives the expression to compute it with.
    fn amount(
        &self,
        amount: Option<Amount>,
        args: &mut impl Iterator<Item = &'a Expr>,
        set: impl FnOnce(i64),
    ) -> Option<Expr> {
        match amount? {
            Amount::Fixed(n) => set(i64::from(n)),
            Amount::Argument => {
                let expr = args.next()?;
                match self.constant(expr) {
                    Some(Value::Int(n)) => set(n),
                    _ => return Some(expr.clone()),
                }
            }
        }
        None
    }

    fn convert(
        &mut self,
        spec: Spec,
        style: Style,
        width: Option<Expr>,
        precision: Option<Expr>,
        arg: &'a Expr,
    ) {
        let int = arg.ty.as_int().unwrap_or(Int::I64);
        let settled = width.is_none() && precision.is_none() && !shows_names(spec);
        if let (true, Some(value)) = (settled, self.constant(arg)) {
            convert::put(
                &mut self.text,
                spec,
                style,
                &value,
                int,
                &mut Dates::default(),
            );
            return;
        }
        let arg = match (&arg.kind, self.ecb.layout.fields.as_slice()) {
            (ExprKind::Recorded(index), fields) => match fields.get(usize::from(*index)) {
                Some(Field::Int {
                    offset,
                    int: stored,
                }) if *stored == int => Arg::Int {
                    offset: *offset,
                    int,
                },
                Some(Field::Str { offset }) => Arg::Str { offset: *offset },
                _ => Arg::Computed {
                    expr: arg.clone(),
                    int,
                },
            },
            _ => Arg::Computed {
                expr: arg.clone(),
                int,
            },
        };
        self.flush();
        let conversion = Conversion {
            spec,
            style,
            width,
            precision,
            arg,
        };
        self.steps.push(Step::Convert(Box::new(conversion)));
    }

    fn flush(&mut self) {
        if !self.text.is_empty() {
            self.steps.push(Step::Text(mem::take(&mut self.text)));
        }
    }

    /// The value of `expr` if every record gives the same.
    fn constant(&self, expr: &'a Expr) -> Option<Value<'a>> {
        let env = EcbOnly {
            ecb: self.ecb,
            strsize: self.strsize,
        };
        if recorded(expr) {
            None
        } else {
            eval::eval(expr, &env).ok()
        }
    }
}

/// What is known of an ECB without a record.
struct EcbOnly<'a> {
    ecb: &'a Ecb,
    strsize: u32,
}

impl<'a> Env<'a> for EcbOnly<'a> {
    fn recorded(&self, _index: u16) -> Value<'a> {
        Value::Int(0)
    }

    fn builtin(&self, builtin: Builtin) -> Option<Value<'a>> {
        decode::known(self.ecb, builtin)
    }

    fn strsize(&self) -> usize {
        self.strsize as usize
    }
}

/// Whether the value of `expr` needs a record.
fn recorded(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Recorded(_) => true,
        ExprKind::Unary(_, a) | ExprKind::Cast(a) | ExprKind::Deref(a) | ExprKind::AddressOf(a) => {
            recorded(a)
        }
        ExprKind::BitField { of, .. } => recorded(of),
        ExprKind::Binary(_, a, b)
        | ExprKind::Logic(_, a, b)
        | ExprKind::Byte(a, b)
        | ExprKind::Comma(a, b) => recorded(a) || recorded(b),
        ExprKind::Ternary(a, b, c) => recorded(a) || recorded(b) || recorded(c),
        ExprKind::Call(_, args) => args.iter().any(recorded),
        ExprKind::Builtin(builtin) => *builtin == Builtin::Cpu,
        // These have no value here at all.
        ExprKind::Int(_)
        | ExprKind::Str(_)
        | ExprKind::Var(_)
        | ExprKind::Element(..)
        | ExprKind::Arg(_)
        | ExprKind::TypedArg(_)
        | ExprKind::Assign(..)
        | ExprKind::Step { .. }
        | ExprKind::Member { .. }
        | ExprKind::Index { .. } => false,
    }
}
