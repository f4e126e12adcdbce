//! String expressions and memory of the traced program.

mod common;

use common::{Options, Out, check, check_with, n, s};

#[test]
fn comparison_with_a_literal() {
    check(&[
        ("copyinstr(arg0) == \"start\"", &[s("start")], 1),
        ("copyinstr(arg0) == \"start\"", &[s("star")], 0),
        ("copyinstr(arg0) == \"start\"", &[s("started")], 0),
        ("copyinstr(arg0) == \"start\"", &[s("stare")], 0),
        ("copyinstr(arg0) == \"start\"", &[s("")], 0),
        ("copyinstr(arg0) == \"\"", &[s("")], 1),
        ("copyinstr(arg0) == \"\"", &[s("x")], 0),
        ("copyinstr(arg0) != \"start\"", &[s("start")], 0),
        ("copyinstr(arg0) != \"start\"", &[s("stop")], 1),
        ("\"start\" == copyinstr(arg0)", &[s("start")], 1),
        ("!(copyinstr(arg0) == \"start\")", &[s("start")], 0),
        (
            "copyinstr(arg0) == \"a\" || copyinstr(arg0) == \"b\"",
            &[s("b")],
            1,
        ),
        (
            "copyinstr(arg0) == \"sixteen bytes ab\"",
            &[s("sixteen bytes ab")],
            1,
        ),
        (
            "copyinstr(arg0) == \"sixteen bytes ab\"",
            &[s("sixteen bytes abc")],
            0,
        ),
        ("strjoin(copyinstr(arg0), \"x\") == \"abx\"", &[s("ab")], 1),
        ("strjoin(copyinstr(arg0), \"x\") == \"abx\"", &[s("abc")], 0),
        ("copyinstr(arg0) < \"b\"", &[s("a")], 1),
        ("copyinstr(arg0) < \"b\"", &[s("b")], 0),
        ("copyinstr(arg0) >= \"b\"", &[s("b")], 1),
        ("\"abc\" < \"abd\"", &[], 1),
    ]);
}

#[test]
fn long_literals() {
    for length in [61, 62, 63, 64, 200, 255] {
        let literal = "q".repeat(length);
        let source = format!("copyinstr(arg0) == \"{literal}\"");
        let longer = "q".repeat(length + 1);
        let cut = i64::from(length == 255);
        check(&[
            (source.as_str(), &[s(&literal)], 1),
            (source.as_str(), &[s(&longer)], cut),
            (source.as_str(), &[s(&literal[1..])], 0),
        ]);
    }
}

#[test]
fn comparison_of_two_strings() {
    for (a, b) in [
        ("", ""),
        ("a", ""),
        ("a", "b"),
        ("abc", "abd"),
        ("abc", "ab"),
        ("abc", "abc"),
        ("\u{e9}", "z"),
    ] {
        for (a, b) in [(a, b), (b, a)] {
            check(&[
                (
                    "copyinstr(arg0) < copyinstr(arg1)",
                    &[s(a), s(b)],
                    i64::from(a < b),
                ),
                (
                    "copyinstr(arg0) <= copyinstr(arg1)",
                    &[s(a), s(b)],
                    i64::from(a <= b),
                ),
                (
                    "copyinstr(arg0) > copyinstr(arg1)",
                    &[s(a), s(b)],
                    i64::from(a > b),
                ),
                (
                    "copyinstr(arg0) >= copyinstr(arg1)",
                    &[s(a), s(b)],
                    i64::from(a >= b),
                ),
                (
                    "copyinstr(arg0) == copyinstr(arg1)",
                    &[s(a), s(b)],
                    i64::from(a == b),
                ),
                (
                    "copyinstr(arg0) != copyinstr(arg1)",
                    &[s(a), s(b)],
                    i64::from(a != b),
                ),
                (
                    "copyinstr(arg0) < copyinstr(arg1) ? 1 : 2",
                    &[s(a), s(b)],
                    1 + i64::from(a >= b),
                ),
            ]);
        }
    }
}

#[test]
fn comparison_of_the_longest_strings() {
    let (a, b) = ("y".repeat(255), "y".repeat(254) + "z");
    check(&[
        ("copyinstr(arg0) == copyinstr(arg1)", &[s(&a), s(&a)], 1),
        ("copyinstr(arg0) < copyinstr(arg1)", &[s(&a), s(&b)], 1),
    ]);
}

