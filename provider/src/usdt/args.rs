//! Argument strings: where a compiler put each argument of a USDT site, in the assembler's words.
//!
//! `sys/sdt.h` has the compiler print operands into the note, so that what stands there is
//! whatever the assembler takes. One argument is `N@operand`: N is the size in bytes, negative
//! for signed, with an `f` for floating point; very old notes lack it.
//!
//! ```text
//!     x86-64     -4@%eax   1@%ah   8@$5   8@-24(%rbp,%rax,8)   8@sym+16(%rip)   4@foo   8f@%xmm0
//!     aarch64    -4@w3     8@x0    8@5    8@[sp, 12]   8@[x1, x2]   8@[x1, x2, lsl 3]   8@d0
//! ```
//!
//! An operand that cannot be read at run time is no error here: it becomes
//! [`ArgLocation::Unreadable`] with the reason, so that the site's other arguments still work.

use dlang::types::Int;

use crate::probe::{ArgLocation, Register};

/// The machine whose assembler wrote the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Machine {
    /// x86-64, AT&T syntax.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Machine {
    /// The machine that this was built for, if it is one that rdtrace knows.
    pub const NATIVE: Option<Self> = if cfg!(target_arch = "x86_64") {
        Some(Self::X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Self::Aarch64)
    } else {
        None
    };
}

/// What an argument string may refer to besides registers.
pub trait Surroundings {
    /// The linked address of a symbol of the file.
    fn symbol(&self, name: &str) -> Option<u64>;
    /// The linked address of the site.
    fn site(&self) -> u64;
    /// Whether linked addresses are run-time addresses (an `ET_EXEC` file).
    fn fixed(&self) -> bool;
}

/// More than any site has; D knows `arg0` to `arg9`, and the C macros go to 12.
const MOST_ARGUMENTS: usize = 32;

/// Reads an argument string: one location for each argument, in order.
#[must_use]
pub fn parse(machine: Machine, text: &str, around: &dyn Surroundings) -> Vec<ArgLocation> {
    split(text)
        .into_iter()
        .take(MOST_ARGUMENTS)
        .map(|arg| parse_one(machine, arg, around))
        .collect()
}

/// The type of each argument of a string, as far as its text tells; `int64_t` where it does not.
#[must_use]
pub fn types(text: &str) -> Vec<Int> {
    let one = |arg: &str| arg.split_once('@').and_then(|(size, _)| size_of(size).ok());
    split(text)
        .into_iter()
        .take(MOST_ARGUMENTS)
        .map(|arg| one(arg).unwrap_or(Int::I64))
        .collect()
}

/// Splits at blanks that are not inside brackets: `4@[sp, 12]` is one argument.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0_u32);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth = depth.saturating_add(1),
            ')' | ']' => depth = depth.saturating_sub(1),
            c if c.is_ascii_whitespace() && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

fn parse_one(machine: Machine, arg: &str, around: &dyn Surroundings) -> ArgLocation {
    read_one(machine, arg, around).unwrap_or_else(|why| ArgLocation::Unreadable {
        why: format!("`{arg}` {why}"),
    })
}

/// Why an operand cannot be read.
type Reason = &'static str;

const NOT_UNDERSTOOD: Reason = "is a location that rdtrace does not understand";
const FLOAT: Reason = "is in a floating-point register, which eBPF cannot read";
const THREAD: Reason = "is in thread-local storage, which eBPF cannot find";
const NO_SYMBOL: Reason = "names a symbol that the file's symbol tables lack";

fn read_one(machine: Machine, arg: &str, around: &dyn Surroundings) -> Result<ArgLocation, Reason> {
    // Symbols may contain `@` themselves (`foo@GOTPCREL`), so what precedes the first must be
    // a size for it to count.
    let (int, operand) = match arg.split_once('@') {
        Some((size, operand)) if size.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
            (Some(size_of(size)?), operand.trim())
        }
        _ => (None, arg.trim()),
    };
    if operand.is_empty() {
        return Err(NOT_UNDERSTOOD);
    }
    match machine {
        Machine::X86_64 => x86(operand, int, around),
        Machine::Aarch64 => aarch64(operand, int, around),
    }
}

