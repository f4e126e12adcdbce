//! `json(text, path)` as `dlang::json` finds it, where only the probe knows the text or the path.
//!
//! One open loop looks at a byte of the text in each turn. Where it is in the text is a state, and with
//! all else that changes it is kept in the thread's memory, so that each turn is to the verifier what the one
//! before was ([`crate::join`]):
//!
//! ```text
//!     ENTER      a step of the path begins: `{` or `[`           -> KEY, INDEX
//!     INDEX      the digits of a step `[n]`, a byte of the path each turn   -> ELEMENT
//!     ELEMENT    an element: the one wanted, or one to pass      -> ENTER, VALUE
//!     KEY        a key's quote                                   -> NAME
//!     NAME       its bytes, compared with the path               -> ESCAPED, COLON
//!     COLON      behind a key                                    -> MEMBER
//!     MEMBER     its value: the one wanted, or one to pass       -> ENTER, VALUE
//!     VALUE      a value to pass, or the one that is wanted      -> WORD, STRING, NEXT
//!     WORD       a number or a word in it
//!     STRING     a string in it                                  -> ESCAPE
//!     NEXT       behind what was passed: `,`                     -> ELEMENT, KEY
//! ```

use dlang::diag::Span;
use dlang::program::Expr;

use crate::asm::Label;
use crate::emit::{Emit, Emitted, Fault, Refusal, imm};
use crate::insn::{Alu, Cond, Reg, Size};
use crate::join::Loop;
use crate::stack::Val;
use crate::string::Str;

/// Where a byte is.
#[derive(Clone, Copy)]
enum State {
    Enter,
    Element,
    Key,
    Colon,
    Member,
    Next,
    Index,
    Name,
    Escaped,
    Value,
    Word,
    String,
    Escape,
}

/// The states in which blanks are passed over, which come first.
const BLANKS_PASSED: &[State] = &[
    State::Enter,
    State::Element,
    State::Key,
    State::Colon,
    State::Member,
    State::Next,
];

const OTHER_STATES: &[State] = &[
    State::Index,
    State::Name,
    State::Escaped,
    State::Value,
    State::Word,
    State::String,
    State::Escape,
];

/// What changes from turn to turn, words of the thread's memory at `r3`.
#[derive(Clone, Copy)]
enum Kept {
    /// The [`State`].
    State,
    /// How far the path has been followed.
    Path,
    /// How far a key is compared with it; while an index is read, whether it has a digit.
    Name,
    /// How many objects and arrays are open in a value.
    Depth,
    /// Elements still to be passed; of a key whether it is the one so far.
    Count,
    /// The state behind a value that is passed; [`WANTED`] for the one that is wanted.
    Back,
    /// Where that starts.
    Start,
}

const WANTED: i32 = -1;

/// An index that no text of ours has.
const LARGEST_INDEX: i32 = 1 << 20;

const BLANKS: &[u8] = b" \t\r\n";
/// What ends a number or word.
const WORD_ENDS: &[u8] = b",:]} \t\r\n";
/// What ends a name in a path.
const NAME_ENDS: &[u8] = b"\0.[";

/// Where the loop goes on and is left.
struct Ways {
    again: Label,
    /// To the next byte of the text.
    next: Label,
    /// The text ends too early, or has not what it should.
    absent: Label,
    /// The value starts here to which the steps so far lead.
    arrived: Label,
    /// A value starts here.
    value: Label,
    /// A value has ended before this byte.
    ended: Label,
}

