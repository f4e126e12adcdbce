//! A function's arguments and variables: from its frame, by name or number.
//!
//! Names are in the code object, values in the frame, in the same order. Which function it is is known
//! at run time only, so its names are compared one after the other.
//!
//! ```text
//!   3.11 on     co_localsplusnames: arguments, variables, cells, free variables; a byte of
//!               co_localspluskinds says which are in a cell
//!   before      co_varnames, co_cellvars, co_freevars; an argument that an inner function
//!               uses is in both of the first, and its value in the cell
//! ```
//!
//! A variable that has no value yet, and a name that the function does not have, is no object: 0.

use dlang::diag::Span;
use dlang::program::{Expr, Subroutine};

use super::capture::{READ_MORE, READ_STATE};
use super::facts::Facts;
use super::layout::Fact;
use super::region::{
    LEVEL_END, NODES, OBJECT, ObjectRegion, READ, RESULT, SCAN_AT, SCAN_INDEX, SCAN_LEFT,
    SCAN_MOST, SIZE,
};
use crate::asm::Label;
use crate::emit::{Emit, Emitted, Fault, Refusal};
use crate::insn::{Alu, Cond, Helper, Reg, Size};
use crate::stack::Val;
use crate::storage::own_globals;

/// The code object of the frame.
const CODE: i16 = LEVEL_END;
/// The frame.
const FRAME: i16 = OBJECT;
/// How many arguments the function has.
const ARGUMENTS: i16 = SCAN_MOST;
/// The name of an argument that is in a cell.
const NAME: i16 = SIZE;

/// The most names that are compared.
const MOST_NAMES: i32 = 256;
/// The most bytes of a name.
const LONGEST: usize = 64;
/// The bits of an address in a frame; the lowest are tags from 3.14 on.
const ADDRESS: i32 = -8;
/// In the kinds of variables: it is in a cell.
const IN_CELL: i32 = 0xc0;
/// In the flags of code: the function has `*args`, `**kwargs`.
const ARGS: i32 = 4;
const KWARGS: i32 = 8;

/// What a search works with.
#[derive(Clone, Copy, Debug)]
struct Search {
    region: ObjectRegion,
    facts: Facts,
    /// Where to go when the result is what it is.
    done: Label,
    /// Where to go when something cannot be read.
    bad: Label,
}

