//! A checked [`Program`] as D again: the text parses and checks to the same program.
//!
//! Types come out under D's own names (`int64_t`), structs as definitions in front, every
//! conversion as a cast, and every variable declared before the first clause, so that each
//! expression means by itself what it meant where it was written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::format::{Format, Piece};
use crate::names::{builtin_name, subroutine_name};
use crate::program::{
    ASYNC, Action, AggFunc, AggId, Clause, DeclaredProvider, Expr, ExprKind, ProbeDesc, Program,
    Scope, Stmt, StmtKind, Subroutine, UnaryOp, VarId, Variable,
};
use crate::types::{Int, Struct, Type};

/// Prints a program as D.
#[must_use]
pub fn print(program: &Program) -> String {
    let mut printer = Printer {
        program,
        out: String::new(),
        level: 0,
    };
    printer.program();
    printer.out
}

struct Printer<'a> {
    program: &'a Program,
    out: String,
    level: usize,
}

impl Printer<'_> {
    fn program(&mut self) {
        for (name, value) in &self.program.options {
            let value = value
                .as_ref()
                .map_or(String::new(), |value| format!("={value}"));
            self.line(&format!("#pragma D option {name}{value}"));
        }
        self.out.push_str(&Structs::of(self.program).print());
        for provider in &self.program.providers {
            self.provider(provider);
        }
        for variable in &self.program.variables {
            // Those of a task are made by their first assignment.
            if variable.scope != Scope::TaskLocal {
                let text = Self::variable(variable);
                self.line(&text);
            }
        }
        for clause in &self.program.clauses {
            self.clause(clause);
        }
    }

    /// Parameters are named by their numbers.
    fn provider(&mut self, provider: &DeclaredProvider) {
        self.line(&format!("provider {} {{", provider.name));
        self.level += 1;
        for probe in &provider.probes {
            let list = |parameters: &mut dyn Iterator<Item = (usize, &Type)>| {
                let shown: Vec<_> = parameters
                    .map(|(n, ty)| format!("{} arg{n}", type_name(ty)))
                    .collect();
                shown.join(", ")
            };
            let input = list(&mut probe.input.iter().enumerate());
            let output = list(&mut probe.output.iter().map(|(n, ty)| (*n, ty)));
            self.line(&format!("probe {}({input}) : ({output});", probe.name));
        }
        self.level -= 1;
        self.line("};");
    }

    fn variable(variable: &Variable) -> String {
        let scope = match variable.scope {
            Scope::Global | Scope::TaskLocal => "",
            Scope::ThreadLocal => "self ",
            Scope::ClauseLocal => "this ",
        };
        let key = match &variable.key {
            Some(key) => format!(
                "[{}]",
                key.iter().map(type_name).collect::<Vec<_>>().join(", ")
            ),
            None => String::new(),
        };
        format!(
            "{scope}{};",
            declare(&variable.ty, &format!("{}{key}", variable.name))
        )
    }

    fn clause(&mut self, clause: &Clause) {
        let probes: Vec<String> = clause
            .probes
            .iter()
            .map(|probe| describe(&probe.desc))
            .collect();
        self.line(&probes.join(",\n"));
        if let Some(predicate) = &clause.predicate {
            let predicate = self.expr(predicate);
            self.line(&format!("/{predicate}/"));
        }
        self.line("{");
        self.body(&clause.body);
        self.line("}");
    }

    fn body(&mut self, body: &[Stmt]) {
        self.level += 1;
        for stmt in body {
            self.statement(stmt);
        }
        self.level -= 1;
    }

    fn statement(&mut self, stmt: &Stmt) {
        let text = match &stmt.kind {
            StmtKind::Expr(expr) => self.expr(expr),
            StmtKind::Action(action) => self.action(action),
            StmtKind::Aggregate {
                agg,
                keys,
                value,
                increment,
            } => self.aggregate(*agg, keys, value.as_ref(), increment.as_ref()),
            StmtKind::If {
                cond,
                then,
                otherwise,
            } => {
                let cond = self.expr(cond);
                self.line(&format!("if ({cond}) {{"));
                self.body(then);
                if !otherwise.is_empty() {
                    self.line("} else {");
                    self.body(otherwise);
                }
                self.line("}");
                return;
            }
        };
        self.line(&format!("{text};"));
    }

    fn aggregate(
        &self,
        agg: AggId,
        keys: &[Expr],
        value: Option<&Expr>,
        increment: Option<&Expr>,
    ) -> String {
        let aggregation = &self.program.aggregations[agg.0 as usize];
        let keys = if keys.is_empty() {
            String::new()
        } else {
            format!("[{}]", self.list(keys))
        };
        let mut args: Vec<String> = value.iter().map(|value| self.expr(value)).collect();
        match aggregation.func {
            AggFunc::Lquantize { low, high, step } => {
                args.extend([low.to_string(), high.to_string(), step.to_string()]);
            }
            AggFunc::Llquantize {
                factor,
                low,
                high,
                steps,
            } => {
                args.extend([factor, low, high, steps].map(|n| n.to_string()));
            }
            AggFunc::Count
            | AggFunc::Sum
            | AggFunc::Avg
            | AggFunc::Min
            | AggFunc::Max
            | AggFunc::Stddev
            | AggFunc::Quantize => {}
        }
        args.extend(increment.iter().map(|increment| self.expr(increment)));
        format!(
            "@{}{keys} = {}({})",
            aggregation.name,
            aggregation.func.name(),
            args.join(", ")
        )
    }

    fn action(&self, action: &Action) -> String {
        match action {
            Action::Trace(e) if matches!(e.ty, Type::Symbol(_) | Type::Stack) => self.expr(e),
            Action::Trace(e) => format!("trace({})", self.expr(e)),
            Action::Printf(format, args) => self.formatted("printf", Some(format), args),
            Action::System(format, args) => self.formatted("system", Some(format), args),
            Action::Freopen(format, args) => self.formatted("freopen", format.as_ref(), args),
            Action::Ftruncate => "ftruncate()".into(),
            Action::Setopt(name, value) => {
                let value = value.iter().map(|value| format!(", {}", self.expr(value)));
                format!("setopt({}{})", self.expr(name), value.collect::<String>())
            }
            Action::Raise(signal) => format!("raise({})", self.expr(signal)),
            Action::WriteUser(args) => {
                let args: Vec<String> = args.iter().map(|arg| self.expr(arg)).collect();
                format!("copyout({})", args.join(", "))
            }
            Action::Printa(format, aggs) => {
                let format = format.iter().map(|format| quote(&format_text(format)));
                let aggs = aggs.iter().map(|agg| self.agg(*agg));
                format!(
                    "printa({})",
                    format.chain(aggs).collect::<Vec<_>>().join(", ")
                )
            }
            Action::Exit(e) => format!("exit({})", self.expr(e)),
            Action::Clear(agg) => format!("clear({})", self.agg(*agg)),
            Action::Trunc(agg, None) => format!("trunc({})", self.agg(*agg)),
            Action::Trunc(agg, Some(n)) => format!("trunc({}, {})", self.agg(*agg), self.expr(n)),
            Action::Normalize(agg, n) => format!("normalize({}, {})", self.agg(*agg), self.expr(n)),
            Action::Denormalize(agg) => format!("denormalize({})", self.agg(*agg)),
            Action::Tracemem(memory, shown) => {
                let size = memory.ty.size(0);
                // The check has made a pointer to so many bytes of the address.
                let address = match address_of(memory) {
                    Some(Expr {
                        kind: ExprKind::Cast(address),
                        ..
                    }) => self.expr(address),
                    Some(pointer) => self.expr(pointer),
                    None => self.expr(memory),
                };
                let shown = shown.iter().map(|shown| self.expr(shown));
                let args = [address, size.to_string()].into_iter().chain(shown);
                format!("tracemem({})", args.collect::<Vec<_>>().join(", "))
            }
            Action::Print { address, .. } => format!("print({})", self.expr(address)),
            Action::Speculate(e) => format!("speculate({})", self.expr(e)),
            Action::Commit(e) => format!("commit({})", self.expr(e)),
            Action::Discard(e) => format!("discard({})", self.expr(e)),
        }
    }

    fn formatted(&self, function: &str, format: Option<&Format>, args: &[Expr]) -> String {
        let format = format.map(format_text).unwrap_or_default();
        let mut text = format!("{function}({}", quote(&format));
        for arg in args {
            let _ = write!(text, ", {}", self.expr(arg));
        }
        text + ")"
    }

    fn agg(&self, agg: AggId) -> String {
        format!("@{}", self.program.aggregations[agg.0 as usize].name)
    }

    fn var(&self, id: VarId) -> String {
        let variable = &self.program.variables[id.0 as usize];
        match variable.scope {
            Scope::Global => variable.name.clone(),
            Scope::ThreadLocal => format!("self->{}", variable.name),
            Scope::TaskLocal => format!("task->{}", variable.name),
            Scope::ClauseLocal => format!("this->{}", variable.name),
        }
    }

    fn list(&self, exprs: &[Expr]) -> String {
        exprs
            .iter()
            .map(|e| self.expr(e))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// An expression that can stand as any operand.
    fn expr(&self, e: &Expr) -> String {
        match &e.kind {
            ExprKind::Int(value) => constant(*value, &e.ty),
            ExprKind::Str(text) => quote(text),
            ExprKind::Var(id) => self.var(*id),
            ExprKind::Element(id, keys) if keys.is_empty() => self.var(*id),
            ExprKind::Element(id, keys) => format!("{}[{}]", self.var(*id), self.list(keys)),
            ExprKind::Builtin(builtin) => builtin_name(*builtin).to_owned(),
            ExprKind::Arg(n) => format!("arg{n}"),
            ExprKind::TypedArg(n) => format!("args[{n}]"),
            ExprKind::Unary(op, of) => {
                let op = match op {
                    UnaryOp::Negate => "-",
                    UnaryOp::Complement => "~",
                    UnaryOp::Not => "!",
                };
                format!("({op}{})", self.expr(of))
            }
            ExprKind::Binary(op, a, b) => format!("({} {op} {})", self.expr(a), self.expr(b)),
            ExprKind::Logic(op, a, b) => format!("({} {op} {})", self.expr(a), self.expr(b)),
            ExprKind::Ternary(a, b, c) => {
                format!("({} ? {} : {})", self.expr(a), self.expr(b), self.expr(c))
            }
            ExprKind::Assign(op, target, value) => {
                let op = op.map_or(String::new(), |op| op.to_string());
                format!("({} {op}= {})", self.expr(target), self.expr(value))
            }
            ExprKind::Step { target, by, post } => {
                let op = if *by < 0 { "--" } else { "++" };
                let target = self.expr(target);
                if *post {
                    format!("({target}{op})")
                } else {
                    format!("({op}{target})")
                }
            }
            ExprKind::Cast(of) => {
                let of = self.expr(of);
                match e.ty {
                    Type::String => format!("stringof({of})"),
                    Type::Symbol(symbol) => format!("{}({of})", symbol.name()),
                    Type::Void
                    | Type::Int(_)
                    | Type::Float(_)
                    | Type::Pointer(..)
                    | Type::Array(..)
                    | Type::Struct(_)
                    | Type::Stack
                    | Type::Named(_) => format!("(({}){of})", type_name(&e.ty)),
                }
            }
            ExprKind::Deref(address) => format!("(*{})", self.expr(address)),
            ExprKind::Member { of, name, .. } => format!("{}.{name}", self.expr(of)),
            ExprKind::Index { of, index } => format!("{}[{}]", self.expr(of), self.expr(index)),
            // An array is its own address.
            ExprKind::AddressOf(of) if matches!(of.ty, Type::Array(..)) => self.expr(of),
            ExprKind::AddressOf(of) => format!("(&{})", self.expr(of)),
            ExprKind::BitField { of, .. } if matches!(of.kind, ExprKind::Member { .. }) => {
                self.expr(of)
            }
            ExprKind::BitField { of, first, bits } => {
                let address = self.expr(address_of(of).unwrap_or(of));
                format!(
                    "((struct {} *){address})->f",
                    bits_name(&of.ty, *first, *bits)
                )
            }
            ExprKind::Call(Subroutine::DPath, args) => {
                format!(
                    "d_path({})",
                    args.first()
                        .map_or_else(String::new, |path| self.expr(path))
                )
            }
            ExprKind::Call(subroutine @ Subroutine::PystackAsync, args) => {
                let name = subroutine_name(*subroutine);
                let separator = if args.is_empty() { "" } else { ", " };
                format!("{name}({}{separator}{ASYNC})", self.list(args))
            }
            ExprKind::Call(Subroutine::Execargs, _) => "execargs".to_owned(),
            ExprKind::Call(Subroutine::Uregs, args) => format!("uregs[{}]", self.list(args)),
            ExprKind::Call(subroutine, args) => {
                format!("{}({})", subroutine_name(*subroutine), self.list(args))
            }
            ExprKind::Byte(of, index) => format!("{}[{}]", self.expr(of), self.expr(index)),
            ExprKind::Comma(a, b) => format!("({}, {})", self.expr(a), self.expr(b)),
            // Only `actions` makes these, after this stage.
            ExprKind::Recorded(n) => format!("recorded{n}"),
        }
    }

    fn line(&mut self, text: &str) {
        let indent = "\t".repeat(self.level);
        let _ = writeln!(self.out, "{indent}{text}");
    }
}

