//! D text and the tree it gives.

use dlang::diag::{Diagnostic, Origin, Source, SpecifierKind};
use dlang::dump::dump;
use dlang::{Macros, parse};

fn macros() -> Macros {
    Macros {
        args: vec!["5".into(), "arg0".into(), "a b".into(), "-3".into()],
        script: "x.d".into(),
        target: Some(42),
        unreferenced_args: true,
        ..Macros::default()
    }
}

fn source(text: &str) -> Source {
    Source {
        origin: Origin::Script("x.d".into()),
        text: text.into(),
    }
}

fn tree(text: &str) -> String {
    let ast = parse(&[source(text)], &macros()).unwrap_or_else(|e| panic!("{text}: {e:?}"));
    dump(&ast).trim_end().to_owned()
}

fn expr(text: &str) -> String {
    let tree = tree(&format!("BEGIN {{ {text}; }}"));
    tree["(clause :::BEGIN\n  ".len()..tree.len() - 1].to_owned()
}

fn error(text: &str) -> (Diagnostic, String) {
    let mut errors = parse(&[source(text)], &macros()).expect_err(text);
    let error = errors.remove(0);
    let near = text[error.span.start as usize..error.span.end as usize].to_owned();
    (error, near)
}

#[test]
fn operators_bind_as_in_c_with_logical_xor_between_or_and_and() {
    for (text, tree) in [
        ("a || b ^^ c && d", "(|| a (^^ b (&& c d)))"),
        ("a && b | c", "(&& a (| b c))"),
        ("a | b ^ c & d", "(| a (^ b (& c d)))"),
        ("a & b == c", "(& a (== b c))"),
        ("a == b < c", "(== a (< b c))"),
        ("a < b << c", "(< a (<< b c))"),
        ("a << b + c", "(<< a (+ b c))"),
        ("a + b * c", "(+ a (* b c))"),
        ("a - b - c", "(- (- a b) c)"),
        ("a / b % c", "(% (/ a b) c)"),
        ("-a * !b", "(* (- a) (! b))"),
        ("a = b = c", "(= a (= b c))"),
        ("a = b ? c : d", "(= a (? b c d))"),
        ("a ? b : c ? d : e", "(? a b (? c d e))"),
        ("a ? b, c : d", "(? a (, b c) d)"),
        ("a, b = c", "(, a (= b c))"),
        ("*p++", "(* (post++ p))"),
        ("-x--", "(- (post-- x))"),
        ("++*p", "(++ (* p))"),
        ("a <<= b >>= c", "(<<= a (>>= b c))"),
        ("!a == b", "(== (! a) b)"),
        ("(u8)-1", "(cast u8 (- 1))"),
        ("(a)-1", "(- a 1)"),
        ("f((a) - 1)", "(f (- a 1))"),
        ("self->string + this->self", "(+ self->string this->self)"),
        ("p->int", "(-> p int)"),
        ("(int)a + b", "(+ (cast int a) b)"),
        ("sizeof (int) + 1", "(+ (sizeof int) 1)"),
        ("sizeof x + 1", "(+ (sizeof x) 1)"),
        ("stringof(p) == \"a\"", "(== (stringof p) \"a\")"),
        ("stringof p", "(stringof p)"),
        ("a - - b", "(- a (- b))"),
        ("a-b", "(- a b)"),
        ("a / /* c */ b", "(/ a b)"),
    ] {
        assert_eq!(expr(text), tree, "{text}");
    }
}

#[test]
fn primaries_and_postfixes() {
    for (text, tree) in [
        ("self->x->y.z", "(. (-> self->x y) z)"),
        ("this->a[1, \"b\"]", "([] this->a 1 \"b\")"),
        ("@[pid] = count()", "(= ([] @_ pid) (count))"),
        ("@a = sum(x)", "(= @a (sum x))"),
        ("args[0]->name", "(-> ([] args 0) name)"),
        ("mod`sym + `other", "(+ mod`sym `other)"),
        ("(struct foo *)arg0", "(cast (struct foo)* arg0)"),
        ("((foo *)p)->x", "(-> (cast foo* p) x)"),
        ("(foo)x", "(cast foo x)"),
        ("(foo_t)-1", "(cast foo_t (- 1))"),
        ("(x) - 1", "(- x 1)"),
        ("(unsigned long long)1", "(cast unsigned long long 1)"),
        ("(int (*)(int))p", "(cast int(* int ) p)"),
        ("offsetof(struct s, a.b)", "(offsetof (struct s) a b)"),
        ("xlate <info_t *>(p)->x", "(-> (xlate info_t* p) x)"),
        ("f(1, g(2))", "(f 1 (g 2))"),
        (
            "0x10 + 010 + 'a' + '\\n' + 1ULL",
            "(+ (+ (+ (+ 16 8) 97) 10) 1)",
        ),
        ("\"a\\tb\\x41\\101\\\"\"", "\"a\\tbAA\\\"\""),
        ("$1 + $2 + $4", "(+ (+ 5 arg0) (- 3))"),
        (
            "f($3, $$1, $0, $target, $$target)",
            "(f \"a b\" \"5\" \"x.d\" 42 \"42\")",
        ),
    ] {
        assert_eq!(expr(text), tree, "{text}");
    }
}

