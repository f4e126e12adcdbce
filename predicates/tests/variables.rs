//! Variables of all scopes, and associative arrays.

mod common;

use common::{Options, Out, check, check_with, n, s};

#[test]
fn scalars_of_every_scope() {
    check(&[
        ("x = arg0; x + 1", &[n(41)], 42),
        ("self->x = arg0; self->x + 1", &[n(41)], 42),
        ("this->x = arg0; this->x + 1", &[n(41)], 42),
        ("a = (char)arg0; a", &[n(200)], -56),
        ("b = (uint16_t)arg0; b", &[n(-1)], 65535),
        ("self->c = (char)arg0; self->c", &[n(200)], -56),
        ("self->d = (uint32_t)arg0; self->d", &[n(-1)], 0xffff_ffff),
        ("this->c = (char)arg0; this->c", &[n(200)], -56),
        ("e = (int)arg0; e", &[n(-5)], -5),
        ("x = 1; (x = arg0) + x", &[n(3)], 6),
    ]);
}

#[test]
fn steps_give_the_value_before_or_after() {
    check(&[
        ("x = arg0; x++", &[n(5)], 5),
        ("x = arg0; x++; x", &[n(5)], 6),
        ("x = arg0; ++x", &[n(5)], 6),
        ("x = arg0; x--", &[n(5)], 5),
        ("x = arg0; --x", &[n(5)], 4),
        ("self->x = arg0; self->x++", &[n(5)], 5),
        ("self->x = arg0; ++self->x", &[n(5)], 6),
        ("self->x = arg0; self->x--; self->x", &[n(5)], 4),
        ("this->x = arg0; this->x++ + this->x", &[n(5)], 11),
        ("this->x = arg0; --this->x", &[n(5)], 4),
        ("y[arg0] = 7; y[arg0]++", &[n(1)], 7),
        ("y[arg0] = 7; y[arg0]++; y[arg0]", &[n(2)], 8),
        ("y[arg0] = 7; --y[arg0]", &[n(3)], 6),
        ("y[arg0]++; y[arg0]", &[n(99)], 1),
        ("i = (int)arg0; ++i", &[n(i32::MAX.into())], 1 << 31),
        (
            "i = (int)arg0; i++; i",
            &[n(i32::MAX.into())],
            i32::MIN.into(),
        ),
        ("u = (uint32_t)arg0; --u", &[n(0)], -1),
        ("c = (char)arg0; ++c", &[n(127)], 128),
        ("c = (char)arg0; c++", &[n(-128)], -128),
        ("h = (uint16_t)arg0; --h", &[n(0)], -1),
        ("self->s = (short)arg0; ++self->s", &[n(32767)], 32768),
        (
            "self->s = (short)arg0; ++self->s; self->s",
            &[n(32767)],
            -32768,
        ),
    ]);
}

#[test]
fn compound_assignment_converts_to_the_target() {
    check(&[
        ("x = arg0; x += arg1; x", &[n(5), n(3)], 8),
        ("x = arg0; x -= arg1; x", &[n(5), n(3)], 2),
        ("x = arg0; (x -= arg1) * 2", &[n(5), n(3)], 4),
        ("x = arg0; x *= arg1; x", &[n(5), n(3)], 15),
        ("x = arg0; x /= arg1; x", &[n(-7), n(2)], -3),
        ("x = arg0; x %= arg1; x", &[n(-7), n(2)], -1),
        ("x = arg0; x &= arg1; x", &[n(6), n(3)], 2),
        ("x = arg0; x |= arg1; x", &[n(6), n(3)], 7),
        ("x = arg0; x ^= arg1; x", &[n(6), n(3)], 5),
        ("x = arg0; x <<= arg1; x", &[n(1), n(40)], 1 << 40),
        ("x = arg0; x >>= arg1; x", &[n(-8), n(1)], -4),
        ("c = (char)arg0; c += arg1; c", &[n(100), n(100)], -56),
        ("c = (char)arg0; (c += arg1) + 0", &[n(100), n(100)], 200),
        (
            "i = (int)arg0; i += 1; i",
            &[n(i32::MAX.into())],
            i32::MIN.into(),
        ),
        ("u = (uint32_t)arg0; u -= 1; u", &[n(0)], 0xffff_ffff),
        ("i = (int)arg0; i /= arg1; i", &[n(-8), n(3)], -2),
        ("v = (uint8_t)arg0; v <<= 4; v", &[n(0xff)], 0xf0),
        ("v = (uint8_t)arg0; v >>= 4; v", &[n(0xff)], 0xf),
        ("c = (char)arg0; c >>= 4; c", &[n(-128)], -8),
        (
            "c = (char)arg0; c /= (uint32_t)arg1; c",
            &[n(-1), n(1 << 24)],
            0,
        ),
        (
            "self->q = (short)arg0; self->q *= arg1; self->q",
            &[n(300), n(300)],
            24464,
        ),
        (
            "this->q = (uint8_t)arg0; this->q += arg1; this->q",
            &[n(255), n(2)],
            1,
        ),
        (
            "z[1] = (char)arg0; z[1] += arg1; z[1]",
            &[n(127), n(1)],
            -128,
        ),
        ("z[2] += arg1; z[2]", &[n(0), n(9)], 9),
    ]);
}

