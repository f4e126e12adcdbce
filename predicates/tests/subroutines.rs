//! String subroutines: the constant folder (`dlang::strings`) and the kernel agree.

mod common;

use common::{In, Options, Out, check, fold_all, n, root, s};
use proptest::prelude::*;

const PATHS: [&str; 16] = [
    "",
    "/",
    "//",
    "a",
    "/a",
    "a/",
    "a/b",
    "a/b/",
    "a//b",
    "//a",
    "a///",
    "///a//b///",
    "/usr/lib/x.py",
    "./x",
    "../..",
    "/a/b/c/d/e/f",
];

#[test]
fn paths_come_apart() {
    for paths in PATHS.chunks(4) {
        let args: Vec<[In; 1]> = paths.iter().map(|path| [s(path)]).collect();
        let rows: Vec<_> = args
            .iter()
            .flat_map(|args| {
                [
                    ("basename(copyinstr(arg0))", &args[..]),
                    ("dirname(copyinstr(arg0))", &args[..]),
                    ("strlen(basename(dirname(copyinstr(arg0))))", &args[..]),
                    ("strjoin(basename(copyinstr(arg0)), \"!\")", &args[..]),
                ]
            })
            .collect();
        fold_all(Options::default(), &rows);
    }
    let long = format!("/{}/{}", "d".repeat(100), "f".repeat(153));
    fold_all(
        Options::default(),
        &[
            ("basename(copyinstr(arg0))", &[s(&long)]),
            ("dirname(copyinstr(arg0))", &[s(&long)]),
            ("basename(copyinstr(arg0))", &[s("f".repeat(255))]),
            ("basename(copyinstr(arg0))", &[s("/".repeat(255))]),
        ],
    );
}

#[test]
fn addresses_are_written() {
    check(&[
        (
            "inet_ntoa((void *)arg0)",
            &[s([10u8, 255, 3, 1])],
            "10.255.3.1",
        ),
        (
            "strjoin(inet_ntoa((void *)arg0), \"!\")",
            &[s([255u8, 255, 255, 255])],
            "255.255.255.255!",
        ),
        (
            "inet_ntop(2, (void *)arg0)",
            &[s([1u8, 20, 100, 9])],
            "1.20.100.9",
        ),
        (
            "link_ntop(1, (void *)arg0)",
            &[s([1u8, 0x2a, 0, 255, 16, 0xbc])],
            "01:2a:00:ff:10:bc",
        ),
    ]);
    let infiniband: Vec<u8> = (0..20).map(|n| 0xf5 ^ (n * 13)).collect();
    let text = dlang::strings::address(&infiniband, true);
    check(&[("link_ntop(32, (void *)arg0)", &[s(infiniband)], text)]);
}

/// Each way in which groups may be 0, and addresses that are IPv4's.
#[test]
fn ipv6_addresses_are_written() {
    let groups = |of: &dyn Fn(usize) -> u16| -> Vec<u8> {
        (0..8).flat_map(|n| of(n).to_be_bytes()).collect()
    };
    let mut addresses: Vec<Vec<u8>> = (0..256_usize)
        .map(|present| {
            groups(&|n| {
                let is_zero = present >> n & 1 == 0;
                if is_zero { 0 } else { 0xf0a9 >> (n % 4 * 4) }
            })
        })
        .collect();
    for (before, first) in [
        (0, 0),
        (0, 1),
        (0, 0x7f00),
        (1, 0x7f00),
        (0xfffe, 1),
        (0xffff, 0),
        (0xffff, 0x7f00),
    ] {
        addresses.push(groups(&|n| match n {
            5 => before,
            6 => first,
            7 => 0x6401,
            _ => 0,
        }));
    }
    for addresses in addresses.chunks(20) {
        let inputs: Vec<[In; 1]> = addresses.iter().map(|address| [s(address)]).collect();
        let texts = addresses
            .iter()
            .map(|address| dlang::strings::address(address, false));
        let rows: Vec<_> = inputs
            .iter()
            .zip(texts)
            .map(|(input, text)| ("inet_ntoa6((void *)arg0)", input.as_slice(), text))
            .collect();
        check(&rows);
    }
    check(&[
        (
            "strjoin(inet_ntop(10, (void *)arg0), \"/64\")",
            &[s(groups(&|n| [0x2001, 0xdb8, 0, 0, 1, 0, 0, 0x10][n]))],
            "2001:db8::1:0:0:10/64",
        ),
        (
            "arg1 ? inet_ntoa((void *)arg0) : inet_ntoa6((void *)arg0)",
            &[
                s(groups(&|n| {
                    [0xfe80, 0, 0, 0, 0xffff, 0xffff, 0xffff, 0xffff][n]
                })),
                n(0),
            ],
            "fe80::ffff:ffff:ffff:ffff",
        ),
    ]);
}

