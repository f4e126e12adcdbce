//! Expressions that are constant for a clause: all that they ask for, the machine state knows.

use dlang::eval::{Env, Value, eval};
use dlang::program::{Builtin, Expr};

use crate::emit::Emit;
use crate::machine::MachineState;

/// The machine state as an environment in which only what is constant has a value.
struct Constants<'m>(&'m MachineState, usize);

impl<'m> Env<'m> for Constants<'m> {
    fn recorded(&self, _: u16) -> Value<'m> {
        Value::Int(0)
    }

    fn builtin(&self, builtin: Builtin) -> Option<Value<'m>> {
        self.0.constant(builtin)
    }

    fn strsize(&self) -> usize {
        self.1
    }
}

impl Emit<'_> {
    /// The bytes of an expression that is one constant string for this clause.
    #[must_use]
    pub fn constant_string(&self, expr: &Expr) -> Option<Vec<u8>> {
        match self.constant(expr)? {
            Value::Str(bytes) => Some(bytes.into_owned()),
            Value::Int(_) => None,
        }
    }

    /// The value of an expression that is one constant for this clause.
    #[must_use]
    pub fn constant<'e>(&'e self, expr: &'e Expr) -> Option<Value<'e>> {
        eval(
            expr,
            &Constants(&self.machine, self.storage.strsize as usize),
        )
        .ok()
    }
}