#[test]
fn elements_are_found_by_their_whole_key() {
    check(&[
        ("m[arg0] = 1; m[arg0 + 1]", &[n(5)], 0),
        ("m[arg0] = 7; m[arg0]", &[n(5)], 7),
        ("p[arg0, arg1] = 7; p[arg1, arg0]", &[n(5), n(6)], 0),
        ("p[arg0, arg1] = 7; p[arg0, arg1]", &[n(5), n(6)], 7),
        ("m[arg0] = 7; m[arg0] = 0; m[arg0]", &[n(5)], 0),
        ("self->m[arg0] = 9; self->m[arg0]", &[n(5)], 9),
        ("self->m[arg0] = 9; self->m[arg0 + 1]", &[n(5)], 0),
        ("k[(char)arg0] = 3; k[(char)(arg0 + 256)]", &[n(200)], 3),
        (
            "w[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17] = 3; \
          w[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]",
            &[],
            3,
        ),
        ("m[m[arg0] + 1] = 4; m[m[100] + 1]", &[n(1000)], 4),
    ]);
}

#[test]
fn string_keys_of_every_length_class() {
    for length in [0, 1, 31, 32, 33, 126, 127, 128, 129, 254, 255] {
        let key = "k".repeat(length);
        let near = format!("{}x", "k".repeat(length.saturating_sub(1)));
        let longer = "k".repeat((length + 1).min(255));
        let same = i64::from(longer == key) * 5;
        check(&[
            (
                "a[copyinstr(arg0)] = 5; a[copyinstr(arg1)]",
                &[s(&key), s(&key)],
                5,
            ),
            (
                "b[copyinstr(arg0)] = 5; b[copyinstr(arg1)]",
                &[s(&key), s(&near)],
                0,
            ),
            (
                "b[copyinstr(arg0)] = 5; b[copyinstr(arg1)]",
                &[s(&key), s(&longer)],
                same,
            ),
            (
                "c[copyinstr(arg0), 1] = 5; c[copyinstr(arg0), 2]",
                &[s(&key)],
                0,
            ),
            (
                "c[copyinstr(arg0), 1] = 5; c[copyinstr(arg0), 1]",
                &[s(&key)],
                5,
            ),
            (
                "d[1, copyinstr(arg0), copyinstr(arg1)] = 5; d[1, copyinstr(arg0), copyinstr(arg1)]",
                &[s(&key), s("second")],
                5,
            ),
            (
                "d[1, copyinstr(arg0), copyinstr(arg1)] = 6; d[1, copyinstr(arg1), copyinstr(arg0)]",
                &[s(&key), s("other")],
                0,
            ),
            (
                "e[strjoin(copyinstr(arg0), \"\")] = 5; e[copyinstr(arg1)]",
                &[s(&key), s(&key)],
                5,
            ),
            (
                "f[copyinstr(arg0)] = 5; f[copyinstr(arg0)] = 0; f[copyinstr(arg0)]",
                &[s(&key)],
                0,
            ),
            (
                "g[copyinstr(arg0)]++; g[copyinstr(arg0)]++; g[copyinstr(arg0)]",
                &[s(&key)],
                2,
            ),
            (
                "self->h[copyinstr(arg0)] = 5; self->h[copyinstr(arg1)]",
                &[s(&key), s(&key)],
                5,
            ),
        ]);
    }
}