#[test]
fn characters_are_found() {
    let full = "x".repeat(254) + "y";
    fold_all(
        Options::default(),
        &[
            ("strchr(copyinstr(arg0), 'l')", &[s("hello")]),
            ("strchr(copyinstr(arg0), 'z')", &[s("hello")]),
            ("strchr(copyinstr(arg0), 'h')", &[s("hello")]),
            ("strchr(copyinstr(arg0), 0)", &[s("hello")]),
            ("strchr(copyinstr(arg0), arg1)", &[s("hello"), n(256 + 108)]),
            ("strchr(copyinstr(arg0), 'y')", &[s(&full)]),
            ("strchr(copyinstr(arg0), 'y')", &[s("")]),
            ("strrchr(copyinstr(arg0), 'l')", &[s("hello")]),
            ("strrchr(copyinstr(arg0), 'z')", &[s("hello")]),
            ("strrchr(copyinstr(arg0), 'o')", &[s("hello")]),
            ("strrchr(copyinstr(arg0), 0)", &[s("hello")]),
            ("strrchr(copyinstr(arg0), 'x')", &[s(&full)]),
            ("strrchr(copyinstr(arg0), 'y')", &[s("")]),
            ("strchr(strchr(copyinstr(arg0), 'e'), 'o')", &[s("hello")]),
            (
                "strlen(strrchr(strchr(copyinstr(arg0), 'e'), 'l'))",
                &[s("hello")],
            ),
        ],
    );
}

#[test]
fn parts_follow_perl() {
    let cases = [
        (1, None),
        (-9, None),
        (-2, None),
        (5, None),
        (6, None),
        (0, None),
        (1, Some(2)),
        (1, Some(-1)),
        (1, Some(-9)),
        (-9, Some(5)),
        (-9, Some(4)),
        (-3, Some(2)),
        (-7, Some(4)),
        (i64::MIN, Some(i64::MAX)),
        (i64::MAX, Some(i64::MIN)),
        (i64::MIN, Some(i64::MIN)),
        (0, Some(i64::MIN)),
        (0, Some(0)),
        (0, Some(300)),
    ];
    for text in ["hello", ""] {
        let args: Vec<[In; 3]> = cases
            .iter()
            .map(|&(index, length)| [s(text), n(index), n(length.unwrap_or(0))])
            .collect();
        let rows: Vec<_> = cases
            .iter()
            .zip(&args)
            .map(|((_, length), args)| {
                let source = match length {
                    None => "substr(copyinstr(arg0), arg1)",
                    Some(_) => "substr(copyinstr(arg0), arg1, arg2)",
                };
                (source, &args[..])
            })
            .collect();
        fold_all(Options::default(), &rows);
    }
}