#[test]
fn strjoin_is_cut_to_strsize() {
    let (a, b) = ("a".repeat(200), "b".repeat(100));
    let cut = format!("{a}{}", "b".repeat(55));
    let full = "c".repeat(255);
    check(&[
        (
            "strjoin(copyinstr(arg0), copyinstr(arg1))",
            &[s("ab"), s("cd")],
            "abcd",
        ),
        (
            "strjoin(copyinstr(arg0), copyinstr(arg1))",
            &[s(""), s("cd")],
            "cd",
        ),
        (
            "strjoin(copyinstr(arg0), copyinstr(arg1))",
            &[s("ab"), s("")],
            "ab",
        ),
        (
            "strjoin(copyinstr(arg0), copyinstr(arg1))",
            &[s(""), s("")],
            "",
        ),
        (
            "strjoin(copyinstr(arg0), copyinstr(arg1))",
            &[s(&a), s(&b)],
            cut.as_str(),
        ),
        (
            "strjoin(copyinstr(arg0), copyinstr(arg1))",
            &[s(&full), s("x")],
            full.as_str(),
        ),
        (
            "strjoin(\"<\", strjoin(copyinstr(arg0), \">\"))",
            &[s("ab")],
            "<ab>",
        ),
        (
            "strjoin(strjoin(strjoin(\"a\", copyinstr(arg0)), \"c\"), copyinstr(arg1))",
            &[s("b"), s("d")],
            "abcd",
        ),
    ]);
}

#[test]
fn strings_choose_and_measure() {
    check(&[
        ("arg0 ? \"yes\" : \"no\"", &[n(1)], Out::from("yes")),
        ("arg0 ? \"yes\" : \"no\"", &[n(0)], Out::from("no")),
        (
            "arg0 ? copyinstr(arg1) : copyinstr(arg2)",
            &[n(0), s("a"), s("b")],
            Out::from("b"),
        ),
        (
            "arg0 ? arg1 ? \"a\" : \"b\" : \"c\"",
            &[n(1), n(0)],
            Out::from("b"),
        ),
        ("strlen(copyinstr(arg0))", &[s("hello")], Out::Int(5)),
        (
            "strlen(copyinstr(arg0))",
            &[s("h".repeat(400))],
            Out::Int(255),
        ),
        ("strlen(\"\")", &[], Out::Int(0)),
        ("probename", &[], Out::from("BEGIN")),
        (
            "strjoin(probefunc, copyinstr(arg0))",
            &[s("!")],
            Out::from("main!"),
        ),
        ("arg0, copyinstr(arg1)", &[n(1), s("b")], Out::from("b")),
    ]);
}

#[test]
fn copyinstr_may_be_bounded() {
    check(&[
        ("copyinstr(arg0, 3)", &[s("hello")], "he"),
        ("copyinstr(arg0, 9)", &[s("hello")], "hello"),
        ("copyinstr(arg0, arg1)", &[s("hello"), n(2)], "h"),
        ("copyinstr(arg0, arg1)", &[s("hello"), n(0)], ""),
        ("copyinstr(arg0, arg1)", &[s("hello"), n(1000)], "hello"),
        ("copyinstr(arg0, 1000)", &[s("hello")], "hello"),
    ]);
}

#[test]
fn memory_of_the_program() {
    let bytes: &[u8] = b"\x81\x82\x83\x84\x85\x86\x87\x88tail";
    check(&[
        ("stringof(arg0)", &[s("hello")], Out::from("hello")),
        ("(string)(arg0 + 1)", &[s("hello")], Out::from("ello")),
        ("*(char *)arg0", &[s(bytes)], Out::Int(-127)),
        ("*(uint8_t *)arg0", &[s(bytes)], Out::Int(0x81)),
        (
            "*(short *)arg0",
            &[s(bytes)],
            Out::Int(i64::from(0x8281u16.cast_signed())),
        ),
        ("*(uint32_t *)arg0", &[s(bytes)], Out::Int(0x8483_8281)),
        (
            "*(int *)arg0",
            &[s(bytes)],
            Out::Int(i64::from(0x8483_8281u32.cast_signed())),
        ),
        (
            "*(int64_t *)(arg0 + 4)",
            &[s(bytes)],
            Out::Int(i64::from_le_bytes(*b"\x85\x86\x87\x88tail")),
        ),
        (
            "*(int *)copyin(arg0, 4)",
            &[s(bytes)],
            Out::Int(i64::from(0x8483_8281u32.cast_signed())),
        ),
        (
            "*(uint8_t *)((uint64_t)copyin(arg0, 4) + 3)",
            &[s(bytes)],
            Out::Int(0x84),
        ),
        (
            "stringof(copyin(arg0, 6))",
            &[s("hello")],
            Out::from("hello"),
        ),
    ]);
}