impl Emit<'_> {
    /// `pyarg(name or number)`, `pylocal(name)`: the address of an object, or 0.
    pub(crate) fn python_variable(
        &mut self,
        subroutine: Subroutine,
        args: &[Expr],
        span: Span,
    ) -> Emitted<Val> {
        let function = dlang::names::subroutine_name(subroutine);
        let refusal = |message: String| Refusal { span, message };
        let own = self.machine.python.as_ref().map(|python| &python.frame);
        let frame = match own {
            Some(Ok(slot)) => Some(*slot),
            // Where a probe does not have the frame, it is looked for as in any thread.
            Some(Err(_)) | None if self.storage.python.is_some() => None,
            Some(Err(why)) => return Err(refusal(format!("{function}(): {why}"))),
            None => return Err(refusal(format!("{function}(): no frames are looked for"))),
        };
        let [which] = args else {
            return Err(crate::scan::unknown(subroutine, span));
        };
        let region = self.object_place(function, span)?;
        let name = self.constant_string(which);
        if let Some(name) = &name
            && (name.is_empty() || name.len() > LONGEST || !name.is_ascii())
        {
            return Err(refusal(format!(
                "{function}() takes a name of 1 to {LONGEST} ASCII characters"
            )));
        }
        let number = match &name {
            Some(_) => None,
            None => Some(self.int(which)?),
        };
        self.scratch(Reg::R1, span)?;
        self.object_region(Reg::R1, region);
        self.asm.store_imm(Size::Double, Reg::R1, RESULT, 0);
        match frame {
            Some(slot) => self.asm.load(Size::Double, Reg::R0, Reg::FP, slot),
            None => self.python_frame(span)?,
        }
        self.set_object_word(region, FRAME, Reg::R0);
        let done = self.asm.label();
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        let facts = self.python_facts(function, done, span)?;
        let search = Search {
            region,
            facts,
            done,
            bad: self.fault(Fault::BadAddress, &Val::Const(0)),
        };
        let place = name
            .as_deref()
            .and_then(|name| self.place_of_name(subroutine, name));
        if let Some(place) = place {
            self.note_name(own_globals::NAMES_SOUGHT + place);
        }
        self.read_code_of_frame(search);
        let found = self.asm.label();
        match (&name, &number) {
            (Some(name), _) => {
                let only_arguments = subroutine == Subroutine::Pyarg;
                self.find_by_name(search, (name, place), only_arguments, found);
            }
            (None, Some(number)) => {
                self.load(Reg::R0, number);
                self.object_word(region, Reg::R1, ARGUMENTS);
                self.asm.jump_if(Cond::Ge, Reg::R0, Reg::R1, search.done);
                self.asm
                    .jump_if_imm(Cond::Ge, Reg::R0, MOST_NAMES, search.done);
                self.set_object_word(region, SCAN_INDEX, Reg::R0);
            }
            (None, None) => return Err(crate::scan::unknown(subroutine, span)),
        }
        self.asm.bind(found);
        if let Some(place) = place {
            self.note_name(own_globals::NAMES_FOUND + place);
        }
        self.value_of_local(search);
        self.asm.bind(done);
        self.give_python_facts(facts);
        if let Some(number) = number {
            self.stack.give(number);
        }
        self.object_word(region, Reg::R0, RESULT);
        self.keep(Reg::R0, span)
    }

    /// Which of the names that the program has it is, if it is one of those that are told.
    fn place_of_name(&self, function: Subroutine, name: &[u8]) -> Option<u32> {
        let mut names = self.storage.python_names.iter();
        let place = names.position(|known| known.function == function && known.name == name)?;
        u32::try_from(place).ok()
    }

    /// Notes something of a name. Destroys `r1`.
    fn note_name(&mut self, place: u32) {
        let globals = self.storage.globals;
        self.asm.map_value(Reg::R1, globals, place);
        self.asm.store_imm(Size::Byte, Reg::R1, 0, 1);
    }

    /// `r0 = pyreturn`.
    pub(crate) fn python_returned(&mut self, span: Span) -> Emitted<()> {
        let slot = match &self.python("pyreturn", span)?.returned {
            Ok(slot) => *slot,
            Err(why) => {
                return Err(Refusal {
                    span,
                    message: format!("pyreturn: {why}"),
                });
            }
        };
        self.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
        Ok(())
    }

    /// `r0 = pyresumed`.
    pub(crate) fn python_resumed(&mut self, span: Span) -> Emitted<()> {
        const FUNCTION: &str = "pyresumed";
        let refusal = |message| Refusal { span, message };
        let python = self.machine.python.as_ref().ok_or_else(|| {
            refusal(format!(
                "{FUNCTION} is for probes of the python provider, and {} is of {}",
                self.machine.name, self.machine.provider
            ))
        })?;
        let known = python.resumed.as_ref();
        let slot = *known.map_err(|why| refusal(format!("{FUNCTION}: {why}")))?;
        self.asm.load(Size::Double, Reg::R0, Reg::FP, slot);
        Ok(())
    }

    /// `[word] = what is at r3`, on to `bad` if it cannot be read; it is in `r0`, too.
    fn follow(&mut self, search: Search, bytes: i64) {
        self.object_region(Reg::R1, search.region);
        self.asm
            .store_imm(Size::Double, Reg::R1, READ + READ_MORE, 0);
        self.read_object(search.region, READ_MORE, bytes);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, search.bad);
        self.object_word(search.region, Reg::R0, READ + READ_MORE);
    }

    /// `r0 = field of the code object`.
    fn code_field(&mut self, search: Search, fact: Fact, bytes: i64) {
        self.object_word(search.region, Reg::R3, CODE);
        self.add_python_fact(search.facts, Reg::R3, fact);
        self.follow(search, bytes);
    }

    /// Finds the code object, and how many arguments it has.
    fn read_code_of_frame(&mut self, search: Search) {
        let region = search.region;
        self.object_word(region, Reg::R3, FRAME);
        self.add_python_fact(search.facts, Reg::R3, Fact::FrameCode);
        self.follow(search, 8);
        self.asm.alu_imm(Alu::And, Reg::R0, ADDRESS);
        self.set_object_word(region, CODE, Reg::R0);
        self.code_field(search, Fact::CodeArguments, 4);
        self.set_object_word(region, ARGUMENTS, Reg::R0);
        self.code_field(search, Fact::CodeKeywordOnly, 4);
        self.add_arguments(region, Reg::R0);
        for flag in [ARGS, KWARGS] {
            let none = self.asm.label();
            self.code_field(search, Fact::CodeFlags, 4);
            self.asm.alu_imm(Alu::And, Reg::R0, flag);
            self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, none);
            self.asm.mov_imm(Reg::R0, 1);
            self.add_arguments(region, Reg::R0);
            self.asm.bind(none);
        }
    }

    fn add_arguments(&mut self, region: ObjectRegion, more: Reg) {
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, ARGUMENTS);
        self.asm.alu(Alu::Add, Reg::R1, more);
        self.asm.store(Size::Double, Reg::R5, ARGUMENTS, Reg::R1);
    }

    /// Looks for a name: its index is in [`SCAN_INDEX`] at `found`. On to the end if there is none.
    fn find_by_name(
        &mut self,
        search: Search,
        (name, place): (&[u8], Option<u32>),
        only_arguments: bool,
        found: Label,
    ) {
        let Search { region, done, .. } = search;
        let missing = self.asm.label();
        self.begin_names(search, Fact::CodeNames);
        if only_arguments {
            self.object_region(Reg::R5, region);
            self.asm.load(Size::Double, Reg::R0, Reg::R5, ARGUMENTS);
            self.asm.load(Size::Double, Reg::R1, Reg::R5, SCAN_LEFT);
            let all = self.asm.label();
            self.asm.jump_if(Cond::Ge, Reg::R0, Reg::R1, all);
            self.asm.store(Size::Double, Reg::R5, SCAN_LEFT, Reg::R0);
            self.asm.bind(all);
        }
        self.find_text_in_names(search, name, found, missing);
        self.asm.bind(missing);
        if only_arguments {
            self.asm.jump(done);
            return;
        }
        // Before 3.11 cells and free variables have names of their own.
        self.python_fact(search.facts, Reg::R0, Fact::CodeCells);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        for fact in [Fact::CodeCells, Fact::CodeFree] {
            let (cell, none) = (self.asm.label(), self.asm.label());
            self.begin_names(search, fact);
            self.find_text_in_names(search, name, cell, none);
            self.asm.bind(cell);
            if let Some(place) = place {
                self.note_name(own_globals::NAMES_FOUND + place);
            }
            if fact == Fact::CodeFree {
                // They stand behind the cells.
                self.code_field(search, Fact::CodeCells, 8);
                self.asm.mov(Reg::R3, Reg::R0);
                self.add_python_fact(search.facts, Reg::R3, Fact::Header);
                self.follow(search, 8);
                self.object_region(Reg::R5, region);
                self.asm.load(Size::Double, Reg::R1, Reg::R5, SCAN_INDEX);
                self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
                self.asm.store(Size::Double, Reg::R5, SCAN_INDEX, Reg::R1);
            }
            self.value_of_cell(search);
            self.asm.jump(done);
            self.asm.bind(none);
        }
        self.asm.jump(done);
    }

    /// Begins to go through a tuple of names of the code object.
    fn begin_names(&mut self, search: Search, fact: Fact) {
        let Search { region, facts, .. } = search;
        self.code_field(search, fact, 8);
        self.set_object_word(region, SCAN_AT, Reg::R0);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_python_fact(facts, Reg::R3, Fact::Header);
        self.follow(search, 8);
        self.at_most(Reg::R0, MOST_NAMES);
        self.object_region(Reg::R5, region);
        self.asm.store(Size::Double, Reg::R5, SCAN_LEFT, Reg::R0);
        self.asm.store_imm(Size::Double, Reg::R5, SCAN_INDEX, -1);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, SCAN_AT);
        self.add_python_fact(facts, Reg::R3, Fact::TupleItems);
        self.set_object_word(region, SCAN_AT, Reg::R3);
    }

    /// Begins a turn: `r0 = address of the next name`, on to `missing` if there is none.
    fn next_name(&mut self, search: Search, again: Label, missing: Label) {
        let region = search.region;
        self.asm.bind(again);
        self.asm.may_goto(missing);
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SCAN_INDEX);
        self.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.asm.store(Size::Double, Reg::R5, SCAN_INDEX, Reg::R0);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, SCAN_LEFT);
        self.asm.jump_if(Cond::SGe, Reg::R0, Reg::R1, missing);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, SCAN_AT);
        self.asm.alu_imm(Alu::Lsh, Reg::R0, 3);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.follow(search, 8);
    }

    /// Compares the names with a text.
    fn find_text_in_names(&mut self, search: Search, name: &[u8], found: Label, missing: Label) {
        let Search { region, facts, .. } = search;
        let again = self.asm.label();
        let length = i32::try_from(name.len()).expect("names are short");
        self.next_name(search, again, missing);
        self.asm.mov(Reg::R3, Reg::R0);
        self.set_object_word(region, NAME, Reg::R0);
        self.add_python_fact(facts, Reg::R3, Fact::Header);
        self.read_object(region, READ_STATE, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, search.bad);
        self.object_word(region, Reg::R0, READ + READ_STATE);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, length, again);
        self.object_word(region, Reg::R3, NAME);
        self.add_python_fact(facts, Reg::R3, Fact::AsciiData);
        self.object_region(Reg::R1, region);
        self.asm.alu_imm(Alu::Add, Reg::R1, i32::from(NODES));
        self.asm.mov_imm(Reg::R2, i64::from(length));
        self.asm.call(Helper::ProbeReadUser);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, search.bad);
        self.object_region(Reg::R5, region);
        self.match_bytes(Reg::R5, NODES, name, false, again);
        self.asm.jump(found);
    }

    /// The object in the place of the number [`SCAN_INDEX`] of the frame.
    fn value_of_local(&mut self, search: Search) {
        let Search {
            region,
            facts,
            done,
            bad,
        } = search;
        let (old, cell) = (self.asm.label(), self.asm.label());
        self.read_variable(search);
        self.python_fact(facts, Reg::R1, Fact::CodeCells);
        self.asm.jump_if_imm(Cond::Ne, Reg::R1, 0, old);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        self.set_object_word(region, RESULT, Reg::R0);
        self.code_field(search, Fact::CodeKinds, 8);
        self.asm.mov(Reg::R3, Reg::R0);
        self.object_word(region, Reg::R0, SCAN_INDEX);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.add_python_fact(facts, Reg::R3, Fact::BytesData);
        self.follow(search, 1);
        self.asm.alu_imm(Alu::And, Reg::R0, IN_CELL);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        self.asm.jump(cell);
        // An argument without a value may be in a cell, under the same name.
        self.asm.bind(old);
        self.set_object_word(region, RESULT, Reg::R0);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, done);
        self.code_field(search, Fact::CodeNames, 8);
        self.asm.mov(Reg::R3, Reg::R0);
        self.object_word(region, Reg::R0, SCAN_INDEX);
        self.asm.alu_imm(Alu::Lsh, Reg::R0, 3);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.add_python_fact(facts, Reg::R3, Fact::TupleItems);
        self.follow(search, 8);
        self.set_object_word(region, NAME, Reg::R0);
        self.begin_names(search, Fact::CodeCells);
        let again = self.asm.label();
        self.next_name(search, again, done);
        self.object_word(region, Reg::R1, NAME);
        self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, again);
        self.value_of_cell(search);
        self.asm.jump(done);
        self.asm.bind(cell);
        self.object_word(region, Reg::R3, RESULT);
        self.add_python_fact(facts, Reg::R3, Fact::Header);
        self.read_object(region, READ_MORE, 8);
        self.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, bad);
        self.object_word(region, Reg::R0, READ + READ_MORE);
        self.set_object_word(region, RESULT, Reg::R0);
    }

    /// Before 3.11: the object in the cell of the number [`SCAN_INDEX`], which stands behind the variables.
    fn value_of_cell(&mut self, search: Search) {
        let Search {
            region,
            facts,
            done,
            ..
        } = search;
        self.code_field(search, Fact::CodeLocals, 4);
        self.object_region(Reg::R5, region);
        self.asm.load(Size::Double, Reg::R1, Reg::R5, SCAN_INDEX);
        self.asm.alu(Alu::Add, Reg::R1, Reg::R0);
        self.asm.store(Size::Double, Reg::R5, SCAN_INDEX, Reg::R1);
        self.read_variable(search);
        self.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, done);
        self.asm.mov(Reg::R3, Reg::R0);
        self.add_python_fact(facts, Reg::R3, Fact::Header);
        self.follow(search, 8);
        self.set_object_word(region, RESULT, Reg::R0);
    }

    /// `r0 = address in the place of the number` [`SCAN_INDEX`] `of the frame`.
    fn read_variable(&mut self, search: Search) {
        self.object_region(Reg::R5, search.region);
        self.asm.load(Size::Double, Reg::R3, Reg::R5, FRAME);
        self.asm.load(Size::Double, Reg::R0, Reg::R5, SCAN_INDEX);
        self.asm.alu_imm(Alu::Lsh, Reg::R0, 3);
        self.asm.alu(Alu::Add, Reg::R3, Reg::R0);
        self.add_python_fact(search.facts, Reg::R3, Fact::FrameLocals);
        self.follow(search, 8);
        self.asm.alu_imm(Alu::And, Reg::R0, ADDRESS);
    }
}