/// The type that a size stands for; `8f` and the like are floating point.
fn size_of(text: &str) -> Result<Int, Reason> {
    if text.ends_with('f') {
        return Err("is a floating-point value, which D cannot hold");
    }
    let (signed, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    match digits.parse() {
        Ok(size @ (1 | 2 | 4 | 8)) => Ok(Int { size, signed }),
        _ => Err("has a size that no integer has"),
    }
}

fn x86(operand: &str, int: Option<Int>, around: &dyn Surroundings) -> Result<ArgLocation, Reason> {
    if let Some(value) = operand.strip_prefix('$') {
        return constant(value, int, around);
    }
    if let Some((registers, displacement)) = operand
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once('('))
        .map(|(d, r)| (r, d))
    {
        return x86_memory(displacement, registers, int, around);
    }
    if let Some(name) = operand.strip_prefix('%') {
        if name.contains(':') {
            return Err(THREAD);
        }
        let (register, shift, width) = x86_register(name)?;
        let int = int.unwrap_or(Int {
            size: width,
            signed: true,
        });
        return Ok(ArgLocation::Register {
            register,
            shift,
            int,
        });
    }
    fixed_memory(operand, int, around)
}

/// `displacement(base,index,scale)`, in which everything but the brackets is optional.
fn x86_memory(
    displacement: &str,
    registers: &str,
    int: Option<Int>,
    around: &dyn Surroundings,
) -> Result<ArgLocation, Reason> {
    if displacement.starts_with('%') {
        return Err(THREAD); // %fs:-8(%rax)
    }
    let mut parts = registers.split(',').map(str::trim);
    let base = parts.next().filter(|part| !part.is_empty());
    let index = parts.next().filter(|part| !part.is_empty());
    let scale = parts.next().unwrap_or("1");
    if parts.next().is_some() {
        return Err(NOT_UNDERSTOOD);
    }
    let int = int.unwrap_or(Int::I64);
    if matches!(base, Some("%rip")) {
        let (symbols, offset) = sum(displacement, around)?;
        if symbols == 0 || index.is_some() {
            return Err(NOT_UNDERSTOOD); // the distance would count from an instruction we don't know
        }
        return Ok(relative(offset, int, around));
    }
    let (symbols, displacement) = sum(displacement, around)?;
    if symbols > 0 && !around.fixed() {
        return Err(NOT_UNDERSTOOD); // an absolute address in a file that can be loaded anywhere
    }
    let whole = |name: &str| -> Result<Register, Reason> {
        match x86_register(name.strip_prefix('%').ok_or(NOT_UNDERSTOOD)?)? {
            (register, 0, 8) => Ok(register),
            _ => Err(NOT_UNDERSTOOD),
        }
    };
    let scale = match scale {
        "1" | "" => 1,
        "2" => 2,
        "4" => 4,
        "8" => 8,
        _ => return Err(NOT_UNDERSTOOD),
    };
    let base = base.map(whole).transpose()?;
    let index = index
        .map(whole)
        .transpose()?
        .map(|register| (register, scale));
    Ok(ArgLocation::Memory {
        base,
        index,
        displacement,
        int,
    })
}

