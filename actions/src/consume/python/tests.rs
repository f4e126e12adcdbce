//! Objects as records have them, and their text.

use predicates::python::kinds;

use super::repr;

/// A node as code writes it.
fn node(kind: u8, flags: u8, name: &str, value: u64, data: &[u8], parts: u32) -> Vec<u8> {
    let mut bytes = vec![kind, flags];
    let name = [name.as_bytes(), b"\0"].concat();
    bytes.extend(u16::try_from(name.len()).unwrap().to_ne_bytes());
    let length = u32::try_from(data.len()).unwrap() + parts;
    bytes.extend(length.to_ne_bytes());
    bytes.extend(0x1000_u64.to_ne_bytes());
    bytes.extend(value.to_ne_bytes());
    bytes.extend(name);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn int(value: u32) -> Vec<u8> {
    node(kinds::INT, 0, "int", 1, &value.to_ne_bytes(), 0)
}

fn text(value: &str) -> Vec<u8> {
    let length = value.len() as u64;
    node(kinds::STR | 1, 0, "str", length, value.as_bytes(), 0)
}

#[test]
fn numbers() {
    let digits = |digits: &[u32], flags| {
        let bytes: Vec<u8> = digits.iter().flat_map(|d| d.to_ne_bytes()).collect();
        repr(&node(
            kinds::INT,
            flags,
            "int",
            digits.len() as u64,
            &bytes,
            0,
        ))
    };
    assert_eq!(digits(&[], 0), "0");
    assert_eq!(digits(&[5, 1], 2), "-1073741829");
    let most = [
        (1 << 30) - 1,
        (1 << 30) - 1,
        (1 << 30) - 1,
        (1 << 30) - 1,
        255,
    ];
    assert_eq!(digits(&most, 0), u128::MAX.to_string());
    assert_eq!(
        digits(&[0, 0, 0, 0, 256], 2),
        "-<int of more than 128 bits>"
    );
    let more = node(kinds::INT, 0, "int", 6, &[1; 20], 0);
    assert_eq!(repr(&more), "<int of more than 128 bits>");
    assert_eq!(
        repr(&node(kinds::INT, 0, "bool", 1, &[1, 0, 0, 0], 0)),
        "True"
    );
    assert_eq!(
        repr(&node(kinds::INT, 1, "Color", 1, &[2, 0, 0, 0], 0)),
        "Color(2)"
    );
    for (value, shown) in [
        (1.0, "1.0"),
        (1e16, "1e+16"),
        (1e15, "1000000000000000.0"),
        (1.5e-5, "1.5e-05"),
        (0.0001, "0.0001"),
        (-1e300, "-1e+300"),
    ] {
        let value = f64::to_bits(value);
        assert_eq!(repr(&node(kinds::OTHER, 0, "float", value, &[], 0)), shown);
    }
}

#[test]
fn texts_are_quoted_as_python_quotes_them() {
    for (value, shown) in [
        ("a", "'a'"),
        ("it's", "\"it's\""),
        ("'\"", "'\\'\"'"),
        ("\n\u{1}\\", "'\\n\\x01\\\\'"),
    ] {
        assert_eq!(repr(&text(value)), shown);
    }
    let cut = node(kinds::STR | 2, 0, "str", 9, &[0xac, 0x20, 0x80, 0xdc], 0);
    assert_eq!(repr(&cut), "'€\\udc80'...");
    let bytes = node(kinds::BYTES, 0, "bytes", 2, b"'\xff", 0);
    assert_eq!(repr(&bytes), "b\"'\\xff\"");
}

#[test]
fn parts_belong_to_containers_in_their_order() {
    // [(1,), {'k': 2}], of which the dict has more.
    let list = node(kinds::LIST, 0, "list", 2, &[], 2);
    let tuple = node(kinds::TUPLE, 0, "tuple", 1, &[], 1);
    let dict = node(kinds::DICT, 0, "dict", 2, &[], 2);
    let all = [list, tuple, dict, int(1), text("k"), int(2)].concat();
    assert_eq!(repr(&all), "[(1,), {'k': 2, ...}]");
    let none = node(kinds::NULL, 0, "", 0, &[], 0);
    assert_eq!(repr(&none), "");
    let plain = node(kinds::OTHER, 1, "Plain", 0, &[], 0);
    assert_eq!(repr(&plain), "<Plain at 0x1000>");
    let gone = node(kinds::UNREADABLE, 0, "", 0, &[], 0);
    assert_eq!(repr(&gone), "<unreadable at 0x1000>");
}

#[test]
fn names_of_types_cannot_speak_to_a_terminal() {
    let forged = node(kinds::OTHER, 0, "a\u{1b}[2J\nb", 0, &[], 0);
    assert_eq!(repr(&forged), "<a\u{fffd}[2J\u{fffd}b at 0x1000>");
    let class = node(kinds::TYPE, 0, "type", 0, b"x\ny\0", 0);
    assert_eq!(repr(&class), "<class 'x\u{fffd}y'>");
}

/// Whatever the bytes are, there is a text, and an end.
#[test]
fn bytes_that_make_no_sense_are_no_trouble() {
    assert_eq!(repr(&[]), "...");
    let whole = [
        node(kinds::LIST, 0, "list", u64::MAX, &[], u32::MAX),
        int(3),
    ]
    .concat();
    assert_eq!(repr(&whole), "[3, ...]");
    for end in 0..whole.len() {
        repr(&whole[..end]);
    }
    for at in 0..whole.len() {
        for byte in [0, 1, 0x7f, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] = byte;
            repr(&damaged);
        }
    }
}
