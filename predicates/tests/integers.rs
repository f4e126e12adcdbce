//! Integer expressions: the constant folder and the kernel agree.

mod common;

use common::{Out, check, n};

const MIN: i64 = i64::MIN;
const INT_MIN: i64 = i32::MIN as i64;

#[test]
fn division_rounds_towards_zero() {
    check(&[
        ("arg0 / arg1", &[n(-7), n(2)], -3),
        ("arg0 / arg1", &[n(7), n(-2)], -3),
        ("arg0 / arg1", &[n(-7), n(-2)], 3),
        ("arg0 / arg1", &[n(MIN), n(-1)], MIN),
        ("arg0 / arg1", &[n(MIN), n(1)], MIN),
        ("arg0 / arg1", &[n(MIN), n(MIN)], 1),
        ("(int)arg0 / (int)arg1", &[n(INT_MIN), n(-1)], -INT_MIN),
        ("(uint64_t)arg0 / (uint64_t)arg1", &[n(-1), n(2)], i64::MAX),
        (
            "(uint32_t)arg0 / (uint32_t)arg1",
            &[n(-1), n(2)],
            0x7fff_ffff,
        ),
        ("(char)arg0 / (char)arg1", &[n(-128), n(-1)], 128),
        ("arg0 / 2", &[n(-7)], -3),
        ("arg0 / -2", &[n(-7)], 3),
        ("7 / arg0", &[n(-2)], -3),
        ("arg0 / 0x123456789a", &[n(-0x0024_68ac_f134)], -2),
    ]);
}

#[test]
fn remainders_have_the_sign_of_the_dividend() {
    check(&[
        ("arg0 % arg1", &[n(-7), n(2)], -1),
        ("arg0 % arg1", &[n(7), n(-2)], 1),
        ("arg0 % arg1", &[n(-7), n(-2)], -1),
        ("arg0 % arg1", &[n(MIN), n(-1)], 0),
        ("arg0 % arg1", &[n(MIN), n(3)], -2),
        ("arg0 % arg1", &[n(5), n(MIN)], 5),
        ("(int)arg0 % (int)arg1", &[n(INT_MIN), n(-1)], 0),
        ("(uint64_t)arg0 % (uint64_t)arg1", &[n(-1), n(10)], 5),
        ("(uint32_t)arg0 % 10", &[n(-1)], 5),
    ]);
}

#[test]
fn division_by_zero_is_a_fault() {
    let zero = || Out::Fault(4, 0);
    check(&[
        ("arg0 / arg1", &[n(1), n(0)], zero()),
        ("arg0 % arg1", &[n(1), n(0)], zero()),
        (
            "(uint32_t)arg0 / (uint32_t)arg1",
            &[n(1), n(1 << 32)],
            zero(),
        ),
        ("arg0 / 0", &[n(1)], zero()),
        ("x = arg0; x /= arg1; x", &[n(1), n(0)], zero()),
        ("arg1 != 0 && arg0 / arg1", &[n(1), n(0)], Out::Int(0)),
        ("arg1 == 0 || arg0 / arg1", &[n(1), n(0)], Out::Int(1)),
        ("arg1 ? arg0 / arg1 : -1", &[n(1), n(0)], Out::Int(-1)),
    ]);
}