impl Emit<'_> {
    /// `json(text, path)`: a copy of the part; nothing found is an empty string.
    pub(crate) fn json(&mut self, text: &Expr, path: &Expr, span: Span) -> Emitted<Str> {
        if self.next_branching_loop() == Loop::Closed {
            let message = "json() of what only the probe knows needs Linux 5.17: before, it can be printed, and not be used in predicates, keys and variables";
            return Err(Refusal {
                span,
                message: message.to_owned(),
            });
        }
        let text = self.string(text)?;
        let path = self.string(path)?;
        self.heap_at(Reg::R1, &text.start, span)?;
        self.heap_address_known(Reg::R2, &path.start);
        self.scratch_known(Reg::R3);
        self.asm.alu_imm(Alu::Add, Reg::R3, imm(self.storage.temps));
        let mut label = || self.asm.label();
        let ways = Ways {
            again: label(),
            next: label(),
            absent: label(),
            arrived: label(),
            value: label(),
            ended: label(),
        };
        Finder { emit: self, ways }.find();
        // r4 = behind the value, which a string's quotes are no part of.
        self.asm
            .load(Size::Double, Reg::R5, Reg::R3, Kept::Start.at());
        self.bound(Reg::R5, self.storage.strsize);
        let plain = self.asm.label();
        self.asm.mov(Reg::R0, Reg::R1);
        self.asm.alu(Alu::Add, Reg::R0, Reg::R5);
        self.asm.load(Size::Byte, Reg::R0, Reg::R0, 0);
        self.asm
            .jump_if_imm(Cond::Ne, Reg::R0, i32::from(b'"'), plain);
        self.asm.jump_if(Cond::Eq, Reg::R4, Reg::R5, plain);
        self.asm.alu_imm(Alu::Add, Reg::R5, 1);
        self.asm.alu_imm(Alu::Add, Reg::R4, -1);
        self.asm.bind(plain);
        self.asm.alu(Alu::Sub, Reg::R4, Reg::R5);
        self.make_bounded(Reg::R5, Reg::R0, self.storage.strsize);
        self.asm.mov(Reg::R2, Reg::R4);
        let at = self.keep(Reg::R5, span)?;
        let part = self.part(&text, &at, span)?;
        self.stack.give(at);
        self.give_string(path);
        self.give_string(text);
        Ok(part)
    }
}

/// The loop's code: `r1` is the text, `r2` the path, `r3` the words, `r4` how far the text has been looked at, and
/// in each turn `r5` its byte there.
struct Finder<'f, 'e> {
    emit: &'f mut Emit<'e>,
    ways: Ways,
}

impl Finder<'_, '_> {
    /// Leaves in `r4` where the value ends, and in [`Kept::Start`] where it starts.
    fn find(&mut self) {
        let (other, out) = (self.emit.asm.label(), self.emit.asm.label());
        let too_long = self.emit.fault(Fault::NoScratch, &Val::Const(0));
        let (again, strsize) = (self.ways.again, self.emit.storage.strsize);
        for word in [Kept::State, Kept::Path] {
            self.set(word, 0);
        }
        self.emit.asm.mov_imm(Reg::R4, 0);
        self.emit
            .turn(Loop::Open, (Reg::R4, strsize), Reg::R0, (again, too_long));
        self.emit.asm.mov(Reg::R5, Reg::R1);
        self.emit.asm.alu(Alu::Add, Reg::R5, Reg::R4);
        self.emit.asm.load(Size::Byte, Reg::R5, Reg::R5, 0);
        self.get(Reg::R0, Kept::State);
        self.emit
            .asm
            .jump_if_imm(Cond::Gt, Reg::R0, State::Next as i32, other);
        self.jump_if_any(Reg::R5, BLANKS, self.ways.next);
        self.states(BLANKS_PASSED);
        self.emit.asm.bind(other);
        self.states(OTHER_STATES);
        self.meeting_places(out);
        self.emit.asm.bind(out);
        self.emit.make_bounded(Reg::R4, Reg::R0, strsize);
    }

    /// Code for each of these states, of which `r0` has one.
    fn states(&mut self, all: &[State]) {
        let Some((last, others)) = all.split_last() else {
            return;
        };
        for &state in others {
            let other = self.emit.asm.label();
            self.emit
                .asm
                .jump_if_imm(Cond::Ne, Reg::R0, state as i32, other);
            self.state(state);
            self.emit.asm.bind(other);
        }
        self.state(*last);
    }

    fn state(&mut self, state: State) {
        match state {
            State::Enter => self.enter(),
            State::Element => self.element(),
            State::Key => self.key(),
            State::Colon => self.colon(),
            State::Member => self.member(),
            State::Next => self.next(),
            State::Index => self.index_digit(),
            State::Name => self.name(),
            State::Escaped => self.escaped(),
            State::Value => self.value(),
            State::Word => self.word(),
            State::String => self.string(),
            State::Escape => self.escape(),
        }
    }

