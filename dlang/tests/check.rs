//! Programs that check, and the errors of those that do not.

use dlang::check::{UnknownArgs, check_with};
use dlang::diag::{Diagnostic, Origin, Source};
use dlang::program::{ProbeDesc, Program};
use dlang::tags::Tag;
use dlang::types::{Int, KernelTypes, NameKind, Space, Type};
use dlang::{ArgKind, ArgTypes, CheckOptions, Macros, Matched, ProbeArgs, check, parse};

fn try_check(text: &str) -> Result<Program, Vec<Diagnostic>> {
    let source = Source {
        origin: Origin::Script("x.d".into()),
        text: text.into(),
    };
    let macros = Macros {
        target: Some(42),
        default_args: true,
        ..Macros::default()
    };
    check(
        &parse(&[source], &macros)?,
        &UnknownArgs,
        &CheckOptions::default(),
    )
}

fn check_ok(text: &str) -> Program {
    try_check(text).unwrap_or_else(|errors| panic!("{text}: {errors:#?}"))
}

/// The first error of a program: its tag and the text under its caret.
#[track_caller]
fn check_err(text: &str, tag: Tag, near: &str) {
    let errors = try_check(text).expect_err(text);
    let span = errors[0].span;
    let found = &text[span.start as usize..span.end as usize];
    assert_eq!(
        (errors[0].tag, found),
        (tag, near),
        "{text}: {}",
        errors[0].message
    );
}

const CALL_STACK: &str = r#"
self int indent;

python$target:::function-entry
/copyinstr(arg1) == "start"/
{
        self->trace = 1;
}

python$target:::function-entry
/self->trace/
{
        printf("%d\t%*s:", timestamp, 15, probename);
        printf("%*s", self->indent, "");
        printf("%s:%s:%d\n", basename(copyinstr(arg0)), copyinstr(arg1), arg2);
        self->indent++;
}

python$target:::function-return
/self->trace/
{
        self->indent--;
        printf("%d\t%*s:", timestamp, 15, probename);
        printf("%*s", self->indent, "");
        printf("%s:%s:%d\n", basename(copyinstr(arg0)), copyinstr(arg1), arg2);
}

python$target:::function-return
/copyinstr(arg1) == "start"/
{
        self->trace = 0;
}
"#;

#[test]
fn the_howto_script_checks() {
    let program = check_ok(CALL_STACK);
    assert_eq!((program.clauses.len(), program.variables.len()), (4, 2));
}

#[test]
fn scripts_that_people_run_check() {
    for text in [
        "#pragma D option quiet\n#pragma D option aggsize=8m\n\
         python*:::function-entry { @calls[pid, copyinstr(arg0), arg2, copyinstr(arg1)] = count(); }\n\
         tick-1s { trunc(@calls, 20); printf(\"%-6s %s\\n\", \"PID\", \"FILE\"); \
         printa(\"%-6d %s:%d %s %@8d\\n\", @calls); clear(@calls); trunc(@calls); }",
        "python$target:::gc-start { self->ts = timestamp; self->gen = arg0; }\n\
         python$target:::gc-done /self->ts/ { @[self->gen] = quantize(timestamp - self->ts); self->ts = 0; }",
        "inline int ms = 1000000; self int depth; this string name;\n\
         python$target:::import-find-load-start { self->start[self->depth] = timestamp; self->depth++; }\n\
         python$target:::import-find-load-done /self->depth > 0/ { self->depth--; \
         this->name = copyinstr(arg0); this->t = timestamp - self->start[self->depth]; \
         printf(\"%*s%s %d.%03d ms\\n\", self->depth * 2, \"\", this->name, this->t / ms, this->t % ms); \
         self->start[self->depth] = 0; }",
        "python$target:::line { @lines[basename(copyinstr(arg0)), arg2] = count(); } END { printa(@lines); }",
        "python$target:::audit { @[copyinstr(arg0)] = count(); }",
        "python$target:::function-entry { ts[tid, copyinstr(arg1)] = timestamp; }\n\
         python$target:::function-return /ts[tid, copyinstr(arg1)] && timestamp - ts[tid, copyinstr(arg1)] > $1 * 1000000/ \
         { printf(\"%s %Y\\n\", strjoin(copyinstr(arg1), \"()\"), walltimestamp); ts[tid, copyinstr(arg1)] = 0; }",
        "BEGIN { start = timestamp; printf(\"%5d %s\\n\", (timestamp - start) / 1000, execname); exit(0); }",
        "BEGIN { self->name = \"x\"; self->name = 0; trace(strstr(\"abc\", \"b\") != NULL); }",
        "struct node { struct node *next; int value; char name[16]; unsigned a : 3, b : 5; };\n\
         BEGIN { this->p = (struct node *)arg0; trace(this->p->next->value); trace(this->p->name); \
         trace(stringof(this->p->name)); trace(this->p->next[2].b); trace(&this->p->value); trace(*(int *)copyin(arg0, 4)); }",
        "BEGIN { if (pid == 1) trace(1); else if (tid) { x++; } else { printf(\"%s\", probefunc); trace(1); } }",
        "BEGIN { @a = lquantize(pid, 0, 100, 10); @b = llquantize(pid, 10, 0, 6, 20); @c[execname] = avg(vtimestamp); normalize(@c, 1000); denormalize(@c); }",
        "typedef enum color { RED, GREEN = 5, BLUE } color_t; color_t c; BEGIN { c = BLUE; trace(c == GREEN ? \"g\" : \"b\"); }",
        "inline string shown[int n] = n == 0 ? \"zero\" : n == 1 ? \"one\" : \"many\"; BEGIN { trace(shown[pid]); trace(shown[1]); }",
        "dtrace:::ERROR { trace(arg4); }",
        "BEGIN { task->x = 1; task->a[pid, execname] = \"s\"; task->x++; trace(task->x + strlen(task->a[1, \"\"])); }",
        "BEGIN { task = curthread; trace((uint64_t)task); trace((uint64_t)task); }",
        "struct s { int x; }; inline struct s *task = (struct s *)arg0; BEGIN { trace(task->x); }",
    ] {
        check_ok(text);
    }
}