#[test]
fn clauses() {
    for (text, expected) in [
        ("BEGIN { }", "(clause :::BEGIN)"),
        ("BEGIN {}", "(clause :::BEGIN)"),
        ("BEGIN { trace(1) }", "(clause :::BEGIN\n  (trace 1))"),
        (
            "a:::x,\n b:::y /arg0 / 2/ { ; }",
            "(clause a:::x b:::y\n  (predicate (/ arg0 2)))",
        ),
        (
            "python$target:::function-entry /x/ // c\n{ }",
            "(clause python42:::function-entry\n  (predicate x))",
        ),
        ("f:entry /x/ { };", "(clause ::f:entry\n  (predicate x))"),
        ("tick-$1s { }", "(clause :::tick-5s)"),
        ("a*:b?:[cd]:!e {}", "(clause a*:b?:[cd]:!e)"),
        ("BEGIN { }\nEND { }", "(clause :::BEGIN)\n(clause :::END)"),
        (
            "BEGIN { if (a) b = 1; else if (c) { d(); } else e++ }",
            "(clause :::BEGIN\n  (if a\n    (= b 1)\n  else\n    (if c\n      (d)\n    else\n      (post++ e))))",
        ),
        (
            "#!/usr/sbin/dtrace -s\n#pragma D option quiet\nBEGIN { }",
            "(pragma option quiet)\n(clause :::BEGIN)",
        ),
        (
            "BEGIN {\n# 3 \"x.d\"\n trace(1);\n#pragma D option bufsize=$1\n}",
            "(pragma option bufsize=5)\n(clause :::BEGIN\n  (trace 1))",
        ),
    ] {
        assert_eq!(tree(text), expected, "{text}");
    }
}

#[test]
fn declarations() {
    for (text, expected) in [
        ("self int indent;", "(declare self int indent)"),
        (
            "string s; int a[int, string];",
            "(declare string s)\n(declare int a[int string])",
        ),
        ("foo_t x, *y;", "(declare foo_t x *y)"),
        ("foo x;", "(declare foo x)"),
        (
            "typedef unsigned int u;",
            "(declare typedef unsigned int u)",
        ),
        (
            "struct s { int a; char *b[4]; int c : 3, d : 5; };",
            "(declare (struct s (int a) (char *b[4]) (int c : 3 d : 5)))",
        ),
        ("union { int a; } u;", "(declare (union  (int a)) u)"),
        ("enum e { A, B = 3, C };", "(declare (enum e A (= B 3) C))"),
        ("int (*f)(int, char *);", "(declare int (*f int  char *))"),
        ("inline int K = 7;", "(inline int K 7)"),
        (
            "inline int f[int x] = x + 1;",
            "(inline int f [int x] (+ x 1))",
        ),
        ("inline string *n = 0;", "(inline string *n 0)"),
        (
            "translator out_t < struct in *p > { a = p->b; };",
            "(translator out_t (struct in) *p\n  (= a (-> p b)))",
        ),
        (
            "provider p { probe go__now(int, char *s) : (int); };",
            "(provider p\n  (probe go__now int  char *s : int ))",
        ),
    ] {
        assert_eq!(tree(text), expected, "{text}");
    }
}

