//! Which calls of the interpreter's loop call an object, and where they have it.
//!
//! An object is called in one of three ways:
//!
//! ```text
//!     mov  0x10(%r12),%rax            a function written in C is called by its own address: object->m_ml,
//!     mov  0x8(%rax),%rax             m_ml->ml_meth (of a method: object->d_method)
//!     call *%rax
//!
//!     mov  0x8(%r10),%rax             the type's vectorcall, copied into the loop:
//!     mov  0x38(%rax),%rax            type->tp_vectorcall_offset
//!     mov  (%r10,%rax,1),%rax
//!     mov  %r10,%rdi
//!     call *%rax
//!
//!     mov  %r12,%rdi                  a function of the interpreter that calls the object
//!     call PyObject_Vectorcall
//! ```
//!
//! Functions of the third kind are known by their names, or, where the compiler made copies without one, by what they do with
//! the object that they are given: they look for what its type says to call.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums have an entry for each instruction of the processor"
)]

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{FlowControl, Instruction, OpKind, Register as R};

use super::code::{State, Value, branch_target, decode, plt_name};
use super::image::Image;

/// A call of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Called {
    /// The object.
    pub(super) object: Value,
    pub(super) way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By the address of a function written in C.
    Code,
    /// By its type's vectorcall, if that has one.
    Vectorcall,
    /// By a function of the interpreter.
    Function,
}

/// Functions that call an object, and the argument that this is. Before the last six are those of 3.15 that are given
/// arguments as the loop keeps them.
const CALLERS: [(&str, R); 9] = [
    ("PyObject_Vectorcall", R::RDI),
    ("PyObject_Call", R::RDI),
    ("_PyObject_MakeTpCall", R::RSI),
    ("_Py_BuiltinCallFast_StackRef", R::RDI),
    ("_Py_BuiltinCallFastWithKeywords_StackRef", R::RDI),
    ("_PyCallMethodDescriptorFast_StackRef", R::RDI),
    ("_PyCallMethodDescriptorFastWithKeywords_StackRef", R::RDI),
    ("_Py_VectorCall_StackRefSteal", R::RDI),
    ("_Py_VectorCallInstrumentation_StackRefSteal", R::RDI),
];

/// `ob_type` of an object.
const TYPE: i64 = 8;
/// `tp_vectorcall_offset` and `tp_call` of a type.
const VECTORCALL_OFFSET: i64 = 56;
const TP_CALL: i64 = 128;
/// `m_ml` of a function, `d_method` of a method, and `ml_meth` in what they lead to.
const FUNCTION_DEFINITION: i64 = 16;
const METHOD_DEFINITION: i64 = 40;
const METHOD_CODE: i64 = 8;

/// How many instructions of a function are looked at.
const MOST: usize = 400;

/// Tells calls of objects from others.
pub(super) struct Callers<'i, 'd> {
    image: &'i Image<'d>,
    /// The argument that is the object, by the function's address.
    named: BTreeMap<u64, R>,
    /// The same of functions without a name that were looked at.
    others: BTreeMap<u64, Option<R>>,
}

impl<'i, 'd> Callers<'i, 'd> {
    pub(super) fn new(image: &'i Image<'d>) -> Self {
        let named = CALLERS.iter().filter_map(|&(name, argument)| {
            let symbol = image.symbol(name)?;
            Some((symbol.address, argument))
        });
        Self {
            image,
            named: named.collect(),
            others: BTreeMap::new(),
        }
    }

    /// What a call calls, if it is an object.
    pub(super) fn called(&mut self, state: &State, call: &Instruction) -> Option<Called> {
        match call.flow_control() {
            FlowControl::Call => {
                let argument = self.argument(call)?;
                Some(Called {
                    object: state.get(argument)?,
                    way: Way::Function,
                })
            }
            FlowControl::IndirectCall => called_indirectly(state, call),
            _ => None,
        }
    }

    /// Which argument a direct call's function calls.
    fn argument(&mut self, call: &Instruction) -> Option<R> {
        if let Some(name) = plt_name(self.image, call.near_branch_target())
            && let Some(&(_, argument)) = CALLERS.iter().find(|(caller, _)| *caller == name)
        {
            return Some(argument);
        }
        let function = branch_target(self.image, call);
        if let Some(&argument) = self.named.get(&function) {
            return Some(argument);
        }
        if let Some(&argument) = self.others.get(&function) {
            return argument;
        }
        let argument = self.argument_called(function);
        self.others.insert(function, argument);
        argument
    }

    /// The argument, first or second, of which a function looks for what its type says to call, or that it hands on to one
    /// that does.
    fn argument_called(&self, function: u64) -> Option<R> {
        let mut state = State::new();
        state.ignore_marks();
        let mut todo = vec![(function, state)];
        let mut seen = BTreeSet::new();
        while let Some((start, mut state)) = todo.pop() {
            let mut next = Some(start);
            while let Some(address) = next.filter(|&at| seen.len() < MOST && seen.insert(at)) {
                let Some(insn) = decode(self.image, address) else {
                    break;
                };
                let handed_on = match insn.flow_control() {
                    FlowControl::Call => {
                        let callee = self.named.get(&branch_target(self.image, &insn));
                        callee.and_then(|&argument| state.get(argument))
                    }
                    _ => None,
                };
                let is_called = |&argument: &R| {
                    let object = State::initial(argument);
                    handed_on == Some(object) || looks_for_code(&state, object)
                };
                if let Some(argument) = [R::RDI, R::RSI].into_iter().find(is_called) {
                    return Some(argument);
                }
                state.step(&insn);
                next = match insn.flow_control() {
                    FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
                        Some(insn.next_ip())
                    }
                    FlowControl::ConditionalBranch => {
                        todo.push((insn.near_branch_target(), state.fork()));
                        Some(insn.next_ip())
                    }
                    FlowControl::UnconditionalBranch => Some(insn.near_branch_target()),
                    _ => None,
                };
            }
        }
        None
    }
}