/// A register's slot in `struct pt_regs`, the bits to shift right, and its width in bytes.
fn x86_register(name: &str) -> Result<(Register, u8, u8), Reason> {
    // In the order of `struct pt_regs`; the gap is `orig_rax`.
    const SLOTS: [(&str, u16); 18] = [
        ("r15", 0),
        ("r14", 8),
        ("r13", 16),
        ("r12", 24),
        ("bp", 32),
        ("bx", 40),
        ("r11", 48),
        ("r10", 56),
        ("r9", 64),
        ("r8", 72),
        ("ax", 80),
        ("cx", 88),
        ("dx", 96),
        ("si", 104),
        ("di", 112),
        ("ip", 128),
        ("flags", 144),
        ("sp", 152),
    ];
    let slot = |base: &str| {
        SLOTS
            .iter()
            .find(|(name, _)| *name == base)
            .map(|&(_, offset)| Register(offset))
    };
    if let Some(numbered) = name
        .strip_prefix('r')
        .filter(|n| n.starts_with(|c: char| c.is_ascii_digit()))
    {
        let digits = numbered.trim_end_matches(['d', 'w', 'b', 'l']);
        let width = match &numbered[digits.len()..] {
            "" => 8,
            "d" => 4,
            "w" => 2,
            "b" | "l" => 1,
            _ => return Err(NOT_UNDERSTOOD),
        };
        return slot(&format!("r{digits}"))
            .map(|r| (r, 0, width))
            .ok_or(NOT_UNDERSTOOD);
    }
    let found = match name.as_bytes() {
        [b'r', ..] => slot(&name[1..]).map(|r| (r, 0, 8)),
        [b'e', ..] => slot(&name[1..]).map(|r| (r, 0, 4)),
        // %al, %ah, and %sil, %dil, %bpl, %spl.
        [letter @ b'a'..=b'd', half @ (b'l' | b'h')] => {
            let base = [*letter, b'x'];
            let shift = if *half == b'h' { 8 } else { 0 };
            std::str::from_utf8(&base)
                .ok()
                .and_then(slot)
                .map(|r| (r, shift, 1))
        }
        [.., b'l'] => slot(&name[..name.len() - 1]).map(|r| (r, 0, 1)),
        _ => slot(name).map(|r| (r, 0, 2)),
    };
    match found {
        Some(found) => Ok(found),
        None if ["xmm", "ymm", "zmm", "mm", "st"]
            .iter()
            .any(|kind| name.starts_with(kind)) =>
        {
            Err(FLOAT)
        }
        None => Err(NOT_UNDERSTOOD),
    }
}

fn aarch64(
    operand: &str,
    int: Option<Int>,
    around: &dyn Surroundings,
) -> Result<ArgLocation, Reason> {
    if let Some(inner) = operand
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return aarch64_memory(inner, int.unwrap_or(Int::I64), around);
    }
    if let Some((register, width)) = aarch64_register(operand) {
        let int = int.unwrap_or(Int {
            size: width,
            signed: true,
        });
        return Ok(ArgLocation::Register {
            register,
            shift: 0,
            int,
        });
    }
    if matches!(operand, "xzr" | "wzr") {
        return Ok(ArgLocation::Constant(0));
    }
    let is_vector = |name: &str| {
        name.strip_prefix(['v', 'q', 'd', 's', 'h', 'b'])
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    if is_vector(operand) {
        return Err(FLOAT);
    }
    let number = operand.strip_prefix('#').unwrap_or(operand);
    if number.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return constant(number, int, around);
    }
    fixed_memory(operand, int, around)
}

/// The inside of `[base]`, `[base, displacement]`, `[base, index]`, `[base, index, lsl n]`.
fn aarch64_memory(inner: &str, int: Int, around: &dyn Surroundings) -> Result<ArgLocation, Reason> {
    let mut parts = inner.split(',').map(str::trim);
    let whole = |name: &str| match aarch64_register(name) {
        Some((register, 8)) => Some(register),
        _ => None,
    };
    let base = Some(parts.next().and_then(whole).ok_or(NOT_UNDERSTOOD)?);
    let memory = |index, displacement| {
        Ok(ArgLocation::Memory {
            base,
            index,
            displacement,
            int,
        })
    };
    let Some(second) = parts.next() else {
        return memory(None, 0);
    };
    let third = parts.next();
    if parts.next().is_some() {
        return Err(NOT_UNDERSTOOD);
    }
    match (whole(second), third) {
        (Some(index), None) => memory(Some((index, 1)), 0),
        (Some(index), Some(shift)) => {
            let bits = shift.strip_prefix("lsl").ok_or(NOT_UNDERSTOOD)?.trim();
            let scale = match bits.strip_prefix('#').unwrap_or(bits) {
                "0" => 1,
                "1" => 2,
                "2" => 4,
                "3" => 8,
                _ => return Err(NOT_UNDERSTOOD),
            };
            memory(Some((index, scale)), 0)
        }
        (None, None) => match sum(second.strip_prefix('#').unwrap_or(second), around)? {
            (0, displacement) => memory(None, displacement),
            _ => Err(NOT_UNDERSTOOD),
        },
        (None, Some(_)) => Err(NOT_UNDERSTOOD),
    }
}

