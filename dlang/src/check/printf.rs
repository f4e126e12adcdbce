//! `printf` and `printa`: formats are parsed and matched with their arguments. The texts are those
//! of libdtrace's `dt_printf`.

use super::checker::{Checked, Checker};
use super::convert::{convert, is_string_like, stored};
use super::python::shown;
use crate::ast;
use crate::diag::{Diagnostic, Span};
use crate::format::{Amount, Conversion, Flags, Format, Length, Piece, Spec};
use crate::names::{self, ActionName, Kind};
use crate::program::{Action, AggId, Expr};
use crate::tags::Tag;
use crate::types::{Int, Type};

/// The most that a width or precision may be.
const MAX_AMOUNT: u32 = 1 << 20;

/// Parses a format string.
///
/// # Errors
///
/// A conversion that does not exist, as libdtrace words it.
pub fn parse_format(text: &[u8]) -> Result<Format, String> {
    let mut format = Format::default();
    let mut literal = Vec::new();
    let mut rest = text;
    let mut number = 0;
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        literal.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix(b"%%") {
            literal.push(b'%');
            rest = after;
            continue;
        }
        number += 1;
        // A conversion is letters and digits; a byte that is no text ends it.
        let readable = rest.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let (conversion, length) = parse_conversion(readable).map_err(|found| match found {
            BadConversion::Undefined(text) => {
                format!("format conversion #{number} is undefined: {text}")
            }
            BadConversion::Percent => format!(
                "format conversion #{number} cannot be combined with other format flags: %%"
            ),
            BadConversion::Positional => {
                format!("format conversion #{number} uses unsupported positional format (%n$)")
            }
            BadConversion::Cut => {
                format!("format conversion #{number} name expected before end of format string")
            }
        })?;
        if !literal.is_empty() {
            format
                .pieces
                .push(Piece::Literal(std::mem::take(&mut literal)));
        }
        format.pieces.push(Piece::Conversion(conversion));
        rest = &rest[length..];
    }
    literal.extend_from_slice(rest);
    if !literal.is_empty() {
        format.pieces.push(Piece::Literal(literal));
    }
    Ok(format)
}

/// A conversion that cannot be used.
enum BadConversion {
    Undefined(String),
    /// `%5%`.
    Percent,
    /// `%2$d`.
    Positional,
    /// The format ends in it.
    Cut,
}

