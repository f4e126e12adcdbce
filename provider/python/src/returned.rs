//! Where the value that a function returns is, at the sites that end one.

use iced_x86::Register as R;

use super::build::{Build, Method};
use super::code::pt_regs;
use super::opcodes;
use super::register::Register;

/// Where the value that a function returns is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Returned {
    /// In a register, 0 if the function is left by an exception.
    Register(Register),
    /// At the bottom of the function's stack, or among its constants.
    Stack {
        /// In a code object: how many variables are below the stack, 32 bits.
        variables: u16,
        /// In a code object: the tuple of constants.
        constants: u16,
        /// The opcodes that return what is on the stack.
        values: Vec<u8>,
        /// Those that return a constant, whose number is their argument.
        constant: Vec<u8>,
    },
}

impl Build {
    /// Where the value that a function returns is.
    #[must_use]
    pub fn returned(&self) -> Returned {
        let minor = self.version.minor;
        let code = &self.offsets.code;
        if self.method == Method::Calls {
            // _Py_CheckFunctionResult(callable, result, where), from 3.9 on with the thread state before.
            let register = if minor >= 9 { R::RDX } else { R::RSI };
            let register = pt_regs(register).expect("a general register");
            return Returned::Register(register);
        }
        let opcodes = opcodes::of(minor);
        let all = |of: fn(&opcodes::Opcodes) -> &'static [u8]| opcodes.map_or(&[][..], of);
        // `RETURN_VALUE` is the first of both, `RETURN_CONST` the second.
        let lists = [all(|o| o.returns), all(|o| o.instrumented_returns)];
        let [value, constant] = [0, 1].map(|n| {
            let listed = lists.iter().filter_map(|list| list.get(n).copied());
            listed.collect()
        });
        Returned::Stack {
            variables: code.first_line + 4,
            constants: code.flags - 24,
            values: value,
            constant,
        }
    }
}
