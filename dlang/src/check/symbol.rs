//! Symbols and stacks: what `sym()`, its relatives and `stack()` give, and where they may stand.

use super::checker::{Checked, Checker};
use super::convert::{int_node, node};
use crate::ast::{self, Name};
use crate::diag::Span;
use crate::names::{self, ActionName, Kind};
use crate::program::{Expr, ExprKind, Subroutine};
use crate::symbol::Symbol;
use crate::tags::Tag;
use crate::types::{Int, Space, Type};

/// What an expression says if it is a call of `sym()` or one of its relatives.
pub(super) fn symbol_call(expr: &ast::Expr) -> Option<(Symbol, &Name, &[ast::Expr])> {
    let ast::ExprKind::Call(name, args) = &expr.kind else {
        return None;
    };
    if let Some(Kind::Action(_, Ok(ActionName::Symbol(symbol)))) = names::function(&name.text) {
        Some((*symbol, name, args))
    } else {
        None
    }
}

impl Checker<'_> {
    /// What is in the kernel at a symbol, which is written with a backquote before it, perhaps behind the module's
    /// name. The kernel's type information (BTF)
    /// has no types of its symbols, so each is an `unsigned long`, as in libdtrace where it has none.
    pub(super) fn kernel_symbol(&mut self, name: &str, span: Span) -> Checked<Expr> {
        let (module, symbol) = name.rsplit_once('`').unwrap_or(("", name));
        let module = if module == "genunix" {
            "vmlinux"
        } else {
            module
        };
        if let Some(address) = self.types.kernel_symbol(module, symbol) {
            let address = int_node(address.cast_signed(), Int::U64, span);
            let ty = Type::pointer_in(Space::Kernel, Type::Int(Int::U64));
            let pointer = node(ExprKind::Cast(Box::new(address)), ty, span);
            let value = ExprKind::Deref(Box::new(pointer));
            return Ok(node(value, Type::Int(Int::U64), span));
        }
        let why = if matches!(module, "" | "vmlinux") {
            "Unknown symbol name"
        } else {
            "Module is no longer loaded"
        };
        let message = format!("failed to resolve {name}: {why}");
        let error = self.diagnostic(Tag::IdentUndef, span, &message);
        self.reject(error.with_hint(
            "/proc/kallsyms has the kernel's symbols; those of variables are there only if the kernel was built with \
             them",
        ))
    }

    /// An address that shows as a name.
    pub(super) fn symbol(
        &mut self,
        symbol: Symbol,
        name: &Name,
        args: &[ast::Expr],
        span: Span,
    ) -> Checked<Expr> {
        let function = name.text.as_str();
        let Some(prototype) = names::function(function).and_then(Kind::prototype) else {
            return self.unknown_function(name);
        };
        self.count_arguments(function, args.len(), prototype, span)?;
        let address = self.argument(function, 1, &args[0], prototype.parameters[0])?;
        let kind = ExprKind::Cast(Box::new(address));
        Ok(node(kind, Type::Symbol(symbol), span))
    }

    /// Checks the arguments of `stack()`, `ustack()` and `jstack()`: how many frames, and how many bytes their names
    /// may take, which changes nothing.
    pub(super) fn stack_arguments(&mut self, subroutine: Subroutine, args: &[Expr]) -> Checked<()> {
        let tag = if subroutine == Subroutine::Stack {
            Tag::StackSize
        } else if matches!(
            subroutine,
            Subroutine::Ustack | Subroutine::Pystack | Subroutine::PystackAsync
        ) {
            Tag::UstackFrames
        } else {
            return Ok(());
        };
        let function = names::subroutine_name(subroutine);
        let constant = |arg: &Expr, least: i64| matches!(arg.kind, ExprKind::Int(n) if n >= least);
        if let Some(frames) = args.first().filter(|frames| !constant(frames, 1)) {
            let message =
                format!("{function}( ) argument #1 must be a non-zero positive integer constant");
            return self.plain_error(tag, frames.span, &message);
        }
        if let Some(size) = args.get(1).filter(|size| !constant(size, 0)) {
            let message = format!("{function}( ) argument #2 must be a positive integer constant");
            return self.plain_error(Tag::UstackStrsize, size.span, &message);
        }
        Ok(())
    }
}

/// Whether two types of symbols, or of stacks, are one as keys.
pub(super) fn is_alike(one: &Type, other: &Type) -> bool {
    match (one, other) {
        (Type::Symbol(one), Type::Symbol(other)) => one.is_user() == other.is_user(),
        (Type::Stack, Type::Stack) => true,
        _no_names => false,
    }
}