/// All structs of a program, by tag, and one with a single bit-field for each kind of bit-field
/// that is read.
#[derive(Default)]
struct Structs {
    named: BTreeMap<(bool, String), Arc<Struct>>,
    bits: BTreeMap<String, String>,
}

impl Structs {
    fn of(program: &Program) -> Self {
        let mut structs = Self::default();
        for variable in &program.variables {
            structs.ty(&variable.ty);
            variable.key.iter().flatten().for_each(|ty| structs.ty(ty));
        }
        for probe in program.providers.iter().flat_map(|p| &p.probes) {
            probe.input.iter().for_each(|ty| structs.ty(ty));
            probe.output.iter().for_each(|(_, ty)| structs.ty(ty));
        }
        for clause in &program.clauses {
            clause.predicate.iter().for_each(|e| structs.expr(e));
            structs.body(&clause.body);
        }
        structs
    }

    fn ty(&mut self, ty: &Type) {
        match ty {
            Type::Pointer(of, _) | Type::Array(of, _) => self.ty(of),
            Type::Named(named) => self.ty(&named.ty),
            Type::Struct(s) if !s.members.is_empty() && !s.kernel => {
                let key = (s.union, s.name.clone());
                if self.named.insert(key, Arc::clone(s)).is_none() {
                    s.members.iter().for_each(|member| self.ty(&member.ty));
                }
            }
            Type::Struct(_)
            | Type::Void
            | Type::Int(_)
            | Type::Float(_)
            | Type::String
            | Type::Symbol(_)
            | Type::Stack => {}
        }
    }