#[test]
fn operators_have_64_bits_and_casts_cut() {
    check(&[
        (
            "(int)arg0 + (int)arg1",
            &[n(i32::MAX.into()), n(1)],
            1 << 31,
        ),
        ("(int)arg0 - (int)arg1", &[n(INT_MIN), n(1)], INT_MIN - 1),
        ("(int)arg0 * (int)arg1", &[n(1 << 20), n(1 << 12)], 1 << 32),
        ("(uint32_t)arg0 - (uint32_t)arg1", &[n(0), n(1)], -1),
        ("(char)arg0 * (char)arg1", &[n(100), n(-100)], -10_000),
        ("(char)((int)arg0 + 1)", &[n(127)], -128),
        ("(uint32_t)((int)arg0 + 1)", &[n(i32::MAX.into())], 1 << 31),
        ("(short)((int)arg0 * 65536)", &[n(3)], 0),
        // As in DTrace a cast to the type that an expression has does nothing.
        ("(int)((int)arg0 + 1)", &[n(i32::MAX.into())], 1 << 31),
        ("(long)((int)arg0 + 1)", &[n(i32::MAX.into())], 1 << 31),
        ("(long)((uint32_t)arg0 + 1)", &[n(-1)], 1 << 32),
        ("1000 * 1000 * 1000 * 10 / 1000", &[], 10_000_000),
        ("arg0 + -1U", &[n(0)], 0xffff_ffff),
        ("arg0 + ~0U", &[n(0)], -1),
        ("arg0 + (5U - 6U) / 2", &[n(0)], i64::MAX),
        ("arg0 + arg1", &[n(i64::MAX), n(1)], MIN),
        ("arg0 * arg1", &[n(MIN), n(-1)], MIN),
        ("-(int)arg0", &[n(INT_MIN)], -INT_MIN),
        ("-(uint32_t)arg0", &[n(1)], -1),
        ("~(uint32_t)arg0", &[n(0)], -1),
        ("~(uint8_t)arg0", &[n(1)], -2),
        ("~(char)arg0", &[n(0)], -1),
        ("~arg0", &[n(5)], -6),
        ("-arg0", &[n(MIN)], MIN),
        ("(char)arg0", &[n(200)], -56),
        ("(uint8_t)arg0", &[n(-1)], 255),
        ("(short)arg0", &[n(0x1_8000)], -32768),
        ("(uint16_t)arg0", &[n(-1)], 65535),
        ("(int)arg0", &[n(0xffff_ffff)], -1),
        ("(uint32_t)arg0", &[n(-1)], 0xffff_ffff),
        ("(int64_t)(uint32_t)arg0", &[n(-1)], 0xffff_ffff),
        ("(uint32_t)(int)arg0", &[n(-1)], 0xffff_ffff),
        ("(uint32_t)(char)arg0", &[n(200)], 0xffff_ffc8),
        ("(uint16_t)(char)arg0", &[n(200)], 0xffc8),
        ("(short)(uint16_t)arg0", &[n(-1)], -1),
        ("(int)(uint32_t)arg0", &[n(-5)], -5),
        ("(uint64_t)(char)arg0", &[n(128)], -128),
        ("(char)arg0 + (uint8_t)arg1", &[n(-1), n(255)], 254),
        ("(uint32_t)arg0 + (int)arg1", &[n(1), n(-2)], -1),
        ("arg0 + (uint32_t)arg1", &[n(-1), n(-1)], 0xffff_fffe),
    ]);
}

#[test]
fn stores_cut_and_the_assignment_has_the_value_before() {
    check(&[
        ("x1 = (char)1; x1 = (int)arg0; x1", &[n(300)], 44),
        (
            "x2 = (char)1; y2 = 0L; y2 = (x2 = (int)arg0); y2",
            &[n(300)],
            300,
        ),
        (
            "this->x3 = (char)1; this->x3 = arg0; this->x3",
            &[n(300)],
            44,
        ),
        (
            "this->x4 = (uint16_t)1; this->x4 = arg0; this->x4",
            &[n(-1)],
            65535,
        ),
        ("a5[1] = (short)1; a5[1] = arg0; a5[1]", &[n(70_000)], 4464),
        ("x6 = (uint8_t)200; x6 += (int)arg0; x6", &[n(100)], 44),
        (
            "x7 = (uint8_t)200; y7 = 0L; y7 = (x7 += (int)arg0); y7",
            &[n(100)],
            300,
        ),
        ("x8 = (char)127; x8++; x8", &[], -128),
        ("x9 = (char)127; y9 = 0L; y9 = ++x9; y9", &[], 128),
        ("x10 = (uint8_t)255; y10 = 0L; y10 = x10++; y10", &[], 255),
        (
            "x11 = (int)arg0; y11 = 0L; y11 = ++x11; y11",
            &[n(i32::MAX.into())],
            1 << 31,
        ),
        (
            "x12 = (int)arg0; y12 = 0L; y12 = ++x12; x12",
            &[n(i32::MAX.into())],
            INT_MIN,
        ),
        ("x13 = (int)arg0; y13 = 0L; y13 = x13--; y13", &[n(-5)], -5),
        (
            "x14 = (int)arg0; y14 = x14 * 1000000; y14",
            &[n(3000)],
            3_000_000_000 - (1 << 32),
        ),
        (
            "y15 = 0L; x15 = (int)arg0; y15 = x15 * 1000000; y15",
            &[n(3000)],
            3_000_000_000,
        ),
        // `op=` goes by the sign of what it changes.
        ("x16 = (int)arg0; x16 /= 2U; x16", &[n(-7)], -3),
        ("x17 = (int)arg0; x17 %= 3UL; x17", &[n(-10)], -1),
        ("x18 = (int)arg0; x18 >>= 1U; x18", &[n(-7)], -4),
        ("x19 = (uint8_t)255; x19 /= -1; x19", &[], 0),
        ("x20 = (uint8_t)255; x20 <<= 4; x20", &[], 240),
        // Keys are cut to the type of the first.
        ("x21[(char)1] = 3; x21[arg0]", &[n(257)], 3),
        (
            "x22[1] = 3; y22 = (int)arg0; x22[y22 * 4 + 1]",
            &[n(1 << 30)],
            3,
        ),
        (
            "x23[1L] = 3; y23 = (int)arg0; x23[y23 * 4 + 1]",
            &[n(1 << 30)],
            0,
        ),
    ]);
}

