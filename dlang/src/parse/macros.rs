//! Macro arguments: `$1`, `$$1`, `$target` and the like.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::diag::{Diagnostic, Span};
use crate::tags::Tag;

/// The values of the macro arguments and macro variables.
#[derive(Clone, Debug, Default)]
pub struct Macros {
    /// `$1` and so on: the command's operands.
    pub args: Vec<String>,
    /// `$0`: the script's name.
    pub script: String,
    /// `$target`: the process of `-c` or `-p`; 0 without.
    pub target: Option<u32>,
    /// `$pid`.
    pub pid: u32,
    /// `$ppid`.
    pub ppid: u32,
    /// `$uid`.
    pub uid: u32,
    /// `$euid`.
    pub euid: u32,
    /// `$gid`.
    pub gid: u32,
    /// `$egid`.
    pub egid: u32,
    /// `$pgid`.
    pub pgid: u32,
    /// `$sid`.
    pub sid: u32,
    /// `-x defaultargs`: a missing `$n` is 0 and a missing `$$n` is "".
    pub default_args: bool,
    /// `-x argref`: arguments need not be referenced.
    pub unreferenced_args: bool,
}

/// Looks macros up and remembers which arguments were.
#[derive(Debug)]
pub(super) struct Expander<'a> {
    macros: &'a Macros,
    used: RefCell<BTreeSet<usize>>,
}

impl<'a> Expander<'a> {
    pub(super) fn new(macros: &'a Macros) -> Self {
        Self {
            macros,
            used: RefCell::default(),
        }
    }

    /// The text of a macro, by its name without the dollar signs. `None`: it is not defined.
    /// `string` tells how a missing argument reads under `-x defaultargs`.
    pub(super) fn lookup(&self, name: &str, string: bool) -> Option<String> {
        let macros = self.macros;
        if name.bytes().all(|b| b.is_ascii_digit()) {
            let index: usize = name.parse().ok()?;
            self.used.borrow_mut().insert(index);
            return match index.checked_sub(1) {
                None => Some(macros.script.clone()),
                Some(n) => macros.args.get(n).cloned().or_else(|| {
                    let missing = if string { "" } else { "0" };
                    macros.default_args.then(|| missing.to_owned())
                }),
            };
        }
        let number = match name {
            "target" => macros.target.unwrap_or(0),
            "pid" => macros.pid,
            "ppid" => macros.ppid,
            "uid" => macros.uid,
            "euid" => macros.euid,
            "gid" => macros.gid,
            "egid" => macros.egid,
            "pgid" => macros.pgid,
            "sid" | "projid" | "taskid" => macros.sid,
            _ => return None,
        };
        Some(number.to_string())
    }

    /// Whether no argument is a word.
    pub(super) fn has_no_words(&self) -> bool {
        !self.macros.args.iter().any(|value| is_word(value))
    }

    /// The value of a macro argument, by its number, if it is a word.
    pub(super) fn word(&self, number: &str) -> Option<&'a str> {
        let index: usize = number.parse().ok()?;
        let macros = self.macros;
        let value = macros.args.get(index.checked_sub(1)?)?;
        if !is_word(value) {
            return None;
        }
        self.used.borrow_mut().insert(index);
        Some(value)
    }

    /// Expands the macros inside a probe description or an option. An undefined one is the error.
    pub(super) fn expand(&self, text: &str, span: Span) -> Result<String, Diagnostic> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            out.push_str(&rest[..dollar]);
            let after = rest[dollar..].trim_start_matches('$');
            let dollars = rest.len() - dollar - after.len();
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let length = if digits > 0 {
                digits
            } else {
                after.len() - after.trim_start_matches(word).len()
            };
            let name = &after[..length];
            match self.lookup(name, dollars > 1).filter(|_| length > 0) {
                Some(value) => out.push_str(&value),
                None => return Err(undefined(&format!("${name}"), span)),
            }
            rest = &after[length..];
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The error for the last argument, if no source refers to it, at the end of the program. As in libdtrace, those
    /// before it need not be referred to then.
    pub(super) fn unused(&self, end: Span) -> Option<Diagnostic> {
        if self.macros.unreferenced_args {
            return None;
        }
        let index = self.macros.args.len();
        let value = self.macros.args.last()?;
        if self.used.borrow().contains(&index) {
            return None;
        }
        Some(
            Diagnostic::new(
                Tag::MacroUnused,
                Span::default(),
                &format!("extraneous argument '{value}' (${index} is not referenced)"),
            )
            .with_hint("operands are the program's $1, $2, ...; quote -n programs as one word")
            .reached(end),
        )
    }
}

fn is_word(text: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(starts) && text.chars().all(|c| starts(c) || c.is_ascii_digit())
}

/// The error for a macro without a value.
pub(super) fn undefined(name: &str, span: Span) -> Diagnostic {
    let argument = name
        .trim_start_matches('$')
        .starts_with(|c: char| c.is_ascii_digit());
    let hint = if argument {
        "give it as an operand after the options, or set -x defaultargs"
    } else {
        "known are $0, $1, ..., $target, $pid, $ppid, $uid, $euid, $gid, $egid, $pgid, $sid"
    };
    let kind = if argument {
        "macro argument"
    } else {
        "macro variable"
    };
    Diagnostic::new(
        Tag::MacroUndef,
        span,
        &format!("{kind} {name} is not defined"),
    )
    .with_hint(hint)
}