/// Parses one conversion from `%` on; gives its length too.
fn parse_conversion(text: &str) -> Result<(Conversion, usize), BadConversion> {
    let mut at = 1;
    let peek = |at: usize| text[at..].chars().next();
    let mut flags = Flags::default();
    let mut aggregation = false;
    while let Some(c) = peek(at) {
        match c {
            '#' => flags.alternate = true,
            '0' => flags.zero = true,
            // As in libdtrace, where `%-05d` pads with zeros and `%0-5d` on the right.
            '-' => (flags.left, flags.zero) = (true, false),
            '+' => flags.plus = true,
            ' ' => flags.space = true,
            '\'' => flags.group = true,
            '@' => aggregation = true,
            _ => break,
        }
        at += 1;
    }
    let width = amount(text, &mut at);
    if matches!(width, Some(Amount::Fixed(_))) && peek(at) == Some('$') {
        return Err(BadConversion::Positional);
    }
    let precision = if peek(at) == Some('.') {
        at += 1;
        Some(amount(text, &mut at).unwrap_or(Amount::Fixed(0)))
    } else {
        None
    };
    // The `@` may stand on either side of width and precision.
    if !aggregation && peek(at) == Some('@') {
        aggregation = true;
        at += 1;
    }
    let size_at = at;
    while matches!(peek(at), Some('h' | 'l' | 'L' | 'q' | 'w')) {
        at += 1;
    }
    let size = &text[size_at..at];
    let letter = peek(at);
    let spec = match letter {
        Some('d' | 'i') => Some(Spec::Decimal),
        Some('u') => Some(Spec::Unsigned),
        Some('o') => Some(Spec::Octal),
        Some('x') => Some(Spec::Hex),
        Some('X') => Some(Spec::HexUpper),
        Some('c') => Some(Spec::Char),
        Some('C') => Some(Spec::CharEscaped),
        Some('s') => Some(Spec::String),
        Some('S') => Some(Spec::Escaped),
        Some('p') => Some(Spec::Pointer),
        Some('Y') => Some(Spec::Date),
        Some('a') => Some(Spec::Address),
        Some('A') => Some(Spec::UserAddress),
        Some('T') => Some(Spec::LongDate),
        Some('k') => Some(Spec::Stack),
        Some(c @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G')) => Some(Spec::Float(c)),
        _ => None,
    };
    // As in libdtrace: `%wc` is `%lc`, `%ws` is `%ls`.
    let size = match (size, spec) {
        ("w", Some(Spec::Char | Spec::String)) => "l",
        (size, _) => size,
    };
    let spec = spec.filter(|spec| has_length(*spec, size));
    let end = at + letter.map_or(0, char::len_utf8);
    let (spec, end) = match (spec, letter) {
        (Some(spec), _) => (spec, end),
        (None, Some('%')) if size.is_empty() && !aggregation => return Err(BadConversion::Percent),
        (None, _) if aggregation && size.is_empty() => (Spec::Default, at),
        (None, None) if !size.contains(['q', 'w', 'L']) => return Err(BadConversion::Cut),
        (None, _) => return Err(BadConversion::Undefined(text[..end].to_owned())),
    };
    let length = match size {
        "h" => Length::Short,
        "l" => Length::Long,
        "ll" => Length::LongLong,
        _none => Length::Any,
    };
    let text = text[..end].to_owned();
    Ok((
        Conversion {
            flags,
            width,
            precision,
            spec,
            length,
            aggregation,
            text,
        },
        end,
    ))
}

/// Whether a conversion may have this size before its letter, as libdtrace's table has it.
fn has_length(spec: Spec, size: &str) -> bool {
    match spec {
        Spec::Decimal | Spec::Unsigned | Spec::Octal | Spec::Hex | Spec::HexUpper => {
            matches!(size, "" | "h" | "l" | "ll")
        }
        Spec::Char | Spec::String => matches!(size, "" | "l"),
        Spec::Float(_) => matches!(size, "" | "l" | "L"),
        Spec::CharEscaped
        | Spec::Escaped
        | Spec::Pointer
        | Spec::Date
        | Spec::LongDate
        | Spec::Address
        | Spec::UserAddress
        | Spec::Stack
        | Spec::Default => size.is_empty(),
    }
}

/// A number or `*`.
fn amount(text: &str, at: &mut usize) -> Option<Amount> {
    let rest = &text[*at..];
    if rest.starts_with('*') {
        *at += 1;
        return Some(Amount::Argument);
    }
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    *at += digits;
    let number = rest[..digits].parse().unwrap_or(MAX_AMOUNT);
    (digits > 0).then_some(Amount::Fixed(number.min(MAX_AMOUNT)))
}

impl Checker<'_> {
    /// `printf(format, arguments)`.
    pub(super) fn printf(&mut self, args: &[ast::Expr], span: Span) -> Checked<Action> {
        let (format, args) = self.formatted("printf", args, span)?;
        Ok(Action::Printf(format, args))
    }

    /// A format and its arguments, those of `*` among them, as `printf`, `system` and `freopen` have them.
    pub(super) fn formatted(
        &mut self,
        function: &str,
        args: &[ast::Expr],
        span: Span,
    ) -> Checked<(Format, Vec<Expr>)> {
        let format = self.format(function, &args[0])?;
        // All arguments are checked, so that all errors show.
        let values: Vec<Checked<Given>> = args[1..].iter().map(|arg| self.given(arg)).collect();
        let values: Checked<Vec<Given>> = values.into_iter().collect();
        let mut values = values?.into_iter().enumerate();
        let mut matched = Vec::with_capacity(args.len());
        let mut number = 0;
        for piece in &format.pieces {
            let Piece::Conversion(conversion) = piece else {
                continue;
            };
            number += 1;
            if conversion.aggregation {
                let message = format!(
                    "%@ conversion requires an aggregation and is not for use with {function}( )"
                );
                return self.plain_error(Tag::PrintfAggConv, args[0].span, &message);
            }
            for (amount, sign) in [(conversion.width, '*'), (conversion.precision, '.')] {
                if amount == Some(Amount::Argument) {
                    let Some((n, value)) = values.next() else {
                        let what = if sign == '*' { "width" } else { "precision" };
                        let message = format!(
                            "{function}( ) prototype mismatch: conversion #{number} ({}) is missing a corresponding \"{sign}\" {what} argument",
                            conversion.shown()
                        );
                        return self.plain_error(Tag::PrintfDynProto, span, &message);
                    };
                    let amount =
                        self.dynamic_amount(function, conversion, sign, number, n + 2, value);
                    matched.push(amount?);
                }
            }
            let Some((n, value)) = values.next() else {
                let message = format!(
                    "{function}( ) prototype mismatch: conversion #{number} ({}) is missing a corresponding value argument",
                    conversion.shown()
                );
                return self.plain_error(Tag::PrintfArgProto, span, &message);
            };
            matched.push(self.conversion_value(function, conversion, number, n + 2, value)?);
        }
        if let Some((_, extra)) = values.next() {
            let message = format!(
                "{function}( ) prototype mismatch: only {} arguments required by this format string",
                matched.len()
            );
            return self.plain_error(Tag::PrintfArgExtra, extra.span(), &message);
        }
        Ok((format, matched))
    }

    /// An argument of a format. What is no value has libdtrace's error when its conversion is met.
    fn given(&mut self, arg: &ast::Expr) -> Checked<Given> {
        if let ast::ExprKind::Aggregation(name) = &arg.kind
            && self.aggregations.contains_key(name)
        {
            return Ok(Given::NoValue("aggregation", arg.span));
        }
        if let ast::ExprKind::Call(name, args) = &arg.kind
            && let Some(Kind::Action(prototype, Ok(action))) = names::function(&name.text)
            && !matches!(action, ActionName::Symbol(_))
        {
            self.count_arguments(&name.text, args.len(), prototype, arg.span)?;
            return Ok(Given::NoValue("void", arg.span));
        }
        Ok(Given::Value(self.place(arg)?))
    }

    /// The format of `printf` or `printa`, which must be a literal.
    fn format(&mut self, function: &str, arg: &ast::Expr) -> Checked<Format> {
        let value = self.expr(arg)?;
        let crate::program::ExprKind::Str(text) = &value.kind else {
            // The prototypes of these two say `string`, those of the others nothing.
            if value.ty != Type::String && matches!(function, "printf" | "printa") {
                let error = self.wrong_argument(function, 1, "string", &value);
                return self.reject(error);
            }
            let message = format!(
                "{function}( ) argument #1 is incompatible with prototype:\n\tprototype: string constant\n\t argument: {}",
                value.ty
            );
            return self.plain_error(Tag::PrintfArgFmt, arg.span, &message);
        };
        if text.is_empty() {
            let message = format!("{function}( ) format string is empty");
            return self.plain_error(Tag::PrintfFmtEmpty, arg.span, &message);
        }
        match parse_format(text) {
            Ok(format) => Ok(format),
            Err(message) => self.plain_error(Tag::Syntax, arg.span, &message),
        }
    }

    fn dynamic_amount(
        &mut self,
        function: &str,
        conversion: &Conversion,
        sign: char,
        number: usize,
        argument: usize,
        given: Given,
    ) -> Checked<Expr> {
        let (ty, span) = match given {
            Given::Value(value) => {
                let value = self.value(value)?;
                if matches!(value.ty, Type::Int(_)) {
                    return self.fold(stored(value, &Type::INT));
                }
                (value.ty.to_string(), value.span)
            }
            Given::NoValue(ty, span) => (ty.to_owned(), span),
        };
        let letter = conversion.text.chars().last().unwrap_or('d');
        let message = format!(
            "{function}( ) argument #{argument} is incompatible with conversion #{number} prototype:\n\tconversion: % {sign} {letter}\n\t prototype: int\n\t  argument: {ty}"
        );
        self.plain_error(Tag::PrintfDynType, span, &message)
    }

    /// A value that a conversion of `printf` prints.
    fn conversion_value(
        &mut self,
        function: &str,
        conversion: &Conversion,
        number: usize,
        argument: usize,
        given: Given,
    ) -> Checked<Expr> {
        let value = match given {
            Given::Value(value) => value,
            Given::NoValue(ty, span) => {
                let error = mismatch(function, conversion, number, argument, ty, span);
                return self.reject(error);
            }
        };
        let is_char_array = matches!(value.ty, Type::Array(..)) && is_string_like(&value.ty);
        let wants_string = matches!(conversion.spec, Spec::String | Spec::Escaped);
        let value = if is_char_array && wants_string {
            convert(value, &Type::String)
        } else {
            self.value(value)?
        };
        let value = if wants_string { shown(value) } else { value };
        if fits(conversion, &value.ty) {
            return Ok(value);
        }
        let mut error = mismatch(
            function,
            conversion,
            number,
            argument,
            &value.ty.to_string(),
            value.span,
        );
        error.hint = match (&value.ty, wants_string) {
            (Type::Int(_) | Type::Pointer(..), true) => {
                Some("read a string of the traced program with copyinstr(address)".into())
            }
            (Type::String, false) => Some("strings are printed with %s".into()),
            _ => None,
        };
        self.reject(error)
    }

    /// `printa([format,] @a, ...)`.
    pub(super) fn printa(&mut self, args: &[ast::Expr], span: Span) -> Checked<Action> {
        let is_agg = |arg: &ast::Expr| {
            matches!(
                super::syntax::base_of(arg).kind,
                ast::ExprKind::Aggregation(_)
            )
        };
        let is_format = !is_agg(&args[0]) && {
            let first = self.place(&args[0])?;
            is_string_like(&first.ty)
        };
        let (format, aggs) = if is_format {
            (Some(self.format("printa", &args[0])?), &args[1..])
        } else {
            (None, args)
        };
        if aggs.is_empty() {
            let message = "printa( ) prototype mismatch: 1 args passed, 2 expected";
            return self.plain_error(Tag::PrintaProto, span, message);
        }
        let mut ids = Vec::with_capacity(aggs.len());
        let first_argument = args.len() - aggs.len();
        for (n, arg) in aggs.iter().enumerate() {
            if let Some(format) = format.as_ref().filter(|_| n > 0 && !is_agg(arg)) {
                // As in libdtrace, a format whose keys do not fit is told first.
                self.match_keys_with_format(format, &ids, args[0].span)?;
            }
            ids.push(self.aggregation_argument(
                "printa",
                first_argument + n + 1,
                arg,
                Tag::PrintaAggarg,
            )?);
        }
        self.same_keys(&ids, span)?;
        if let Some(format) = &format {
            self.match_keys_with_format(format, &ids, args[0].span)?;
        }
        Ok(Action::Printa(format, ids))
    }

    fn same_keys(&mut self, ids: &[AggId], span: Span) -> Checked<()> {
        let all: Vec<_> = ids
            .iter()
            .map(|id| self.program.aggregations[id.0 as usize].clone())
            .collect();
        let [first, others @ ..] = all.as_slice() else {
            return Ok(());
        };
        let Some(other) = others.iter().find(|other| other.key != first.key) else {
            return Ok(());
        };
        let keys = |n: usize| format!("{n} key{}", if n == 1 { "" } else { "s" });
        let (a, b) = (first.key.len(), other.key.len());
        let differing = first.key.iter().zip(&other.key).position(|(x, y)| x != y);
        let (tag, message) = match differing {
            Some(n) if a == b => (
                Tag::PrintaAggproto,
                format!(
                    "printa( ): @{}[ ] key #{} is incompatible with @{}:\n\tprototype: {}\n\t argument: {}",
                    other.name,
                    n + 1,
                    first.name,
                    first.key[n],
                    other.key[n]
                ),
            ),
            _ => (
                Tag::PrintaAggkey,
                format!(
                    "printa( ): @{0} and @{1} do not have matching key signatures: @{0} has {2}, @{1} has {3}",
                    first.name,
                    other.name,
                    keys(a),
                    keys(b)
                ),
            ),
        };
        self.plain_error(tag, span, &message)
    }

    fn match_keys_with_format(
        &mut self,
        format: &Format,
        ids: &[AggId],
        span: Span,
    ) -> Checked<()> {
        let Some(first) = ids.first() else {
            return Ok(());
        };
        let key = self.program.aggregations[first.0 as usize].key.clone();
        let mut keys = key.iter();
        let mut number = 0;
        for piece in &format.pieces {
            let Piece::Conversion(conversion) = piece else {
                continue;
            };
            number += 1;
            if [conversion.width, conversion.precision].contains(&Some(Amount::Argument)) {
                let message = format!(
                    "printa( ) conversion #{number} ({}): a * width has no argument here",
                    conversion.shown()
                );
                return self.plain_error(Tag::PrintfDynProto, span, &message);
            }
            if conversion.aggregation {
                if !fits_aggregation(conversion) {
                    let message = format!(
                        "printa( ) aggregating action is incompatible with conversion #{number} prototype:\n\tconversion: {}\n\t prototype: {}",
                        conversion.shown(),
                        prototype(conversion)
                    );
                    return self.plain_error(Tag::PrintfArgType, span, &message);
                }
                continue;
            }
            let Some(ty) = keys.next() else {
                let message = format!(
                    "printa( ) prototype mismatch: conversion #{number} ({}) is missing a corresponding value argument",
                    conversion.shown()
                );
                return self.plain_error(Tag::PrintfArgProto, span, &message);
            };
            if !fits(conversion, ty) {
                let error = mismatch(
                    "printa",
                    conversion,
                    number,
                    number + 1,
                    &ty.to_string(),
                    span,
                );
                return self.reject(error);
            }
        }
        Ok(())
    }
}