#[test]
fn shift_counts_are_masked() {
    check(&[
        ("(int)arg0 << (int)arg1", &[n(1), n(33)], 1 << 33),
        ("(int)arg0 << (int)arg1", &[n(1), n(65)], 2),
        ("(int)arg0 << (int)arg1", &[n(1), n(31)], 1 << 31),
        ("arg0 << arg1", &[n(1), n(65)], 2),
        ("arg0 << arg1", &[n(1), n(-1)], MIN),
        ("arg0 << 65", &[n(1)], 2),
        ("(int)arg0 << 33", &[n(1)], 1 << 33),
        ("arg0 >> arg1", &[n(-8), n(1)], -4),
        ("(uint64_t)arg0 >> arg1", &[n(-8), n(1)], i64::MAX - 3),
        ("(uint32_t)arg0 >> (int)arg1", &[n(-8), n(1)], 0x7fff_fffc),
        ("(int)arg0 >> 31", &[n(-8)], -1),
        ("(char)arg0 << 4", &[n(127)], 2032),
        ("(int)arg0 >> arg1", &[n(-8), n(64)], -8),
        ("1 << arg0", &[n(40)], 1 << 40),
        ("(uint32_t)arg0 - 5 >> 1", &[n(4)], i64::MAX),
    ]);
}

#[test]
fn comparisons_go_by_the_common_type() {
    check(&[
        ("arg0 < arg1", &[n(-1), n(1)], 1),
        ("(uint64_t)arg0 < (uint64_t)arg1", &[n(-1), n(1)], 0),
        ("(int)arg0 < (uint32_t)arg1", &[n(-1), n(1)], 0),
        ("(int)arg0 > (uint32_t)arg1", &[n(-1), n(1)], 1),
        ("(char)arg0 < (uint8_t)arg1", &[n(-1), n(1)], 0),
        ("(char)arg0 < (int)arg1", &[n(-1), n(1)], 1),
        ("(int)arg0 + 1 > (int)arg0", &[n(i32::MAX.into())], 1),
        ("(uint32_t)arg0 + 1 == 0", &[n(-1)], 0),
        ("(short)arg0 == (uint16_t)arg1", &[n(-1), n(-1)], 0),
        ("(int)arg0 < (uint64_t)arg1", &[n(-1), n(1)], 0),
        ("(uint32_t)arg0 < arg1", &[n(-1), n(1)], 0),
        ("(uint32_t)arg0 > arg1", &[n(-1), n(1)], 1),
        ("(uint32_t)arg0 == (int)arg1", &[n(-1), n(-1)], 0),
        ("(uint32_t)arg0 == 4294967295", &[n(-1)], 1),
        ("arg0 <= arg1", &[n(5), n(5)], 1),
        ("arg0 >= arg1", &[n(5), n(6)], 0),
        ("arg0 != arg1", &[n(5), n(6)], 1),
        ("arg0 >= 5", &[n(5)], 1),
        ("5 >= arg0", &[n(6)], 0),
        ("arg0 == 0x7fffffffffffffff", &[n(i64::MAX)], 1),
        ("(arg0 < arg1) + (arg0 == arg1) * 2", &[n(3), n(3)], 2),
    ]);
}

#[test]
fn bits() {
    check(&[
        ("arg0 & arg1", &[n(6), n(3)], 2),
        ("arg0 | arg1", &[n(6), n(3)], 7),
        ("arg0 ^ arg1", &[n(6), n(3)], 5),
        (
            "(uint32_t)arg0 ^ (uint32_t)arg1",
            &[n(-1), n(3)],
            0xffff_fffc,
        ),
        ("(char)arg0 | (uint8_t)arg1", &[n(-128), n(3)], -125),
        ("arg0 & 0xffffffff00000000", &[n(-1)], -0x1_0000_0000),
    ]);
}

