//! Imports: the Python function that an import goes through.
//!
//! `import-find-load-start(name)` and `import-find-load-done(name, found)` enclose the call of
//! `_find_and_load` in importlib's frozen bootstrap, which is what the interpreter calls when a
//! module is not in `sys.modules`. So the function-entry and function-return sites see it: a frame
//! whose code object has this file and this name.

use super::opcodes;

/// How to tell an import among the functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// `co_filename` of the function.
    pub file: &'static str,
    /// `co_name` of the function.
    pub function: &'static str,
    /// Which local variable is the module's name, a `str`.
    pub name_local: u16,
    /// 3.11 on: the module was found if the function is left at one of these opcodes, by a return;
    /// else it is left by an exception. Empty before, where [`Site::result`](super::Site) tells.
    pub found_opcodes: Vec<u8>,
}

/// For 3.`minor`.
pub(super) fn of(minor: u8) -> Import {
    let found_opcodes = opcodes::of(minor).map_or(Vec::new(), |o| {
        o.returns
            .iter()
            .chain(o.instrumented_returns)
            .copied()
            .collect()
    });
    Import {
        file: "<frozen importlib._bootstrap>",
        function: "_find_and_load",
        name_local: 0,
        found_opcodes,
    }
}
