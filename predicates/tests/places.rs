//! Structs, unions and arrays: variables of every scope, elements, and memory behind pointers.

mod common;

use common::{Options, Out, Row, check_with, compile, n, root, run, s};

const STRUCTS: &str = "struct in { int a; char b[8]; }; \
    struct out { char c; struct in i; long k[3]; unsigned f : 3, g : 7; int h : 6; }; \
    union u { int i; char c[4]; }; struct in x, y; self struct in sx; this struct in tx; \
    struct in ax[int]; self struct in sax[string]; struct out o; self struct out so; \
    this struct out to; struct out ao[int]; union u w; int a[5]; self short sa[5]; \
    this char ta[8]; this struct in many[4]; ";

fn options() -> Options {
    Options {
        declarations: STRUCTS,
        ..Options::default()
    }
}

#[test]
fn members_of_variables_of_every_scope() {
    check_with(
        options(),
        &[
            ("x.a = arg0; x.a + 1", &[n(41)], 42),
            ("self->sx.a = arg0; self->sx.a", &[n(-7)], -7),
            ("this->tx.a = arg0; this->tx.a", &[n(-7)], -7),
            ("ax[1].a = arg0; ax[1].a", &[n(7)], 7),
            ("ax[2].a = arg0; ax[3].a", &[n(7)], 0),
            ("self->sax[\"k\"].a = arg0; self->sax[\"k\"].a", &[n(7)], 7),
            ("o.i.a = arg0; o.k[2] = 5; o.i.a * 10 + o.k[2]", &[n(7)], 75),
            ("this->to.k[arg0] = 5; this->to.k[arg0]", &[n(2)], 5),
            (
                "self->so.k[arg0] += 5; self->so.k[arg0]++; self->so.k[arg0]",
                &[n(1)],
                6,
            ),
            ("ao[1].k[arg0] = 5; ao[1].k[1] = 6; ao[1].k[2]", &[n(2)], 5),
        ],
    );
}

/// Members and elements that are strings, of every scope.
#[test]
fn strings_are_parts_of_variables() {
    let options = Options {
        declarations: "struct named { int a; string name; int b; }; struct named x, y; self struct named sx; \
            this struct named tx; struct named ax[int]; string words[3]; this string tw[2]; string text; ",
        ..Options::default()
    };
    check_with(
        options,
        &[
            (
                "x.name = \"abc\"; x.b = 3; strlen(x.name) * 10 + x.b",
                &[],
                33,
            ),
            ("self->sx.name = \"abc\"; self->sx.name == \"abc\"", &[], 1),
            ("this->tx.name = \"ab\"; this->tx.name < \"abc\"", &[], 1),
            (
                "ax[1].name = \"ab\"; strlen(ax[1].name) + strlen(ax[2].name)",
                &[],
                2,
            ),
            (
                "words[arg0] = \"ab\"; words[0] = \"c\"; strlen(strjoin(words[2], words[0]))",
                &[n(2)],
                3,
            ),
            (
                "this->tw[arg0] = \"ab\"; strlen(this->tw[1]) * 10 + strlen(this->tw[0])",
                &[n(1)],
                20,
            ),
            ("x.name = \"abc\"; y = x; strlen(y.name)", &[], 3),
            (
                "x.name = \"abc\"; x.name = strchr(\"abc\", arg0); strlen(x.name)",
                &[n(0x7a)],
                0,
            ),
            (
                "x.name = \"abc\"; x.name = strchr(\"abc\", arg0); strlen(x.name)",
                &[n(0x62)],
                2,
            ),
            ("text = x.name = \"abcd\"; strlen(text)", &[], 4),
        ],
    );
}