#[test]
fn strings_are_found_in_others() {
    let needle = "n".repeat(64);
    let long = format!("{}{needle}", "n".repeat(100) + "m");
    let source = format!("index(copyinstr(arg0), \"{needle}\")");
    fold_all(
        Options::default(),
        &[
            ("strstr(copyinstr(arg0), \"ll\")", &[s("hello")]),
            ("strstr(copyinstr(arg0), \"\")", &[s("hello")]),
            ("strstr(copyinstr(arg0), \"x\")", &[s("hello")]),
            ("strstr(copyinstr(arg0), \"aab\")", &[s("aaaab")]),
            (
                "strstr(copyinstr(arg0), copyinstr(arg1))",
                &[s("hello"), s("lo")],
            ),
            (
                "strstr(copyinstr(arg0), copyinstr(arg1))",
                &[s("hello"), s("")],
            ),
            (
                "strstr(copyinstr(arg0), copyinstr(arg1))",
                &[s("hello"), s("hello!")],
            ),
            (
                "index(copyinstr(arg0), copyinstr(arg1))",
                &[s(&long), s(&needle)],
            ),
            (
                "rindex(copyinstr(arg0), copyinstr(arg1))",
                &[s(&long), s(&needle)],
            ),
            (source.as_str(), &[s(&long)]),
            ("strlen(strstr(copyinstr(arg0), \"m\"))", &[s(&long)]),
            (
                "strstr(strstr(copyinstr(arg0), \"e\"), \"o\")",
                &[s("hello")],
            ),
        ],
    );
}

#[test]
fn positions_are_clamped() {
    for sub in ["l", "x", "", "h", "hello!", "lo"] {
        let args: Vec<[In; 3]> = [-1, 0, 1, 2, 3, 4, 5, 9]
            .iter()
            .map(|&start| [s("hello"), s(sub), n(start)])
            .collect();
        let literals = [
            format!("index(copyinstr(arg0), \"{sub}\", arg2)"),
            format!("rindex(copyinstr(arg0), \"{sub}\", arg2)"),
        ];
        let rows: Vec<_> = args
            .iter()
            .flat_map(|args| {
                [
                    (literals[0].as_str(), &args[..]),
                    (literals[1].as_str(), &args[..]),
                    ("index(copyinstr(arg0), copyinstr(arg1), arg2)", &args[..]),
                    ("rindex(copyinstr(arg0), copyinstr(arg1), arg2)", &args[..]),
                    ("rindex(copyinstr(arg0), copyinstr(arg1))", &args[..]),
                ]
            })
            .collect();
        fold_all(Options::default(), &rows);
    }
}

#[test]
fn a_needle_of_more_than_64_bytes_at_run_time_is_a_fault() {
    let needle = "n".repeat(65);
    let source = "index(copyinstr(arg0), copyinstr(arg1))";
    if root() {
        let (program, bodies) = common::compile::compile(&[source]);
        let row = common::Row {
            body: bodies.into_iter().next().unwrap(),
            args: vec![s("hello"), s(needle)],
        };
        let outs = common::run(&program, &[row], Options::default());
        assert_eq!(outs, [[Out::Fault(5, 0)]]);
    }
}

#[test]
fn numbers_become_text() {
    let values = [0, 1, -1, -5, 8, 255, 1234, i64::MAX, i64::MIN];
    for base in ["", ", 10", ", 16", ", 8", ", 2", ", 36", ", 7"] {
        let source = format!("lltostr(arg0{base})");
        let args: Vec<[In; 1]> = values.iter().map(|&value| [n(value)]).collect();
        let rows: Vec<_> = args
            .iter()
            .map(|args| (source.as_str(), &args[..]))
            .collect();
        fold_all(Options::default(), &rows);
        let short = Options {
            strsize: 8,
            ..Options::default()
        };
        fold_all(short, &rows);
    }
    check(&[("strjoin(lltostr(arg0), \"!\")", &[n(-12)], "-12!")]);
}

