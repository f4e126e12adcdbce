//! Expressions: a Pratt parser over the grammar's flat operands and operators.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the grammar says which rules a part can be; the last arm is the last of these"
)]

use std::sync::LazyLock;

use pest::iterators::Pair;
use pest::pratt_parser::{Assoc, Op, PrattParser};

use super::{Builder, MAX_DEPTH, Rule, literal, macros};
use crate::ast::{Expr, ExprKind, IntSign};
use crate::diag::{Diagnostic, Span};
use crate::program::{BinaryOp, LogicOp, UnaryOp};
use crate::tags::Tag;

/// D's precedence, from the loosest operators to the tightest. It is C's, with `^^` between `||`
/// and `&&`.
static PRATT: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
    let left = |rule| Op::infix(rule, Assoc::Left);
    PrattParser::new()
        .op(Op::infix(Rule::assign, Assoc::Right))
        .op(Op::infix(Rule::ternary, Assoc::Right))
        .op(left(Rule::logical_or))
        .op(left(Rule::logical_xor))
        .op(left(Rule::logical_and))
        .op(left(Rule::bit_or))
        .op(left(Rule::bit_xor))
        .op(left(Rule::bit_and))
        .op(left(Rule::equal) | left(Rule::not_equal))
        .op(left(Rule::less)
            | left(Rule::less_equal)
            | left(Rule::greater)
            | left(Rule::greater_equal))
        .op(left(Rule::shift_left) | left(Rule::shift_right))
        .op(left(Rule::add) | left(Rule::subtract))
        .op(left(Rule::multiply) | left(Rule::divide) | left(Rule::remainder))
        .op(Op::prefix(Rule::increment)
            | Op::prefix(Rule::decrement)
            | Op::prefix(Rule::negate)
            | Op::prefix(Rule::plus)
            | Op::prefix(Rule::complement)
            | Op::prefix(Rule::not)
            | Op::prefix(Rule::indirect)
            | Op::prefix(Rule::address)
            | Op::prefix(Rule::cast)
            | Op::prefix(Rule::kw_stringof))
        .op(Op::postfix(Rule::subscript)
            | Op::postfix(Rule::arrow)
            | Op::postfix(Rule::dot)
            | Op::postfix(Rule::called)
            | Op::postfix(Rule::post_increment)
            | Op::postfix(Rule::post_decrement))
});