#[test]
fn syntax_errors_name_the_token() {
    for (text, message, near) in [
        ("BEGIN{printf(\"x\"}", "syntax error near \"}\"", "}"),
        ("BEGIN { trace(1);", "syntax error near end of input", ""),
        ("BEGIN { x = ; }", "syntax error near \";\"", ";"),
        (
            "BEGIN { trace(1) trace(2); }",
            "syntax error near \"trace\"",
            "trace",
        ),
        ("BEGIN { a b; }", "syntax error near \"b\"", "b"),
        ("BEGIN { } }", "syntax error near \"}\"", "}"),
        ("BEGIN { for (;;) ; }", "syntax error near \"for\"", "for"),
        ("BEGIN /1 { }", "syntax error near \"{\"", "{"),
        (
            "BEGIN { \"a\nb\"; }",
            "newline encountered in string literal",
            "\"a",
        ),
        ("BEGIN { trace(\"abc", "syntax error near \"\"\"", "\""),
        (
            "BEGIN /* x",
            "end-of-file encountered before matching */",
            "/*",
        ),
        (
            "BEGIN { trace(1.5); }",
            "floating-point constants are not permitted",
            "1.5",
        ),
        (
            "BEGIN { trace(1e5); }",
            "floating-point constants are not permitted",
            "1e5",
        ),
        (
            "BEGIN { trace(08); }",
            "constant 08 contains invalid digit 8",
            "08",
        ),
        ("BEGIN { trace(1zz); }", "syntax error near \"zz\"", "1zz"),
        (
            "BEGIN { trace(99999999999999999999); }",
            "constant 99999999999999999999 results in integer overflow",
            "99999999999999999999",
        ),
        ("BEGIN { trace(''); }", "empty character constant", "''"),
        (
            "BEGIN { trace($9); }",
            "macro argument $9 is not defined",
            "$9",
        ),
        (
            "a:b:c:d:e {}",
            "invalid probe description \"a:b:c:d:e\": Overspecified probe description",
            "a:b:c:d:e",
        ),
        ("", "empty D program translation unit", ""),
        ("/* only */ ", "empty D program translation unit", ""),
        (
            "#pragma D foo\nBEGIN { }",
            "invalid D pragma: foo",
            "#pragma D foo",
        ),
        ("#error no\nBEGIN { }", "#error: no ", "#error no"),
        (
            "\u{7f}ELF\u{2}\u{1}",
            "syntax error near \"\u{7f}\"",
            "\u{7f}",
        ),
    ] {
        let (error, found) = error(text);
        assert_eq!(
            (error.message.as_str(), found.as_str()),
            (message, near),
            "{text}"
        );
    }
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let n = 20_000;
    for text in [
        "(".repeat(n),
        "[".repeat(n),
        "{".repeat(n),
        format!("BEGIN {{ x = {}1{}; }}", "(".repeat(n), ")".repeat(n)),
        format!("BEGIN {{ x = {}1; }}", "!".repeat(n)),
        format!("BEGIN {{ x = {}1; }}", "- ".repeat(n)),
        format!("BEGIN {{ x = {}1; }}", "sizeof ".repeat(n)),
        format!("BEGIN {{ x = {}1; }}", "(int)".repeat(n)),
        format!("BEGIN {{ {}1; }}", "x = ".repeat(n)),
        format!("BEGIN {{ {}1; }}", "x ? x : ".repeat(n)),
        format!("BEGIN {{ {}1; }}", "x + ".repeat(n)),
        format!("BEGIN {{ {}1; }}", "x, ".repeat(n)),
        format!("BEGIN {{ {}1; }}", "if (x) ".repeat(n)),
        format!("BEGIN {{ {}1; }}", "if (x) y; else ".repeat(n)),
        format!("BEGIN {{ x{}; }}", "[0]".repeat(n)),
        format!("int {}x;", "*".repeat(n)),
        format!("int x{};", "[1]".repeat(n)),
        format!(
            "BEGIN {{ {} }}",
            "sizeof(int[sizeof(struct { int x[".repeat(n)
        ),
        format!("BEGIN {{ {} }}", "(x_t(".repeat(40)),
    ] {
        assert!(
            parse(&[source(&text)], &macros()).is_err(),
            "{}",
            &text[..20]
        );
    }
    let fits = format!("BEGIN {{ x = {}1{}; }}", "(".repeat(90), ")".repeat(90));
    assert!(parse(&[source(&fits)], &macros()).is_ok());
}

#[test]
fn unused_macro_arguments_are_reported_last_first() {
    let macros = Macros {
        args: vec!["1".into(), "2".into()],
        ..Macros::default()
    };
    let errors = parse(&[source("BEGIN { trace($1); }")], &macros).unwrap_err();
    assert_eq!(
        errors[0].message,
        "extraneous argument '2' ($2 is not referenced)"
    );
    assert!(
        parse(
            &[source("BEGIN { trace($1); }"), source("tick-$2 { }")],
            &macros
        )
        .is_ok()
    );
}

#[test]
fn each_source_reports_its_own_syntax_error() {
    let errors = parse(
        &[source("BEGIN {"), source("BEGIN { }"), source("END }")],
        &macros(),
    );
    assert_eq!(
        errors
            .unwrap_err()
            .iter()
            .map(|e| e.span.source)
            .collect::<Vec<_>>(),
        [0, 2]
    );
}

#[test]
fn specifiers_name_their_own_field() {
    let specifier = |text: &str, kind| Source {
        origin: Origin::Specifier {
            text: text.into(),
            kind,
        },
        text: text.into(),
    };
    let ast = parse(
        &[specifier(
            "python1 /pid/ { trace(1); }",
            SpecifierKind::Provider,
        )],
        &macros(),
    );
    assert!(dump(&ast.unwrap()).starts_with("(clause python1:::\n  (predicate pid)"));
}