#[test]
fn two_strings_do_not_run_together() {
    check(&[(
        "a[copyinstr(arg0), copyinstr(arg1)] = 1; a[copyinstr(arg2), copyinstr(arg3)]",
        &[s("ab"), s("c"), s("a"), s("bc")],
        0,
    )]);
}

#[test]
fn string_variables_of_every_scope() {
    let long = "l".repeat(255);
    let too_long = "l".repeat(300);
    check(&[
        ("x = copyinstr(arg0); x", &[s("hello")], "hello"),
        ("self->x = copyinstr(arg0); self->x", &[s("hello")], "hello"),
        ("this->x = copyinstr(arg0); this->x", &[s("hello")], "hello"),
        ("x = copyinstr(arg0); x", &[s("")], ""),
        ("x = copyinstr(arg0); x", &[s(&long)], long.as_str()),
        ("x = copyinstr(arg0); x", &[s(&too_long)], long.as_str()),
        (
            "self->x = copyinstr(arg0); self->x = \"s\"; self->x",
            &[s(&long)],
            "s",
        ),
        (
            "this->x = \"abc\"; strjoin(this->x, this->x)",
            &[],
            "abcabc",
        ),
        ("y[arg0] = \"abc\"; y[arg0]", &[n(1)], "abc"),
        ("y[arg0] = \"abc\"; y[arg0] = \"\"; y[arg0]", &[n(2)], ""),
        (
            "z[copyinstr(arg0)] = copyinstr(arg1); z[copyinstr(arg0)]",
            &[s("key"), s("value")],
            "value",
        ),
        (
            "self->z[copyinstr(arg0)] = copyinstr(arg1); self->z[copyinstr(arg0)]",
            &[s("key"), s(&long)],
            long.as_str(),
        ),
        (
            "x = arg0 ? copyinstr(arg1) : \"none\"; x",
            &[n(1), s("some")],
            "some",
        ),
        ("x = (y[5] = \"in\"); x", &[], "in"),
    ]);
}

#[test]
fn equal_strings_in_variables() {
    check(&[
        (
            "x = copyinstr(arg0); x == copyinstr(arg1)",
            &[s("a"), s("a")],
            1,
        ),
        ("x = copyinstr(arg0); x != \"start\"", &[s("start")], 0),
        (
            "y[1] = copyinstr(arg0); y[1] == \"start\"",
            &[s("start")],
            1,
        ),
    ]);
}

#[test]
fn other_string_sizes() {
    let long = "0123456789".repeat(1000);
    for strsize in [16u32, 40, 1024, 4096] {
        let cut = &long[..strsize as usize - 1];
        let options = Options {
            strsize,
            ..Options::default()
        };
        check_with(
            options,
            &[
                ("x = copyinstr(arg0); x", &[s(&long)], Out::from(cut)),
                (
                    "a[copyinstr(arg0)] = 5; a[copyinstr(arg0)]",
                    &[s(cut)],
                    Out::Int(5),
                ),
                (
                    "strjoin(copyinstr(arg0), copyinstr(arg0)) == copyinstr(arg0)",
                    &[s(cut)],
                    Out::Int(1),
                ),
            ],
        );
    }
}

#[test]
fn clause_locals_are_empty_in_every_firing() {
    let again = Options {
        declarations: "this string s, t; this int a, b, c, d, e, f, g, h, i, j;",
        firings: 2,
        ..Options::default()
    };
    check_with(
        again,
        &[(
            "this->t = this->s; this->s = copyinstr(arg0); strjoin(this->t, \"!\")",
            &[s("before")],
            "!",
        )],
    );
    // Ten scalars, of which the stack holds eight.
    let many = "seen = this->i + this->j; this->a = this->b = this->c = this->d = 1; \
                this->e = this->f = this->g = this->h = this->i = this->j = arg0; seen";
    check_with(again, &[(many, &[n(7)], 0)]);
}