#[test]
fn parts_serve_as_keys_and_values() {
    check(&[
        (
            "a[basename(copyinstr(arg0))] = 5; a[\"x.py\"]",
            &[s("/lib/x.py")],
            Out::Int(5),
        ),
        (
            "x = dirname(copyinstr(arg0)); x",
            &[s("/lib/x.py")],
            Out::from("/lib"),
        ),
        (
            "self->y = strstr(copyinstr(arg0), \".\"); self->y",
            &[s("/lib/x.py")],
            Out::from(".py"),
        ),
        (
            "basename(copyinstr(arg0)) == \"x.py\" && index(copyinstr(arg0), \"lib\") == 1",
            &[s("/lib/x.py")],
            Out::Int(1),
        ),
        (
            "strrchr(copyinstr(arg0), '.') == strchr(copyinstr(arg1), '.')",
            &[s("/lib/x.py"), s("y.py")],
            Out::Int(1),
        ),
    ]);
}

#[test]
fn any_string_size() {
    let path = format!("/{}/name.py", "d".repeat(5000));
    for strsize in [16u32, 64, 1024, 4096] {
        let options = Options {
            strsize,
            ..Options::default()
        };
        for source in [
            "basename(copyinstr(arg0))",
            "dirname(copyinstr(arg0))",
            "strchr(copyinstr(arg0), 'd')",
            "strrchr(copyinstr(arg0), '/')",
            "substr(copyinstr(arg0), -3, 2)",
            "strlen(strstr(copyinstr(arg0), \"dd/\"))",
            "rindex(copyinstr(arg0), copyinstr(arg1))",
            "index(copyinstr(arg0), copyinstr(arg1))",
        ] {
            fold_all(options, &[(source, &[s(&path), s("ddd")])]);
        }
    }
}