fn mismatch(
    function: &str,
    conversion: &Conversion,
    number: usize,
    argument: usize,
    ty: &str,
    span: Span,
) -> Diagnostic {
    let message = format!(
        "{function}( ) argument #{argument} is incompatible with conversion #{number} prototype:\n\tconversion: {}\n\t prototype: {}\n\t  argument: {ty}",
        conversion.shown(),
        prototype(conversion)
    );
    Diagnostic::new(Tag::PrintfArgType, span, &message)
}

/// An argument of a format.
enum Given {
    Value(Expr),
    /// What has no value: libdtrace's word for its type.
    NoValue(&'static str, Span),
}

impl Given {
    fn span(&self) -> Span {
        match self {
            Self::Value(value) => value.span,
            Self::NoValue(_, span) => *span,
        }
    }
}

/// Whether a conversion prints values of a type. One with a size takes no other, as in libdtrace: of
/// either sign for `%x`, else of the letter's.
fn fits(conversion: &Conversion, ty: &Type) -> bool {
    let is = |signed: Option<bool>| match ty {
        Type::Int(int) => match conversion.length.bytes() {
            Some(size) => int.size == size && signed.is_none_or(|signed| int.signed == signed),
            None => true,
        },
        Type::Void
        | Type::Float(_)
        | Type::String
        | Type::Pointer(..)
        | Type::Array(..)
        | Type::Struct(_)
        | Type::Stack
        | Type::Symbol(_)
        | Type::Named(_) => false,
    };
    match conversion.spec {
        Spec::Decimal => is(Some(true)),
        Spec::Unsigned | Spec::Octal => is(Some(false)),
        Spec::Hex | Spec::HexUpper => is(None),
        Spec::Char if conversion.length == Length::Long => *ty == Type::INT,
        Spec::Char | Spec::CharEscaped => matches!(ty, Type::Int(Int { size: 1..=4, .. })),
        // No string of D's is of wide characters.
        Spec::String if conversion.length == Length::Long => false,
        Spec::String | Spec::Escaped => *ty == Type::String,
        Spec::Pointer => ty.is_scalar(),
        Spec::Address => ty.is_scalar() || matches!(ty, Type::Symbol(symbol) if !symbol.is_user()),
        Spec::UserAddress => {
            ty.is_scalar() || matches!(ty, Type::Symbol(symbol) if symbol.is_user())
        }
        Spec::Stack => *ty == Type::Stack,
        Spec::Date | Spec::LongDate => matches!(ty, Type::Int(Int { size: 8, .. })),
        Spec::Float(_) => matches!(ty, Type::Float(_)),
        Spec::Default => false,
    }
}

/// Whether a conversion prints an aggregation's value.
fn fits_aggregation(conversion: &Conversion) -> bool {
    let number = Type::I64;
    matches!(conversion.spec, Spec::Default)
        || fits(conversion, &number)
        || fits(conversion, &Type::U64)
}

/// libdtrace's words for what a conversion takes.
fn prototype(conversion: &Conversion) -> &'static str {
    let length = conversion.length;
    match conversion.spec {
        Spec::Decimal | Spec::Hex | Spec::HexUpper => match length {
            Length::Any => "char, short, int, long, or long long",
            Length::Short => "short",
            Length::Long => "long",
            Length::LongLong => "long long",
        },
        Spec::Unsigned | Spec::Octal => match length {
            Length::Any => "char, short, int, long, or long long",
            Length::Short => "unsigned short",
            Length::Long => "unsigned long",
            Length::LongLong => "unsigned long long",
        },
        Spec::Char if length == Length::Long => "int",
        Spec::Char | Spec::CharEscaped => "char, short, or int",
        Spec::String if length == Length::Long => "wchar_t []",
        Spec::String | Spec::Escaped => "char [] or string (or use stringof)",
        Spec::Pointer | Spec::Address => "pointer or integer",
        Spec::Date | Spec::LongDate => "int64_t",
        Spec::UserAddress => "pointer or integer (with -p/-c) or _usymaddr (without -p/-c)",
        Spec::Stack => "dt_stack_t",
        Spec::Float(_) => "float, double, or long double",
        Spec::Default => "aggregation",
    }
}