#[test]
fn bad_addresses_are_faults() {
    let bad = |address: i64| Out::Fault(1, address);
    check(&[
        ("copyinstr(arg0)", &[n(0)], bad(0)),
        ("copyinstr(arg0)", &[n(4097)], bad(4097)),
        ("strlen(copyinstr(arg0))", &[n(16)], bad(16)),
        ("copyinstr(arg0) == \"x\"", &[n(1)], bad(1)),
        ("*(int *)arg0", &[n(8)], bad(8)),
        ("*(int *)arg0", &[n(-4096)], bad(-4096)),
        ("stringof(arg0)", &[n(8)], bad(8)),
        ("stringof(arg0)", &[n(-8)], bad(-8)),
        ("copyin(arg0, 8)", &[n(8)], bad(8)),
        ("a[copyinstr(arg0)] = 1; 1", &[n(3)], bad(3)),
        (
            "b[copyinstr(arg0), copyinstr(arg1)] = 1; 1",
            &[s("x"), n(3)],
            bad(3),
        ),
        ("arg0 && copyinstr(arg0) == \"x\"", &[n(0)], Out::Int(0)),
    ]);
}

#[test]
fn shared_strings_are_the_same() {
    let options = Options {
        share: true,
        ..Options::default()
    };
    let args = &[s("hello"), s("start"), n(0)][..];
    check_with(
        options,
        &[
            ("arg2 && strlen(copyinstr(arg0)) > 3", args, Out::Int(0)),
            ("copyinstr(arg0)", args, Out::from("hello")),
            ("copyinstr(arg0) == \"hello\"", args, Out::Int(1)),
            ("copyinstr(arg1) == \"start\"", args, Out::Int(1)),
            (
                "strjoin(copyinstr(arg0), copyinstr(arg0))",
                args,
                Out::from("hellohello"),
            ),
            (
                "a[copyinstr(arg0)] = 3; a[copyinstr(arg0)]",
                args,
                Out::Int(3),
            ),
            ("arg2 ? copyinstr(arg0) : \"no\"", args, Out::from("no")),
            ("x = copyinstr(arg0); x", args, Out::from("hello")),
        ],
    );
}

#[test]
fn a_string_has_bytes_and_a_rest() {
    check(&[
        ("copyinstr(arg0)[0]", &[s("hello")], i64::from(b'h')),
        ("*copyinstr(arg0)", &[s("hello")], i64::from(b'h')),
        (
            "copyinstr(arg0)[arg1]",
            &[s("hello"), n(4)],
            i64::from(b'o'),
        ),
        ("copyinstr(arg0)[arg1]", &[s("hello"), n(5)], 0),
        ("copyinstr(arg0)[arg1]", &[s("hello"), n(-1)], 0),
        ("copyinstr(arg0)[arg1]", &[s(""), n(0)], 0),
        ("\"hello\"[arg0] == 'l'", &[n(3)], 1),
        ("copyinstr(arg0)[0]", &[s("é")], -61),
        ("copyinstr(arg0) + 2 == \"llo\"", &[s("hello")], 1),
        (
            "(copyinstr(arg0) + arg1)[0]",
            &[s("hello"), n(1)],
            i64::from(b'e'),
        ),
        ("copyinstr(arg0, 5) == \"hell\"", &[s("hello world")], 1),
        ("strlen(copyinstr(arg0, arg1))", &[s("hello"), n(3)], 2),
        ("strlen(copyinstr(arg0, arg1))", &[s("hello"), n(1)], 0),
        ("strlen(copyinstr(arg0, arg1))", &[s("hello"), n(0)], 0),
        ("strlen(copyinstr(arg0, arg1))", &[s("hello"), n(-1)], 5),
        ("strlen(copyinstr(arg0, arg1))", &[s("hello"), n(256)], 5),
    ]);
}
