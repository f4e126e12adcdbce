//! Aggregations: `@name[keys] = func(arguments)`. Each has one function, with the same
//! parameters everywhere, and one key signature.

use super::checker::{Checked, Checker};
use super::convert::{convert, stored};
use super::symbol::symbol_call;
use super::syntax::{base_of, dynamic_words};
use crate::ast;
use crate::diag::{Diagnostic, Span};
use crate::names::{self, AggregatingName, Kind, Prototype, Takes};
use crate::program::{AggFunc, AggId, Aggregation, BinaryOp, Expr, ExprKind, StmtKind};
use crate::tags::Tag;
use crate::types::Type;

/// An aggregating function's call, checked.
struct FunctionCall {
    func: AggFunc,
    value: Option<Expr>,
    increment: Option<Expr>,
}

/// What a message on the factor of `llquantize` says besides.
const LEAST_FACTOR: &str = " greater than or equal to 2";

impl Checker<'_> {
    pub(super) fn aggregate(
        &mut self,
        op: Option<BinaryOp>,
        target: &ast::Expr,
        value: &ast::Expr,
        span: Span,
    ) -> Checked<StmtKind> {
        let base = base_of(target);
        let ast::ExprKind::Aggregation(name) = &base.kind else {
            return self.error(Tag::AggNull, span, "not an aggregation");
        };
        let shown = if name.is_empty() {
            "_".to_owned()
        } else {
            name.clone()
        };
        let found = self.try_aggregate(op, &shown, target, value, span);
        if found.is_err() {
            self.spoiled.insert(format!("@{shown}"));
        }
        found
    }

    fn try_aggregate(
        &mut self,
        op: Option<BinaryOp>,
        name: &str,
        target: &ast::Expr,
        value: &ast::Expr,
        span: Span,
    ) -> Checked<StmtKind> {
        let ast::ExprKind::Call(function, args) = &value.kind else {
            if let ast::ExprKind::Ident(word) = &value.kind
                && let Some(kind) = names::function(word)
            {
                let message = format!("{} '{word}' may not be referenced as scalar", kind.words());
                return self.plain_error(Tag::IdentBadref, value.span, &message);
            }
            if op.is_some() {
                self.known_for(name, target.span)?;
            } else if let ast::ExprKind::Aggregation(other) = &base_of(value).kind {
                self.stray_aggregation(other, value.span)?;
            }
            return self.not_aggregating(name, value.span);
        };
        let (prototype, kind) = match names::function(&function.text) {
            Some(Kind::Aggregating(prototype, Ok(kind))) => (prototype, *kind),
            Some(_) => {
                self.refuse_unsupported(&function.text, function.span)?;
                return self.not_aggregating(name, value.span);
            }
            None => return self.unknown_function(function),
        };
        if op.is_some() {
            self.known_for(name, target.span)?;
            return self.not_aggregating(name, span);
        }
        let keys = if let ast::ExprKind::Index(_, keys) = &target.kind {
            self.keys(keys)?
        } else {
            Vec::new()
        };
        let call = self.aggregating_function(kind, prototype, args, value.span)?;
        let (agg, keys) = self.enter_aggregation(name, call.func, keys, target.span)?;
        Ok(StmtKind::Aggregate {
            agg,
            keys,
            value: call.value,
            increment: call.increment,
        })
    }

    /// An aggregation that `+=` and its like need.
    fn known_for(&mut self, name: &str, span: Span) -> Checked<()> {
        if self.aggregations.contains_key(name) {
            return Ok(());
        }
        let message = format!("@{name} has not yet been declared or assigned");
        self.plain_error(Tag::VarUndef, span, &message)
    }

    fn not_aggregating<T>(&mut self, name: &str, span: Span) -> Checked<T> {
        let message = format!("@{name} must be assigned the result of an aggregating function");
        let error = self.diagnostic(Tag::AggFunc, span, &message).with_hint(
            "these are count, sum, avg, min, max, stddev, quantize, lquantize, llquantize",
        );
        self.reject(error)
    }

    fn keys(&mut self, keys: &[ast::Expr]) -> Checked<Vec<Expr>> {
        let mut checked = Vec::with_capacity(keys.len());
        for (n, key) in keys.iter().enumerate() {
            if let Some((symbol, name, args)) = symbol_call(key) {
                checked.push(self.symbol(symbol, name, args, key.span)?);
                continue;
            }
            self.has_key_type(key, n, "aggregation")?;
            let place = self.place(key)?;
            let ty = if matches!(place.ty, Type::Array(..)) {
                self.key_type(&place)?
            } else {
                place.ty.clone()
            };
            let value = if ty == Type::String {
                convert(place, &ty)
            } else {
                self.value(place)?
            };
            checked.push(value);
        }
        Ok(checked)
    }

    /// Errors if a key is an expression without a value.
    pub(super) fn has_key_type(&mut self, key: &ast::Expr, n: usize, of: &str) -> Checked<()> {
        let words = if let ast::ExprKind::Cast(ty, _) = &key.kind
            && self.type_name(ty)? == Type::Void
        {
            "void"
        } else if let Some(words) = dynamic_words(key) {
            words
        } else {
            return Ok(());
        };
        self.known_dynamic(key)?;
        let n = n + 1;
        let words = if words == "tracing function" {
            "void"
        } else {
            words
        };
        let message = format!("{words} expression may not be used as {of} index: key #{n}");
        self.error(Tag::KeyType, key.span, &message)
    }

    /// Finds the aggregation, which must fit, or makes it.
    fn enter_aggregation(
        &mut self,
        name: &str,
        func: AggFunc,
        keys: Vec<Expr>,
        span: Span,
    ) -> Checked<(AggId, Vec<Expr>)> {
        let Some(&id) = self.aggregations.get(name) else {
            let key: Checked<Vec<Type>> = keys
                .iter()
                .map(|key| self.aggregation_key_type(key))
                .collect();
            let key = key?;
            let keys = keys
                .into_iter()
                .zip(&key)
                .map(|(e, ty)| stored(e, ty))
                .collect();
            let id = AggId(u32::try_from(self.program.aggregations.len()).unwrap_or(u32::MAX));
            self.aggregations.insert(name.to_owned(), id);
            let name = name.to_owned();
            self.program.aggregations.push(Aggregation {
                name,
                func,
                key,
                span,
            });
            return Ok((id, keys));
        };
        let known = self.program.aggregations[id.0 as usize].clone();
        if known.func.kind() != func.kind() {
            let message = format!(
                "aggregation redefined: @{name}\n\t current: @{name} = {}( )\n\tprevious: @{name} = {}( )",
                func.name(),
                known.func.name()
            );
            let error = self
                .diagnostic(Tag::AggRedef, span, &message)
                .with_label(known.span, "first used here");
            return self.reject(error);
        }
        if known.func != func {
            return self.parameters_differ(&known, func, span);
        }
        let keys = self.match_keys(&format!("@{name}"), keys, &known.key, span, Tag::ProtoArg)?;
        Ok((id, keys))
    }

    /// The same function with other parameters, named as libdtrace does.
    fn parameters_differ<T>(
        &mut self,
        known: &Aggregation,
        func: AggFunc,
        span: Span,
    ) -> Checked<T> {
        let pairs: Vec<(Tag, &str, i64, i64)> = match (known.func, func) {
            (
                AggFunc::Lquantize { low, high, step },
                AggFunc::Lquantize {
                    low: l,
                    high: h,
                    step: s,
                },
            ) => vec![
                (
                    Tag::LquantMatchbase,
                    "base (argument #1)",
                    low.into(),
                    l.into(),
                ),
                (
                    Tag::LquantMatchlim,
                    "limit (argument #2)",
                    high.into(),
                    h.into(),
                ),
                (
                    Tag::LquantMatchstep,
                    "step (argument #3)",
                    step.into(),
                    s.into(),
                ),
            ],
            (
                AggFunc::Llquantize {
                    factor,
                    low,
                    high,
                    steps,
                },
                AggFunc::Llquantize {
                    factor: f,
                    low: l,
                    high: h,
                    steps: s,
                },
            ) => vec![
                (
                    Tag::LlquantMatchfactor,
                    "factor (argument #1)",
                    factor.into(),
                    f.into(),
                ),
                (
                    Tag::LlquantMatchlmag,
                    "lmag (argument #2)",
                    low.into(),
                    l.into(),
                ),
                (
                    Tag::LlquantMatchhmag,
                    "hmag (argument #3)",
                    high.into(),
                    h.into(),
                ),
                (
                    Tag::LlquantMatchsteps,
                    "steps (argument #4)",
                    steps.into(),
                    s.into(),
                ),
            ],
            _ => Vec::new(),
        };
        let differing = pairs
            .into_iter()
            .find(|(_, _, expected, found)| expected != found);
        let (tag, what, expected, found) = differing.unwrap_or((Tag::AggRedef, "parameters", 0, 0));
        let call = match func {
            AggFunc::Llquantize { .. } => "llquantize()".to_owned(),
            AggFunc::Count
            | AggFunc::Sum
            | AggFunc::Avg
            | AggFunc::Min
            | AggFunc::Max
            | AggFunc::Stddev
            | AggFunc::Quantize
            | AggFunc::Lquantize { .. } => format!("{}( )", func.name()),
        };
        let message = format!(
            "{call} {what} doesn't match previous declaration: expected {expected}, found {found}"
        );
        let error = Diagnostic::new(tag, span, &message).with_label(known.span, "first used here");
        self.reject(error)
    }

    pub(super) fn unknown_aggregation<T>(&mut self, name: &str, span: Span) -> Checked<T> {
        if self.spoiled.contains(&format!("@{name}")) {
            return Err(super::checker::Reported);
        }
        let message = format!("failed to resolve @{name}: Unknown variable name");
        let mut error = self.diagnostic(Tag::IdentUndef, span, &message);
        let mut known: Vec<&str> = self.aggregations.keys().map(String::as_str).collect();
        known.sort_unstable();
        error.hint = match names::nearest(name, known.into_iter()) {
            Some(near) => Some(format!("did you mean `@{near}`?")),
            None => Some("an aggregation exists from its first @name = func() on".into()),
        };
        self.reject(error)
    }

    fn aggregating_function(
        &mut self,
        kind: AggregatingName,
        prototype: &Prototype,
        args: &[ast::Expr],
        span: Span,
    ) -> Checked<FunctionCall> {
        let function = names::aggregating_name(kind);
        self.count_arguments(function, args.len(), prototype, span)?;
        for (n, (arg, parameter)) in args.iter().zip(prototype.parameters).enumerate() {
            if parameter.takes != Takes::Any {
                self.argument(function, n + 1, arg, *parameter)?;
            }
        }
        let value = match args.first() {
            Some(value) => Some(self.aggregated_value(function, 1, value)?),
            None => None,
        };
        let (func, at) = match kind {
            AggregatingName::Count => (AggFunc::Count, None),
            AggregatingName::Sum => (AggFunc::Sum, None),
            AggregatingName::Avg => (AggFunc::Avg, None),
            AggregatingName::Min => (AggFunc::Min, None),
            AggregatingName::Max => (AggFunc::Max, None),
            AggregatingName::Stddev => (AggFunc::Stddev, None),
            AggregatingName::Quantize => (AggFunc::Quantize, Some(1)),
            AggregatingName::Lquantize => (self.lquantize(&args[1..])?, Some(4)),
            AggregatingName::Llquantize => (self.llquantize(&args[1..])?, Some(5)),
        };
        let increment = match at.and_then(|at| Some((at, args.get(at)?))) {
            Some((at, increment)) => Some(self.increment(function, at + 1, increment)?),
            None => None,
        };
        Ok(FunctionCall {
            func,
            value,
            increment,
        })
    }

    fn aggregated_value(&mut self, function: &str, n: usize, arg: &ast::Expr) -> Checked<Expr> {
        let value = self.expr(arg)?;
        if value.ty.is_scalar() {
            return self.fold(convert(value, &Type::I64));
        }
        let message = format!("{function}( ) argument #{n} must be of scalar type");
        self.plain_error(Tag::AggScalar, arg.span, &message)
    }

    /// By how much an aggregating function counts a value.
    fn increment(&mut self, function: &str, n: usize, arg: &ast::Expr) -> Checked<Expr> {
        let increment = self.expr(arg)?;
        if increment.ty.is_scalar() {
            return self.fold(convert(increment, &Type::I64));
        }
        let message =
            format!("{function}( ) increment value (argument #{n}) must be of scalar type");
        self.plain_error(Tag::ProtoArg, arg.span, &message)
    }

    /// The value of a parameter that must be an integer constant.
    fn parameter(&mut self, arg: &ast::Expr, tag: Tag, message: &str) -> Checked<i64> {
        let checked = self.expr(arg)?;
        if let ExprKind::Int(value) = checked.kind
            && checked.ty.as_int().is_some()
        {
            return Ok(value);
        }
        self.plain_error(tag, arg.span, message)
    }

    /// `low, high[, step]`. Messages count these from 1, as libdtrace does.
    fn lquantize(&mut self, args: &[ast::Expr]) -> Checked<AggFunc> {
        let integer = |n| format!("lquantize( ) argument #{n} must be an integer constant");
        let low = self.parameter(&args[0], Tag::LquantBasetype, &integer(1))?;
        let high = self.parameter(&args[1], Tag::LquantLimtype, &integer(2))?;
        let Ok(low) = i32::try_from(low) else {
            let message = "lquantize( ) argument #1 must be a 32-bit quantity";
            return self.plain_error(Tag::LquantBaseval, args[0].span, message);
        };
        let Ok(high) = i32::try_from(high) else {
            let message = "lquantize( ) argument #2 must be a 32-bit quantity";
            return self.plain_error(Tag::LquantLimval, args[1].span, message);
        };
        if high <= low {
            let message = "lquantize( ) base (argument #1) must be less than limit (argument #2)";
            return self.plain_error(Tag::LquantMismatch, args[0].span.to(args[1].span), message);
        }
        let step = match args.get(2) {
            Some(step) => {
                let message =
                    "lquantize( ) argument #3 must be a non-zero positive integer constant";
                let value = self.parameter(step, Tag::LquantSteptype, message)?;
                match u16::try_from(value) {
                    Ok(0) => return self.plain_error(Tag::LquantSteptype, step.span, message),
                    Ok(value) => value,
                    Err(_) if value < 0 => {
                        return self.plain_error(Tag::LquantSteptype, step.span, message);
                    }
                    Err(_) => {
                        let message = "lquantize( ) argument #3 must be a 16-bit quantity";
                        return self.plain_error(Tag::LquantStepval, step.span, message);
                    }
                }
            }
            None => 1,
        };
        let levels = low.abs_diff(high) / u32::from(step);
        let at = args.get(2).unwrap_or(&args[1]).span;
        if levels == 0 {
            let message = "lquantize( ) step (argument #3) too large: must have at least one quantization level";
            return self.plain_error(Tag::LquantSteplarge, at, message);
        }
        if levels > u32::from(u16::MAX) {
            let message = "lquantize( ) step (argument #3) too small: number of quantization levels must be a 16-bit quantity";
            return self.plain_error(Tag::LquantStepsmall, at, message);
        }
        Ok(AggFunc::Lquantize { low, high, step })
    }

    /// `factor, low, high, steps`, with libdtrace's messages.
    fn llquantize(&mut self, args: &[ast::Expr]) -> Checked<AggFunc> {
        let parameters = [
            (Tag::LlquantFactortype, Tag::LlquantFactorval),
            (Tag::LlquantLmagtype, Tag::LlquantLmagval),
            (Tag::LlquantHmagtype, Tag::LlquantHmagval),
            (Tag::LlquantSteptype, Tag::LlquantStepval),
        ];
        let mut values = [0u16; 4];
        for (n, (arg, (type_tag, value_tag))) in args.iter().zip(parameters).enumerate() {
            let n1 = n + 1;
            let message = format!("llquantize( ) argument #{n1} must be an integer constant");
            let value = self.parameter(arg, type_tag, &message)?;
            if let Ok(value) = u16::try_from(value) {
                values[n] = value;
            } else {
                let least = if n == 0 { LEAST_FACTOR } else { "" };
                let message = format!(
                    "llquantize( ) argument #{n1} must be an unsigned 16-bit quantity{least}"
                );
                return self.plain_error(value_tag, arg.span, &message);
            }
        }
        let [factor, low, high, steps] = values;
        if factor < 2 {
            let message = format!(
                "llquantize( ) argument #1 must be an unsigned 16-bit quantity{LEAST_FACTOR}"
            );
            return self.plain_error(Tag::LlquantFactorval, args[0].span, &message);
        }
        if high < low {
            let message = "llquantize( ) argument #3 (high magnitude) must be at least argument #2 (low magnitude)";
            return self.plain_error(Tag::LlquantHmagval, args[1].span.to(args[2].span), message);
        }
        if i64::from(factor).checked_pow(u32::from(high) + 1).is_none() {
            let message =
                "llquantize( ) argument #3 (high magnitude) will cause overflow of 64 bits";
            return self.plain_error(Tag::LlquantHmagval, args[2].span, message);
        }
        if steps == 0 {
            let message = "llquantize( ) argument #4 must be a non-zero positive integer constant";
            return self.plain_error(Tag::LlquantSteptype, args[3].span, message);
        }
        if steps < factor && factor % steps != 0 {
            let message = "llquantize() argument #4 (steps) must evenly divide argument #1 (factor) when steps<factor";
            return self.plain_error(Tag::LlquantStepval, args[3].span, message);
        }
        if steps > factor && steps % factor != 0 {
            let message = "llquantize() argument #4 (steps) must be a multiple of argument #1 (factor) when steps>factor";
            return self.plain_error(Tag::LlquantStepval, args[3].span, message);
        }
        if steps > factor && low == 0 && u32::from(factor).pow(2) % u32::from(steps) != 0 {
            let message = "llquantize() argument #4 (steps) must evenly divide the square of argument #1 (factor) when steps>factor and lmag==0";
            return self.plain_error(Tag::LlquantStepval, args[3].span, message);
        }
        Ok(AggFunc::Llquantize {
            factor,
            low,
            high,
            steps,
        })
    }
}
