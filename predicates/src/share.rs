//! Which strings of the traced program a firing reads once and shares between its clauses.
//!
//! A `copyinstr` is shared if its address cannot change within a firing and some clause needs the
//! whole string. One that is only ever compared with a literal needs no more than its first bytes;
//! one that is only a key is read straight into the key, and the caller leaves it out.

use dlang::program::BinaryOp::{Equal, NotEqual};
use dlang::program::{Expr, ExprKind, Subroutine};

use crate::emit::{Emit, Emitted, Fetched};

/// The most strings that are shared. Each may have been read or not where clauses meet, and the
/// verifier follows all combinations.
const MOST_SHARED: usize = 6;

/// The longest literal that a string is compared with on the stack.
const SHORT_LITERAL: usize = 62;

impl Emit<'_> {
    /// Says which addresses `copyinstr` reads whole somewhere in this firing: those strings are
    /// read once and shared; all others are compared with a literal and read no further.
    pub fn share_strings<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr>) {
        for expr in exprs {
            self.find_whole(expr);
        }
    }

    fn find_whole(&mut self, expr: &Expr) {
        if compared_with_literal(expr, self).is_some() {
            return;
        }
        if let Some(address) = shareable(expr)
            && self.string_index(address).is_none()
            && self.strings.len() < MOST_SHARED
        {
            self.strings.push(address.clone());
        }
        for operand in expr.operands() {
            self.find_whole(operand);
        }
    }

    fn string_index(&self, address: &Expr) -> Option<usize> {
        self.strings.iter().position(|known| same(known, address))
    }

    /// The slots in which a shared string's length and start are kept, and whether it has surely
    /// been read; `None` for a string that is not shared.
    pub(crate) fn shared_string(&mut self, address: &Expr) -> Emitted<Option<(i16, i16, bool)>> {
        let Some(index) = self.string_index(address) else {
            return Ok(None);
        };
        let known = self.fetched.contains(&Fetched::Length(index));
        self.fetched.insert(Fetched::Length(index));
        let length = self.slot(Fetched::Length(index), address.span)?;
        let start = self.slot(Fetched::Start(index), address.span)?;
        Ok(Some((length, start, known)))
    }

    /// Whether a user string is among the shared ones.
    #[must_use]
    pub fn is_shared(&self, address: &Expr) -> bool {
        self.string_index(address).is_some()
    }
}

/// The address of a `copyinstr` whose result can be shared in a firing: one argument, and an
/// address that cannot change within it.
fn shareable(expr: &Expr) -> Option<&Expr> {
    if let ExprKind::Call(Subroutine::Copyinstr, args) = &expr.kind
        && let [address] = args.as_slice()
        && is_fixed(address)
    {
        Some(address)
    } else {
        None
    }
}

fn is_fixed(expr: &Expr) -> bool {
    if let ExprKind::Cast(of) = &expr.kind {
        return is_fixed(of);
    }
    matches!(
        expr.kind,
        ExprKind::Arg(_) | ExprKind::TypedArg(_) | ExprKind::Int(_)
    )
}

/// For `copyinstr(address) == "literal"` (or `!=`, or the other way round): the address and the
/// literal. Only the first bytes of such a string matter.
pub(crate) fn compared_with_literal<'e>(
    expr: &'e Expr,
    emit: &Emit<'_>,
) -> Option<(&'e Expr, Vec<u8>)> {
    let ExprKind::Binary(Equal | NotEqual, left, right) = &expr.kind else {
        return None;
    };
    for (string, literal) in [(left, right), (right, left)] {
        if let ExprKind::Call(Subroutine::Copyinstr, args) = &string.kind
            && args.len() == 1
            && let Some(bytes) = emit.constant_string(literal)
            && bytes.len() <= SHORT_LITERAL
        {
            return Some((&args[0], bytes));
        }
    }
    None
}

/// Whether two expressions are the same but for where they stand.
fn same(a: &Expr, b: &Expr) -> bool {
    a.ty == b.ty
        && match (&a.kind, &b.kind) {
            (ExprKind::Arg(a), ExprKind::Arg(b))
            | (ExprKind::TypedArg(a), ExprKind::TypedArg(b)) => a == b,
            (ExprKind::Int(a), ExprKind::Int(b)) => a == b,
            (ExprKind::Cast(a), ExprKind::Cast(b)) => same(a, b),
            _ => false,
        }
}
