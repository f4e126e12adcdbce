//! Imports: the call by which the interpreter looks for a module.
//!
//! The markers `import-find-load-start(name)` and `import-find-load-done(name, found)` enclose one
//! statement of CPython, the same since 3.6 but for the function's name:
//!
//! ```text
//!     mod = PyObject_CallMethodObjArgs(interp->importlib, &_Py_ID(_find_and_load), abs_name,
//!                                      interp->import_func, NULL);
//!
//!     mov  0x1e10(%r15), %rcx         import_func
//!     xor  %r8d, %r8d                 NULL
//!     mov  %r13, %rdx                 abs_name
//!     mov  0x1df8(%r15), %rdi         importlib
//!     lea  0xb450(%rax), %rsi         the name of the method
//!     xor  %eax, %eax
//!     call PyObject_CallMethodObjArgs       <---- import-find-load-start
//!     mov  %rax, %r14                 the module, or NULL
//!     test %r14, %r14
//!     jne  ...                        <---- import-find-load-done
//! ```
//!
//! It is executed for each module that is not in `sys.modules`. What leads to it is the method's
//! name, `_find_and_load`. From 3.11 on that is a `str` inside of `_PyRuntime`; before, a
//! `_Py_Identifier`, a structure that points to the text. The code that has the address of one of
//! them in the second argument's register at a call is the statement: no compiler can do away
//! with the call, since the function takes variable arguments.
//!
//! There are two such calls in most builds, one of them for `-X importtime`. The probe of
//! import-find-load-done may be on an instruction that other paths lead to as well, so it counts only
//! after a start in the same activation of the function, which the thread and the stack pointer
//! name.

use std::collections::{BTreeMap, HashSet};

use iced_x86::{FlowControl, Instruction, Register as R};
use serde::{Deserialize, Serialize};

use super::code::{State, decode, emulated, straight};
use super::flow::reachable;
use super::image::Image;
use super::import_method::{Call, Methods};
use super::offsets::StringOffsets;
use super::register::Register;
use super::site::{Execution, Location};
use super::unwind::Functions;

/// Where imports are seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imports {
    /// The sites.
    pub sites: Vec<ImportSite>,
    /// There are calls of which it is not certain what they are: some imports may not be seen.
    pub partial: bool,
}

/// One call, and what comes after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSite {
    /// Where the call is in the file. Its third argument is the module's name, a `str`.
    pub start_offset: u64,
    /// The call's virtual address as linked.
    pub start_address: u64,
    /// How the kernel executes the call.
    pub start_execution: Execution,
    /// The call's second argument, an address as linked.
    pub method: u64,
    /// Where the instruction at which the import is done is in the file.
    pub done_offset: u64,
    /// Its virtual address as linked.
    pub done_address: u64,
    /// How the kernel executes it.
    pub done_execution: Execution,
    /// Holds the module there, zero if it was not found.
    pub module: Location,
    /// What to add to the stack pointer there to get its value at the call.
    pub stack: i32,
}

impl ImportSite {
    /// Holds the module's name at the call, as every third argument: `%rdx`.
    pub const NAME: Register = Register(96);
    /// Holds the call's second argument there: `%rsi`.
    pub const METHOD: Register = Register(104);
}

/// The function that the statement is in, or in one that it calls.
const FUNCTION: &str = "PyImport_ImportModuleLevelObject";

/// Finds the calls in 3.`minor`; the error says what was missing.
pub(super) fn find(
    image: &Image<'_>,
    minor: u8,
    string: &StringOffsets,
) -> Result<Imports, String> {
    let function = image.symbol(FUNCTION).map(|symbol| symbol.address);
    find_from(image, function, minor, string)
}

