//! Texts of network addresses: `inet_ntoa`, `inet_ntoa6`, `inet_ntop`, `link_ntop`.
//!
//! What is as long as its digits say is put down without branches: a digit is stored where the text ends so far, and
//! then the end moves on by 1, or by 0 if the digit is not shown. So there is one way through it, whatever the
//! address is. Their meaning is `dlang::strings::address`.

use dlang::diag::Span;
use dlang::program::Expr;

use crate::emit::{Emit, Emitted, imm};
use crate::insn::{Alu, Cond, Insn, Reg, Size};
use crate::stack::Val;
use crate::string::Str;

/// Bytes of a row of digits: a dot, three digits, the NUL, and what makes it eight.
const OCTET: u8 = 8;

/// Bytes of an IPv6 address, and the groups of two that it is written in.
const IPV6: i16 = 16;
const GROUPS: u32 = 8;

/// Where an IPv6 address ends in an IPv4 one: the byte that this starts with.
const IPV4_IN_IPV6: i16 = 12;

/// What there must be room for while an IPv6 address is written: two colons and four digits for each group, since
/// the verifier does not know that no address has all of them, and a NUL. In whole words.
const IPV6_TEXT: i16 = 64;

/// The largest address of a link, in whole words, and its text.
const LINK: i16 = 24;
const LINK_TEXT: i16 = 64;

/// Bits in [`layouts`] for each group: whether it is shown, and how many colons are before it.
const LAYOUT: i32 = 3;

/// How an IPv6 address is written, by which of its groups are not 0, the first in the lowest bit: for each group
/// [`LAYOUT`] bits, those of the first lowest. The longest run of two zeros or more is a `::`.
fn layouts() -> Vec<u8> {
    let layout = |present: u8| {
        let is_zero = |group: u32| present >> group & 1 == 0;
        let length = |from: u32| (from..GROUPS).take_while(|group| is_zero(*group)).count();
        // The first of those that are as long.
        let longest = (0..GROUPS).rev().max_by_key(|from| length(*from));
        let run = longest.filter(|from| length(*from) > 1);
        let run = run.map_or(0..0, |from| {
            from..(from..GROUPS)
                .find(|group| !is_zero(*group))
                .unwrap_or(GROUPS)
        });
        let bits = |group: u32| {
            let shown = !run.contains(&group);
            let colons = if !run.is_empty() && group == run.start {
                2
            } else {
                u32::from(shown && group > 0 && group != run.end)
            };
            u32::from(shown) | colons << 1
        };
        (0..GROUPS).fold(0_u32, |row, group| {
            row | bits(group) << (LAYOUT.unsigned_abs() * group)
        })
    };
    (0..=u8::MAX)
        .flat_map(|present| layout(present).to_ne_bytes())
        .collect()
}

/// Where the text of an address is put together: its bytes, and the text.
#[derive(Clone, Copy)]
struct Writing {
    bytes: i16,
    text: i16,
}