#[test]
fn names_must_be_known() {
    for (text, tag, near) in [
        ("BEGIN { trace(nosuch); }", Tag::IdentUndef, "nosuch"),
        ("BEGIN { trace(self->y); }", Tag::VarUndef, "self->y"),
        ("BEGIN { trace(this->y); }", Tag::VarUndef, "this->y"),
        ("BEGIN { trace(task->y); }", Tag::VarUndef, "task->y"),
        (
            "BEGIN { task->y[1] = 1; trace(task->y); }",
            Tag::IdentBadref,
            "task->y",
        ),
        ("BEGIN { x += 1; }", Tag::VarUndef, "x"),
        ("BEGIN { nosuch(); }", Tag::FuncUndef, "nosuch"),
        ("BEGIN { contention(0, 1); }", Tag::FuncUndef, "contention"), // of dependent probes only
        ("BEGIN { @a = foo(); }", Tag::FuncUndef, "foo"),
        ("BEGIN { pid(); }", Tag::FuncIdkind, "pid"),
        ("BEGIN { trace(basename); }", Tag::IdentBadref, "basename"),
        ("BEGIN { trace(printf); }", Tag::IdentBadref, "printf"),
        ("BEGIN { trace(`x); }", Tag::IdentUndef, "`x"),
        ("BEGIN { printa(@b); }", Tag::IdentUndef, "@b"),
        ("BEGIN { trace((foo)pid); }", Tag::Syntax, "foo"),
        ("foo_t x; BEGIN { }", Tag::Syntax, "foo_t"),
        ("BEGIN { jstack(0); }", Tag::UstackFrames, "0"),
        ("BEGIN { pystack(0, ASYNC); }", Tag::UstackFrames, "0"),
        ("BEGIN { pystack(ASYNC, 5); }", Tag::IdentUndef, "ASYNC"),
        ("BEGIN { ustack(ASYNC); }", Tag::IdentUndef, "ASYNC"),
        // The libraries that define it are not among the sources here.
        (
            "BEGIN { trace(curpsinfo->x); }",
            Tag::IdentUndef,
            "curpsinfo",
        ),
        ("BEGIN { trace(args[10]); }", Tag::ArgsIdx, "10"),
        ("BEGIN { trace(args[pid]); }", Tag::ProtoArg, "pid"),
    ] {
        check_err(text, tag, near);
    }
}

#[test]
fn declared_providers_must_be_as_libdtrace_wants_them() {
    let long = "p".repeat(64);
    for (probes, tag, near) in [
        ("probe t(int a, int a);", Tag::DeclProtoForm, "a"),
        ("probe t(int a) : (int b);", Tag::DeclProtoForm, "int"),
        ("probe t(int) : (int);", Tag::DeclProtoName, "int"),
        ("probe t(void x);", Tag::DeclProtoName, "x"),
        ("probe t(int a[], void);", Tag::DeclProtoVoid, "void"),
        ("probe t(int, ...);", Tag::DeclProtoVarargs, "(int, ...)"),
        (
            "probe t(int a) : (int a, ...);",
            Tag::DeclProtoVarargs,
            "(int a, ...)",
        ),
        (&format!("probe {long}(int);"), Tag::ProvBadname, &long),
        ("probe t(int x); probe t(char y);", Tag::ProvPrdup, "t"),
        ("probe t(int a) : (string a);", Tag::ProvPrxlator, "string"),
        ("probe t(int *a) : (int a);", Tag::ProvPrxlator, "int"),
        (
            "probe t(struct no *x) : (struct no2 *x);",
            Tag::ProvPrxlator,
            "struct no2",
        ),
        ("probe t(); }; provider b1 { ", Tag::ProvBadname, "b1"),
        (
            "probe t(); }; provider a { probe u(); ",
            Tag::ProvIncompat,
            "a",
        ),
        (
            "probe t(int); }; provider a { probe t(char); ",
            Tag::ProvIncompat,
            "a",
        ),
        (
            "probe t(int); }; provider a { probe t(); ",
            Tag::ProvIncompat,
            "a",
        ),
        ("probe dash-name();", Tag::Syntax, "-"),
        ("int x;", Tag::Syntax, "int"),
    ] {
        check_err(&format!("provider a {{ {probes} }};"), tag, near);
    }
}

