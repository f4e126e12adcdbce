//! `-h`: the header for a program's own probes, and the program traced.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{RDTRACE, can_trace, rdtrace, repository, run, skipped};

fn has_sdt_header() -> bool {
    let mut cc = Command::new("cc");
    cc.args(["-fsyntax-only", "-include", "sys/sdt.h", "-xc", "/dev/null"]);
    let found = cc
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    found || skipped("needs sys/sdt.h")
}

/// Makes the header of `orders.d` in a directory.
fn make_header(dir: &Path) {
    let mut make = Command::new(RDTRACE);
    make.current_dir(dir)
        .arg("-h")
        .arg("-s")
        .arg(repository("tests/triggers/orders.d"));
    assert_eq!(run(make).clean(), "");
}

fn build(dir: &Path, more: &[&str]) {
    let source = repository("tests/triggers/orders.c");
    let compile = |object: &str, options: &[&str]| {
        let mut cc = Command::new("cc");
        cc.current_dir(dir)
            .args(["-Wall", "-Wextra", "-Werror", "-O1", "-I."])
            .args(options);
        let status = cc
            .args(more)
            .args(["-c", "-o", object])
            .arg(&source)
            .status();
        assert!(status.unwrap().success(), "{object}");
    };
    compile("main.o", &[]);
    compile("other.o", &["-DOTHER"]);
    let mut cc = Command::new("cc");
    let status = cc
        .current_dir(dir)
        .args(["-o", "orders", "main.o", "other.o"])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn a_program_built_with_the_header_has_its_probes() {
    if !can_trace() || !has_sdt_header() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    make_header(dir.path());
    build(dir.path(), &[]);
    let program = dir.path().join("orders");
    let command = program.to_str().unwrap();
    assert_eq!(run(Command::new(command)).clean(), "asked 0 of me\n");
    let d = "orders$target:::taken { @taken = sum(arg1); } \
        orders$target:::bill-paid { @paid[copyinstr(arg1)] = sum(arg0); } \
        orders$target:::closed { @closed = count(); }";
    let out = run(rdtrace(["-qn", d, "-c", command])).clean();
    let words: Vec<_> = out.split_whitespace().collect();
    assert_eq!(words, ["asked", "3", "of", "me", "24", "me", "3", "1"]);
}

#[test]
fn without_usdt_the_header_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    make_header(dir.path());
    build(dir.path(), &["-D_DTRACE_USE_USDT=0"]);
    let file = fs::read(dir.path().join("orders")).unwrap();
    assert!(!file.windows(8).any(|window| window == b"stapsdt\0"));
}

#[test]
fn a_header_that_cannot_be_made_is_told() {
    let script = repository("tests/triggers/orders.d");
    let script = script.to_str().unwrap();
    let told = |args: &[&str], status: i32| run(rdtrace(args)).failure(status);
    let message = told(&["-h", "-s", script, "-o", "/no/such/place.h"], 1);
    assert_eq!(
        message,
        "rdtrace: failed to open header file '/no/such/place.h': No such file or directory\n"
    );
    let message = told(&["-h", "-s", script, "-s", script], 2);
    assert!(
        message.starts_with("rdtrace: -h requires an output file if multiple"),
        "{message}"
    );
    let message = told(&["-h", "-l"], 2);
    assert!(
        message.starts_with("rdtrace: only one of the [-GhlV] options"),
        "{message}"
    );
    let wide = "provider a { probe b(int,int,int,int,int,int,int,int,int,int,int,int,int); };";
    let message = told(&["-h", "-o", "/dev/null", "-n", wide], 1);
    assert!(message.contains("probe has 13 arguments"), "{message}");
    assert!(message.contains('^'), "{message}");
}