    fn body(&mut self, body: &[Stmt]) {
        for stmt in body {
            match &stmt.kind {
                StmtKind::Expr(e) => self.expr(e),
                StmtKind::If {
                    cond,
                    then,
                    otherwise,
                } => {
                    self.expr(cond);
                    self.body(then);
                    self.body(otherwise);
                }
                StmtKind::Aggregate {
                    keys,
                    value,
                    increment,
                    ..
                } => {
                    keys.iter()
                        .chain(value)
                        .chain(increment)
                        .for_each(|e| self.expr(e));
                }
                StmtKind::Action(action) => match action {
                    Action::Printf(_, args)
                    | Action::System(_, args)
                    | Action::Freopen(_, args) => {
                        for arg in args {
                            self.expr(arg);
                        }
                    }
                    Action::Setopt(name, value) => {
                        self.expr(name);
                        if let Some(value) = value {
                            self.expr(value);
                        }
                    }
                    Action::Tracemem(memory, shown) => {
                        self.expr(memory);
                        if let Some(shown) = shown {
                            self.expr(shown);
                        }
                    }
                    Action::Trace(e)
                    | Action::Print { address: e, .. }
                    | Action::Exit(e)
                    | Action::Trunc(_, Some(e))
                    | Action::Normalize(_, e)
                    | Action::Speculate(e)
                    | Action::Commit(e)
                    | Action::Discard(e)
                    | Action::Raise(e) => self.expr(e),
                    Action::WriteUser(args) => args.iter().for_each(|arg| self.expr(arg)),
                    Action::Printa(..)
                    | Action::Clear(_)
                    | Action::Trunc(_, None)
                    | Action::Denormalize(_)
                    | Action::Ftruncate => {}
                },
            }
        }
    }