#[test]
fn scratch_memory() {
    check_with(
        options(),
        &[
            (
                "this->p = (int *)alloca(12); this->p[arg0] = 7; this->p[2]",
                &[n(2)],
                7,
            ),
            (
                "this->p = (int *)alloca(arg0); this->r = (int *)alloca(arg0); \
                 *this->p = 1; *this->r = 2; *this->p * 10 + *this->r",
                &[n(5)],
                12,
            ),
            (
                "this->c = (char *)alloca(16); bcopy(\"hello\", this->c, arg0); this->c[4]",
                &[n(6)],
                i64::from(b'o'),
            ),
            (
                "this->c = (char *)copyin(arg0, arg1); this->c[1]",
                &[s("hello"), n(6)],
                i64::from(b'e'),
            ),
            (
                "this->c = (char *)alloca(8); copyinto(arg0, arg1, this->c); this->c[2]",
                &[s("halt"), n(5)],
                i64::from(b'l'),
            ),
            ("x.a = arg0; bcopy(&x.a, &y.a, 4); y.a", &[n(77)], 77),
        ],
    );
    check_with(
        options(),
        &[
            (
                "this->c = (char *)alloca(arg1); bcopy(copyinstr(arg0), this->c, arg1); \
                 this->c[0] = 'J'; strjoin(stringof(this->c), (string)(this->c + 2))",
                &[s("hello"), n(6)],
                "Jellollo",
            ),
            (
                "this->c = (char *)alloca(8); bcopy(\"abc\", this->c, 4); \
                 this->d = (char *)alloca(8); bcopy(this->c, this->d, arg0); stringof(this->d)",
                &[n(4)],
                "abc",
            ),
        ],
    );
}

#[test]
fn arrays_of_every_scope() {
    check_with(
        options(),
        &[
            ("a[0] = 1; a[4] = arg0; a[0] + a[4]", &[n(41)], 42),
            ("a[arg0] = 9; a[3]", &[n(3)], 9),
            ("self->sa[arg0] = 70000; self->sa[arg0]", &[n(3)], 4464),
            ("this->ta[arg0] = 200; this->ta[1]", &[n(1)], -56),
            (
                "this->many[arg0].a = 3; this->many[arg0].b[arg0] = 4; this->many[2].b[2]",
                &[n(2)],
                4,
            ),
            ("this->p = &a[0]; a[1] = 6; this->p[1]", &[], 6),
            ("this->q = &o.i.a; *this->q = arg0; o.i.a", &[n(12)], 12),
            (
                "self->q = &self->sa[1]; self->q[1] = arg0; self->sa[2]",
                &[n(12)],
                12,
            ),
            (
                "this->r = &this->tx.a; *this->r += arg0; this->tx.a",
                &[n(12)],
                12,
            ),
        ],
    );
}

#[test]
fn an_index_outside_is_a_fault() {
    let fault = |at: i64| Out::Fault(11, at);
    check_with(
        options(),
        &[
            ("a[arg0]", &[n(5)], fault(5)),
            ("a[arg0]", &[n(-1)], fault(-1)),
            ("ao[1].k[arg0]", &[n(3)], fault(3)),
            ("z = (o.k[arg0] = 1); z", &[n(1 << 40)], fault(1 << 40)),
        ],
    );
}

#[test]
fn structs_are_copied_whole() {
    check_with(
        options(),
        &[
            ("x.a = arg0; x.b[1] = 3; y = x; y.a + y.b[1]", &[n(4)], 7),
            ("x.a = arg0; self->sx = x; self->sx.a", &[n(4)], 4),
            ("x.a = arg0; this->tx = x; this->tx.a", &[n(4)], 4),
            ("x.a = arg0; ax[9] = x; ax[9].a", &[n(4)], 4),
            (
                "x.a = arg0; ax[9] = x; ax[10] = ax[9]; ax[10].a",
                &[n(4)],
                4,
            ),
            ("x.a = arg0; x = ax[77]; x.a", &[n(4)], 0),
            ("x.a = arg0; o.i = x; o.i.a", &[n(4)], 4),
            ("x.a = arg0; ao[5].i = x; ao[5].i.a", &[n(4)], 4),
            (
                "x.a = arg0; ao[5].i = x; this->n = ao[5].i; this->n.a",
                &[n(4)],
                4,
            ),
            ("x.a = arg0; y = self->sx = x; y.a + self->sx.a", &[n(4)], 8),
            ("w.i = 0x41424344; w.c[0] + w.c[3]", &[], 0x44 + 0x41),
        ],
    );
}

