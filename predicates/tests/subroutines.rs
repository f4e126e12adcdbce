//! String subroutines: the constant folder (`dlang::strings`) and the kernel agree.

mod common;

use common::{Options, Out, check_with, fold_all, n, s};

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
    for path in PATHS {
        fold_all(
            Options::default(),
            &[
                ("basename(copyinstr(arg0))", &[s(path)]),
                ("dirname(copyinstr(arg0))", &[s(path)]),
                ("strlen(basename(dirname(copyinstr(arg0))))", &[s(path)]),
                ("strjoin(basename(copyinstr(arg0)), \"!\")", &[s(path)]),
            ],
        );
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