/// A register's slot in `struct user_pt_regs` and its width in bytes.
fn aarch64_register(name: &str) -> Option<(Register, u8)> {
    match name {
        "sp" => return Some((Register(248), 8)),
        "pc" => return Some((Register(256), 8)),
        "fp" => return Some((Register(29 * 8), 8)),
        "lr" => return Some((Register(30 * 8), 8)),
        _ => {}
    }
    let (width, digits) = match name.split_at_checked(1)? {
        ("x", digits) => (8, digits),
        ("w", digits) => (4, digits),
        _ => return None,
    };
    let number: u16 = digits.parse().ok().filter(|number| *number <= 30)?;
    Some((Register(number * 8), width))
}

/// A constant: a number, or the address of a symbol where that is known before run time.
fn constant(
    text: &str,
    int: Option<Int>,
    around: &dyn Surroundings,
) -> Result<ArgLocation, Reason> {
    let (symbols, value) = sum(text, around)?;
    if symbols > 0 && !around.fixed() {
        return Err("is an address that is known only at run time");
    }
    Ok(ArgLocation::Constant(int.unwrap_or(Int::I64).wrap(value)))
}

/// Memory whose place is an address: `foo`, `foo+8`, `123`.
fn fixed_memory(
    text: &str,
    int: Option<Int>,
    around: &dyn Surroundings,
) -> Result<ArgLocation, Reason> {
    let (symbols, address) = sum(text, around)?;
    let int = int.unwrap_or(Int::I64);
    if symbols > 0 {
        return Ok(relative(address, int, around));
    }
    Ok(ArgLocation::Memory {
        base: None,
        index: None,
        displacement: address,
        int,
    })
}

fn relative(address: i64, int: Int, around: &dyn Surroundings) -> ArgLocation {
    ArgLocation::Relative {
        from_site: address.wrapping_sub(around.site().cast_signed()),
        int,
    }
}

/// The value of `sym+16`, `-8+sym`, `0x10-4` and the like, and how many symbols it has; nothing
/// at all is 0.
fn sum(text: &str, around: &dyn Surroundings) -> Result<(usize, i64), Reason> {
    let (mut symbols, mut value) = (0, 0_i64);
    let mut rest = text.trim();
    while !rest.is_empty() {
        let negative = rest.starts_with('-');
        rest = rest.trim_start_matches(['+', '-']);
        let end = rest.find(['+', '-']).unwrap_or(rest.len());
        let (term, after) = rest.split_at(end);
        rest = after;
        let term = if let Some(number) = number(term) {
            number
        } else if is_symbol(term) {
            symbols += 1;
            around.symbol(term).ok_or(NO_SYMBOL)?.cast_signed()
        } else {
            return Err(NOT_UNDERSTOOD);
        };
        value = if negative {
            value.wrapping_sub(term)
        } else {
            value.wrapping_add(term)
        };
    }
    Ok((symbols, value))
}

/// A decimal, hexadecimal (0x) or octal (0) number of up to 64 bits.
fn number(text: &str) -> Option<i64> {
    let (digits, radix) = if let Some(hex) = text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        (hex, 16)
    } else if text.len() > 1 && text.starts_with('0') {
        (&text[1..], 8)
    } else {
        (text, 10)
    };
    u64::from_str_radix(digits, radix)
        .ok()
        .filter(|_| !digits.starts_with('+'))
        .map(u64::cast_signed)
}