#[test]
fn bit_fields_are_stored() {
    check_with(
        options(),
        &[
            ("o.f = 9; o.g = arg0; o.f", &[n(-1)], 1),
            (
                "o.f = 5; o.g = arg0; o.h = -3; o.g * 100 + o.f",
                &[n(127)],
                12705,
            ),
            ("this->to.h = arg0; this->to.h", &[n(-3)], -3),
            ("this->to.h = arg0; this->to.h", &[n(32)], -32),
            ("ao[3].f = 3; ao[3].f += 2; ao[3].f++; ao[3].f", &[], 6),
            ("o.g = 7; o.g++ + o.g", &[], 15),
        ],
    );
}

#[test]
fn char_arrays_are_strings() {
    check_with(
        options(),
        &[
            ("x.b[0] = 'h'; x.b[1] = 'i'; stringof(x.b)", &[], "hi"),
            (
                "x.b[2] = arg0; x.b[3] = 0; strjoin(x.b, \"!\")",
                &[n(33)],
                "hi!!",
            ),
            ("ax[1].b[0] = 'k'; stringof(ax[1].b)", &[], "k"),
            ("stringof(ax[500].b)", &[], ""),
            (
                "this->ta[0] = this->ta[1] = this->ta[2] = this->ta[3] = 'a'; this->ta[4] = this->ta[5] = this->ta[6] = this->ta[7] = 'b'; stringof(this->ta)",
                &[],
                "aaaabbbb",
            ),
        ],
    );
}

#[test]
fn copies_of_user_memory_may_be_changed() {
    check_with(
        options(),
        &[
            (
                "this->s = (char *)copyin(arg0, 6); this->s[0] = 'j'; stringof(this->s)",
                &[s("hello")],
                "jello",
            ),
            (
                "this->s = (char *)copyin(arg0, 6); *(this->s + 4) = 0; stringof(this->s)",
                &[s("hello")],
                "hell",
            ),
            (
                "x = *(struct in *)copyin(arg0, 12); stringof(x.b)",
                &[s("abcdefghijk")],
                "efghijk",
            ),
            (
                "x = *(struct in *)arg0; stringof(x.b)",
                &[s("abcdefghijk")],
                "efghijk",
            ),
        ],
    );
}

#[test]
fn nothing_but_own_memory_is_stored_to() {
    for address in [8, 0xffff_8880_0000_0000_u64.cast_signed(), -8] {
        check_with(
            options(),
            &[(
                "this->s = (char *)arg0; this->s[0] = 1; 5",
                &[n(address)],
                Out::Fault(1, address),
            )],
        );
    }
}

/// The traced program may hand an address of the kernel as that of a string.
#[test]
fn what_a_program_hands_is_read_as_its_own_memory() {
    let converted = Options {
        converted_text: true,
        ..options()
    };
    let kernel = 0xffff_8880_0000_1000_u64.cast_signed();
    for options in [options(), converted] {
        check_with(
            options,
            &[
                ("copyinstr(arg0)", &[n(kernel)], Out::Fault(1, kernel)),
                (
                    "z[copyinstr(arg0)] = 1; 0",
                    &[n(kernel)],
                    Out::Fault(1, kernel),
                ),
                (
                    "copyinstr(arg0) == \"x\"",
                    &[n(-4096)],
                    Out::Fault(1, -4096),
                ),
                (
                    "strjoin(copyinstr(arg0), \"!\")",
                    &[s("own")],
                    Out::from("own!"),
                ),
            ],
        );
    }
}

#[test]
fn readable_memory_of_the_kernel_is_no_string_of_the_program() {
    // The address of a global is one that the kernel's helper could read.
    let text = "x.b[0] = 's'; this->q = &x.b[0]; copyinstr((long)this->q)";
    let (program, bodies) = compile::compile_with(STRUCTS, &[text]);
    if !root() {
        return;
    }
    for converted_text in [false, true] {
        let row = Row {
            body: bodies[0].clone(),
            args: Vec::new(),
        };
        let options = Options {
            converted_text,
            ..options()
        };
        let outs = run(&program, &[row], options);
        assert!(
            matches!(outs[0].last(), Some(Out::Fault(1, ..0))),
            "{outs:?}"
        );
    }
}