impl Emit<'_> {
    /// `inet_ntoa` of four bytes, the first the lowest: each is copied from a table of its digits.
    ///
    /// ```text
    ///     text = first[byte 0];  text += others[byte 1];  text += others[byte 2];  ...
    /// ```
    pub(crate) fn inet_ntoa(&mut self, address: &Expr, span: Span) -> Emitted<Str> {
        let rows = |dot: &str| {
            let row = |n: u8| {
                let mut row = format!("{dot}{n}").into_bytes();
                row.resize(usize::from(OCTET), 0);
                row
            };
            (0..=u8::MAX).flat_map(row).collect::<Vec<u8>>()
        };
        let (first, others) = (self.rodata.put(rows("")), self.rodata.put(rows(".")));
        let address = self.int(address)?;
        let alias = address.alias();
        let text = self.push_kernel_string(span, |e| {
            e.row_of_octet(first, &alias, 0);
            Ok(())
        })?;
        for shift in [8, 16, 24] {
            self.append(&text, |e| e.row_of_octet(others, &alias, shift));
        }
        self.stack.give(address);
        Ok(text)
    }

    /// `r3 = table + OCTET * (address >> shift & 255)`. Destroys `r0`.
    fn row_of_octet(&mut self, table: u32, address: &Val, shift: i32) {
        let rodata = self.storage.rodata;
        self.load(Reg::R0, address);
        self.asm.alu_imm(Alu::Rsh, Reg::R0, shift);
        self.asm.alu_imm(Alu::And, Reg::R0, 0xff);
        self.asm.alu_imm(Alu::Mul, Reg::R0, i32::from(OCTET));
        self.asm.map_value(Reg::R3, rodata, table);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
    }

    /// `inet_ntoa6` of the sixteen bytes of two words. One that stands for an IPv4 address is written as that, as in
    /// DTrace.
    ///
    /// ```text
    ///     if (it has 80 bits of 0 and 16 of 1, or 96 of 0 and others behind them) dotted; else groups;
    /// ```
    pub(crate) fn inet_ntoa6(&mut self, (high, low): (&Expr, &Expr), span: Span) -> Emitted<Str> {
        let words = [self.int(high)?, self.int(low)?];
        self.scratch(Reg::R1, span)?;
        let at = Writing {
            bytes: self.buffer(IPV6, span)?,
            text: self.buffer(IPV6_TEXT, span)?,
        };
        for (word, offset) in words.iter().zip([0, 8]) {
            self.load(Reg::R1, word);
            self.asm
                .store(Size::Double, Reg::FP, at.bytes + offset, Reg::R1);
        }
        let [dotted, groups, done] = [(); 3].map(|()| self.asm.label());
        self.load(Reg::R1, &words[0]);
        self.unlink(Reg::R1);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, groups);
        self.load(Reg::R1, &words[1]);
        self.unlink(Reg::R1);
        self.asm.push(Insn::to_big_endian(Reg::R1, 64));
        self.asm.mov(Reg::R2, Reg::R1);
        self.unlink(Reg::R2);
        self.asm.alu_imm(Alu::Rsh, Reg::R2, 32);
        self.asm.jump_if_imm(Cond::Eq, Reg::R2, 0xffff, dotted);
        self.asm.jump_if_imm(Cond::Ne, Reg::R2, 0, groups);
        self.asm.jump_if_imm(Cond::Ge, Reg::R1, 0x1_0000, dotted);
        self.asm.bind(groups);
        self.put_groups(at);
        self.asm.jump(done);
        self.asm.bind(dotted);
        self.put_octets(at);
        self.asm.bind(done);
        let text = self.push_kernel_string(span, |e| {
            e.stack_address(Reg::R3, at.text);
            Ok(())
        })?;
        self.stack.give_buffer(at.text, IPV6_TEXT);
        self.stack.give_buffer(at.bytes, IPV6);
        for word in words {
            self.stack.give(word);
        }
        Ok(text)
    }

    /// The text of an IPv6 address. Destroys `r0` to `r5`.
    ///
    /// ```text
    ///     present = one bit for each group that is not 0;
    ///     layout = layouts[present]; end = 0;
    ///     for (n = 0; n < 8; n++, layout >>= 3) {
    ///         text[end] = text[end + 1] = ':'; end += layout >> 1 & 3;
    ///         for each digit: text[end] = digit; end += layout & (it is the last, or not 0 up to here);
    ///     }
    ///     text[end] = 0;
    /// ```
    fn put_groups(&mut self, at: Writing) {
        let layouts = self.rodata.put(layouts());
        let rodata = self.storage.rodata;
        let (turn, end, layout) = (Reg::R1, Reg::R3, Reg::R4);
        self.asm.mov_imm(Reg::R3, 0);
        for (n, offset) in (0..).zip((0..IPV6).step_by(2)) {
            self.asm
                .load(Size::Half, Reg::R0, Reg::FP, at.bytes + offset);
            self.if_not_0(Reg::R0, 16);
            self.asm.alu_imm(Alu::Lsh, Reg::R0, n);
            self.asm.alu(Alu::Or, Reg::R3, Reg::R0);
        }
        // Older verifiers do not see that it has no more bits.
        self.asm.alu_imm(Alu::And, Reg::R3, 0xff);
        self.asm.alu_imm(Alu::Lsh, Reg::R3, 2);
        self.asm.map_value(Reg::R5, rodata, layouts);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R3);
        self.asm.load(Size::Word, layout, Reg::R5, 0);
        self.asm.mov_imm(end, 0);
        self.asm.mov_imm(turn, 0);
        let again = self.asm.label();
        self.asm.bind(again);
        self.text_end(at);
        for colon in [0, 1] {
            self.asm
                .store_imm(Size::Byte, Reg::R5, colon, i32::from(b':'));
        }
        self.asm.mov(Reg::R0, layout);
        self.asm.alu_imm(Alu::Rsh, Reg::R0, 1);
        self.asm.alu_imm(Alu::And, Reg::R0, 3);
        self.asm.alu(Alu::Add, end, Reg::R0);
        for shift in [12, 8, 4, 0] {
            self.stack_address(Reg::R5, at.bytes);
            self.asm.alu(Alu::Add, Reg::R5, turn);
            self.asm.alu(Alu::Add, Reg::R5, turn);
            self.asm.load(Size::Half, Reg::R0, Reg::R5, 0);
            self.asm.push(Insn::to_big_endian(Reg::R0, 16));
            self.asm.alu_imm(Alu::Rsh, Reg::R0, shift);
            if shift == 0 {
                self.asm.mov_imm(Reg::R2, 1);
            } else {
                self.asm.mov(Reg::R2, Reg::R0);
                self.if_not_0(Reg::R2, 16);
            }
            self.asm.alu(Alu::And, Reg::R2, layout);
            self.asm.alu_imm(Alu::And, Reg::R2, 1);
            self.hexadecimal(Reg::R0, Reg::R5);
            self.put_at_end(at);
        }
        self.asm.alu_imm(Alu::Rsh, layout, LAYOUT);
        self.asm.alu_imm(Alu::Add, turn, 1);
        self.asm.jump_if_imm(Cond::Lt, turn, imm(GROUPS), again);
        self.text_end(at);
        self.asm.store_imm(Size::Byte, Reg::R5, 0, 0);
    }

    /// The text of the IPv4 address that an IPv6 one ends in. Destroys `r0`, `r2` to `r5`.
    fn put_octets(&mut self, at: Writing) {
        let (end, octet) = (Reg::R3, Reg::R4);
        self.asm.mov_imm(end, 0);
        for n in IPV4_IN_IPV6..IPV6 {
            if n > IPV4_IN_IPV6 {
                self.asm.mov_imm(Reg::R0, i64::from(b'.'));
                self.asm.mov_imm(Reg::R2, 1);
                self.put_at_end(at);
            }
            self.asm.load(Size::Byte, octet, Reg::FP, at.bytes + n);
            for place in [100, 10, 1] {
                self.asm.mov(Reg::R0, octet);
                self.asm.alu_imm(Alu::Div, Reg::R0, place);
                if place == 1 {
                    self.asm.mov_imm(Reg::R2, 1);
                } else {
                    self.asm.mov(Reg::R2, Reg::R0);
                    self.if_not_0(Reg::R2, 8);
                }
                self.asm.alu_imm(Alu::Mod, Reg::R0, 10);
                self.asm.alu_imm(Alu::Add, Reg::R0, i32::from(b'0'));
                self.put_at_end(at);
            }
        }
        self.text_end(at);
        self.asm.store_imm(Size::Byte, Reg::R5, 0, 0);
    }

    /// `link_ntop` of the bytes of these words, in pairs of digits.
    pub(crate) fn link_ntop(&mut self, words: &[Expr], span: Span) -> Emitted<Str> {
        let at = Writing {
            bytes: self.buffer(LINK, span)?,
            text: self.buffer(LINK_TEXT, span)?,
        };
        let mut bytes = 0;
        for word in words {
            let size = word.ty.as_int().map_or(8, |int| int.size);
            let val = self.int(word)?;
            self.load(Reg::R1, &val);
            let offset = at.bytes + i16::from(bytes);
            self.asm.store(Size::of(size), Reg::FP, offset, Reg::R1);
            self.stack.give(val);
            bytes += size;
        }
        self.scratch(Reg::R1, span)?;
        let (turn, place) = (Reg::R1, Reg::R3);
        self.asm.mov_imm(turn, 0);
        self.stack_address(place, at.text);
        let again = self.asm.label();
        self.asm.bind(again);
        for (offset, shift) in [(0, 4), (1, 0)] {
            self.stack_address(Reg::R5, at.bytes);
            self.asm.alu(Alu::Add, Reg::R5, turn);
            self.asm.load(Size::Byte, Reg::R0, Reg::R5, 0);
            self.asm.alu_imm(Alu::Rsh, Reg::R0, shift);
            self.hexadecimal(Reg::R0, Reg::R5);
            self.asm.store(Size::Byte, place, offset, Reg::R0);
        }
        self.asm.store_imm(Size::Byte, place, 2, i32::from(b':'));
        self.asm.alu_imm(Alu::Add, place, 3);
        self.asm.alu_imm(Alu::Add, turn, 1);
        self.asm
            .jump_if_imm(Cond::Lt, turn, i32::from(bytes), again);
        // No colon behind the last.
        self.asm.store_imm(Size::Byte, place, -1, 0);
        let text = self.push_kernel_string(span, |e| {
            e.stack_address(Reg::R3, at.text);
            Ok(())
        })?;
        self.stack.give_buffer(at.text, LINK_TEXT);
        self.stack.give_buffer(at.bytes, LINK);
        Ok(text)
    }

    /// `reg = reg != 0`, of a number of so many bits.
    fn if_not_0(&mut self, reg: Reg, bits: i32) {
        self.asm.alu_imm(Alu::Add, reg, (1 << bits) - 1);
        self.asm.alu_imm(Alu::Rsh, reg, bits);
        // Which kernels know that do not know what a division gives.
        self.asm.alu_imm(Alu::And, reg, 1);
    }

    /// `reg = the digit of its lowest four bits`.
    fn hexadecimal(&mut self, reg: Reg, spare: Reg) {
        self.asm.alu_imm(Alu::And, reg, 0xf);
        // 'a' - 10 - '0' more from 10 on: the difference's sign makes the mask.
        self.asm.mov(spare, reg);
        self.asm.alu_imm(Alu::Add, spare, -10);
        self.asm.alu_imm(Alu::Arsh, spare, 63);
        self.asm.alu_imm(Alu::Xor, spare, -1);
        self.asm
            .alu_imm(Alu::And, spare, i32::from(b'a' - 10 - b'0'));
        self.asm.alu(Alu::Add, reg, spare);
        self.asm.alu_imm(Alu::Add, reg, i32::from(b'0'));
    }

    /// `r5 = &text[r3]`.
    fn text_end(&mut self, at: Writing) {
        self.stack_address(Reg::R5, at.text);
        self.asm.alu(Alu::Add, Reg::R5, Reg::R3);
    }

    /// `text[r3] = r0; r3 += r2`. Destroys `r5`.
    fn put_at_end(&mut self, at: Writing) {
        self.text_end(at);
        self.asm.store(Size::Byte, Reg::R5, 0, Reg::R0);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R2);
    }
}
