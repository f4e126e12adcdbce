//! D text to typed expressions, for the tests: `dlang::parse` and a checker of integers, strings
//! and variables.

use std::sync::Arc;

use dlang::Macros;
use dlang::ast;
use dlang::diag::{Origin, Source};
use dlang::program::{
    BinaryOp, Builtin, Expr, ExprKind, Program, Scope, StmtKind, Subroutine, UnaryOp, VarId,
    Variable,
};
use dlang::types::{Int, Type};

/// Parses and checks each text, the statements of one clause; the variables are common to all.
pub fn compile(sources: &[&str]) -> (Program, Vec<Vec<StmtKind>>) {
    let mut checker = Checker::default();
    let bodies = sources.iter().map(|source| checker.body(source)).collect();
    (checker.program, bodies)
}

#[derive(Default)]
struct Checker {
    program: Program,
}

impl Checker {
    fn body(&mut self, source: &str) -> Vec<StmtKind> {
        let text = format!("BEGIN {{ {source}; }}");
        let source = Source {
            origin: Origin::Script("test.d".into()),
            text,
        };
        let ast = dlang::parse(std::slice::from_ref(&source), &Macros::default())
            .unwrap_or_else(|errors| panic!("{}: {errors:?}", source.text));
        let Some(ast::Item::Clause(clause)) = ast.items.first() else {
            panic!("{}", source.text)
        };
        clause
            .body
            .iter()
            .map(|stmt| match &stmt.kind {
                ast::StmtKind::Expr(expr) => StmtKind::Expr(self.expr(expr)),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn expr(&mut self, of: &ast::Expr) -> Expr {
        let make = |kind, ty| Expr {
            kind,
            ty,
            span: of.span,
        };
        match &of.kind {
            ast::ExprKind::Int {
                value,
                unsigned,
                long,
            } => {
                let value = value.cast_signed();
                let unsigned = *unsigned == ast::IntSign::Unsigned;
                let int = match (unsigned, *long || i32::try_from(value).is_err()) {
                    (false, false) => Int::I32,
                    (true, false) => Int::U32,
                    (false, true) => Int::I64,
                    (true, true) => Int::U64,
                };
                make(ExprKind::Int(value), Type::Int(int))
            }
            ast::ExprKind::Char(value) => make(ExprKind::Int(i64::from(*value)), Type::INT),
            ast::ExprKind::Str(text) => make(ExprKind::Str(text.clone()), Type::String),
            ast::ExprKind::Ident(name) => {
                if let Some(n) = name.strip_prefix("arg").and_then(|n| n.parse().ok()) {
                    return make(ExprKind::Arg(n), Type::I64);
                }
                if let Some((builtin, ty)) = builtin(name) {
                    return make(ExprKind::Builtin(builtin), ty);
                }
                let (id, ty) = self.find(Scope::Global, name);
                make(ExprKind::Var(id), ty)
            }
            ast::ExprKind::SelfVar(name) => {
                let (id, ty) = self.find(Scope::ThreadLocal, &name.text);
                make(ExprKind::Var(id), ty)
            }
            ast::ExprKind::ThisVar(name) => {
                let (id, ty) = self.find(Scope::ClauseLocal, &name.text);
                make(ExprKind::Var(id), ty)
            }
            ast::ExprKind::Index(base, keys) => {
                let (scope, name) = named(base);
                let (id, ty) = self.find(scope, name);
                let types = self.program.variables[id.0 as usize].key.clone().unwrap();
                let keys = keys
                    .iter()
                    .zip(types)
                    .map(|(key, ty)| cast(self.expr(key), ty))
                    .collect();
                make(ExprKind::Element(id, keys), ty)
            }
            ast::ExprKind::Call(name, args) => {
                let args: Vec<Expr> = args.iter().map(|arg| self.expr(arg)).collect();
                let (subroutine, ty) = subroutine(&name.text);
                make(ExprKind::Call(subroutine, args), ty)
            }
            ast::ExprKind::Stringof(of) => cast_string(self.expr(of)),
            ast::ExprKind::Unary(UnaryOp::Not, of) => make(
                ExprKind::Unary(UnaryOp::Not, Box::new(self.expr(of))),
                Type::INT,
            ),
            ast::ExprKind::Unary(op, of) => {
                let of = self.expr(of);
                let ty = Type::Int(promoted(&of));
                make(ExprKind::Unary(*op, Box::new(cast(of, ty.clone()))), ty)
            }
            ast::ExprKind::Indirect(of) => {
                let of = self.expr(of);
                let Type::Pointer(to) = &of.ty else {
                    panic!("{:?}", of.ty)
                };
                let ty = (**to).clone();
                make(ExprKind::Deref(Box::new(of)), ty)
            }
            ast::ExprKind::Step { target, up, post } => {
                self.declare(target, &Type::I64);
                let target = self.expr(target);
                let ty = target.ty.clone();
                let kind = ExprKind::Step {
                    target: Box::new(target),
                    by: if *up { 1 } else { -1 },
                    post: *post,
                };
                make(kind, ty)
            }
            ast::ExprKind::Binary(op, a, b) => {
                let (a, b) = (self.expr(a), self.expr(b));
                let compares = matches!(
                    op,
                    BinaryOp::Equal
                        | BinaryOp::NotEqual
                        | BinaryOp::Less
                        | BinaryOp::LessEqual
                        | BinaryOp::Greater
                        | BinaryOp::GreaterEqual
                );
                if a.ty == Type::String {
                    return make(ExprKind::Binary(*op, Box::new(a), Box::new(b)), Type::INT);
                }
                let (a, b, ty) = if matches!(op, BinaryOp::ShiftLeft | BinaryOp::ShiftRight) {
                    let ty = Type::Int(promoted(&a));
                    let right = Type::Int(promoted(&b));
                    (cast(a, ty.clone()), cast(b, right), ty)
                } else {
                    let ty = Type::Int(common(promoted(&a), promoted(&b)));
                    (cast(a, ty.clone()), cast(b, ty.clone()), ty)
                };
                let ty = if compares { Type::INT } else { ty };
                make(ExprKind::Binary(*op, Box::new(a), Box::new(b)), ty)
            }
            ast::ExprKind::Logic(op, a, b) => {
                let (a, b) = (self.expr(a), self.expr(b));
                make(ExprKind::Logic(*op, Box::new(a), Box::new(b)), Type::INT)
            }
            ast::ExprKind::Assign(op, target, value) => {
                let value = self.expr(value);
                self.declare(target, &value.ty);
                let target = self.expr(target);
                let value = match op {
                    None if target.ty == Type::String => value,
                    None => cast(value, target.ty.clone()),
                    Some(BinaryOp::ShiftLeft | BinaryOp::ShiftRight) => {
                        let ty = Type::Int(promoted(&target));
                        cast(value, ty)
                    }
                    Some(_) => {
                        let ty = Type::Int(common(promoted(&target), promoted(&value)));
                        cast(value, ty)
                    }
                };
                let ty = target.ty.clone();
                make(ExprKind::Assign(*op, Box::new(target), Box::new(value)), ty)
            }
            ast::ExprKind::Ternary(cond, a, b) => {
                let (cond, a, b) = (self.expr(cond), self.expr(a), self.expr(b));
                let (a, b) = if a.ty == Type::String {
                    (a, b)
                } else {
                    let ty = Type::Int(common(promoted(&a), promoted(&b)));
                    (cast(a, ty.clone()), cast(b, ty))
                };
                let ty = a.ty.clone();
                make(
                    ExprKind::Ternary(Box::new(cond), Box::new(a), Box::new(b)),
                    ty,
                )
            }
            ast::ExprKind::Comma(a, b) => {
                let (a, b) = (self.expr(a), self.expr(b));
                let ty = b.ty.clone();
                make(ExprKind::Comma(Box::new(a), Box::new(b)), ty)
            }
            ast::ExprKind::Cast(name, of) => {
                let ty = type_named(name);
                let of = self.expr(of);
                if ty == Type::String {
                    cast_string(of)
                } else {
                    cast(of, ty)
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Makes a variable that is assigned to for the first time.
    fn declare(&mut self, target: &ast::Expr, ty: &Type) {
        let (scope, name, key) = match &target.kind {
            ast::ExprKind::Index(base, keys) => {
                let (scope, name) = named(base);
                let types = keys.iter().map(|key| self.expr(key).ty).collect();
                (scope, name, Some(types))
            }
            _ => {
                let (scope, name) = named(target);
                (scope, name, None)
            }
        };
        let known = |v: &Variable| v.scope == scope && v.name == name;
        if !self.program.variables.iter().any(known) {
            self.program.variables.push(Variable {
                name: name.to_owned(),
                scope,
                ty: ty.clone(),
                key,
            });
        }
    }

    fn find(&self, scope: Scope, name: &str) -> (VarId, Type) {
        let index = self
            .program
            .variables
            .iter()
            .position(|v| v.scope == scope && v.name == name)
            .unwrap_or_else(|| panic!("{name} is not known"));
        let id = VarId(u32::try_from(index).unwrap());
        (id, self.program.variables[index].ty.clone())
    }
}

fn named(expr: &ast::Expr) -> (Scope, &str) {
    match &expr.kind {
        ast::ExprKind::Ident(name) => (Scope::Global, name),
        ast::ExprKind::SelfVar(name) => (Scope::ThreadLocal, &name.text),
        ast::ExprKind::ThisVar(name) => (Scope::ClauseLocal, &name.text),
        other => panic!("{other:?}"),
    }
}

fn cast(of: Expr, ty: Type) -> Expr {
    if of.ty == ty {
        return of;
    }
    let span = of.span;
    Expr {
        kind: ExprKind::Cast(Box::new(of)),
        ty,
        span,
    }
}

fn cast_string(of: Expr) -> Expr {
    cast(of, Type::String)
}

fn promoted(expr: &Expr) -> Int {
    let int = expr.ty.as_int().unwrap_or_else(|| panic!("{expr:?}"));
    if int.size < 4 { Int::I32 } else { int }
}

fn common(a: Int, b: Int) -> Int {
    if a.size != b.size {
        return if a.size > b.size { a } else { b };
    }
    Int {
        size: a.size,
        signed: a.signed && b.signed,
    }
}

fn type_named(name: &ast::TypeName) -> Type {
    let words = match &name.specifiers.base {
        ast::BaseType::Words(words) => words.join(" "),
        ast::BaseType::Named(name) => name.clone(),
        other => panic!("{other:?}"),
    };
    let mut ty = match words.as_str() {
        "char" | "int8_t" | "signed char" => Type::Int(Int::I8),
        "short" | "int16_t" => Type::Int(Int::I16),
        "int" | "int32_t" => Type::INT,
        "long" | "int64_t" | "long long" => Type::I64,
        "unsigned char" | "uint8_t" => Type::Int(Int::U8),
        "unsigned short" | "uint16_t" => Type::Int(Int::U16),
        "unsigned int" | "unsigned" | "uint32_t" => Type::Int(Int::U32),
        "unsigned long" | "uint64_t" | "size_t" | "uintptr_t" => Type::U64,
        "string" => Type::String,
        other => panic!("{other}"),
    };
    for part in &name.declarator.parts {
        match part {
            ast::DeclaratorPart::Pointer => ty = Type::Pointer(Arc::new(ty)),
            other => panic!("{other:?}"),
        }
    }
    ty
}

fn builtin(name: &str) -> Option<(Builtin, Type)> {
    Some(match name {
        "pid" => (Builtin::Pid, Type::INT),
        "tid" => (Builtin::Tid, Type::INT),
        "uid" => (Builtin::Uid, Type::Int(Int::U32)),
        "gid" => (Builtin::Gid, Type::Int(Int::U32)),
        "execname" => (Builtin::Execname, Type::String),
        "timestamp" => (Builtin::Timestamp, Type::U64),
        "probename" => (Builtin::Probename, Type::String),
        "probefunc" => (Builtin::Probefunc, Type::String),
        "cpu" => (Builtin::Cpu, Type::INT),
        _ => return None,
    })
}

fn subroutine(name: &str) -> (Subroutine, Type) {
    match name {
        "copyinstr" => (Subroutine::Copyinstr, Type::String),
        "copyin" => (Subroutine::Copyin, Type::pointer_to(Type::Void)),
        "basename" => (Subroutine::Basename, Type::String),
        "dirname" => (Subroutine::Dirname, Type::String),
        "strlen" => (Subroutine::Strlen, Type::U64),
        "strjoin" => (Subroutine::Strjoin, Type::String),
        "strstr" => (Subroutine::Strstr, Type::String),
        "strchr" => (Subroutine::Strchr, Type::String),
        "strrchr" => (Subroutine::Strrchr, Type::String),
        "substr" => (Subroutine::Substr, Type::String),
        "index" => (Subroutine::Index, Type::INT),
        "rindex" => (Subroutine::Rindex, Type::INT),
        "lltostr" => (Subroutine::Lltostr, Type::String),
        other => panic!("{other}"),
    }
}
