//! What the code for one construct looks like. `BLESS=1` rewrites the listings.

#![allow(clippy::unwrap_used, reason = "a test helper")]

mod common;

use std::fmt::Write as _;
use std::path::Path;

use common::{Options, Row, compile, make, s};

/// Compares the listing of one expression with `listings/NAME.txt`.
fn listing(name: &str, source: &str, share: bool) {
    let (program, bodies) = compile::compile(&[source]);
    let row = Row {
        body: bodies.into_iter().next().unwrap(),
        args: vec![s(""), s("")],
    };
    let options = Options {
        share,
        ..Options::default()
    };
    let made = make(&program, &[row], options).unwrap();
    let mut text = String::new();
    writeln!(text, "{source}\n").unwrap();
    let code = made.code.listing();
    let body = code.lines().skip_while(|line| *line != "; row").skip(1);
    for line in body.take_while(|line| *line != "; end") {
        writeln!(text, "{line}").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/listings")
        .join(format!("{name}.txt"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(known == text, "{name}:\n{text}");
}

#[test]
fn division() {
    listing("division", "(int)arg0 / (int)arg1", false);
}

#[test]
fn short_circuit() {
    listing("short-circuit", "arg0 > 1 && (arg1 || arg2) ? 5 : 6", false);
}

#[test]
fn a_string_compared_with_a_literal() {
    listing("literal", "copyinstr(arg0) == \"start\"", false);
}

#[test]
fn a_shared_string() {
    listing(
        "shared-string",
        "strlen(copyinstr(arg0)) + strlen(copyinstr(arg0))",
        true,
    );
}
