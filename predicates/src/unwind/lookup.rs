//! The rule for an address of a process: kept from not long ago, or searched for in the process's ranges and the table
//! of the file (`unwind::memory` and `unwind::Table` say how these look).
//!
//! The searches have no branches but their end. Each looks at half of what is left:
//!
//! ```text
//!     range = the last one of the process with range.start <= address
//!     page  = (address - range.base) >> 16
//!     run   = the last one of the page with run.address <= (address - range.base) & 0xffff
//!     row   = the last one of the run's pattern with row.address <= that - run.address
//! ```

use unwind::memory::{
    FOUND, FOUND_AT, FOUND_LOG2, MOST_IN_RUN_LOG2, MOST_RANGES_LOG2, PAGE_LOG2, RANGE, RANGES,
    RUNS_IN_WORD, SPREAD, TABLES_AT, WORD,
};

use super::Slots;
use crate::asm::{Label, MapRef};
use crate::emit::{Emit, imm};
use crate::frame_layout::UnwindMaps;
use crate::insn::{Alu, Cond, Reg, Size};

/// Elements of a map's value: the map, where they start, how many bytes each has, and how many there are.
type Elements = (MapRef, u32, u32, u32);

impl Emit<'_> {
    /// Takes the rule that was found not long ago for the address in `r4`, and goes on at `found`, if there is one.
    pub(super) fn find_again(
        &mut self,
        maps: UnwindMaps,
        slots: Slots,
        (found, out): (Label, Label),
    ) {
        let none = self.asm.label();
        self.place_found(maps, slots, out);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, 0);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, 8);
        self.asm.alu(Alu::Xor, Reg::R1, Reg::R2);
        self.asm.jump_if(Cond::Ne, Reg::R1, Reg::R4, none);
        self.asm.mov(Reg::R1, Reg::R2);
        self.asm.alu_imm(Alu::Rsh, Reg::R1, 32);
        self.asm.load(Size::Double, Reg::R3, Reg::FP, slots.first);
        self.asm.jump_if(Cond::Ne, Reg::R1, Reg::R3, none);
        self.asm.alu_imm(Alu::Lsh, Reg::R2, 32);
        self.asm.alu_imm(Alu::Rsh, Reg::R2, 32);
        self.asm.store(Size::Double, Reg::FP, slots.rule, Reg::R2);
        self.asm.jump(found);
        self.asm.bind(none);
    }

    /// Keeps the rule that has been found for the address that was looked up.
    pub(super) fn keep_found(&mut self, maps: UnwindMaps, slots: Slots, out: Label) {
        self.asm.load(Size::Double, Reg::R4, Reg::FP, slots.at);
        self.unlink(Reg::R4);
        self.place_found(maps, slots, out);
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.first);
        self.asm.alu_imm(Alu::Lsh, Reg::R1, 32);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, slots.rule);
        self.asm.alu(Alu::Or, Reg::R1, Reg::R2);
        self.asm.alu(Alu::Xor, Reg::R4, Reg::R1);
        self.asm.store(Size::Double, Reg::R5, 0, Reg::R4);
        self.asm.store(Size::Double, Reg::R5, 8, Reg::R1);
    }

    /// `r5 = where a found rule is kept for the address in r4` (`unwind::memory::place_found`).
    fn place_found(&mut self, maps: UnwindMaps, slots: Slots, out: Label) {
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.first);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R4);
        self.asm.mov_imm(Reg::R2, SPREAD.cast_signed());
        self.asm.alu(Alu::Mul, Reg::R1, Reg::R2);
        self.asm.alu_imm(Alu::Rsh, Reg::R1, imm(64 - FOUND_LOG2));
        self.element(
            (maps.tables, FOUND_AT, FOUND, 1 << FOUND_LOG2),
            Reg::R5,
            Reg::R1,
            out,
        );
    }

    /// `r5 = address of the range that holds the address in r4`.
    pub(super) fn find_range(&mut self, maps: UnwindMaps, slots: Slots, out: Label) {
        self.asm.load(Size::Double, Reg::R1, Reg::FP, slots.first);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, slots.ranges);
        self.unlink(Reg::R1);
        self.unlink(Reg::R2);
        self.asm.jump_if_imm(Cond::Eq, Reg::R2, 0, out);
        let table = (maps.tables, 0, RANGE, RANGES);
        self.search(table, Size::Double, MOST_RANGES_LOG2, out);
        self.element(table, Reg::R5, Reg::R1, out);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, 0);
        self.asm.jump_if(Cond::Lt, Reg::R4, Reg::R2, out);
        self.asm.load(Size::Double, Reg::R2, Reg::R5, 8);
        self.asm.jump_if(Cond::Ge, Reg::R4, Reg::R2, out);
    }

    /// Finds the rule for the address in `r4`, which is in the range at `r5`.
    pub(super) fn find_rule(&mut self, maps: UnwindMaps, slots: Slots, out: Label) {
        let words = (maps.tables, TABLES_AT, WORD, maps.words);
        let bytes = WORD / RUNS_IN_WORD;
        let runs = (maps.tables, TABLES_AT, bytes, RUNS_IN_WORD * maps.words);
        self.find_page(words, slots, out);
        self.search(runs, Size::Half, PAGE_LOG2, out);
        self.element(runs, Reg::R5, Reg::R1, out);
        self.asm.load(Size::Half, Reg::R1, Reg::R5, 0);
        self.asm.alu(Alu::Sub, Reg::R4, Reg::R1);
        self.asm.load(Size::Half, Reg::R1, Reg::R5, 2);
        self.asm.load(Size::Double, Reg::R2, Reg::FP, slots.rule);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R2);
        self.element(words, Reg::R5, Reg::R1, out);
        self.asm.load(Size::Word, Reg::R2, Reg::R5, 0);
        self.search(words, Size::Word, MOST_IN_RUN_LOG2, out);
        self.element(words, Reg::R5, Reg::R1, out);
        self.asm.load(Size::Word, Reg::R1, Reg::R5, 4);
        self.asm.store(Size::Double, Reg::FP, slots.rule, Reg::R1);
    }

    /// Finds the page for the address in `r4`, which is in the range at `r5`.
    ///
    /// ```text
    ///     r4 -= range.base;
    ///     page = &word[range.table + (r4 >> 16)];
    ///     r1 = 2 * range.table + page->first_run; r2 = how many runs it has;
    ///     rule = range.table + page->patterns;                  // the slot has room
    ///     r4 &= 0xffff;
    /// ```
    fn find_page(&mut self, words: Elements, slots: Slots, out: Label) {
        /// Pages are looked at from the one behind, which tells where the runs end.
        const PAGE: i16 = -8;
        self.asm.load(Size::Double, Reg::R1, Reg::R5, 16);
        self.asm.alu(Alu::Sub, Reg::R4, Reg::R1);
        self.asm.mov(Reg::R1, Reg::R4);
        self.asm.alu_imm(Alu::Rsh, Reg::R1, imm(PAGE_LOG2));
        self.asm.alu_imm(Alu::And, Reg::R4, (1 << PAGE_LOG2) - 1);
        self.asm.load(Size::Word, Reg::R2, Reg::R5, 28);
        self.asm.jump_if(Cond::Ge, Reg::R1, Reg::R2, out);
        self.asm.load(Size::Word, Reg::R3, Reg::R5, 24);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R3);
        self.asm.alu_imm(Alu::Add, Reg::R1, 1);
        self.element(words, Reg::R5, Reg::R1, out);
        self.asm.load(Size::Word, Reg::R1, Reg::R5, PAGE);
        self.asm.load(Size::Word, Reg::R2, Reg::R5, 0);
        self.asm.alu(Alu::Sub, Reg::R2, Reg::R1);
        self.asm.load(Size::Word, Reg::R0, Reg::R5, PAGE + 4);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R3);
        self.asm.store(Size::Double, Reg::FP, slots.rule, Reg::R0);
        self.asm.alu_imm(Alu::Mul, Reg::R3, imm(RUNS_IN_WORD));
        self.asm.alu(Alu::Add, Reg::R1, Reg::R3);
    }

    /// Moves `r1` to the last of `r2` elements from there on that do not start above `r4`; to the
    /// first if there is none.
    ///
    /// ```text
    ///     while (r2 > 1) {
    ///         half = r2 / 2;
    ///         r1 += half & ~((r4 - element[r1 + half]) >> 63);
    ///         r2 -= half;
    ///     }
    /// ```
    fn search(&mut self, table: Elements, size: Size, turns: u32, out: Label) {
        let found = self.asm.label();
        for _ in 0..turns {
            self.asm.jump_if_imm(Cond::Le, Reg::R2, 1, found);
            self.asm.mov(Reg::R3, Reg::R2);
            self.asm.alu_imm(Alu::Rsh, Reg::R3, 1);
            self.asm.alu(Alu::Sub, Reg::R2, Reg::R3);
            self.asm.mov(Reg::R0, Reg::R1);
            self.asm.alu(Alu::Add, Reg::R0, Reg::R3);
            self.element(table, Reg::R5, Reg::R0, out);
            self.asm.load(size, Reg::R0, Reg::R5, 0);
            self.asm.mov(Reg::R5, Reg::R4);
            self.asm.alu(Alu::Sub, Reg::R5, Reg::R0);
            self.asm.alu_imm(Alu::Arsh, Reg::R5, 63);
            self.asm.alu_imm(Alu::Xor, Reg::R5, -1);
            self.asm.alu(Alu::And, Reg::R3, Reg::R5);
            self.asm.alu(Alu::Add, Reg::R1, Reg::R3);
        }
        self.asm.bind(found);
    }

    /// Brings the address of element number `index` to `dst`, or leaves for `out` if there is no such.
    /// Destroys `r0`.
    fn element(&mut self, (map, at, size, most): Elements, dst: Reg, index: Reg, out: Label) {
        self.asm.jump_if_imm(Cond::Ge, index, imm(most), out);
        self.asm.map_value(dst, map, at);
        let scaled = Reg::R0;
        self.asm.mov(scaled, index);
        self.asm
            .alu_imm(Alu::Lsh, scaled, imm(size.trailing_zeros()));
        self.asm.alu(Alu::Add, dst, scaled);
    }
}