fn find_from(
    image: &Image<'_>,
    function: Option<u64>,
    minor: u8,
    string: &StringOffsets,
) -> Result<Imports, String> {
    let methods = Methods::of(image, minor, string)?;
    let mut code = KnownCode::new(image, function);
    let mut found = Vec::new();
    let mut pending = methods.references(image)?;
    pending.retain(|reference| !reference.likely_calls(image).is_empty());
    // Where the reference is: in the function as it is written, in one that the compiler split off,
    // or else in a copy, which no path leads to from here.
    for look in [KnownCode::reached, KnownCode::callee, KnownCode::part] {
        let callees = callees(&found);
        let may_be = |call: &Call| callees.is_empty() || callees.contains(&call.callee());
        pending.retain(|reference| reference.likely_calls(image).iter().any(may_be));
        pending.retain(|reference| {
            let load = reference.load_in(|load| look(&mut code, load));
            // From before the load, to know all arguments.
            let calls = load.map(|load| reference.calls(image, load, code.block_start(load)));
            found.extend(calls.into_iter().flatten());
            load.is_none()
        });
    }
    let mut partial = !pending.is_empty();
    // Other functions get the name, too: it is interned. But this one gets it in imports only.
    let callees = callees(&found);
    let (imports, others): (Vec<Call>, Vec<Call>) =
        found.into_iter().partition(|call| call.is_last_null);
    partial |= others.iter().any(|call| callees.contains(&call.callee()));
    let mut sites = Vec::new();
    for call in imports {
        let site = site(image, &call)?;
        if !sites.contains(&site) {
            sites.push(site);
        }
    }
    if sites.is_empty() {
        return Err("the call of _find_and_load was not found by the method's name".to_owned());
    }
    agree(&sites)?;
    Ok(Imports { sites, partial })
}

/// What the calls of the statement's form call.
fn callees(calls: &[Call]) -> HashSet<u64> {
    let imports = calls.iter().filter(|call| call.is_last_null);
    imports.map(Call::callee).collect()
}

/// Sees to it that a place of done means the same whichever call it belongs to.
fn agree(sites: &[ImportSite]) -> Result<(), String> {
    let contradict = |a: &ImportSite, b: &ImportSite| {
        a.done_address == b.done_address && (a.module, a.stack) != (b.module, b.stack)
    };
    let mut pairs = sites.iter().flat_map(|a| sites.iter().map(move |b| (a, b)));
    if pairs.any(|(a, b)| contradict(a, b)) {
        return Err("two imports end at one instruction, in different ways".to_owned());
    }
    Ok(())
}

/// The site of a call.
fn site(image: &Image<'_>, call: &Call) -> Result<ImportSite, String> {
    let missing = || "there is no place for a probe after the call of _find_and_load".to_owned();
    let offset = |address| image.file_offset(address).ok_or_else(missing);
    let done = done(image, &call.insn).ok_or_else(missing)?;
    Ok(ImportSite {
        start_offset: offset(call.insn.ip())?,
        start_address: call.insn.ip(),
        start_execution: execution(image, &call.insn),
        method: call.method,
        done_offset: offset(done.insn.ip())?,
        done_address: done.insn.ip(),
        done_execution: execution(image, &done.insn),
        module: done.module,
        stack: done.stack,
    })
}

/// Imports are rare, so what the kernel cannot emulate may be single-stepped.
fn execution(image: &Image<'_>, insn: &Instruction) -> Execution {
    emulated(image, insn).map_or(Execution::Stepped, Execution::Emulated)
}

struct Done {
    insn: Instruction,
    module: Location,
    stack: i32,
}

/// The first emulated instruction after the call at which the result is still known; if there is
/// none on the straight path, the very next instruction.
fn done(image: &Image<'_>, call: &Instruction) -> Option<Done> {
    let mut state = State::new();
    state.step(call);
    let module = state.get(R::RAX)?;
    let at = |insn: Instruction, state: &State| {
        Some(Done {
            insn,
            module: Location::of(state.find(module)?)?,
            stack: i32::try_from(state.pushed()?).ok()?,
        })
    };
    let first = at(decode(image, call.next_ip())?, &state)?;
    for insn in straight(image, call.next_ip(), DONE_LIMIT) {
        if emulated(image, &insn).is_some() {
            return Some(at(insn, &state).unwrap_or(first));
        }
        if insn.flow_control() != FlowControl::Next {
            break;
        }
        state.step(&insn);
    }
    Some(first)
}

const DONE_LIMIT: usize = 24;

/// The code that is certain to be code: reached from the start of a function.
struct KnownCode<'i, 'd> {
    image: &'i Image<'d>,
    bodies: Vec<BTreeMap<u64, Instruction>>,
}