impl Builder<'_> {
    /// `a, b, c`.
    pub(super) fn comma_expr(&self, pair: Pair<'_, Rule>) -> Expr {
        let whole = self.span(&pair);
        let mut parts = pair.into_inner();
        let count = parts.len();
        let Some(first) = self.enter(count, whole, || parts.next().map(|first| self.expr(first)))
        else {
            return stand_in(whole);
        };
        let Some(first) = first else {
            return stand_in(whole);
        };
        parts.fold(first, |left, right| {
            let right = self.expr(right);
            let span = left.span.to(right.span);
            Expr {
                kind: ExprKind::Comma(Box::new(left), Box::new(right)),
                span,
            }
        })
    }

    /// An expression without a comma operator.
    pub(super) fn expr(&self, pair: Pair<'_, Rule>) -> Expr {
        let whole = self.span(&pair);
        let parts = pair.into_inner();
        self.enter(parts.len(), whole, || {
            PRATT
                .map_primary(|primary| self.primary(primary))
                .map_prefix(|op, operand| self.prefix(op, operand))
                .map_postfix(|operand, op| self.postfix(operand, op))
                .map_infix(|left, op, right| self.infix(left, op, right))
                .parse(parts)
        })
        .unwrap_or_else(|| stand_in(whole))
    }

    /// Runs `build` if the tree stays within [`MAX_DEPTH`] with `tokens` more on this path.
    fn enter<T>(&self, tokens: usize, at: Span, build: impl FnOnce() -> T) -> Option<T> {
        let outer = self.depth.get();
        let depth = outer.saturating_add(tokens);
        if depth > MAX_DEPTH {
            self.too_deep(at);
            return None;
        }
        self.depth.set(depth);
        let built = build();
        self.depth.set(outer);
        Some(built)
    }

    pub(super) fn primary(&self, pair: Pair<'_, Rule>) -> Expr {
        let span = self.span(&pair);
        let text = pair.as_str();
        let kind = match pair.as_rule() {
            Rule::expr => return self.expr(pair),
            Rule::parens => {
                let inner = pair.into_inner().next().map(|inner| self.comma_expr(inner));
                return inner.map_or_else(|| stand_in(span), |inner| Expr { span, ..inner });
            }
            Rule::number => self.number(text, span),
            Rule::character => self.constant(literal::character(text), span, ExprKind::Char),
            Rule::string => ExprKind::Str(literal::string(text)),
            Rule::macro_string => match self.macros.lookup(text.trim_start_matches('$'), true) {
                Some(value) => ExprKind::Str(literal::text_of(&value)),
                None => self.fail(macros::undefined(text, span)),
            },
            Rule::macro_arg => match self.macros.lookup(&text[1..], false) {
                Some(value) => self.macro_value(text, value, span),
                None => self.fail(macros::undefined(text, span)),
            },
            Rule::aggregation => ExprKind::Aggregation(match &text[1..] {
                "" => "_".to_owned(),
                name => name.to_owned(),
            }),
            Rule::kernel_symbol => ExprKind::Kernel(text.to_owned()),
            Rule::variable | Rule::bare_scope => ExprKind::Ident(text.trim_end().to_owned()),
            _ => self.compound(pair, span),
        };
        Expr { kind, span }
    }

    /// Primaries with parts.
    fn compound(&self, pair: Pair<'_, Rule>, span: Span) -> ExprKind {
        let rule = pair.as_rule();
        let mut parts = pair.into_inner();
        let built = match rule {
            Rule::scoped => parts.next().zip(parts.next()).map(|(scope, name)| {
                let name = self.name(&name);
                if scope.as_str() == "self" {
                    ExprKind::SelfVar(name)
                } else {
                    ExprKind::ThisVar(name)
                }
            }),
            Rule::call => parts
                .next()
                .zip(parts.next())
                .map(|(name, args)| ExprKind::Call(self.name(&name), self.arguments(args))),
            Rule::sizeof => parts.nth(1).map(|of| match of.as_rule() {
                Rule::known_type | Rule::pointer_type => {
                    ExprKind::SizeofType(Box::new(self.type_name(of)))
                }
                _ => ExprKind::Sizeof(Box::new(self.expr(of))),
            }),
            Rule::offsetof => parts.nth(1).map(|ty| {
                let ty = Box::new(self.type_name(ty));
                ExprKind::Offsetof(ty, parts.map(|name| self.name(&name)).collect())
            }),
            Rule::xlate => parts.nth(1).zip(parts.next()).map(|(ty, e)| {
                ExprKind::Xlate(Box::new(self.type_name(ty)), Box::new(self.comma_expr(e)))
            }),
            _ => None,
        };
        built.unwrap_or_else(|| stand_in(span).kind)
    }

    fn arguments(&self, pair: Pair<'_, Rule>) -> Vec<Expr> {
        pair.into_inner().map(|arg| self.expr(arg)).collect()
    }

    fn prefix(&self, op: Pair<'_, Rule>, operand: Expr) -> Expr {
        let span = self.span(&op).to(operand.span);
        let operand = Box::new(operand);
        let kind = match op.as_rule() {
            Rule::increment => ExprKind::Step {
                target: operand,
                up: true,
                post: false,
            },
            Rule::decrement => ExprKind::Step {
                target: operand,
                up: false,
                post: false,
            },
            Rule::negate => ExprKind::Unary(UnaryOp::Negate, operand),
            Rule::complement => ExprKind::Unary(UnaryOp::Complement, operand),
            Rule::not => ExprKind::Unary(UnaryOp::Not, operand),
            Rule::indirect => ExprKind::Indirect(operand),
            Rule::address => ExprKind::Address(operand),
            Rule::kw_stringof => ExprKind::Stringof(operand),
            Rule::cast => match op.into_inner().next() {
                Some(ty) => ExprKind::Cast(Box::new(self.type_name(ty)), operand),
                None => ExprKind::Plus(operand),
            },
            _ => ExprKind::Plus(operand),
        };
        Expr { kind, span }
    }

    fn postfix(&self, operand: Expr, op: Pair<'_, Rule>) -> Expr {
        let span = operand.span.to(self.span(&op));
        let rule = op.as_rule();
        let operand = Box::new(operand);
        let part = op.into_inner().next();
        let kind = match (rule, part) {
            (Rule::subscript, Some(args)) => ExprKind::Index(operand, self.arguments(args)),
            (Rule::arrow | Rule::dot, Some(name)) => {
                ExprKind::Member(operand, self.name(&name), rule == Rule::arrow)
            }
            (Rule::called, _) => {
                let message = "function designator is not of function type";
                self.fail(Diagnostic::new(Tag::FuncIdent, operand.span, message))
            }
            (rule, _) => ExprKind::Step {
                target: operand,
                up: rule == Rule::post_increment,
                post: true,
            },
        };
        Expr { kind, span }
    }

    fn infix(&self, left: Expr, op: Pair<'_, Rule>, right: Expr) -> Expr {
        let span = left.span.to(right.span);
        let (left, right) = (Box::new(left), Box::new(right));
        let kind = match op.as_rule() {
            Rule::assign => ExprKind::Assign(assign_op(op.as_str()), left, right),
            Rule::ternary => match op.into_inner().next() {
                Some(then) => ExprKind::Ternary(left, Box::new(self.comma_expr(then)), right),
                None => ExprKind::Comma(left, right),
            },
            Rule::logical_or => ExprKind::Logic(LogicOp::Or, left, right),
            Rule::logical_xor => ExprKind::Logic(LogicOp::Xor, left, right),
            Rule::logical_and => ExprKind::Logic(LogicOp::And, left, right),
            rule => match binary_op(rule) {
                Some(op) => ExprKind::Binary(op, left, right),
                None => ExprKind::Comma(left, right),
            },
        };
        Expr { kind, span }
    }

    /// What a macro argument stands for: an integer, a name, or else a string. As in libdtrace a word that
    /// begins with digits is the integer that these are.
    fn macro_value(&self, name: &str, value: String, span: Span) -> ExprKind {
        let signed = value.strip_prefix(['-', '+']);
        let digits = signed.unwrap_or(&value);
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if digits.starts_with(|c: char| c.is_ascii_digit()) && digits.chars().all(word) {
            let digits = literal::leading_number(digits);
            match literal::integer(digits) {
                Ok(_) if value.starts_with('-') => {
                    let kind = self.number(digits, span);
                    return ExprKind::Unary(UnaryOp::Negate, Box::new(Expr { kind, span }));
                }
                Ok(_) => return self.number(digits, span),
                Err((Tag::IntOflow, message)) => {
                    let message = format!("macro argument {name} {message}");
                    return self.fail(Diagnostic::new(Tag::MacroOflow, span, &message));
                }
                Err(_no_number) => {}
            }
        }
        if value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && value.chars().all(word)
        {
            return ExprKind::Ident(value);
        }
        let unquoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
        ExprKind::Str(literal::text_of(unquoted.unwrap_or(&value)))
    }

    fn number(&self, text: &str, span: Span) -> ExprKind {
        self.constant(literal::integer(text), span, |literal| ExprKind::Int {
            value: literal.value,
            unsigned: literal.sign,
            long: literal.long,
        })
    }

    fn constant<T>(
        &self,
        read: Result<T, (Tag, String)>,
        span: Span,
        make: impl FnOnce(T) -> ExprKind,
    ) -> ExprKind {
        match read {
            Ok(value) => make(value),
            Err((tag, message)) => self.fail(Diagnostic::new(tag, span, &message)),
        }
    }

    fn fail(&self, error: Diagnostic) -> ExprKind {
        let span = error.span;
        self.errors.borrow_mut().push(error);
        stand_in(span).kind
    }
}