#[test]
fn declared_providers_keep_what_their_probes_have() {
    let program = check_ok(
        "struct s { int y; };\n\
         provider a {\n\
         probe b__c(struct s *s, int n, int v[4], int f(int)) : (int n, struct s *s);\n\
         probe texts(char *a, string b, int *c) : (string a, char *b, void *c);\n\
         probe none(void);\n\
         };\n\
         provider a { };\n",
    );
    let shown: Vec<_> = program.providers[0]
        .probes
        .iter()
        .map(|probe| {
            let input: Vec<_> = probe.input.iter().map(ToString::to_string).collect();
            let output: Vec<_> = probe
                .output
                .iter()
                .map(|(n, ty)| format!("{n} {ty}"))
                .collect();
            format!(
                "{}({}):({})",
                probe.name,
                input.join(", "),
                output.join(", ")
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "b__c(struct s *, int, int *, void *):(1 int, 0 struct s *)",
            "texts(char *, string, int *):(0 string, 1 char *, 2 void *)",
            "none():()",
        ]
    );
}

#[test]
fn operands_must_fit_their_operators() {
    for (text, tag, near) in [
        ("BEGIN { 3 = 4; }", Tag::OpLval, "3"),
        ("BEGIN { pid = 4; }", Tag::OpWrite, "pid"),
        ("BEGIN { x = 1; x = \"a\"; }", Tag::OpIncompat, "\"a\""),
        (
            "BEGIN { trace(1 == \"a\"); }",
            Tag::OpIncompat,
            "1 == \"a\"",
        ),
        (
            "BEGIN { trace(\"a\" + \"b\"); }",
            Tag::OpIncompat,
            "\"a\" + \"b\"",
        ),
        ("BEGIN { trace(-\"a\"); }", Tag::OpArith, "\"a\""),
        ("BEGIN { trace(!\"a\"); }", Tag::OpScalar, "\"a\""),
        ("BEGIN { trace(\"a\" ? 1 : 2); }", Tag::OpScalar, "\"a\""),
        ("BEGIN { trace(1 / 0); }", Tag::DivZero, "1 / 0"),
        ("BEGIN { trace(*pid); }", Tag::DerefNonptr, "pid"),
        ("BEGIN { trace(pid->x); }", Tag::OpPtr, "pid"),
        ("BEGIN { &pid; }", Tag::AddrofVar, "&pid"),
        ("BEGIN { x[1] = 2; x[\"a\"] = 3; }", Tag::ProtoArg, "\"a\""),
        ("BEGIN { x[1] = 2; x[1, 2] = 3; }", Tag::ProtoLen, "x[1, 2]"),
        ("BEGIN { x[1] = 2; x = 3; }", Tag::IdentBadref, "x"),
        ("BEGIN { x = 2; x[1] = 3; }", Tag::DerefNonptr, "x"),
        ("BEGIN /\"a\"/ {}", Tag::PredScalar, "\"a\""),
        ("BEGIN { x = printf(\"a\"); }", Tag::OpIncompat, "x"),
        ("BEGIN { trace(exit(0)); }", Tag::TraceVoid, "exit(0)"),
        ("BEGIN { trace(basename(1)); }", Tag::ProtoArg, "1"),
        // As in libdtrace the number of arguments comes first, then their types, then whether the
        // function can be used at all.
        (
            "BEGIN { ddi_pathname(1); }",
            Tag::ProtoLen,
            "ddi_pathname(1)",
        ),
        (
            "BEGIN { ddi_pathname(curthread, \"a\"); }",
            Tag::ProtoArg,
            "\"a\"",
        ),
        (
            "BEGIN { ddi_pathname(curthread, 1); }",
            Tag::FuncUndef,
            "ddi_pathname",
        ),
        ("BEGIN { chill(); }", Tag::ProtoLen, "chill()"),
        ("BEGIN { chill(\"a\"); }", Tag::ProtoArg, "\"a\""),
        ("BEGIN { chill(1); }", Tag::Unknown, "chill"),
        ("BEGIN { trace(panic(1)); }", Tag::ProtoLen, "panic(1)"),
        ("BEGIN { @ = normalize(1); }", Tag::AggFunc, "normalize(1)"),
        (
            "BEGIN { @ = count(); normalize(1, \"a\"); }",
            Tag::ProtoArg,
            "\"a\"",
        ),
        (
            "BEGIN { @ = lquantize(1, \"a\", 2); }",
            Tag::ProtoArg,
            "\"a\"",
        ),
        ("BEGIN { trace(rand); }", Tag::IdentBadref, "rand"),
        ("BEGIN { trace(args(1)); }", Tag::FuncIdkind, "args"),
        (
            "BEGIN { trace(basename(\"a\", 2)); }",
            Tag::ProtoLen,
            "basename(\"a\", 2)",
        ),
        (
            "struct s { int a; }; BEGIN { trace(((struct s *)arg0)->b); }",
            Tag::TypeMember,
            "b",
        ),
        (
            "BEGIN { trace(((struct s *)arg0)->b); }",
            Tag::OpIncomplete,
            "((struct s *)arg0)->b",
        ),
        (
            "struct s { int a : 3; }; BEGIN { trace(offsetof(struct s, a)); }",
            Tag::OffsetofBitfield,
            "a",
        ),
        ("BEGIN { *(int *)arg0 = 1; }", Tag::OpWrite, "*(int *)arg0"),
        ("int x; string x; BEGIN { }", Tag::DeclIdred, "x"),
        ("struct foo x; BEGIN { }", Tag::DeclIncomplete, "x"),
        ("inline int K = 7; BEGIN { K = 3; }", Tag::OpLval, "K"),
    ] {
        check_err(text, tag, near);
    }
}

#[test]
fn aggregations_keep_their_function_and_keys() {
    for (text, tag, near) in [
        ("BEGIN { @a = count(); @a = sum(1); }", Tag::AggRedef, "@a"),
        (
            "BEGIN { @a[1] = count(); @a[1, 2] = count(); }",
            Tag::ProtoLen,
            "@a[1, 2]",
        ),
        (
            "BEGIN { @a[1] = count(); @a[\"s\"] = count(); }",
            Tag::ProtoArg,
            "\"s\"",
        ),
        ("BEGIN { @a = 3; }", Tag::AggFunc, "3"),
        ("BEGIN { @a = sum(); }", Tag::ProtoLen, "sum()"),
        ("BEGIN { @a = sum(\"x\"); }", Tag::AggScalar, "\"x\""),
        (
            "BEGIN { @a = lquantize(1, 10, 5); }",
            Tag::LquantMismatch,
            "10, 5",
        ),
        (
            "BEGIN { @a = lquantize(1, pid, 5); }",
            Tag::LquantBasetype,
            "pid",
        ),
        (
            "BEGIN { @a = llquantize(1, 10, 0, 3, 7); }",
            Tag::LlquantStepval,
            "7",
        ),
        ("BEGIN { @a[count()] = count(); }", Tag::KeyType, "count()"),
        ("BEGIN { @a = count(); @a++; }", Tag::AggComm, "@a++"),
        ("BEGIN { @a = count(); trace(@a); }", Tag::TraceDyn, "@a"),
        ("BEGIN { clear(1); }", Tag::ClearAggarg, "1"),
        (
            "BEGIN { @a = count(); @b[1] = count(); printa(@a, @b); }",
            Tag::PrintaAggkey,
            "printa(@a, @b)",
        ),
        (
            "BEGIN { @a = count(); normalize(@a, \"x\"); }",
            Tag::ProtoArg,
            "\"x\"",
        ),
    ] {
        check_err(text, tag, near);
    }
}

#[test]
fn formats_must_fit_their_arguments() {
    for (text, message) in [
        (
            "printf(\"%d\", \"s\")",
            "printf( ) argument #2 is incompatible with conversion #1 prototype:\n\tconversion: %d\n\t prototype: char, short, int, long, or long long\n\t  argument: string",
        ),
        (
            "printf(\"%d\")",
            "printf( ) prototype mismatch: conversion #1 (%d) is missing a corresponding value argument",
        ),
        (
            "printf(\"a\", 1)",
            "printf( ) prototype mismatch: only 0 arguments required by this format string",
        ),
        ("printf(\"%q\", 1)", "format conversion #1 is undefined: %q"),
        (
            "printf(\"%Y\", 0)",
            "printf( ) argument #2 is incompatible with conversion #1 prototype:\n\tconversion: %Y\n\t prototype: int64_t\n\t  argument: int",
        ),
        (
            "printf(\"%*d\", \"x\", 1)",
            "printf( ) argument #2 is incompatible with conversion #1 prototype:\n\tconversion: % * d\n\t prototype: int\n\t  argument: string",
        ),
        (
            "printf(\"%@d\", 1)",
            "%@ conversion requires an aggregation and is not for use with printf( )",
        ),
        (
            "printf()",
            "printf( ) prototype mismatch: 0 args passed, at least 1 expected",
        ),
        ("printf(\"\")", "printf( ) format string is empty"),
        (
            "printf(1)",
            "printf( ) argument #1 is incompatible with prototype:\n\tprototype: string\n\t argument: int",
        ),
        (
            "@a = count(); printa(\"%s %@d\\n\", @a)",
            "printa( ) prototype mismatch: conversion #1 (%s) is missing a corresponding value argument",
        ),
    ] {
        let errors = try_check(&format!("BEGIN {{ {text}; }}")).expect_err(text);
        assert_eq!(errors[0].message, message, "{text}");
    }
}

#[test]
fn one_bad_statement_does_not_hide_the_next() {
    let errors = try_check("BEGIN /nope/ { x = what; trace(x); trace(1); foo(); }").unwrap_err();
    let tags: Vec<_> = errors.iter().map(|error| error.tag).collect();
    assert_eq!(tags, [Tag::IdentUndef, Tag::IdentUndef, Tag::FuncUndef]);
}

/// Inlines that each use the one before twice.
fn doubling_inlines(count: usize) -> String {
    let inlines = (1..=count).map(|n| {
        let before = n - 1;
        format!("inline int z{n} = z{before} + z{before};")
    });
    let inlines: Vec<String> = inlines.collect();
    format!(
        "inline int z0 = pid; {} BEGIN {{ trace(z{count}); }}",
        inlines.join("")
    )
}

/// What the parser lets through must not be too deep for the checker and the printer.
#[test]
fn programs_at_the_limits_of_nesting_check() {
    for text in [
        format!(
            "BEGIN {{ trace({}pid{}); }}",
            "(".repeat(90),
            ")".repeat(90)
        ),
        format!("BEGIN {{ trace({}pid); }}", "pid + ".repeat(150)),
        format!("BEGIN {{ trace({}pid); }}", "- ".repeat(300)),
        format!("BEGIN {{ trace({}pid); }}", "pid ? 1 : ".repeat(150)),
        format!("BEGIN {{ {}trace(1); }}", "if (pid) ".repeat(90)),
        format!(
            "BEGIN {{ {}trace(1); }}",
            "if (pid) x = 1; else ".repeat(90)
        ),
        format!(
            "BEGIN {{ {}trace(1){} }}",
            "if (pid) {".repeat(45),
            "}".repeat(45)
        ),
        format!(
            "BEGIN {{ trace({}execname{}); }}",
            "lltostr(strlen(".repeat(40),
            "))".repeat(40)
        ),
        doubling_inlines(9),
    ] {
        assert!(!dlang::print(&check_ok(&text)).is_empty());
    }
}

#[test]
fn inlines_that_explode_are_an_error() {
    let errors = try_check(&doubling_inlines(20)).unwrap_err();
    assert_eq!((errors[0].tag, errors.len()), (Tag::Nesting, 1));
}

#[test]
fn parts_of_variables_are_checked() {
    let structs = "struct s { int a; char b[8]; unsigned f : 3; }; struct t { int a; }; struct s x, m[int]; struct t y; int k[5];";
    for (body, tag, near) in [
        ("k[5] = 1;", Tag::ArrBounds, "5"),
        ("trace(k[-1]);", Tag::ArrBounds, "-1"),
        ("x.b[8] = 1;", Tag::ArrBounds, "8"),
        ("m[1].b[8] = 1;", Tag::ArrBounds, "8"),
        ("x = y;", Tag::OpIncompat, "y"),
        ("x = 0;", Tag::OpIncompat, "0"),
        ("x.z = 1;", Tag::TypeMember, "z"),
        ("x + 1;", Tag::OpIncompat, "x + 1"),
        ("&x;", Tag::AddrofVar, "&x"),
        ("&m[1].a;", Tag::AddrofVar, "&m[1].a"),
        ("&x.f;", Tag::AddrofBitfield, "&x.f"),
        ("this->q = k;", Tag::OpArrfun, "this->q = k"),
        ("k = 0;", Tag::OpArrfun, "k"),
        ("@[x] = count();", Tag::KeyType, "x"),
        ("*(int *)arg0 = 5;", Tag::OpWrite, "*(int *)arg0"),
        ("*(int *)8 = 5;", Tag::OpWrite, "*(int *)8"),
        (
            "((struct s *)arg0)->a++;",
            Tag::OpWrite,
            "((struct s *)arg0)->a",
        ),
    ] {
        check_err(&format!("{structs} BEGIN {{ {body} }}"), tag, near);
    }
    check_ok(&format!(
        "{structs} BEGIN {{ this->p = &x.a; *this->p = 1; ((struct s *)copyin(arg0, 16))->a = 2; }}"
    ));
}

#[test]
fn what_dtrace_accepts_is_accepted() {
    for text in [
        "BEGIN /x == 0 && s == \"\"/ { x = 1; s = \"a\"; }",
        "BEGIN /x++ < 5/ { trace(x); }",
        "typedef unsigned char byte; BEGIN { trace((byte)-1); trace((byte) *(int *)arg0); }",
        "typedef long l; struct s { int a; int b; }; BEGIN { trace((l)&((struct s *)16)->b); }",
        "typedef int (*fp)(int); typedef struct { int a; } t; BEGIN { a = 1; trace((a) - 1); }",
        "BEGIN { self->string = 5; this->self = 6; trace(self->string + this->self); }",
        "inline int O = 1; BEGIN { O ? printf(\"y\") : 1; 0 ? @a = count() : 1; }",
        "BEGIN { 1 ? @a = count() : 1; printa(@a); }",
        "int x; BEGIN { x ? printf(\"y\") : 1; (x ? @a = count() : 1); x ? exit(1) : trace(x); }",
        "BEGIN { trace(1 ? 5 : nosuch); trace(0 ? \"a\" : 5); }",
        "BEGIN { trace(\"abc\" + 1); trace(execname[0]); trace(*execname); trace(1 + execname); }",
        "BEGIN { printf(\"%C %hd %lld %5s\", 65, (short)1, 2ll, \"s\"); @ = sum(1); printa(\"%8@d\", @); }",
        "const int a; extern int b; volatile int c; BEGIN { trace(a + b + c); }",
        "inline int A[int x] = x * 1000000; BEGIN { trace(A[5000]); }",
        "enum { BIG = 5, MIN = -9223372036854775807L - 1 > 0 ? 1 : 2 }; BEGIN { trace(MIN); }",
    ] {
        check_ok(text);
    }
}

#[test]
fn what_dtrace_refuses_is_refused() {
    for (text, tag, near) in [
        ("static int a; BEGIN { }", Tag::DeclBadclass, "static int"),
        (
            "BEGIN { trace(18446744073709551615); }",
            Tag::IntOflow,
            "18446744073709551615",
        ),
        (
            "int x; BEGIN { 1 && printf(\"y\"); }",
            Tag::OpScalar,
            "printf(\"y\")",
        ),
        (
            "BEGIN { \"x\" ? printf(\"y\") : 1; }",
            Tag::OpScalar,
            "\"x\"",
        ),
        ("BEGIN /nope/ { x = 1; }", Tag::IdentUndef, "nope"),
        ("BEGIN { printf(\"%c\", 5L); }", Tag::PrintfArgType, "5L"),
        ("BEGIN { printf(\"%hhd\", 5); }", Tag::Syntax, "\"%hhd\""),
        ("BEGIN { printf(\"%5%\"); }", Tag::Syntax, "\"%5%\""),
        ("BEGIN { printf(\"%\"); }", Tag::Syntax, "\"%\""),
        ("BEGIN { printf(\"%D\", 1); }", Tag::Syntax, "\"%D\""),
        ("BEGIN { printf(\"%lld\", 5); }", Tag::PrintfArgType, "5"),
        (
            "BEGIN { printf(\"%lld\", timestamp); }",
            Tag::PrintfArgType,
            "timestamp",
        ),
        (
            "BEGIN { printf(\"%hu\", (short)1); }",
            Tag::PrintfArgType,
            "(short)1",
        ),
        ("BEGIN { printf(\"%T\", 5); }", Tag::PrintfArgType, "5"),
        (
            "BEGIN { printf(\"%d\", trace(1)); }",
            Tag::PrintfArgType,
            "trace(1)",
        ),
        (
            "BEGIN { @a = count(); printf(\"%d\", @a); }",
            Tag::PrintfArgType,
            "@a",
        ),
        ("BEGIN { return(1); }", Tag::ActReturn, "return(1)"),
        ("BEGIN { raise(); }", Tag::ProtoLen, "raise()"),
        ("BEGIN { setopt(1); }", Tag::ProtoArg, "1"),
        (
            "enum { E = -9223372036854775807L - 1 }; BEGIN { }",
            Tag::DeclEnoflow,
            "E",
        ),
    ] {
        check_err(text, tag, near);
    }
}

#[test]
fn expressions_without_a_value_are_refused_in_libdtraces_words() {
    for (body, tag) in [
        ("count();", Tag::CgExpr),
        ("x = count();", Tag::OpIncompat),
        ("@a = count(); x = @a;", Tag::OpIncompat),
        ("@a = count(); x = @a + 1;", Tag::OpIncompat),
        ("@a = count(); x = @a == 1;", Tag::OpIncompat),
        ("@a = count(); x = -@a;", Tag::OpArith),
        ("@a = count(); x = !@a;", Tag::OpScalar),
        ("@a = count(); x = (int)@a;", Tag::CastInval),
        ("@a = count(); x = *@a;", Tag::DerefNonptr),
        ("@a = count(); x = &@a;", Tag::AddrofVar),
        ("@a = count(); x = sizeof (@a);", Tag::SizeofType),
        ("@a = count(); x = strlen(@a);", Tag::ProtoArg),
        ("y = 1; @a = count(); x = y ? @a : 1;", Tag::OpDyn),
        ("@a[1][2] = count();", Tag::AggMdim),
        ("@a = count(); b[@a] = 1;", Tag::KeyType),
        ("@a[printf(\"x\")] = count();", Tag::KeyType),
        ("trace(1), trace(2);", Tag::OpAct),
        ("@a = count(), @b = count();", Tag::OpDyn),
        ("x = 1 + trace(1);", Tag::OpIncompat),
        ("x = sizeof (printf(\"a\"));", Tag::SizeofType),
        ("x = self;", Tag::IdentBadref),
        ("x = a[1];", Tag::VarUndef),
        ("x = zonename;", Tag::IdentUndef),
        ("panic();", Tag::Unknown),
        ("return();", Tag::ProtoLen),
        ("y = 1; x = y ? alloca(8) : (void *)0;", Tag::AllocaIncompat),
    ] {
        let text = format!("BEGIN {{ {body} }}");
        let errors = try_check(&text).expect_err(&text);
        assert_eq!(errors[0].tag, tag, "{text}: {}", errors[0].message);
    }
    for (text, tag) in [
        ("BEGIN /count()/ { }", Tag::PredScalar),
        ("BEGIN /exit(0)/ { }", Tag::PredScalar),
        (
            "struct s { int a; }; struct s v; BEGIN /v/ { }",
            Tag::PredScalar,
        ),
        (
            "struct s { int a; }; struct s v; BEGIN { x = !v; }",
            Tag::OpScalar,
        ),
        (
            "struct s { int a; }; struct s v; BEGIN { x = v->a; }",
            Tag::OpPtr,
        ),
        (
            "struct s { int a; }; struct t { int a; }; struct s *v; struct t *w; BEGIN { v = w; }",
            Tag::OpIncompat,
        ),
        (
            "struct s { int b : 3; }; BEGIN { x = sizeof (((struct s *)0)->b); }",
            Tag::SizeofBitfield,
        ),
        ("int a[2]; BEGIN { y = a; }", Tag::OpArrfun),
        ("int; BEGIN { }", Tag::DeclUseless),
        ("long void x; BEGIN { }", Tag::DeclVoidattr),
        ("int x[void]; BEGIN { }", Tag::DeclProtoType),
        ("int x[y]; BEGIN { }", Tag::IdentUndef),
        ("inline self int x = 1; BEGIN { }", Tag::DeclBadclass),
        ("inline int x = printf(\"a\"); BEGIN { }", Tag::OpIncompat),
        ("struct s { struct s a; }; BEGIN { }", Tag::DeclIncomplete),
        ("struct s { int a[]; }; BEGIN { }", Tag::DeclVoidobj),
        ("struct s { enum { Q } a : 2; }; BEGIN { }", Tag::DeclBftype),
        ("enum u { A }; enum u { B }; BEGIN { }", Tag::DeclTypered),
        ("enum nosuch x; BEGIN { }", Tag::DeclIncomplete),
        ("int f(void v); BEGIN { }", Tag::DeclProtoName),
    ] {
        let errors = try_check(text).expect_err(text);
        assert_eq!(errors[0].tag, tag, "{text}: {}", errors[0].message);
    }
    for text in [
        "BEGIN END { }",
        "BEGIN // { }",
        "BEGIN { } END /1/",
        "BEGIN { a[] = 1; }",
        "struct s { int; }; BEGIN { }",
        "int f(self int); BEGIN { }",
    ] {
        let errors = try_check(text).expect_err(text);
        assert_eq!(errors[0].tag, Tag::Syntax, "{text}");
    }
    check_ok("self x; this y; BEGIN { self->x = 1; this->y = 2; }");
}

#[test]
fn declarations_are_refused_as_libdtrace_refuses_them() {
    for (text, tag, near) in [
        (
            "typedef int t; typedef int t; BEGIN { }",
            Tag::DeclIdred,
            "t",
        ),
        ("enum { A, A }; BEGIN { }", Tag::DeclIdred, "A"),
        ("enum e { A }; enum f { A }; BEGIN { }", Tag::DeclIdred, "A"),
        ("int A; enum { A }; BEGIN { }", Tag::DeclIdred, "A"),
        ("enum { A }; int A; BEGIN { }", Tag::DeclIdred, "A"),
        (
            "enum { A = 2147483647, B }; BEGIN { }",
            Tag::DeclEnoflow,
            "B",
        ),
        ("enum { A = \"a\" }; BEGIN { }", Tag::DeclEnconst, "\"a\""),
        ("struct s { int a; char a; }; BEGIN { }", Tag::Unknown, "a"),
        ("struct s { void a; }; BEGIN { }", Tag::DeclVoidobj, "a"),
        ("void a; BEGIN { }", Tag::DeclVoidobj, "a"),
        ("void a[2]; BEGIN { }", Tag::DeclVoidobj, "2"),
        ("int a[]; BEGIN { }", Tag::DeclArrnull, "a"),
        ("int a[0]; BEGIN { }", Tag::DeclArrsub, "0"),
        ("int a[\"a\"]; BEGIN { }", Tag::DeclArrsub, "\"a\""),
        ("struct s { int a : 33; }; BEGIN { }", Tag::DeclBfsize, "33"),
        ("struct s { int a : 0; }; BEGIN { }", Tag::DeclBfconst, "0"),
        ("struct s { int *a : 3; }; BEGIN { }", Tag::DeclBftype, "3"),
        (
            "self this int a; BEGIN { }",
            Tag::DeclClass,
            "self this int",
        ),
        (
            "typedef static int a; BEGIN { }",
            Tag::DeclClass,
            "typedef static int",
        ),
        ("int a; typedef int a; BEGIN { }", Tag::DeclIdred, "a"),
        ("typedef int pid; BEGIN { }", Tag::DeclIdred, "pid"),
        (
            "struct s { static int a; }; BEGIN { }",
            Tag::Syntax,
            "static",
        ),
        (
            "int f(static int a); BEGIN { }",
            Tag::DeclParmclass,
            "static int",
        ),
        ("long char a; BEGIN { }", Tag::DeclCharattr, "long char"),
        (
            "unsigned string a; BEGIN { }",
            Tag::DeclSignint,
            "unsigned string",
        ),
        ("long string a; BEGIN { }", Tag::DeclLongint, "long string"),
        (
            "unsigned signed a; BEGIN { }",
            Tag::Unknown,
            "unsigned signed",
        ),
        ("short long a; BEGIN { }", Tag::Unknown, "short long"),
        ("int char a; BEGIN { }", Tag::DeclCombo, "int char"),
        (
            "inline int f[int a] = a; BEGIN { trace(f[\"a\"]); }",
            Tag::ProtoArg,
            "\"a\"",
        ),
        (
            "inline int f[int a] = a; BEGIN { trace(f[1, 2]); }",
            Tag::ProtoLen,
            "f[1, 2]",
        ),
        ("inline void a = 3; BEGIN { }", Tag::DeclVoidobj, "a"),
        (
            "inline int f[int a, int a] = a; BEGIN { }",
            Tag::DeclProtoForm,
            "a",
        ),
        ("int f(void, int); BEGIN { }", Tag::DeclProtoVoid, "void"),
        ("int f(int a, int a); BEGIN { }", Tag::DeclProtoForm, "a"),
    ] {
        check_err(text, tag, near);
    }
    check_ok(
        "inline int a = 3; int a; inline int f[int] = 3; BEGIN { trace(sizeof (struct s { int a[2]; })); }",
    );
    check_ok(
        "int f(int a, char *b, ...); int g(void); struct s { int : 0; int a : 3; }; BEGIN { }",
    );
}

#[test]
fn pragmas_are_checked() {
    let with = |pragma: &str| format!("#pragma D {pragma}\nint x; BEGIN {{ }}");
    for (pragma, tag) in [
        ("attributes Stable/Stable/Common", Tag::PragmaMalform),
        ("attributes / x", Tag::PragmaInval),
        ("depends_on library errno.d", Tag::PragmaDepend),
        (
            "attributes Stable/Stable/Common provider python provider",
            Tag::PragmaUnused,
        ),
        ("attributes Good/Stable/Common x", Tag::PragmaInval),
        ("attributes Stable/Stable/Common y", Tag::PragmaUnused),
        ("attributes Stable/Stable/Common pid", Tag::PragmaScope),
        ("binding 1.0 x", Tag::PragmaMalform),
        ("binding \"1.x\" x", Tag::PragmaInval),
        ("depends_on library", Tag::PragmaMalform),
        ("depends_on nothing x", Tag::PragmaInval),
    ] {
        check_err(&with(pragma), tag, &format!("#pragma D {pragma}"));
    }
    for pragma in [
        "attributes Evolving/evolving/ISA x",
        "attributes Stable x",
        "attributes Stable/Stable/ x",
        "attributes Stable/Stable/Common provider sched args",
        "binding \"1.6.1\" x",
        "depends_on provider sched",
    ] {
        check_ok(&with(pragma));
    }
}

#[test]
fn inlines_of_inlines_do_not_double_without_end() {
    let nested = format!("{}pid{}", "d[".repeat(22), "]".repeat(22));
    let text = format!("inline long d[long x] = x + x; BEGIN {{ trace({nested}); }}");
    let errors = try_check(&text).unwrap_err();
    assert_eq!((errors[0].tag, errors.len()), (Tag::Nesting, 1));
}

/// Probes of three kinds: `app:::text` has a text and an `int`, `app:::number` a `long` and an `int`,
/// `app:::any` matches both, `app:::none` has no arguments, and `app:::missing` is not there.
#[derive(Debug)]
struct App;

impl ProbeArgs for App {
    fn matched(&self, desc: &ProbeDesc) -> Matched {
        let kind = |name: &str, types: &[Type]| ArgKind {
            dependent: None,
            types: ArgTypes::Known(types.to_vec()),
            probe: ProbeDesc {
                name: name.into(),
                ..desc.clone()
            },
        };
        let text = Type::pointer_in(Space::User, Type::Int(Int::I8));
        let text = kind("text", &[text, Type::INT]);
        let number = kind("number", &[Type::I64, Type::INT]);
        match desc.name.as_str() {
            "text" => Matched::Kinds(vec![text]),
            "number" => Matched::Kinds(vec![number]),
            "any" => Matched::Kinds(vec![text, number]),
            "none" => Matched::Kinds(vec![kind("none", &[])]),
            "missing" => Matched::Nothing,
            _ => Matched::NothingYet,
        }
    }
}

fn check_app(text: &str) -> Result<Program, Vec<Diagnostic>> {
    let source = Source {
        origin: Origin::Script("x.d".into()),
        text: text.into(),
    };
    let ast = parse(&[source], &Macros::default())?;
    check(&ast, &App, &CheckOptions::default())
}

#[test]
fn typed_arguments_have_the_types_of_their_probes() {
    let program = check_app("app:::text { x = args[0]; y = args[1]; }").unwrap();
    let types: Vec<_> = program.variables.iter().map(|v| v.ty.to_string()).collect();
    assert_eq!(types, ["char *", "int"]);
    assert_eq!(program.clauses[0].args.len(), 2);
}

#[test]
fn a_clause_is_checked_once_for_each_kind_of_probe() {
    let counts = [
        ("app:::any { trace(arg0); }", 1, 1),
        ("app:::any { trace(args[1]); }", 1, 1),
        ("app:::any { trace(sizeof (args[0])); }", 2, 1),
        ("app:::text, app:::number { trace(args[1]); }", 1, 2),
        ("app:::text, app:::number { trace(args[0]); }", 2, 1),
        // With the arguments of `number` it is wrong: those do not run it.
        ("app:::any { trace(*args[0]); }", 1, 1),
    ];
    for (text, clauses, probes) in counts {
        let program = check_app(text).unwrap_or_else(|errors| panic!("{text}: {errors:#?}"));
        assert_eq!(program.clauses.len(), clauses, "{text}");
        assert_eq!(program.clauses[0].probes.len(), probes, "{text}");
    }
}

#[test]
fn probes_whose_arguments_a_clause_is_wrong_for_do_not_run_it() {
    let program = check_app("app:::any { trace(*args[0]); } app:::number { trace(args[0]); }");
    let program = program.unwrap();
    let [unfit] = &program.unfit[..] else {
        panic!("{:#?}", program.unfit);
    };
    assert_eq!((unfit.number, unfit.error.tag), (0, Tag::DerefNonptr));
    let text = Type::pointer_in(Space::User, Type::Int(Int::I8));
    let (text, number) = ([text, Type::INT], [Type::I64, Type::INT]);
    let on = |clause: usize, types: &[Type]| {
        let spec = &program.clauses[clause].probes[0];
        let args = |n| types.get(usize::from(n)).cloned();
        let given = (&args as &dyn Fn(u8) -> _, None);
        let runs = program.clause_for(clause, spec, given).is_some();
        (runs, program.unfit_for(clause, spec, given).is_some())
    };
    assert_eq!(on(0, &text), (true, false));
    assert_eq!(on(0, &number), (false, true));
    assert_eq!(on(0, &number[..1]), (false, false), "nobody has seen such");
    assert_eq!(on(1, &number), (true, false));
}

#[test]
fn errors_of_typed_arguments() {
    let first = |text: &str| {
        let errors = check_app(text).expect_err(text);
        (
            errors[0].tag,
            errors[0].message.clone(),
            errors[0].labels.clone(),
        )
    };
    for (text, tag, words) in [
        (
            "app:::none { trace(args[0]); }",
            Tag::ArgsIdx,
            "index 0 is out of range for app:::none args[ ]",
        ),
        (
            "app:::text, app:::none { trace(args[0]); }",
            Tag::ArgsIdx,
            "index 0 is out of range for app:::none args[ ]",
        ),
        (
            "app:::other { trace(args[10]); }",
            Tag::ArgsIdx,
            "index 10 is out of range for app:::other args[ ]",
        ),
        (
            "inline int a = args[0]; app:::text { }",
            Tag::ArgsNone,
            "args[ ] may not be referenced outside of a probe clause",
        ),
        (
            "app:::missing { bogus }",
            Tag::PdescZero,
            "probe description app:::missing does not match any probes",
        ),
        (
            "app:::missing { } app:::text { bogus }",
            Tag::PdescZero,
            "probe description app:::missing does not match any probes",
        ),
    ] {
        let (found, message, _) = first(text);
        assert_eq!((found, message.as_str()), (tag, words), "{text}");
    }
    let errors = check_app("app:::text { bogus } app:::missing { }").unwrap_err();
    assert_eq!(
        errors[0].tag,
        Tag::IdentUndef,
        "the first clause comes first"
    );
    let text = "app:::text, app:::number { trace(*args[0]); }";
    let (_, _, labels) = first(text);
    let (span, words) = labels.last().expect("the probe that does not fit is shown");
    assert_eq!(
        &text[span.start as usize..span.end as usize],
        "app:::number"
    );
    assert_eq!(words, "with the arguments of this probe");
}

#[test]
fn python_objects_show_as_text_and_are_addresses_otherwise() {
    let audit = "python1:::audit";
    let program = check_ok(&format!(
        "{audit} {{ this->o = pyaudit(0); printf(\"%s %p\", this->o, this->o); trace(pyaudit(1)); \
         trace(pyaudit(2) == NULL); }}"
    ));
    assert!(program.variables[0].ty.is_python_object());
    check_ok(&format!(
        "{audit} {{ trace(pyint(arg1)); trace(pylen((void *)arg1)); }}"
    ));
    let error =
        |body: &str, tag, near: &str| check_err(&format!("{audit} {{ {body} }}"), tag, near);
    error("trace(pyint(\"a\"));", Tag::ProtoArg, "\"a\"");
    error(
        "printf(\"%d\", pyaudit(0));",
        Tag::PrintfArgType,
        "pyaudit(0)",
    );
    error("trace(pyaudit());", Tag::ProtoLen, "pyaudit()");
    error("trace(pyarg(execname));", Tag::ProtoArg, "execname");
    error("trace(pylocal(1));", Tag::ProtoArg, "1");
    error("trace(pyattr(pyarg(0), 1));", Tag::ProtoArg, "1");
    error("trace(pyself(execname));", Tag::ProtoArg, "execname");
    error("@[pyaudit(0)] = count();", Tag::KeyType, "pyaudit(0)");
    error("x[pyaudit(0)] = 1;", Tag::KeyType, "pyaudit(0)");
    check_ok(&format!(
        "{audit} {{ @[pystr(pyaudit(0)), pyint(pyaudit(1))] = count(); }}"
    ));
}

/// A kernel with one symbol, in a module.
#[derive(Debug)]
struct OneSymbol;

impl KernelTypes for OneSymbol {
    fn find(&self, _kind: NameKind, _name: &str) -> Option<Type> {
        None
    }

    fn symbol(&self, module: &str, name: &str) -> Option<u64> {
        (matches!(module, "" | "m") && name == "sym").then_some(0xffff_8000_0000_1000)
    }
}

#[test]
fn symbols_of_the_kernel_are_unsigned_longs_in_its_memory() {
    let tag_of = |text: &str| {
        let source = Source {
            origin: Origin::Script("x.d".into()),
            text: text.into(),
        };
        let ast = parse(&[source], &Macros::default()).map_err(|errors| errors[0].tag)?;
        let options = CheckOptions::default();
        let program = check_with(&ast, &UnknownArgs, &OneSymbol, &options);
        program.map(|_| ()).map_err(|errors| errors[0].tag)
    };
    assert_eq!(tag_of("BEGIN { x = `sym; y = &m`sym; trace(*y); }"), Ok(()));
    for (text, tag) in [
        ("BEGIN { trace(`symbol); }", Tag::IdentUndef),
        ("BEGIN { trace(vmlinux`sym); }", Tag::IdentUndef),
        ("BEGIN { trace(`); }", Tag::IdentUndef),
        ("BEGIN { `sym = 1; }", Tag::OpWrite),
        ("BEGIN { trace(*`sym); }", Tag::DerefNonptr),
        ("BEGIN { trace(`sym()); }", Tag::FuncUndef),
        ("BEGIN { m`f(); }", Tag::FuncUndef),
    ] {
        assert_eq!(tag_of(text), Err(tag), "{text}");
    }
}