impl<'i, 'd> KnownCode<'i, 'd> {
    /// What is reached from the function that the statement is in as a rule.
    fn new(image: &'i Image<'d>, function: Option<u64>) -> Self {
        Self {
            image,
            bodies: vec![reachable(image, function, BODY_LIMIT)],
        }
    }

    fn has(&self, address: u64) -> bool {
        self.bodies.iter().any(|body| body.contains_key(&address))
    }

    /// Whether there is an instruction at `address`, as far as is known.
    fn reached(&mut self, address: u64) -> bool {
        self.has(address)
    }

    /// The same, after a look at the last function before it of those that the first body calls.
    fn callee(&mut self, address: u64) -> bool {
        let calls = self.bodies.first().into_iter().flat_map(BTreeMap::values);
        let callees = calls.filter(|insn| insn.is_call_near());
        let callees = callees.map(Instruction::near_branch_target);
        if let Some(start) = callees.filter(|&start| start <= address).max() {
            self.bodies.push(reachable(self.image, [start], BODY_LIMIT));
        }
        self.has(address)
    }

    /// The same, after a look at the function around it, or the part of one, by the unwind tables:
    /// one instruction after the other. (There is no data between instructions on x86-64.)
    fn part(&mut self, address: u64) -> bool {
        let functions = Functions::of(self.image);
        if let Some(part) = functions.and_then(|functions| functions.around(address)) {
            let mut body = BTreeMap::new();
            let mut at = part.start;
            while let Some(insn) = decode(self.image, at)
                && part.contains(&at)
                && body.len() < BODY_LIMIT
            {
                body.insert(at, insn);
                at = insn.next_ip();
            }
            self.bodies.push(body);
        }
        self.has(address)
    }

    /// Where the straight run of instructions before the one at `address` begins.
    fn block_start(&self, address: u64) -> u64 {
        let mut bodies = self.bodies.iter();
        let Some(body) = bodies.find(|body| body.contains_key(&address)) else {
            return address;
        };
        let before = body.range(..address).rev().map(|(_, insn)| insn);
        before
            .take(BLOCK_LIMIT)
            .scan(address, |next, insn| {
                let leads_on = insn.flow_control() == FlowControl::Next && insn.next_ip() == *next;
                *next = insn.ip();
                leads_on.then_some(insn.ip())
            })
            .last()
            .unwrap_or(address)
    }
}

const BODY_LIMIT: usize = 20_000;
const BLOCK_LIMIT: usize = 16;

#[cfg(test)]
mod tests {
    use super::super::analyse::analyse;
    use super::super::recorded::recorded;
    use super::super::tests::{interpreter_file, interpreters};
    use super::*;

    #[test]
    fn a_function_that_is_not_exported_is_found_by_the_unwind_tables() {
        for (_, file) in interpreters().iter().filter_map(|p| interpreter_file(p)) {
            let Ok(build) = analyse(&file) else {
                continue;
            };
            let image = Image::parse(&file).unwrap();
            let string = &build.offsets.string;
            let found = find_from(&image, None, build.version.minor, string);
            assert_eq!(found, build.imports, "{}", build.version);
        }
    }

    #[test]
    fn another_method_is_not_taken_for_it() {
        for (name, mut file) in recorded() {
            while let Some(at) = file.windows(15).position(|w| w == b"_find_and_load\0") {
                file[at] = b'-';
            }
            let build = analyse(&file).unwrap();
            let why = build.imports.unwrap_err();
            assert!(
                why.contains("is not where the interpreter keeps it"),
                "{name}: {why}"
            );
        }
    }

    #[test]
    fn a_call_that_does_not_end_its_arguments_is_another() {
        for (name, mut file) in recorded() {
            let build = analyse(&file).unwrap();
            // `xor %r8d,%r8d` before the calls becomes `xor %r9d,%r9d`.
            for site in build.imports.unwrap().sites {
                let call = usize::try_from(site.start_offset).unwrap();
                let before = &mut file[call - 64..call];
                let at = before.windows(3).rposition(|w| w == [0x45, 0x31, 0xc0]);
                before[at.unwrap() + 2] = 0xc9;
            }
            let imports = analyse(&file).unwrap().imports;
            assert!(imports.is_err(), "{name}: {imports:?}");
        }
    }
}
