//! `sys.audit()`, by which Python code raises an audit event: where it returns because there is no hook.
//!
//! `subprocess.Popen` and `tempfile.mkdtemp` are raised so. The function looks for hooks before it does
//! anything else, and calls nothing if there are none:
//!
//! ```text
//!             cmpq  $0x0, 0x290(%rdx)       hooks of C code?
//!             je    python                  (to the second test)
//!     heard:  mov   0x0(%rbp), %rdi         args[0], the event's name
//!             ...
//!             call  PyUnicode_AsUTF8
//!             ...
//!             call  _PySys_Audit            where the other sites are
//!     none:   mov   _Py_None, %rax
//!             ret
//!     python: cmpq  $0x0, 0xde0(%rax)       hooks of Python code?
//!             jne   heard                   <------- nobody hears of it, if it is not taken
//!             jmp   none
//! ```
//!
//! So all paths through the function are followed, and each conditional jump is a site after which, one
//! way, all of them return without a call. Each path that returns so passes one such jump, once, and
//! none of the others does: an event is seen here or where hooks are called, never in both places.
//! From 3.14 on the name is converted before hooks are looked for, and there are no such jumps.

use std::collections::BTreeMap;

use iced_x86::{FlowControl, Instruction, Register as R};
use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::code::{State, emulated, straight};
use super::entries::FlagTest;
use super::image::Image;
use super::site::{Execution, Location};

/// A conditional jump in `sys.audit()` after which nobody is told of the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoHookSite {
    /// Where the instruction is in the file.
    pub file_offset: u64,
    /// The instruction's virtual address as linked.
    pub address: u64,
    /// How the kernel executes it.
    pub execution: Execution,
    /// What the processor's flags must be.
    pub flags: FlagTest,
    /// Holds the address of the call's arguments. The first is the event's name, which must be a `str`.
    pub arguments: Location,
}

/// Finds the sites, or says why there are none.
pub(super) fn find(image: &Image<'_>) -> Result<Vec<NoHookSite>, String> {
    let mut paths = Paths {
        image,
        left: MOST_INSTRUCTIONS,
        is_too_long: false,
        converts_name: false,
    };
    let all = paths.follow(function(image)?, State::new(), false, MOST_BRANCHES);
    if paths.is_too_long {
        return Err("the code of sys.audit() is too long".to_owned());
    }
    if !(all.returns && all.continues && paths.converts_name) {
        return Err("sys.audit() does not look for hooks first".to_owned());
    }
    let mut sites = BTreeMap::new();
    for decision in &all.decisions {
        let site = decision.site(image)?;
        match sites.insert((site.address, site.flags), site.clone()) {
            Some(other) if other != site => return Err("the arguments move about".to_owned()),
            Some(_) | None => {}
        }
    }
    Ok(sites.into_values().collect())
}

/// The function behind `sys.audit`: what the table of the module's functions has for that name.
///
/// ```text
///     struct PyMethodDef { const char *name; PyCFunction function; int flags; const char *doc; }
/// ```
fn function(image: &Image<'_>) -> Result<u64, String> {
    /// The arguments come as an array and a number.
    const METH_FASTCALL: u64 = 0x80;
    /// One or two are found in real files.
    const MOST_NAMES: usize = 64;
    let name = Regex::new(r"(?-u)audit\x00").map_err(|error| error.to_string())?;
    let names = image.find_all(&name).into_iter().take(MOST_NAMES);
    let rows = names.flat_map(|name| image.pointers_to(name));
    let functions = rows.filter_map(|row| {
        let flags = image.word(row.checked_add(16)?)? & u64::from(u32::MAX);
        let place = row.checked_add(8)?;
        let function = image.pointer_at(place).or_else(|| image.word(place))?;
        (flags == METH_FASTCALL && image.is_code(function)).then_some(function)
    });
    let mut functions: Vec<u64> = functions.collect();
    functions.dedup();
    match *functions {
        [function] => Ok(function),
        [] => Err("sys.audit() is in no table of functions".to_owned()),
        [_, _, ..] => Err("several functions may be sys.audit()".to_owned()),
    }
}

/// How many conditional jumps of a path are followed. All that matters is before them.
const MOST_BRANCHES: u32 = 12;
/// How many instructions of all paths.
const MOST_INSTRUCTIONS: usize = 4000;
/// How many instructions between two conditional jumps.
const MOST_STRAIGHT: usize = 200;

/// What becomes of the paths from some place on.
#[derive(Debug, Default)]
struct Outcome {
    /// One returns without a call.
    returns: bool,
    /// One calls something, or does what is not of interest.
    continues: bool,
    /// The jumps after which, one way, all return without a call.
    decisions: Vec<Decision>,
}

/// A conditional jump, which way it goes, and where the arguments are then.
#[derive(Debug)]
struct Decision {
    jump: Instruction,
    taken: bool,
    arguments: Option<Location>,
}

impl Outcome {
    fn returns() -> Self {
        Self {
            returns: true,
            ..Self::default()
        }
    }

