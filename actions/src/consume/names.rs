//! Names for addresses, and stacks: what a record has as numbers, as it is shown.
//!
//! A name once given stays the same for the whole run, whatever becomes of the process, so that what
//! is counted under it stays together.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use dlang::eval::Value;
use dlang::symbol::Symbol as Kind;
use dlang::types::Type;
use provider::addresses::Symbol;
use unwind::python;

use super::decode::Record;
use crate::frames::Stack;
use crate::python_code::Code;

/// Where names come from; tests need no kernel.
pub trait Names: Send {
    /// What is at an address of the kernel.
    fn of_kernel(&mut self, address: u64) -> Symbol;

    /// What is at an address of a process.
    fn of_process(&mut self, process: u32, address: u64) -> Symbol;

    /// The stack of a number; `None` if there is none.
    fn stack(&mut self, number: u64) -> Option<Stack>;

    /// The code object of a number, by which a stack has the frames of Python functions; `None` if there is none.
    fn code(&mut self, number: u32) -> Option<Code>;
}

/// Knows no names.
#[derive(Debug)]
pub(super) struct NoNames;

impl Names for NoNames {
    fn of_kernel(&mut self, address: u64) -> Symbol {
        Symbol::unknown(address)
    }

    fn of_process(&mut self, _process: u32, address: u64) -> Symbol {
        Symbol::unknown(address)
    }

    fn stack(&mut self, _number: u64) -> Option<Stack> {
        None
    }

    fn code(&mut self, _number: u32) -> Option<Code> {
        None
    }
}

/// Names that have been given, shared by all that shows some.
#[derive(Clone)]
pub(super) struct Namer(Arc<Mutex<Given>>);

struct Given {
    names: Box<dyn Names>,
    symbols: HashMap<(Option<u32>, u64), Symbol>,
    stacks: HashMap<u64, Arc<Stack>>,
    codes: HashMap<u32, Option<Code>>,
}

impl fmt::Debug for Namer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namer").finish_non_exhaustive()
    }
}

/// So many names are remembered. More are looked up again, and may have changed.
const MOST: usize = 1 << 20;

/// So many stacks are remembered. More are read again from where the kernel has them.
const MOST_STACKS: usize = 1 << 16;

impl Namer {
    pub(super) fn new(names: Box<dyn Names>) -> Self {
        Self(Arc::new(Mutex::new(Given {
            names,
            symbols: HashMap::new(),
            stacks: HashMap::new(),
            codes: HashMap::new(),
        })))
    }

    /// An address of a process, or else of the kernel, with its distance from the symbol's start.
    pub(super) fn address(&self, process: Option<u32>, address: u64) -> String {
        self.with(|given| given.symbol(process, address).with_offset())
    }

    /// What `sym()` or one of its relatives shows.
    pub(super) fn symbol(&self, kind: Kind, process: Option<u32>, address: u64) -> String {
        let process = process.filter(|_| kind.is_user());
        self.with(|given| {
            let symbol = given.symbol(process, address);
            match kind {
                Kind::Sym | Kind::Func | Kind::Usym | Kind::Ufunc => symbol.name(),
                Kind::Mod | Kind::Umod => symbol.module_name(),
                Kind::Uaddr => symbol.with_offset(),
            }
        })
    }

    /// The stack of a number. That of 0 and one that cannot be found have no frames.
    pub(super) fn stack(&self, number: u64) -> Arc<Stack> {
        if number == 0 {
            return Arc::default();
        }
        self.with(|given| {
            if let Some(known) = given.stacks.get(&number) {
                return Arc::clone(known);
            }
            let Some(found) = given.names.stack(number) else {
                return Arc::default();
            };
            let found = Arc::new(found);
            if given.stacks.len() >= MOST_STACKS {
                given.stacks.clear();
            }
            given.stacks.insert(number, Arc::clone(&found));
            found
        })
    }

    /// The frames of a stack in words, one a line.
    pub(super) fn frames(&self, stack: &Stack) -> String {
        let process = Some(stack.process).filter(|process| *process != 0);
        let mut text = String::new();
        self.with(|given| {
            for word in &stack.addresses {
                if !text.is_empty() {
                    text.push('\n');
                }
                match process.and_then(|_| python::frame(*word)) {
                    Some(_) if *word == python::AND_MORE => text.push_str("..."),
                    Some((number, offset)) => text.push_str(&given.python_frame(number, offset)),
                    None => given.symbol(process, *word).put_with_offset(&mut text),
                }
            }
        });
        text
    }

    /// What a value of a type shows that is a name or several: `None` for other types.
    pub(super) fn text(&self, ty: &Type, process: Option<u32>, value: i64) -> Option<String> {
        let value = value.cast_unsigned();
        match ty {
            Type::Symbol(kind) => Some(self.symbol(*kind, process, value)),
            Type::Stack => Some(self.frames(&self.stack(value))),
            Type::Void
            | Type::Int(_)
            | Type::Float(_)
            | Type::String
            | Type::Pointer(..)
            | Type::Array(..)
            | Type::Struct(_)
            | Type::Named(_) => None,
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Given) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Given {
    fn symbol(&mut self, process: Option<u32>, address: u64) -> &Symbol {
        if self.symbols.len() >= MOST {
            self.symbols.clear();
        }
        let names = &mut self.names;
        let known = self.symbols.entry((process, address));
        known.or_insert_with(|| match process {
            Some(process) => names.of_process(process, address),
            None => names.of_kernel(address),
        })
    }

    /// A frame of a Python function.
    fn python_frame(&mut self, number: u32, offset: i32) -> String {
        let names = &mut self.names;
        let code = self.codes.entry(number);
        let code = code.or_insert_with(|| names.code(number));
        code.as_ref()
            .map_or_else(|| "?".into(), |code| code.frame(offset))
    }
}

/// A value as it is shown: a symbol or a stack as its text.
pub(super) fn named<'v>(
    value: Value<'v>,
    ty: &Type,
    record: &Record<'_>,
    names: &Namer,
) -> Value<'v> {
    match value {
        Value::Int(number) => match names.text(ty, record.process(), number) {
            Some(text) => Value::Str(text.into_bytes().into()),
            None => Value::Int(number),
        },
        Value::Str(text) => Value::Str(text),
    }
}

/// Shows a stack: its frames on lines of their own.
pub(super) fn put_stack(out: &mut Vec<u8>, frames: &str, indent: usize) {
    out.push(b'\n');
    for frame in frames.lines() {
        out.resize(out.len() + indent, b' ');
        out.extend_from_slice(frame.as_bytes());
        out.push(b'\n');
    }
}

/// Shows a name in its column.
pub(super) fn put_name(out: &mut Vec<u8>, name: &str) {
    const WIDTH: usize = 50;
    out.extend_from_slice(b"  ");
    out.extend_from_slice(name.as_bytes());
    out.resize(out.len() + WIDTH.saturating_sub(name.len()), b' ');
}