    /// A step of the path begins at a byte that is no blank.
    fn enter(&mut self) {
        let (index, first) = (self.emit.asm.label(), self.emit.asm.label());
        self.path_byte(Kept::Path);
        self.emit
            .asm
            .jump_if_imm(Cond::Eq, Reg::R0, i32::from(b'['), index);
        self.get(Reg::R0, Kept::Path);
        self.emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, first);
        self.path_byte(Kept::Path);
        self.emit
            .asm
            .jump_if_imm(Cond::Ne, Reg::R0, i32::from(b'.'), self.ways.absent);
        self.count_up(Kept::Path);
        self.emit.asm.bind(first);
        self.path_byte(Kept::Path);
        self.jump_if_any(Reg::R0, NAME_ENDS, self.ways.absent);
        self.expect(b'{');
        self.go(State::Key, self.ways.next);

        self.emit.asm.bind(index);
        self.expect(b'[');
        self.count_up(Kept::Path);
        self.set(Kept::Count, 0);
        self.set(Kept::Name, 0);
        self.go(State::Index, self.ways.next);
    }

    /// `index = 10 * index + digit`, or the bracket behind it. The byte of the text waits.
    fn index_digit(&mut self) {
        let (end, small) = (self.emit.asm.label(), self.emit.asm.label());
        self.path_byte(Kept::Path);
        self.emit.asm.alu_imm(Alu::Add, Reg::R0, -i32::from(b'0'));
        self.emit.asm.jump_if_imm(Cond::Gt, Reg::R0, 9, end);
        self.get(Reg::R5, Kept::Count);
        self.emit.asm.alu_imm(Alu::Mul, Reg::R5, 10);
        self.emit.asm.alu(Alu::Add, Reg::R5, Reg::R0);
        self.emit
            .asm
            .jump_if_imm(Cond::Le, Reg::R5, LARGEST_INDEX, small);
        self.emit.asm.mov_imm(Reg::R5, i64::from(LARGEST_INDEX));
        self.emit.asm.bind(small);
        self.put(Kept::Count, Reg::R5);
        self.set(Kept::Name, 1);
        self.count_up(Kept::Path);
        self.emit.asm.jump(self.ways.again);

        self.emit.asm.bind(end);
        let bracket = i32::from(b']') - i32::from(b'0');
        self.emit
            .asm
            .jump_if_imm(Cond::Ne, Reg::R0, bracket, self.ways.absent);
        self.get(Reg::R0, Kept::Name);
        self.emit
            .asm
            .jump_if_imm(Cond::Eq, Reg::R0, 0, self.ways.absent);
        self.count_up(Kept::Path);
        self.go(State::Element, self.ways.again);
    }

    fn element(&mut self) {
        let pass = self.emit.asm.label();
        self.get(Reg::R0, Kept::Count);
        self.emit.asm.jump_if_imm(Cond::Ne, Reg::R0, 0, pass);
        self.emit
            .asm
            .jump_if_imm(Cond::Eq, Reg::R5, i32::from(b']'), self.ways.absent);
        self.emit.asm.jump(self.ways.arrived);
        self.emit.asm.bind(pass);
        self.emit.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.put(Kept::Count, Reg::R0);
        self.set(Kept::Back, State::Element as i32);
        self.emit.asm.jump(self.ways.value);
    }

    fn key(&mut self) {
        self.expect(b'"');
        self.get(Reg::R0, Kept::Path);
        self.put(Kept::Name, Reg::R0);
        self.set(Kept::Count, 1);
        self.go(State::Name, self.ways.next);
    }

    fn name(&mut self) {
        let (end, letter, is_it) = (
            self.emit.asm.label(),
            self.emit.asm.label(),
            self.emit.asm.label(),
        );
        self.emit
            .asm
            .jump_if_imm(Cond::Eq, Reg::R5, 0, self.ways.absent);
        self.emit
            .asm
            .jump_if_imm(Cond::Eq, Reg::R5, i32::from(b'"'), end);
        self.emit
            .asm
            .jump_if_imm(Cond::Ne, Reg::R5, i32::from(b'\\'), letter);
        self.set(Kept::State, State::Escaped as i32);
        self.emit.asm.bind(letter);
        self.compare_name();

        self.emit.asm.bind(end);
        self.set(Kept::State, State::Colon as i32);
        self.path_byte(Kept::Name);
        self.jump_if_any(Reg::R0, NAME_ENDS, is_it);
        self.set(Kept::Count, 0);
        self.emit.asm.bind(is_it);
        self.emit.asm.jump(self.ways.next);
    }

    fn escaped(&mut self) {
        self.emit
            .asm
            .jump_if_imm(Cond::Eq, Reg::R5, 0, self.ways.absent);
        self.set(Kept::State, State::Name as i32);
        self.compare_name();
    }

    /// A byte of a key, beside the path's.
    fn compare_name(&mut self) {
        let another = self.emit.asm.label();
        self.path_byte(Kept::Name);
        self.emit.asm.jump_if(Cond::Ne, Reg::R0, Reg::R5, another);
        self.jump_if_any(Reg::R0, NAME_ENDS, another);
        self.count_up(Kept::Name);
        self.emit.asm.jump(self.ways.next);
        self.emit.asm.bind(another);
        self.set(Kept::Count, 0);
        self.emit.asm.jump(self.ways.next);
    }

    fn colon(&mut self) {
        self.expect(b':');
        self.go(State::Member, self.ways.next);
    }

    fn member(&mut self) {
        let pass = self.emit.asm.label();
        self.get(Reg::R0, Kept::Count);
        self.emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, pass);
        self.emit
            .asm
            .jump_if_imm(Cond::Eq, Reg::R5, i32::from(b']'), self.ways.absent);
        self.get(Reg::R0, Kept::Name);
        self.put(Kept::Path, Reg::R0);
        self.emit.asm.jump(self.ways.arrived);
        self.emit.asm.bind(pass);
        self.set(Kept::Back, State::Key as i32);
        self.emit.asm.jump(self.ways.value);
    }

    fn value(&mut self) {
        let (open, close, string, inside) = (
            self.emit.asm.label(),
            self.emit.asm.label(),
            self.emit.asm.label(),
            self.emit.asm.label(),
        );
        self.emit
            .asm
            .jump_if_imm(Cond::Eq, Reg::R5, 0, self.ways.absent);
        self.jump_if_any(Reg::R5, b"{[", open);
        self.jump_if_any(Reg::R5, b"}]", close);
        self.jump_if_any(Reg::R5, b"\"", string);
        self.jump_if_any(Reg::R5, WORD_ENDS, inside);
        self.go(State::Word, self.ways.next);

        self.emit.asm.bind(open);
        self.count_up(Kept::Depth);
        self.emit.asm.jump(self.ways.next);

        self.emit.asm.bind(close);
        self.get(Reg::R0, Kept::Depth);
        self.emit
            .asm
            .jump_if_imm(Cond::Eq, Reg::R0, 0, self.ways.absent);
        self.emit.asm.alu_imm(Alu::Add, Reg::R0, -1);
        self.put(Kept::Depth, Reg::R0);
        self.emit
            .asm
            .jump_if_imm(Cond::Ne, Reg::R0, 0, self.ways.next);
        self.emit.asm.alu_imm(Alu::Add, Reg::R4, 1);
        self.emit.asm.jump(self.ways.ended);

        self.emit.asm.bind(string);
        self.go(State::String, self.ways.next);

        self.emit.asm.bind(inside);
        self.get(Reg::R0, Kept::Depth);
        self.emit
            .asm
            .jump_if_imm(Cond::Eq, Reg::R0, 0, self.ways.absent);
        self.emit.asm.jump(self.ways.next);
    }

    fn word(&mut self) {
        let end = self.emit.asm.label();
        self.emit.asm.jump_if_imm(Cond::Eq, Reg::R5, 0, end);
        self.jump_if_any(Reg::R5, WORD_ENDS, end);
        self.emit.asm.jump(self.ways.next);
        self.emit.asm.bind(end);
        self.set(Kept::State, State::Value as i32);
        self.get(Reg::R0, Kept::Depth);
        self.emit
            .asm
            .jump_if_imm(Cond::Ne, Reg::R0, 0, self.ways.again);
        self.emit.asm.jump(self.ways.ended);
    }

    fn string(&mut self) {
        let (quote, escape) = (self.emit.asm.label(), self.emit.asm.label());
        self.emit
            .asm
            .jump_if_imm(Cond::Eq, Reg::R5, 0, self.ways.absent);
        self.jump_if_any(Reg::R5, b"\"", quote);
        self.jump_if_any(Reg::R5, b"\\", escape);
        self.emit.asm.jump(self.ways.next);

        self.emit.asm.bind(quote);
        self.set(Kept::State, State::Value as i32);
        self.get(Reg::R0, Kept::Depth);
        self.emit
            .asm
            .jump_if_imm(Cond::Ne, Reg::R0, 0, self.ways.next);
        self.emit.asm.alu_imm(Alu::Add, Reg::R4, 1);
        self.emit.asm.jump(self.ways.ended);

        self.emit.asm.bind(escape);
        self.go(State::Escape, self.ways.next);
    }

    fn escape(&mut self) {
        self.emit
            .asm
            .jump_if_imm(Cond::Eq, Reg::R5, 0, self.ways.absent);
        self.go(State::String, self.ways.next);
    }

    fn next(&mut self) {
        self.expect(b',');
        self.get(Reg::R0, Kept::Back);
        self.put(Kept::State, Reg::R0);
        self.emit.asm.jump(self.ways.next);
    }

    /// Where the states lead to; the loop is left for `out`.
    fn meeting_places(&mut self, out: Label) {
        self.emit.asm.bind(self.ways.next);
        self.emit.asm.alu_imm(Alu::Add, Reg::R4, 1);
        self.emit.asm.jump(self.ways.again);

        self.emit.asm.bind(self.ways.arrived);
        let last = self.emit.asm.label();
        self.path_byte(Kept::Path);
        self.emit.asm.jump_if_imm(Cond::Eq, Reg::R0, 0, last);
        self.go(State::Enter, self.ways.again);
        self.emit.asm.bind(last);
        self.put(Kept::Start, Reg::R4);
        self.set(Kept::Back, WANTED);

        self.emit.asm.bind(self.ways.value);
        self.set(Kept::Depth, 0);
        self.go(State::Value, self.ways.again);

        self.emit.asm.bind(self.ways.ended);
        self.get(Reg::R0, Kept::Back);
        self.emit.go_on_if_imm(Cond::Ne, Reg::R0, WANTED, out);
        self.go(State::Next, self.ways.again);

        self.emit.asm.bind(self.ways.absent);
        self.emit.asm.mov_imm(Reg::R4, 0);
        self.put(Kept::Start, Reg::R4);
    }

    /// `r0 = the path's byte` at the place that is in a word; 0 behind its end.
    fn path_byte(&mut self, at: Kept) {
        self.get(Reg::R0, at);
        self.emit.bound(Reg::R0, self.emit.storage.strsize);
        self.emit.asm.alu(Alu::Add, Reg::R0, Reg::R2);
        self.emit.asm.load(Size::Byte, Reg::R0, Reg::R0, 0);
    }

    /// The byte of the text is this one, or nothing is found.
    fn expect(&mut self, byte: u8) {
        self.emit
            .asm
            .jump_if_imm(Cond::Ne, Reg::R5, i32::from(byte), self.ways.absent);
    }

    fn jump_if_any(&mut self, reg: Reg, bytes: &[u8], to: Label) {
        for &byte in bytes {
            self.emit
                .asm
                .jump_if_imm(Cond::Eq, reg, i32::from(byte), to);
        }
    }

    fn go(&mut self, state: State, to: Label) {
        self.set(Kept::State, state as i32);
        self.emit.asm.jump(to);
    }

    fn get(&mut self, dst: Reg, kept: Kept) {
        self.emit.asm.load(Size::Double, dst, Reg::R3, kept.at());
    }

    fn put(&mut self, kept: Kept, src: Reg) {
        self.emit.asm.store(Size::Double, Reg::R3, kept.at(), src);
    }

    fn set(&mut self, kept: Kept, value: i32) {
        self.emit
            .asm
            .store_imm(Size::Double, Reg::R3, kept.at(), value);
    }

    /// Destroys `r0`.
    fn count_up(&mut self, kept: Kept) {
        self.get(Reg::R0, kept);
        self.emit.asm.alu_imm(Alu::Add, Reg::R0, 1);
        self.put(kept, Reg::R0);
    }
}

impl Kept {
    /// Its offset.
    const fn at(self) -> i16 {
        8 * self as i16
    }
}