/// Objects and arrays of few names, three deep.
fn json_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof!["[0-9]", "true|null", "\"[ab,}\\]]{0,3}\""];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let members = prop::collection::vec(("[ab]", " ?", inner.clone()), 0..3);
        let members = members.prop_map(|members| {
            let members = members.iter();
            let members = members.map(|(name, blank, value)| format!("\"{name}\":{blank}{value}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        });
        let elements = prop::collection::vec(inner, 0..4);
        prop_oneof![
            members,
            elements.prop_map(|elements| format!("[{}]", elements.join(" ,"))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, failure_persistence: None, ..ProptestConfig::default() })]

    /// Texts that are nearly JSON, in the kernel and by its definition.
    #[test]
    fn random_json(
        texts in prop::collection::vec(("[{}\\[\\]\",:\\\\ a1]{0,14}", "[a1.\\[\\]]{0,5}"), 12),
        values in prop::collection::vec((json_value(), "(a|b|\\[[012]\\])((\\.a|\\.b|\\[[012]\\])){0,2}"), 12),
    ) {
        let rows = texts.iter().chain(&values);
        let rows: Vec<[In; 2]> = rows.map(|(text, path)| [s(text), s(path)]).collect();
        check_json(&rows, 256);
    }

    /// Small alphabets, so that things are found.
    #[test]
    fn random_strings(
        texts in prop::collection::vec(("[ab/]{0,12}", "[ab/]{0,3}", -14i64..14, -14i64..14), 4),
    ) {
        let args: Vec<[In; 4]> = texts
            .iter()
            .map(|(text, sub, a, b)| [s(text), s(sub), n(*a), n(*b)])
            .collect();
        let rows: Vec<_> = args
            .iter()
            .flat_map(|args| {
                [
                    "basename(copyinstr(arg0))",
                    "dirname(copyinstr(arg0))",
                    "strchr(copyinstr(arg0), '/')",
                    "strrchr(copyinstr(arg0), 'a')",
                    "strstr(copyinstr(arg0), copyinstr(arg1))",
                    "index(copyinstr(arg0), copyinstr(arg1), arg2)",
                    "rindex(copyinstr(arg0), copyinstr(arg1), arg2)",
                    "substr(copyinstr(arg0), arg2)",
                    "substr(copyinstr(arg0), arg2, arg3)",
                ]
                .map(|source| (source, &args[..]))
            })
            .collect();
        fold_all(Options::default(), &rows);
    }
}

#[test]
fn letters_change_their_case() {
    let full = "xY".repeat(127);
    for text in ["hello, World", "az{`AZ[@", "", &full, "\u{e9}E"] {
        fold_all(
            Options::default(),
            &[
                ("toupper(copyinstr(arg0))", &[s(text)]),
                ("tolower(copyinstr(arg0))", &[s(text)]),
                ("strlen(toupper(basename(copyinstr(arg0))))", &[s(text)]),
                ("toupper(copyinstr(arg0)) == copyinstr(arg0)", &[s(text)]),
            ],
        );
    }
}

#[test]
fn numbers_are_read_from_strings() {
    for text in [
        "42",
        " \t -42",
        "\t-42x",
        "+7",
        "",
        "-",
        "0x1F",
        "0xg",
        "0x",
        "1f",
        "777",
        "-9223372036854775808",
        "99999999999999999999999999",
    ] {
        fold_all(
            Options::default(),
            &[
                ("strtoll(copyinstr(arg0))", &[s(text)]),
                ("strtoll(copyinstr(arg0), 16)", &[s(text)]),
                ("strtoll(copyinstr(arg0), 8)", &[s(text)]),
                ("strtoll(substr(copyinstr(arg0), 1), 36)", &[s(text)]),
            ],
        );
    }
}

#[test]
fn paths_are_cleaned() {
    let long = "/abc/.././d".repeat(23);
    let up = "../".repeat(80);
    let paths = [
        "/a/../b/./c",
        "a//b",
        "/a/..",
        "a/..",
        ".",
        "/",
        "",
        "/a/b/../../c",
        "/a/.b/..c/d/",
        "../../a/../b",
        "a/.../b/..",
        "x/../../..",
        &long,
        &up,
    ];
    for path in paths {
        fold_all(
            Options::default(),
            &[("cleanpath(copyinstr(arg0))", &[s(path)])],
        );
    }
    let short = Options {
        strsize: 16,
        ..Options::default()
    };
    for path in [&*long, &*up] {
        fold_all(short, &[("cleanpath(copyinstr(arg0))", &[s(path)])]);
    }
    check(&[(
        "a[cleanpath(copyinstr(arg0))] = 7; a[\"/x\"] + (cleanpath(copyinstr(arg0)) == \"/x\")",
        &[s("/y/../x")],
        Out::Int(8),
    )]);
}

/// What a text of JSON and a path make, computed by the kernel.
fn check_json(rows: &[[In; 2]], strsize: u32) {
    let options = Options {
        open: true,
        strsize,
        ..Options::default()
    };
    let source = "json(copyinstr(arg0), copyinstr(arg1))";
    let rows: Vec<_> = rows.iter().map(|args| (source, &args[..])).collect();
    fold_all(options, &rows);
}

#[test]
fn parts_of_json_are_found() {
    let text = r#" { "ok" : { "ds_state":[ { "n": 5 }, "a\"b\u00e9", -1.5e3 , [true,null]], "" : 1 }, "x": "y", "x": "z", "e": [], "o": {}, "a\"b": 7, "c.d": 8, "ok2": 9 } "#;
    let paths = [
        "x",
        "ok",
        "ok.ds_state[0]",
        "ok.ds_state[0].n",
        "ok.ds_state[1]",
        "ok.ds_state[2]",
        "ok.ds_state[3]",
        "ok.ds_state[3][0]",
        "ok.ds_state[3][1]",
        "ok.ds_state[3][2]",
        "ok.ds_state[4]",
        "ok.ds_state[00002]",
        "ok.ds_state[4294967298]",
        "ok.ds_state[18446744073709551618]",
        "ok.ds_state[]",
        "ok.ds_state[x]",
        "ok.ds_state[+1]",
        "ok.ds_state[0]n",
        "ok.ds_state[0",
        "e",
        "o",
        "e[0]",
        "o.a",
        "nosuch",
        "x.y",
        "ok[0]",
        "ok.",
        "ok..n",
        "",
        ".x",
        "[0]",
        "a\\\"b",
        "c.d",
        "o2",
        "ok2",
    ];
    let mut rows: Vec<[In; 2]> = paths.iter().map(|path| [s(text), s(path)]).collect();
    for (text, path) in [
        ("[1, [2, 3]]", "[1][0]"),
        ("[1", "[0]"),
        ("[1", "[1]"),
        ("[]", "[0]"),
        ("[1,]", "[1]"),
        ("{\"a\": ", "a"),
        ("{\"a\": ]", "a"),
        ("{\"a\" 1}", "a"),
        ("{\"a\": \"b", "a"),
        ("{\"a\": \"b\\", "a"),
        ("{\"a\\", "a"),
        ("{a: 1}", "a"),
        ("{\"a\": 1]}", "a"),
        ("{\"a\": [1}, 2", "a"),
        ("{\"a\": tru\"e, \"b\": 2}", "b"),
        ("5", "a"),
        ("", "a"),
        ("{\"a\": [1, {\"b\": \"}\"}]}", "a"),
    ] {
        rows.push([s(text), s(path)]);
    }
    check_json(&rows, 256);
    let long = format!("{{\"{}\": [{}7]}}", "k".repeat(300), "[1, 2], ".repeat(400));
    let path = format!("{}[400]", "k".repeat(300));
    check_json(&[[s(&long), s(&path)]], 4096);
}

#[test]
fn bytes_are_turned_around_and_device_numbers_taken_apart() {
    for value in [0, 1, 0x1234, 0x1234_5678, 0x1234_5678_9abc_def0, -1] {
        fold_all(
            Options::default(),
            &[
                ("htons(arg0)", &[n(value)]),
                ("htonl(arg0)", &[n(value)]),
                ("htonll(arg0)", &[n(value)]),
                ("ntohs(arg0) + ntohl(arg0)", &[n(value)]),
                ("ntohll(arg0)", &[n(value)]),
                ("getmajor(arg0)", &[n(value)]),
                ("getminor(arg0)", &[n(value)]),
            ],
        );
    }
}

#[test]
fn tokens_come_one_after_the_other() {
    let text = |t: &str| Out::Text(t.into());
    let full = ",".repeat(100) + &"x".repeat(155);
    check(&[
        ("strtok(copyinstr(arg0), \",\")", &[s("a,b")], text("a")),
        (
            "strtok(copyinstr(arg0), \",;\")",
            &[s(";,ab;c")],
            text("ab"),
        ),
        ("strtok(copyinstr(arg0), \",\")", &[s("")], Out::Fault(1, 0)),
        (
            "strtok(copyinstr(arg0), \",\")",
            &[s(",,")],
            Out::Fault(1, 0),
        ),
        ("strtok(copyinstr(arg0), \"\")", &[s("abc")], text("abc")),
        (
            "strtok(copyinstr(arg0), \",\")",
            &[s(&full)],
            text(&"x".repeat(155)),
        ),
        (
            "strtok(copyinstr(arg0), copyinstr(arg1))",
            &[s("a,b;c"), s(";")],
            text("a,b"),
        ),
        (
            "(strtok(copyinstr(arg0), \",\"), strtok(NULL, \",\"))",
            &[s("a,,b,c")],
            text("b"),
        ),
        (
            "(strtok(copyinstr(arg0), \",\"), strtok(NULL, \",\"), strtok(NULL, \";\"))",
            &[s("a,b,c;d")],
            text(",c"),
        ),
        (
            "(strtok(copyinstr(arg0), \",\"), strtok(NULL, \",\"))",
            &[s("a,")],
            Out::Fault(1, 0),
        ),
    ]);
    check(&[(
        "(strtok(copyinstr(arg0), \",\"), strtok(NULL, \",\") == NULL)",
        &[s("a,")],
        Out::Int(1),
    )]);
}