fn is_symbol(text: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '.');
    text.starts_with(starts)
        && text
            .chars()
            .all(|c| starts(c) || c.is_ascii_digit() || c == '$')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Pie;

    impl Surroundings for Pie {
        fn symbol(&self, name: &str) -> Option<u64> {
            (name == "sym").then_some(0x3000)
        }
        fn site(&self) -> u64 {
            0x1000
        }
        fn fixed(&self) -> bool {
            false
        }
    }

    struct Exec;

    impl Surroundings for Exec {
        fn symbol(&self, name: &str) -> Option<u64> {
            Pie.symbol(name)
        }
        fn site(&self) -> u64 {
            Pie.site()
        }
        fn fixed(&self) -> bool {
            true
        }
    }

    /// A location in one line: `i32 r80`, `u64 [r32+r80*8-24]`, `const 5`, `u64 site+8192`, or
    /// the reason.
    fn shown(location: &ArgLocation) -> String {
        let int = |int: &Int| format!("{}{}", if int.signed { 'i' } else { 'u' }, int.size * 8);
        match location {
            ArgLocation::Constant(value) => format!("const {value}"),
            ArgLocation::Register {
                register,
                shift: 0,
                int: i,
            } => format!("{} r{}", int(i), register.0),
            ArgLocation::Register {
                register,
                shift,
                int: i,
            } => {
                format!("{} r{}>>{shift}", int(i), register.0)
            }
            ArgLocation::Memory {
                base,
                index,
                displacement,
                int: i,
            } => {
                let base = base.map_or(String::new(), |r| format!("r{}", r.0));
                let index = index.map_or(String::new(), |(r, s)| format!("+r{}*{s}", r.0));
                format!("{} [{base}{index}{displacement:+}]", int(i))
            }
            ArgLocation::Relative { from_site, int: i } => format!("{} site{from_site:+}", int(i)),
            ArgLocation::Unreadable { why } => why.clone(),
        }
    }

    fn check(machine: Machine, around: &dyn Surroundings, cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            let found: Vec<String> = parse(machine, text, around).iter().map(shown).collect();
            assert_eq!(found.join(" | "), *expected, "for `{text}`");
        }
    }

    #[test]
    fn x86_registers() {
        check(
            Machine::X86_64,
            &Pie,
            &[
                ("-4@%eax", "i32 r80"),
                ("8@%rbp", "u64 r32"),
                ("8@%rbp 8@%r12 -4@%eax", "u64 r32 | u64 r24 | i32 r80"),
                ("1@%ah", "u8 r80>>8"),
                ("-1@%bl", "i8 r40"),
                ("1@%dil", "u8 r112"),
                ("1@%spl", "u8 r152"),
                ("2@%cx", "u16 r88"),
                ("-2@%r9w", "i16 r64"),
                ("4@%r15d", "u32 r0"),
                ("1@%r8b", "u8 r72"),
                ("8@%rip", "u64 r128"),
                ("%rax", "i64 r80"),
                ("%esi", "i32 r104"),
                (
                    "8@%r99",
                    "`8@%r99` is a location that rdtrace does not understand",
                ),
            ],
        );
    }

    #[test]
    fn x86_constants() {
        check(
            Machine::X86_64,
            &Pie,
            &[
                ("8@$5", "const 5"),
                ("-4@$-1", "const -1"),
                ("4@$-1", "const 4294967295"),
                ("-8@$0x10", "const 16"),
                ("-4@$017", "const 15"),
                ("$7", "const 7"),
                ("8@$18446744073709551615", "const -1"),
                (
                    "8@$sym",
                    "`8@$sym` is an address that is known only at run time",
                ),
            ],
        );
        check(
            Machine::X86_64,
            &Exec,
            &[("8@$sym", "const 12288"), ("8@$sym+4", "const 12292")],
        );
    }

    #[test]
    fn x86_memory() {
        check(
            Machine::X86_64,
            &Pie,
            &[
                ("-4@112(%rsp)", "i32 [r152+112]"),
                ("8@(%rdx)", "u64 [r96+0]"),
                ("8@-24(%rbp,%rax,8)", "u64 [r32+r80*8-24]"),
                ("8@(%rbp,%rax)", "u64 [r32+r80*1+0]"),
                ("8@16(,%rax,4)", "u64 [+r80*4+16]"),
                ("8@-0x8(%rbp)", "u64 [r32-8]"),
                ("8@8+16(%rbp)", "u64 [r32+24]"),
                ("-8(%rbp)", "i64 [r32-8]"),
                ("4@4660", "u32 [+4660]"),
                ("8@sym(%rip)", "u64 site+8192"),
                ("8@sym+16(%rip)", "u64 site+8208"),
                ("8@-16+sym(%rip)", "u64 site+8176"),
                ("4@sym", "u32 site+8192"),
                ("4@sym+4", "u32 site+8196"),
                (
                    "8@nosym(%rip)",
                    "`8@nosym(%rip)` names a symbol that the file's symbol tables lack",
                ),
                (
                    "8@16(%rip)",
                    "`8@16(%rip)` is a location that rdtrace does not understand",
                ),
                (
                    "8@sym(%rax)",
                    "`8@sym(%rax)` is a location that rdtrace does not understand",
                ),
                (
                    "8@(%eax)",
                    "`8@(%eax)` is a location that rdtrace does not understand",
                ),
                (
                    "8@(%rax,%rbx,3)",
                    "`8@(%rax,%rbx,3)` is a location that rdtrace does not understand",
                ),
                (
                    "8@%fs:-8(%rax)",
                    "`8@%fs:-8(%rax)` is in thread-local storage, which eBPF cannot find",
                ),
            ],
        );
        check(
            Machine::X86_64,
            &Exec,
            &[("8@sym(,%rax,8)", "u64 [+r80*8+12288]")],
        );
    }

    #[test]
    fn floats_are_named_and_do_not_hide_the_others() {
        check(
            Machine::X86_64,
            &Pie,
            &[(
                "8f@%xmm0 8@%xmm1 8@%rax",
                "`8f@%xmm0` is a floating-point value, which D cannot hold | `8@%xmm1` is in a \
                 floating-point register, which eBPF cannot read | u64 r80",
            )],
        );
    }

    #[test]
    fn aarch64_forms() {
        check(
            Machine::Aarch64,
            &Pie,
            &[
                ("8@x0", "u64 r0"),
                ("4@w3", "u32 r24"),
                ("-4@[sp, 12]", "i32 [r248+12]"),
                ("8@[x1]", "u64 [r8+0]"),
                ("8@[x1, x2]", "u64 [r8+r16*1+0]"),
                ("8@[x1, x2, lsl 3]", "u64 [r8+r16*8+0]"),
                ("8@[x29,-16] 8@x1", "u64 [r232-16] | u64 r8"),
                ("8@[x0, #8]", "u64 [r0+8]"),
                ("-4@5", "const 5"),
                ("-4@-1", "const -1"),
                ("8@xzr", "const 0"),
                ("8@sp", "u64 r248"),
                (
                    "8@d0",
                    "`8@d0` is in a floating-point register, which eBPF cannot read",
                ),
                (
                    "8@x31",
                    "`8@x31` names a symbol that the file's symbol tables lack",
                ),
                (
                    "8@[w0]",
                    "`8@[w0]` is a location that rdtrace does not understand",
                ),
            ],
        );
    }

    #[test]
    fn odd_sizes_are_refused() {
        check(
            Machine::X86_64,
            &Pie,
            &[
                ("3@%rax", "`3@%rax` has a size that no integer has"),
                ("16@%rax", "`16@%rax` has a size that no integer has"),
                ("", ""),
                ("   ", ""),
                ("8@", "`8@` is a location that rdtrace does not understand"),
            ],
        );
    }

    proptest! {
        #[test]
        fn no_string_panics(text in "[-+0-9a-z$%@()\\[\\], .]{0,40}") {
            let _ = parse(Machine::X86_64, &text, &Pie);
            let _ = parse(Machine::Aarch64, &text, &Exec);
        }

        #[test]
        fn no_unicode_panics(text in "\\PC{0,40}") {
            let _ = parse(Machine::X86_64, &text, &Exec);
            let _ = parse(Machine::Aarch64, &text, &Pie);
        }
    }
}