    fn expr(&mut self, e: &Expr) {
        self.ty(&e.ty);
        if let ExprKind::BitField { of, first, bits } = &e.kind {
            let unit = type_name(&of.ty);
            let gap = if *first > 0 {
                format!("{unit} : {first}; ")
            } else {
                String::new()
            };
            let definition = format!("{{ {gap}{unit} f : {bits}; }}");
            self.bits
                .insert(bits_name(&of.ty, *first, *bits), definition);
        }
        e.operands()
            .into_iter()
            .for_each(|operand| self.expr(operand));
    }

    /// The definitions, each after those of the structs that it holds.
    fn print(&self) -> String {
        let mut out = String::new();
        let mut done = BTreeSet::new();
        for s in self.named.values() {
            define(s, &mut done, &mut out);
        }
        for (name, definition) in &self.bits {
            let _ = writeln!(out, "struct {name} {definition};");
        }
        out
    }
}

/// Defines a struct after those that it holds.
fn define(s: &Struct, done: &mut BTreeSet<(bool, String)>, out: &mut String) {
    if !done.insert((s.union, s.name.clone())) {
        return;
    }
    let mut members = String::new();
    for member in &s.members {
        let mut of = member.ty.bare();
        while let Type::Array(inner, _) = of {
            of = inner.bare();
        }
        if let Type::Struct(inner) = of {
            define(inner, done, out);
        }
        let bits = member
            .bits
            .map_or(String::new(), |(_, bits)| format!(" : {bits}"));
        let _ = writeln!(members, "\t{}{bits};", declare(&member.ty, &member.name));
    }
    let _ = writeln!(out, "{} {} {{\n{members}}};", kind(s), s.name);
}