#[test]
fn logic_is_zero_or_one() {
    check(&[
        ("arg0 && arg1", &[n(2), n(4)], 1),
        ("arg0 && arg1", &[n(2), n(0)], 0),
        ("arg0 || arg1", &[n(0), n(9)], 1),
        ("arg0 || arg1", &[n(0), n(0)], 0),
        ("arg0 ^^ arg1", &[n(7), n(0)], 1),
        ("arg0 ^^ arg1", &[n(7), n(8)], 0),
        ("arg0 ^^ arg1", &[n(0), n(0)], 0),
        ("!(arg0 ^^ arg1)", &[n(0), n(0)], 1),
        ("!arg0", &[n(7)], 0),
        ("!arg0", &[n(0)], 1),
        ("!!arg0", &[n(7)], 1),
        ("!(arg0 && arg1)", &[n(1), n(1)], 0),
        ("!(arg0 || arg1) || arg2", &[n(1), n(1), n(1)], 1),
        (
            "(arg0 || arg1) && (arg2 || arg3)",
            &[n(0), n(1), n(0), n(1)],
            1,
        ),
        (
            "(arg0 && arg1) || (arg2 && arg3)",
            &[n(0), n(1), n(1), n(0)],
            0,
        ),
        (
            "(arg0 < arg1) ^^ (arg2 < arg3)",
            &[n(0), n(1), n(1), n(0)],
            1,
        ),
        ("(char)arg0 && 1", &[n(256)], 0),
        ("(int)arg0 || 0", &[n(1 << 32)], 0),
        ("(uint32_t)(uint8_t)arg0 ? 1 : 2", &[n(256)], 2),
        ("arg0 && 0", &[n(1)], 0),
        ("1 && arg0", &[n(3)], 1),
        ("0 || arg0", &[n(3)], 1),
        ("arg0 || 1", &[n(0)], 1),
    ]);
}

#[test]
fn the_second_operand_runs_only_when_needed() {
    check(&[
        ("x = 0; arg0 && x++; x", &[n(0)], 0),
        ("x = 0; arg0 && x++; x", &[n(1)], 1),
        ("x = 0; arg0 || x++; x", &[n(1)], 0),
        ("x = 0; arg0 || x++; x", &[n(0)], 1),
        ("x = 0; arg0 ^^ x++; x", &[n(0)], 1),
        ("x = 0; arg0 ? x++ : 0; x", &[n(0)], 0),
        ("x = 5, x + 1", &[n(0)], 6),
    ]);
}

#[test]
fn ternaries_nest() {
    check(&[
        ("arg0 ? 10 : 20", &[n(1)], 10),
        ("arg0 ? arg1 : arg2", &[n(0), n(10), n(20)], 20),
        ("arg0 ? arg1 ? 1 : 2 : arg2 ? 3 : 4", &[n(1), n(0), n(1)], 2),
        ("arg0 ? arg1 ? 1 : 2 : arg2 ? 3 : 4", &[n(0), n(0), n(1)], 3),
        ("arg0 > 1 && arg1 ? 1 : 2", &[n(2), n(0)], 2),
        ("1 + (arg0 ? arg1 : arg2) * 2", &[n(1), n(3), n(4)], 7),
        ("(arg0 ? 1 : 0) ? (arg1 ? 5 : 6) : 7", &[n(1), n(0)], 6),
        (
            "arg0 ? (int)arg1 : (uint32_t)arg2",
            &[n(1), n(-1), n(4)],
            -1,
        ),
    ]);
}

/// `arg0 op (arg0 op (...))` or `((...) op arg0) op arg0`.
fn chain(op: &str, depth: usize, right: bool) -> String {
    (0..depth).fold("arg0".to_owned(), |inner, _| {
        if right {
            format!("arg1 {op} ({inner})")
        } else {
            format!("({inner}) {op} arg1")
        }
    })
}

#[test]
fn deep_expressions() {
    let balanced = (0..5).fold("arg0".to_owned(), |inner, _| {
        format!("({inner} - arg1) * ({inner} + arg1)")
    });
    let rows = [
        (chain("-", 30, false), 100 - 30 * 3),
        (chain("-", 30, true), 100),
        (chain("+", 30, true), 190),
        (chain("/", 3, false), 3),
        ("x++ - (".repeat(30) + "arg0" + &")".repeat(30), 85),
    ];
    let text = format!("x = 0; {}", rows[4].0);
    check(&[
        (rows[0].0.as_str(), &[n(100), n(3)], rows[0].1),
        (rows[1].0.as_str(), &[n(100), n(3)], rows[1].1),
        (rows[2].0.as_str(), &[n(100), n(3)], rows[2].1),
        (rows[3].0.as_str(), &[n(100), n(3)], rows[3].1),
        (balanced.as_str(), &[n(1), n(1)], 0),
        (text.as_str(), &[n(100)], rows[4].1),
    ]);
}