    fn continues() -> Self {
        Self {
            continues: true,
            ..Self::default()
        }
    }

    /// That of a jump with these two sides.
    fn of(jump: Instruction, arguments: Option<Location>, taken: Self, not_taken: Self) -> Self {
        let mut both = Self {
            returns: taken.returns || not_taken.returns,
            continues: taken.continues || not_taken.continues,
            decisions: Vec::new(),
        };
        if !(both.returns && both.continues) {
            return both;
        }
        for (side, taken) in [(taken, true), (not_taken, false)] {
            if side.returns && !side.continues {
                both.decisions.push(Decision {
                    jump,
                    taken,
                    arguments,
                });
            } else {
                both.decisions.extend(side.decisions);
            }
        }
        both
    }
}

impl Decision {
    fn site(&self, image: &Image<'_>) -> Result<NoHookSite, String> {
        let jump = &self.jump;
        let site = || {
            Some(NoHookSite {
                file_offset: image.file_offset(jump.ip())?,
                address: jump.ip(),
                execution: Execution::Emulated(emulated(image, jump)?),
                flags: FlagTest::of(jump, self.taken)?,
                arguments: self.arguments?,
            })
        };
        site().ok_or_else(|| format!("no probe can be at {:#x}", jump.ip()))
    }
}

struct Paths<'i, 'd> {
    image: &'i Image<'d>,
    /// How many more instructions are looked at.
    left: usize,
    is_too_long: bool,
    /// Whether a path calls something with the event's name as its first argument.
    converts_name: bool,
}

impl Paths<'_, '_> {
    /// All that may be executed from `start` on; calls are of no interest before the first conditional
    /// jump, which may find out about the thread.
    fn follow(&mut self, start: u64, mut state: State, jumped: bool, branches: u32) -> Outcome {
        let arguments = State::initial(R::RSI);
        let mut count = 0;
        for insn in straight(self.image, start, MOST_STRAIGHT) {
            count += 1;
            let (Some(left), Some(branches)) = (self.left.checked_sub(1), branches.checked_sub(1))
            else {
                break;
            };
            self.left = left;
            match insn.flow_control() {
                FlowControl::ConditionalBranch => {
                    let here = state.find(arguments).and_then(Location::of);
                    let target = insn.near_branch_target();
                    let taken = self.follow(target, state.fork(), true, branches);
                    let not_taken = self.follow(insn.next_ip(), state, true, branches);
                    return Outcome::of(insn, here, taken, not_taken);
                }
                FlowControl::Call | FlowControl::IndirectCall if jumped => {
                    let name = state.memory(arguments);
                    self.converts_name |= name.is_some() && state.get(R::RDI) == name;
                    return Outcome::continues();
                }
                FlowControl::Return => return Outcome::returns(),
                FlowControl::Next
                | FlowControl::UnconditionalBranch
                | FlowControl::Call
                | FlowControl::IndirectCall
                | FlowControl::Interrupt
                | FlowControl::XbeginXabortXend => state.step(&insn),
                FlowControl::IndirectBranch | FlowControl::Exception => {
                    return Outcome::continues();
                }
            }
        }
        self.is_too_long |= self.left == 0 || branches == 0 || count == MOST_STRAIGHT;
        Outcome::continues()
    }
}

#[cfg(test)]
mod tests {
    use super::super::analyse;
    use super::super::recorded::recorded;

    #[test]
    fn each_way_out_without_a_hook_is_a_site() {
        let (_, file) = recorded()
            .into_iter()
            .find(|(name, _)| *name == "3.12.1-gcc12-shared")
            .unwrap();
        let sites = analyse(&file).unwrap().audits.unwrap().without_hook;
        let sites = sites.unwrap();
        let places: Vec<_> = sites
            .iter()
            .map(|site| (site.address, site.flags))
            .collect();
        let zero = |set| super::FlagTest {
            mask: 1 << 6,
            less: false,
            set,
        };
        // No interpreter; no hook of either kind.
        assert_eq!(places, [(0x2e_a37c, zero(true)), (0x2e_a428, zero(true))]);
        assert!(
            sites
                .iter()
                .all(|site| site.arguments.to_string() == "%r12")
        );
    }

    #[test]
    fn what_does_not_return_early_has_no_site() {
        let (_, mut file) = recorded()
            .into_iter()
            .find(|(name, _)| *name == "3.12.1-gcc12-shared")
            .unwrap();
        let sites = analyse(&file).unwrap().audits.unwrap().without_hook;
        for site in sites.unwrap() {
            // `je none` is never taken, `jne heard` always.
            let at = usize::try_from(site.file_offset).unwrap();
            match file[at..at + 2] {
                [0x0f, 0x84] => file[at..at + 6].fill(0x90),
                [0x0f, 0x85] => file[at..at + 2].copy_from_slice(&[0x90, 0xe9]),
                ref other => panic!("{other:x?}"),
            }
        }
        let sites = analyse(&file).unwrap().audits.unwrap().without_hook;
        assert!(sites.is_err(), "{sites:?}");
    }
}