fn kind(s: &Struct) -> &'static str {
    if s.union { "union" } else { "struct" }
}

fn bits_name(ty: &Type, first: u8, bits: u8) -> String {
    format!("rdtrace_bits_{}_{first}_{bits}", type_name(ty))
}

/// A type without a name, as in a cast.
fn type_name(ty: &Type) -> String {
    declare(ty, "").trim_end().to_owned()
}

/// A declaration, from the name outwards.
fn declare(ty: &Type, name: &str) -> String {
    match ty {
        Type::Void => format!("void {name}"),
        Type::Int(int) => format!("{} {name}", int_name(*int)),
        Type::String => format!("string {name}"),
        Type::Struct(s) => format!("{} {} {name}", kind(s), s.name),
        Type::Array(of, count) => declare(of, &format!("{name}[{count}]")),
        Type::Pointer(to, _) if matches!(to.bare(), Type::Array(..)) => {
            declare(to, &format!("(*{name})"))
        }
        // Under D's own name: the program's is not defined where the declaration is read again.
        Type::Named(named) => declare(&named.ty, name),
        Type::Pointer(to, _) => declare(to, &format!("*{name}")),
        // No declaration has the last two.
        Type::Float(_) | Type::Symbol(_) | Type::Stack => format!("{ty} {name}"),
    }
}