/// What stands where an error was.
pub(super) fn stand_in(span: Span) -> Expr {
    Expr {
        kind: ExprKind::Int {
            value: 0,
            unsigned: IntSign::Signed,
            long: false,
        },
        span,
    }
}

fn assign_op(text: &str) -> Option<BinaryOp> {
    Some(match text.trim_end() {
        "+=" => BinaryOp::Add,
        "-=" => BinaryOp::Subtract,
        "*=" => BinaryOp::Multiply,
        "/=" => BinaryOp::Divide,
        "%=" => BinaryOp::Remainder,
        "&=" => BinaryOp::And,
        "|=" => BinaryOp::Or,
        "^=" => BinaryOp::Xor,
        "<<=" => BinaryOp::ShiftLeft,
        ">>=" => BinaryOp::ShiftRight,
        _ => return None,
    })
}

fn binary_op(rule: Rule) -> Option<BinaryOp> {
    Some(match rule {
        Rule::add => BinaryOp::Add,
        Rule::subtract => BinaryOp::Subtract,
        Rule::multiply => BinaryOp::Multiply,
        Rule::divide => BinaryOp::Divide,
        Rule::remainder => BinaryOp::Remainder,
        Rule::bit_and => BinaryOp::And,
        Rule::bit_or => BinaryOp::Or,
        Rule::bit_xor => BinaryOp::Xor,
        Rule::shift_left => BinaryOp::ShiftLeft,
        Rule::shift_right => BinaryOp::ShiftRight,
        Rule::equal => BinaryOp::Equal,
        Rule::not_equal => BinaryOp::NotEqual,
        Rule::less => BinaryOp::Less,
        Rule::less_equal => BinaryOp::LessEqual,
        Rule::greater => BinaryOp::Greater,
        Rule::greater_equal => BinaryOp::GreaterEqual,
        _ => return None,
    })
}
