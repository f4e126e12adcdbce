//! What a clause knows of the process that fires, beside the variables that are values: `execargs`, `uregs[]`,
//! `cwd`, `root`, and `d_path()`, by which the last two are meant.

use super::checker::{Checked, Checker};
use super::convert::int_node;
use super::member::find_member;
use crate::ast::{self, Name};
use crate::diag::Span;
use crate::names::ProcessPath;
use crate::program::{Expr, ExprKind, Subroutine};
use crate::tags::Tag;
use crate::types::{Int, NameKind, Type};

/// Where the kernel keeps what leads from a directory to the one that it is in, in the order in which the generated
/// code is told. Those of `struct mount` lead from what is mounted to where it is mounted.
const STEPS: [(&str, &[&str]); 7] = [
    ("dentry", &["d_parent"]),
    ("dentry", &["d_name", "name"]),
    ("dentry", &["d_name", "len"]),
    ("vfsmount", &["mnt_root"]),
    ("mount", &["mnt"]),
    ("mount", &["mnt_parent"]),
    ("mount", &["mnt_mountpoint"]),
];

/// One more than the largest index of `uregs[]` (`R_SS` of `regs.d`) that rdtrace reads, and than the largest that
/// DTrace does.
const REGISTERS: i64 = 21;
const INDEXES: i64 = 26;

impl Checker<'_> {
    /// `execargs`: what the kernel knows of where the process's arguments are. A thread of the kernel has none.
    pub(super) fn execargs(&mut self, span: Span) -> Checked<Expr> {
        let mut place = |member: &str| {
            let memory = member_of(ast_name("curthread", span), "mm", span);
            let cond = ast::ExprKind::Ternary(
                Box::new(memory.clone()),
                Box::new(member_of(memory, member, span)),
                Box::new(zero(span)),
            );
            self.expr(&ast::Expr { kind: cond, span })
        };
        let args = vec![place("arg_start")?, place("arg_end")?];
        let kind = ExprKind::Call(Subroutine::Execargs, args);
        let ty = Type::String;
        Ok(Expr { kind, ty, span })
    }

    /// `cwd` and `root`: `d_path(&curthread->fs->pwd)` and its like.
    pub(super) fn process_path(&mut self, of: ProcessPath, span: Span) -> Checked<Expr> {
        let member = match of {
            ProcessPath::WorkingDirectory => "pwd",
            ProcessPath::Root => "root",
        };
        let path = self.path_of_process(member, span)?;
        self.path_of_file(path, span)
    }

    /// `&curthread->fs->member`.
    fn path_of_process(&mut self, member: &str, span: Span) -> Checked<Expr> {
        let fs = member_of(ast_name("curthread", span), "fs", span);
        let kind = ast::ExprKind::Address(Box::new(member_of(fs, member, span)));
        self.expr(&ast::Expr { kind, span })
    }

    /// `d_path(path)`.
    pub(super) fn path_of_file(&mut self, path: Expr, span: Span) -> Checked<Expr> {
        let mut args = vec![path, self.path_of_process("root", span)?];
        for (tag, members) in STEPS {
            let Some(offset) = self.offset_in_kernel(tag, members) else {
                let message =
                    "d_path() needs the kernel's type information (BTF), which this one lacks";
                return self.unsupported(span, message);
            };
            args.push(int_node(offset.into(), Int::I64, span));
        }
        let kind = ExprKind::Call(Subroutine::DPath, args);
        let ty = Type::String;
        Ok(Expr { kind, ty, span })
    }

    /// Where a member is in a struct of the kernel.
    fn offset_in_kernel(&mut self, tag: &str, members: &[&str]) -> Option<u32> {
        let mut ty = self.types.of_kernel(NameKind::Struct, tag)?;
        let mut total = 0u32;
        for name in members {
            let Type::Struct(s) = self.types.complete(&ty) else {
                return None;
            };
            let (offset, member) = find_member(&s, name)?;
            total = total.checked_add(offset)?;
            ty = member.ty.clone();
        }
        Some(total)
    }

    /// `uregs[n]`.
    pub(super) fn user_register(&mut self, index: &ast::Expr, span: Span) -> Checked<Expr> {
        let index = self.expr(index)?;
        let (ExprKind::Int(number), Type::Int(_)) = (&index.kind, &index.ty) else {
            let message = format!(
                "uregs[ ] argument #1 is incompatible with prototype:\n\tprototype: integer constant\n\t argument: {}",
                index.ty
            );
            return self.error(Tag::ProtoArg, index.span, &message);
        };
        match *number {
            0..REGISTERS => {}
            REGISTERS..INDEXES => {
                let message = format!("uregs[{number}] is not supported: R_R15 to R_SS are");
                return self.unsupported(index.span, &message);
            }
            ..0 => {
                let message = format!("index {number} is out of range for array uregs");
                return self.error(Tag::ArrBounds, index.span, &message);
            }
            _too_large => {
                let message = format!("uregs[]: index out of bounds ({number})");
                return self.plain_error(Tag::Unknown, index.span, &message);
            }
        }
        let kind = ExprKind::Call(Subroutine::Uregs, vec![index]);
        let ty = Type::U64;
        Ok(Expr { kind, ty, span })
    }
}

fn ast_name(name: &str, span: Span) -> ast::Expr {
    let kind = ast::ExprKind::Ident(name.to_owned());
    ast::Expr { kind, span }
}

/// `base->member`.
fn member_of(base: ast::Expr, member: &str, span: Span) -> ast::Expr {
    let text = member.to_owned();
    let kind = ast::ExprKind::Member(Box::new(base), Name { text, span }, true);
    ast::Expr { kind, span }
}

fn zero(span: Span) -> ast::Expr {
    let kind = ast::ExprKind::Int {
        value: 0,
        unsigned: ast::IntSign::Signed,
        long: false,
    };
    ast::Expr { kind, span }
}