fn int_name(int: Int) -> &'static str {
    match (int.size, int.signed) {
        (1, true) => "int8_t",
        (1, false) => "uint8_t",
        (2, true) => "int16_t",
        (2, false) => "uint16_t",
        (4, true) => "int32_t",
        (4, false) => "uint32_t",
        (_, true) => "int64_t",
        (_, false) => "uint64_t",
    }
}

/// A constant that has this value and type when it is read again.
fn constant(value: i64, ty: &Type) -> String {
    if let Type::Int(int) = ty
        && int.wrap(value) != value
    {
        return beyond_range(value, *int);
    }
    let suffix = match ty {
        Type::Int(Int::I32) => "",
        Type::Int(Int::I64) => "L",
        Type::Int(Int::U32) => "U",
        Type::Int(Int::U64) => "UL",
        Type::Void
        | Type::Int(_)
        | Type::Float(_)
        | Type::String
        | Type::Pointer(..)
        | Type::Array(..)
        | Type::Struct(_)
        | Type::Symbol(_)
        | Type::Stack
        | Type::Named(_) => return format!("(({}){}UL)", type_name(ty), value.cast_unsigned()),
    };
    let is_signed = matches!(ty, Type::Int(int) if int.signed);
    match value {
        0.. => format!("{value}{suffix}"),
        _ if !is_signed => format!("{}{suffix}", value.cast_unsigned()),
        _ if value == i64::from(i32::MIN) || value == i64::MIN => {
            format!("(({}){}UL)", type_name(ty), value.cast_unsigned())
        }
        _ => format!("(-{}{suffix})", value.unsigned_abs()),
    }
}

/// A value that no literal of its type has, only an operator: it is put together from pieces.
fn beyond_range(value: i64, int: Int) -> String {
    let width = 8 * usize::from(int.size) - 2;
    let pieces: Vec<String> = (0..64)
        .step_by(width)
        .map(|shift| (shift, value.cast_unsigned() >> shift & ((1 << width) - 1)))
        .filter(|(_, piece)| *piece != 0)
        .map(|(shift, piece)| {
            let piece = constant(piece.cast_signed(), &Type::Int(int));
            format!("{piece} << {shift}")
        })
        .collect();
    format!("({})", pieces.join(" | "))
}

fn describe(desc: &ProbeDesc) -> String {
    desc.to_string()
}

fn format_text(format: &Format) -> Vec<u8> {
    let mut text = Vec::new();
    for piece in &format.pieces {
        match piece {
            Piece::Literal(literal) => {
                for &byte in literal {
                    text.push(byte);
                    if byte == b'%' {
                        text.push(byte);
                    }
                }
            }
            Piece::Conversion(conversion) => text.extend_from_slice(conversion.text.as_bytes()),
        }
    }
    text
}

/// A string literal. Bytes that are no text are written as octal escapes.
fn quote(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                '\n' => quoted.push_str("\\n"),
                '\t' => quoted.push_str("\\t"),
                '\r' => quoted.push_str("\\r"),
                c if c.is_ascii_control() => {
                    let _ = write!(quoted, "\\{:03o}", u32::from(c));
                }
                c => quoted.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(quoted, "\\{byte:03o}");
        }
    }
    quoted.push('"');
    quoted
}

/// The address that a value in memory is read from.
fn address_of(memory: &Expr) -> Option<&Expr> {
    if let ExprKind::Deref(address) = &memory.kind {
        Some(address)
    } else {
        None
    }
}