/// Whether it was asked what the object's type says to call.
fn looks_for_code(state: &State, object: Value) -> bool {
    let class = state.memory(object.plus(TYPE));
    class.is_some_and(|class| {
        [VECTORCALL_OFFSET, TP_CALL]
            .iter()
            .any(|&field| state.memory(class.plus(field)).is_some())
    })
}

fn called_indirectly(state: &State, call: &Instruction) -> Option<Called> {
    let place = if call.op0_kind() == OpKind::Memory {
        state.place(call)
    } else {
        state
            .get(call.op0_register())
            .and_then(|code| state.origin(code))
    };
    let Some(place) = place else {
        let object = state.get(R::RDI)?;
        let class = state.memory(object.plus(TYPE))?;
        let by_type = state.memory(class.plus(VECTORCALL_OFFSET)).is_some();
        return by_type.then_some(Called {
            object,
            way: Way::Vectorcall,
        });
    };
    let definition = state.origin(Value::named(place.name))?;
    let is_code = place.plus == METHOD_CODE
        && [FUNCTION_DEFINITION, METHOD_DEFINITION].contains(&definition.plus);
    is_code.then_some(Called {
        object: Value::named(definition.name),
        way: Way::Code,
    })
}

#[cfg(test)]
mod tests {
    use super::super::code::straight;
    use super::super::image::tests::executable;
    use super::*;

    /// What the first call in some code calls: the register that the object was in, and the way.
    fn called(code: &[u8]) -> Option<(R, Way)> {
        let (file, start) = executable(code);
        let image = Image::parse(&file).unwrap();
        let mut callers = Callers::new(&image);
        let mut state = State::new();
        for insn in straight(&image, start, 20) {
            if matches!(
                insn.flow_control(),
                FlowControl::Call | FlowControl::IndirectCall
            ) {
                let called = callers.called(&state, &insn)?;
                assert_eq!(called.object.plus, 0);
                return Some((State::initial_register(called.object.name)?, called.way));
            }
            state.step(&insn);
        }
        None
    }

    #[test]
    fn functions_in_c_are_called_by_their_addresses() {
        let function = [
            0x49, 0x8b, 0x44, 0x24, 0x10, // mov 0x10(%r12),%rax
            0x48, 0x8b, 0x40, 0x08, // mov 0x8(%rax),%rax
            0xff, 0xd0, // call *%rax
        ];
        assert_eq!(called(&function), Some((R::R12, Way::Code)));
        let method = [
            0x48, 0x8b, 0x45, 0x28, // mov 0x28(%rbp),%rax
            0xff, 0x50, 0x08, // call *0x8(%rax)
        ];
        assert_eq!(called(&method), Some((R::RBP, Way::Code)));
        let another_field = [
            0x48, 0x8b, 0x45, 0x20, // mov 0x20(%rbp),%rax
            0xff, 0x50, 0x08, // call *0x8(%rax)
        ];
        assert_eq!(called(&another_field), None);
    }

    #[test]
    fn objects_are_called_as_their_types_say() {
        let vectorcall = [
            0x49, 0x8b, 0x42, 0x08, // mov 0x8(%r10),%rax
            0x48, 0x8b, 0x40, 0x38, // mov 0x38(%rax),%rax
            0x49, 0x8b, 0x04, 0x02, // mov (%r10,%rax,1),%rax
            0x4c, 0x89, 0xd7, // mov %r10,%rdi
            0xff, 0xd0, // call *%rax
        ];
        assert_eq!(called(&vectorcall), Some((R::R10, Way::Vectorcall)));
        let dealloc = [
            0x48, 0x8b, 0x47, 0x08, // mov 0x8(%rdi),%rax
            0xff, 0x50, 0x30, // call *0x30(%rax)
        ];
        assert_eq!(called(&dealloc), None);
    }

    #[test]
    fn a_function_without_a_name_is_known_by_what_it_looks_for() {
        let mut code = [
            0x4c, 0x89, 0xee, // mov %r13,%rsi
            0xe8, 0x01, 0x00, 0x00, 0x00, // call function
            0xc3, // ret
            0x48, 0x8b, 0x46, 0x08, // function: mov 0x8(%rsi),%rax
            0x48, 0x8b, 0x80, 0x80, 0x00, 0x00, 0x00, // mov 0x80(%rax),%rax
            0xc3, // ret
        ];
        assert_eq!(called(&code), Some((R::R13, Way::Function)));
        code[16] = 0x88; // not tp_call but tp_str
        assert_eq!(called(&code), None);
    }
}
