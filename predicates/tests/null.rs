//! The null string: where it comes from, what may be done with it, and what is a fault.

mod common;

use common::{In, Options, Out, check_with, n, s};

/// Each row is a program of its own, so that no variable was assigned before.
fn check<T: Into<Out> + Clone>(rows: &[(&str, &[In], T)]) {
    let declarations = "string g; string b[int]; int c[string];
        self string a; self string other; this string l;";
    let options = Options {
        declarations,
        ..Options::default()
    };
    for row in rows {
        check_with(options, std::slice::from_ref(row));
    }
}

/// `invalid address (0x0)`.
fn fault() -> Out {
    Out::Fault(1, 0)
}

#[test]
fn what_was_never_assigned_is_null_in_a_thread_and_in_an_array() {
    check(&[
        ("self->a == NULL", &[], 1),
        ("NULL != self->a", &[], 0),
        ("self->a = copyinstr(arg0); self->a == NULL", &[s("")], 0),
        ("self->a = copyinstr(arg0); self->a == NULL", &[s("x")], 0),
        ("b[1] = \"x\"; b[arg0] == NULL", &[n(2)], 1),
        ("b[1] = copyinstr(arg0); b[1] == NULL", &[s("")], 0),
        ("g = (arg0 ? \"x\" : \"\"); g == NULL", &[n(0)], 0),
        ("this->l = copyinstr(arg0); this->l == NULL", &[s("")], 0),
    ]);
}

#[test]
fn null_is_kept_by_variables_of_every_scope() {
    check(&[
        ("g = \"x\"; g = NULL; g == NULL", &[], 1),
        ("g = NULL; g = \"\"; g == NULL", &[], 0),
        ("g = \"xy\"; g = NULL; g = \"x\"; g == \"x\"", &[], 1),
        ("this->l = \"x\"; this->l = NULL; this->l == NULL", &[], 1),
        ("self->a = \"x\"; self->a = NULL; self->a == NULL", &[], 1),
        ("self->a = \"ab\"; self->a = \"\"; self->a == \"\"", &[], 1),
        ("b[1] = \"x\"; b[1] = NULL; b[1] == NULL", &[], 1),
        (
            "g = strchr(copyinstr(arg0), 'z'); g == NULL",
            &[s("abc")],
            1,
        ),
        (
            "g = strchr(copyinstr(arg0), 'z'); g == NULL",
            &[s("xyz")],
            0,
        ),
        (
            "self->a = NULL; g = self->a; b[1] = g; b[1] == NULL",
            &[],
            1,
        ),
    ]);
}

#[test]
fn null_equals_only_itself_and_comes_first() {
    check(&[
        ("self->a == \"\"", &[], 0),
        ("self->a != \"\"", &[], 1),
        ("self->a == copyinstr(arg0)", &[s("")], 0),
        ("copyinstr(arg0) != self->a", &[s("")], 1),
        ("self->a == self->other", &[], 1),
        (
            "self->a = copyinstr(arg0); self->a == self->other",
            &[s("x")],
            0,
        ),
        ("self->a < copyinstr(arg0)", &[s("")], 1),
        ("copyinstr(arg0) > self->a", &[s("")], 1),
        ("self->a >= copyinstr(arg0)", &[s("")], 0),
        ("self->a <= self->other", &[], 1),
        (
            "self->a = copyinstr(arg0); self->a < copyinstr(arg1)",
            &[s("a"), s("b")],
            1,
        ),
        ("copyinstr(arg0) == NULL", &[s("")], 0),
        ("(arg0 ? copyinstr(arg1) : NULL) == NULL", &[n(0), s("")], 1),
        ("(arg0 ? copyinstr(arg1) : NULL) == NULL", &[n(1), s("")], 0),
    ]);
}

#[test]
fn a_search_that_finds_nothing_is_null() {
    check(&[
        ("strchr(copyinstr(arg0), 'b') == NULL", &[s("abc")], 0),
        (
            "strchr(copyinstr(arg0), (char)arg1) == NULL",
            &[s("abc"), n(98)],
            0,
        ),
        (
            "strchr(copyinstr(arg0), (char)arg1) == NULL",
            &[s("abc"), n(122)],
            1,
        ),
        (
            "strchr(copyinstr(arg0), (char)arg1) == NULL",
            &[s("abc"), n(0)],
            1,
        ),
        (
            "strrchr(copyinstr(arg0), (char)arg1) == NULL",
            &[s("abc"), n(122)],
            1,
        ),
        (
            "strrchr(copyinstr(arg0), (char)arg1) == NULL",
            &[s("abc"), n(0)],
            1,
        ),
        (
            "(1, strstr(copyinstr(arg0), \"z\")) == NULL",
            &[s("abc")],
            1,
        ),
        ("(1, strstr(copyinstr(arg0), \"\")) == NULL", &[s("abc")], 0),
        ("strtok(copyinstr(arg0), \",\") == NULL", &[s(",,")], 1),
        (
            "strtok(copyinstr(arg0), \",\"); strtok(self->a, \",\") == \"b\"",
            &[s("a,b")],
            1,
        ),
    ]);
}

#[test]
fn any_other_use_of_null_is_a_fault() {
    for source in [
        "strlen(self->a)",
        "strjoin(self->a, \"x\")",
        "strjoin(\"x\", b[arg0])",
        "index(self->a, \"x\")",
        "substr(strchr(copyinstr(arg1), 'z'), 1)",
        "strlen(strstr(copyinstr(arg1), \"z\"))",
        "basename(strrchr(copyinstr(arg1), 'z'))",
        "strlen(strtok(copyinstr(arg1), \"abc\"))",
        "self->a[0]",
        "strlen(arg0 ? self->a : \"x\")",
        "c[self->a]",
    ] {
        check(&[(source, &[n(2), s("abc")], fault())]);
    }
}
