//! CPython 3.11 to 3.15: function entries without returns, each seen at one hit.
//!
//! The handlers of `RESUME` and its forms may execute an instruction twice: one that finds that it
//! has to be specialised or instrumented is changed, and then executed again from the start, or
//! another form's handler goes on with it. A probe at the start of each handler sees both. To tell them
//! apart by a set of active frames, the ends of all frames would have to be seen as well.
//!
//! What the interpreter decides next is known at the conditional jump by which it decides it:
//!
//! ```text
//!   RESUME_CHECK      cmp  %rcx, 0xa8(%rax)      is the function's version the current one?
//!                     jne  RESUME                <------- an entry, if it is not taken
//!                     ...
//!                     jmp  *%rcx                 the next instruction
//!
//!   RESUME            cmpl $0, 0x40(%r12)
//!                     jne  on                    <------- an entry, if it is taken
//!                     cmp  0xa8(%rdi), %rax
//!                     je   on                    <------- an entry, if it is taken
//!                     call _Py_Instrument
//!                     jmp  *%rcx                 the same instruction again
//!               on:   ...
//!                     jmp  *%rcx                 the next instruction
//! ```
//!
//! So every path through each handler is followed up to the jump through the table, where the variable
//! `next_instr` tells whether it leads to the next instruction or to the same one again. A site is
//! put on each jump after which the same instruction cannot come again, and its flags tell which
//! way it will go. Then all paths are checked once more: each that leads to the next instruction must
//! pass one site, each that leads to the same one none. In a build for which this does not hold, entries are
//! paired with returns. Whether another opcode's handler could lead to a site is asked last.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{ConditionCode, FlowControl, Instruction};
use serde::{Deserialize, Serialize};

use super::code::{Home, State, emulated, straight};
use super::exclusive::executed_for_others;
use super::finder::{FRAME, Finder, NEXT_INSTR};
use super::opcodes::Opcodes;
use super::site::{Condition, Event, Execution, InstructionPointer, Location, Site};
use super::table::INSTRUCTION_POINTER;
use super::vote::slots_of_next_instr;

/// A site whose hits are entries, one for one, if its flags are as they should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntrySite {
    /// The instruction.
    pub site: Site,
    /// What the processor's flags must be; `None` for anything.
    pub flags: Option<FlagTest>,
    /// Whether only specialised instructions come here: each was executed at a site of another kind before,
    /// when its code was new. Told where the instruction's argument matters.
    pub specialised: bool,
}

/// A test of the processor's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FlagTest {
    /// Bits of `RFLAGS`.
    pub mask: u16,
    /// Whether it counts like one of them that the sign and the overflow flag differ: a signed number was less.
    pub less: bool,
    /// Whether some of them must be set, or none.
    pub set: bool,
}

impl FlagTest {
    /// By which `insn` jumps, if it is a conditional jump; with `taken`, else by which it does not.
    pub(super) fn of(insn: &Instruction, taken: bool) -> Option<Self> {
        const CARRY: u16 = 1;
        const PARITY: u16 = 1 << 2;
        const ZERO: u16 = 1 << 6;
        const SIGN: u16 = 1 << 7;
        const OVERFLOW: u16 = 1 << 11;
        let (mask, less, set) = match insn.condition_code() {
            ConditionCode::e => (ZERO, false, true),
            ConditionCode::ne => (ZERO, false, false),
            ConditionCode::b => (CARRY, false, true),
            ConditionCode::ae => (CARRY, false, false),
            ConditionCode::be => (CARRY | ZERO, false, true),
            ConditionCode::a => (CARRY | ZERO, false, false),
            ConditionCode::s => (SIGN, false, true),
            ConditionCode::ns => (SIGN, false, false),
            ConditionCode::p => (PARITY, false, true),
            ConditionCode::np => (PARITY, false, false),
            ConditionCode::o => (OVERFLOW, false, true),
            ConditionCode::no => (OVERFLOW, false, false),
            ConditionCode::l => (0, true, true),
            ConditionCode::ge => (0, true, false),
            ConditionCode::le => (ZERO, true, true),
            ConditionCode::g => (ZERO, true, false),
            ConditionCode::None => return None,
        };
        Some(Self {
            mask,
            less,
            set: set == taken,
        })
    }
}

/// Finds the sites, or says why there are none.
pub(super) fn find(finder: &Finder<'_, '_>, opcodes: &Opcodes) -> Result<Vec<EntrySite>, String> {
    let found = find_with(finder, opcodes, &BTreeSet::new());
    found.or_else(|why| {
        let slots = slots_of_next_instr(finder.image, finder.table, finder.registers);
        if slots.is_empty() {
            return Err(why);
        }
        find_with(finder, opcodes, &slots)
    })
}

/// The same, where these slots of the stack hold the next instruction too when a handler starts.
fn find_with(
    finder: &Finder<'_, '_>,
    opcodes: &Opcodes,
    slots: &BTreeSet<Home>,
) -> Result<Vec<EntrySite>, String> {
    let mut places = Places {
        finder,
        opcodes,
        known: BTreeMap::new(),
    };
    let mut handlers = Vec::new();
    for &opcode in opcodes.resume {
        let start = finder.target(opcode).ok_or("the dispatch table is short")?;
        let (mut state, ..) = finder.at_handler();
        for &slot in slots {
            state.enter(slot, NEXT_INSTR);
        }
        let mut left = MOST_INSTRUCTIONS;
        let handler = places.follow(start, state, MOST_BRANCHES, &mut left);
        if !handler.continues {
            return Err(format!(
                "the handler of opcode {opcode} leads to none after it"
            ));
        }
        // From 3.12 on, a version is compared in each of them.
        if handler.repeats == opcodes.has_entry_flag {
            return Err(format!(
                "whether the handler of opcode {opcode} repeats it is not clear"
            ));
        }
        handlers.push(handler);
    }
    let mut candidates: BTreeMap<(u64, Option<FlagTest>), Option<EntrySite>> = BTreeMap::new();
    for handler in &handlers {
        handler.decisions(&mut |step, taken| {
            let flags = taken.map(|taken| FlagTest::of(&step.insn, taken));
            let site = places.known.get(&step.insn.ip()).cloned().flatten();
            let found = site.filter(|_| flags != Some(None)).map(|site| EntrySite {
                site,
                flags: flags.flatten(),
                specialised: false,
            });
            candidates.insert((step.insn.ip(), flags.flatten()), found);
        });
    }
    let candidates: Option<Vec<EntrySite>> = candidates.into_values().collect();
    let candidates = candidates.ok_or("the frame is lost where an entry is decided")?;
    if candidates.len() > MOST_SITES {
        return Err(format!(
            "entries are decided in {} places",
            candidates.len()
        ));
    }
    // All of them, or some: in 3.11 one form's handler may go on in the other's.
    let mut sites = (1..1_usize << candidates.len())
        .rev()
        .map(|some| chosen(&candidates, some))
        .find(|sites| handlers.iter().all(|handler| handler.counts_once(sites, 0)))
        .ok_or_else(|| "no choice of sites counts each entry once".to_owned())?;
    let others = executed_for_others(finder, opcodes.resume);
    let reads = opcodes.resume_too_early.is_some();
    let new = reads.then(|| executed_for_others(finder, opcodes.specialised_resume));
    for EntrySite {
        site, specialised, ..
    } in &mut sites
    {
        let leads_to = |others: &Option<BTreeSet<u64>>| {
            let others = others.as_ref();
            others.is_none_or(|others| others.contains(&site.address))
        };
        *specialised = new.as_ref().is_some_and(|new| !leads_to(new));
        // The read of the process's memory that this check takes is a good part of what a hit costs.
        if !leads_to(&others) && site.condition.is_none() {
            site.opcodes.clear();
        }
    }
    // What is executed first is attached first, so that no specialised instruction is met before.
    sites.sort_by_key(|entry| entry.specialised);
    Ok(sites)
}

/// Those of the candidates whose bits are set.
fn chosen(candidates: &[EntrySite], bits: usize) -> Vec<EntrySite> {
    let numbered = (0..).zip(candidates);
    numbered
        .filter(|(n, _)| bits >> n & 1 == 1)
        .map(|(_, site)| site.clone())
        .collect()
}

/// How many conditional jumps of a path are followed; the rest of it does not matter.
const MOST_BRANCHES: u32 = 6;
/// How many instructions of all paths from a handler.
const MOST_INSTRUCTIONS: usize = 20_000;
/// How many instructions between two conditional jumps.
const MOST_STRAIGHT: usize = 200;
/// More sites than any build needs.
const MOST_SITES: usize = 8;

/// What is executed from some place on, up to the next opcode.
struct Run {
    /// The instructions that the kernel can emulate, up to where the run ends.
    steps: Vec<Step>,
    end: End,
    /// Whether a path from here executes the same opcode again.
    repeats: bool,
    /// Whether one goes on to another.
    continues: bool,
}

struct Step {
    insn: Instruction,
}

enum End {
    /// A jump to the same opcode.
    Again,
    /// A jump to another one.
    Next,
    /// An error, or something else that is not of interest.
    Lost,
    /// A conditional jump.
    Branch {
        at: Step,
        taken: Box<Run>,
        not_taken: Box<Run>,
    },
}

impl Run {
    fn new(steps: Vec<Step>, end: End) -> Self {
        let (repeats, continues) = match &end {
            End::Again => (true, false),
            End::Next => (false, true),
            End::Lost => (false, false),
            End::Branch {
                taken, not_taken, ..
            } => (
                taken.repeats || not_taken.repeats,
                taken.continues || not_taken.continues,
            ),
        };
        Self {
            steps,
            end,
            repeats,
            continues,
        }
    }

    /// Gives `found` each place from which on the opcode is not repeated, and which way a
    /// conditional jump there goes.
    fn decisions(&self, found: &mut impl FnMut(&Step, Option<bool>)) {
        match &self.end {
            End::Branch {
                at,
                taken,
                not_taken,
            } if self.repeats => {
                for (side, is_taken) in [(taken, true), (not_taken, false)] {
                    if side.repeats {
                        side.decisions(found);
                    } else if side.continues {
                        found(at, Some(is_taken));
                    }
                }
            }
            End::Branch { at, .. } => found(self.steps.first().unwrap_or(at), None),
            End::Again | End::Next | End::Lost => {
                if let Some(first) = self.steps.first() {
                    found(first, None);
                }
            }
        }
    }

    /// Whether each path that goes on counts one entry at the sites, and each that repeats none;
    /// `counted` were counted before.
    fn counts_once(&self, sites: &[EntrySite], counted: usize) -> bool {
        let at = |step: &Step, taken: Option<bool>| {
            let here = sites.iter().filter(|s| s.site.address == step.insn.ip());
            here.filter(|s| match (s.flags, taken) {
                (None, _) => true,
                (Some(flags), Some(taken)) => FlagTest::of(&step.insn, taken) == Some(flags),
                (Some(_), None) => false,
            })
            .count()
        };
        let counted = counted + self.steps.iter().map(|step| at(step, None)).sum::<usize>();
        match &self.end {
            End::Again => counted == 0,
            End::Next => counted == 1,
            End::Lost => counted <= 1,
            End::Branch {
                at: step,
                taken,
                not_taken,
            } => [(taken, true), (not_taken, false)]
                .into_iter()
                .all(|(side, is_taken)| {
                    side.counts_once(sites, counted + at(step, Some(is_taken)))
                }),
        }
    }
}

/// The instructions that the paths lead through.
struct Places<'f, 'a, 'd> {
    finder: &'f Finder<'a, 'd>,
    opcodes: &'f Opcodes,
    /// What a site at an address would be; `None` if it depends on the path, or the frame is lost.
    known: BTreeMap<u64, Option<Site>>,
}

impl Places<'_, '_, '_> {
    /// All that may be executed from `start` on.
    fn follow(&mut self, start: u64, mut state: State, branches: u32, left: &mut usize) -> Run {
        let mut steps = Vec::new();
        for insn in straight(self.finder.image, start, MOST_STRAIGHT) {
            let Some(rest) = left.checked_sub(1) else {
                break;
            };
            *left = rest;
            let is_step = self.note(&insn, &state);
            match insn.flow_control() {
                FlowControl::ConditionalBranch => {
                    let Some(branches) = branches.checked_sub(1).filter(|_| is_step) else {
                        break;
                    };
                    let target = insn.near_branch_target();
                    let taken = self.follow(target, state.fork(), branches, left);
                    let not_taken = self.follow(insn.next_ip(), state, branches, left);
                    let end = End::Branch {
                        at: Step { insn },
                        taken: Box::new(taken),
                        not_taken: Box::new(not_taken),
                    };
                    return Run::new(steps, end);
                }
                FlowControl::IndirectBranch => {
                    let next = state.at_home(self.finder.registers.next_instr);
                    let again = next == Some(NEXT_INSTR);
                    return Run::new(steps, if again { End::Again } else { End::Next });
                }
                FlowControl::Call | FlowControl::IndirectCall => {
                    state.step(&insn);
                    // A debugger may have made the frame go on elsewhere.
                    state.forget_memory(FRAME.name);
                }
                FlowControl::Next
                | FlowControl::UnconditionalBranch
                | FlowControl::Return
                | FlowControl::Interrupt
                | FlowControl::XbeginXabortXend
                | FlowControl::Exception => state.step(&insn),
            }
            if is_step {
                steps.push(Step { insn });
            }
        }
        Run::new(steps, End::Lost)
    }

    /// Keeps what a site at `insn` would be; false if no probe can be there.
    fn note(&mut self, insn: &Instruction, state: &State) -> bool {
        let Some(kind) = emulated(self.finder.image, insn) else {
            return false;
        };
        let site = self.site(insn, state, Execution::Emulated(kind));
        self.known
            .entry(insn.ip())
            .and_modify(|known| {
                if *known != site {
                    *known = None;
                }
            })
            .or_insert(site);
        true
    }

    /// A site; the instruction pointer is taken from a register if it is in one, which costs
    /// nothing to read.
    fn site(&self, insn: &Instruction, state: &State, execution: Execution) -> Option<Site> {
        let frame = state.find(FRAME)?;
        let variable = (0..=LARGEST_STEP).find_map(|ahead| {
            let home = state.find(NEXT_INSTR.plus(i64::from(ahead)))?;
            let Home::Register(_) = home else {
                return None;
            };
            let location = Location::of(home)?;
            Some(InstructionPointer::Variable { location, ahead })
        });
        let saved = || {
            let value = state.memory(FRAME.plus(INSTRUCTION_POINTER))?;
            let ahead = i32::try_from(value.plus).ok()?;
            (value.name == NEXT_INSTR.name).then_some(InstructionPointer::Saved { ahead })
        };
        let instruction = variable.or_else(saved)?;
        let site = self
            .finder
            .site(insn, Event::Entry, execution, frame, instruction)?;
        Some(Site {
            opcodes: self.opcodes.resume.to_vec(),
            condition: self.opcodes.resume_too_early.map(Condition::ArgumentIsNot),
            ..site
        })
    }
}

/// Bytes of `RESUME` and what belongs to it.
const LARGEST_STEP: i32 = 4;

#[cfg(test)]
mod tests {
    use iced_x86::{Decoder, DecoderOptions};

    use super::super::analyse;
    use super::super::recorded::recorded;
    use super::*;

    #[test]
    fn flags_say_whether_a_jump_is_taken() {
        let test = |opcode: u8, taken| {
            let code = [opcode, 0x10];
            let insn = Decoder::with_ip(64, &code, 0, DecoderOptions::NONE).decode();
            FlagTest::of(&insn, taken).map(|flags| (flags.mask, flags.set))
        };
        for (opcode, flags) in [
            (0x74, (0x40, true)),  // je
            (0x75, (0x40, false)), // jne
            (0x72, (0x1, true)),   // jb
            (0x73, (0x1, false)),  // jae
            (0x76, (0x41, true)),  // jbe
            (0x77, (0x41, false)), // ja
            (0x78, (0x80, true)),  // js
            (0x7c, (0, true)),     // jl
            (0x7f, (0x40, false)), // jg
        ] {
            assert_eq!(test(opcode, true), Some(flags), "{opcode:x}");
            assert_eq!(test(opcode, false), Some((flags.0, !flags.1)), "{opcode:x}");
        }
        let [less, not_less, below] = [0x7c, 0x7d, 0x72].map(|opcode| {
            let insn = Decoder::with_ip(64, &[opcode, 0x10], 0, DecoderOptions::NONE).decode();
            FlagTest::of(&insn, true).map(|flags| (flags.less, flags.set))
        });
        assert_eq!(less, Some((true, true)));
        assert_eq!(not_less, Some((true, false)));
        assert_eq!(below, Some((false, true)));
    }

    /// How many sites each build has; those whose recordings lack the rest of the handlers have none.
    #[test]
    fn entries_alone_have_a_site_for_each_way() {
        for (name, file) in recorded() {
            let build = analyse(&file).unwrap();
            let sites = build.entries.as_ref().map_or(0, Vec::len);
            let expected = match name {
                "3.11.2-debian-lto" | "3.11.7-gcc12-shared" | "3.12.1-gcc12-shared" => 2,
                "3.13.0-gcc12-shared" | "3.13.18-debian-lto" | "3.14.10-debian-lto" => 5,
                "3.15.2-debian-lto" => 6,
                _ => 0,
            };
            assert_eq!(sites, expected, "{name}: {:?}", build.entries);
        }
    }

    #[test]
    fn without_the_way_back_there_are_none() {
        let (_, mut file) = recorded()
            .into_iter()
            .find(|(name, _)| *name == "3.15.2-debian-lto")
            .unwrap();
        let build = analyse(&file).unwrap();
        let entries = build.entries.unwrap();
        // `je` becomes `nop` and `jmp`: the call that instruments is not reached any more.
        let tests = entries
            .iter()
            .filter(|entry| entry.site.address == 0x44_533e);
        let at = tests.map(|entry| entry.site.file_offset).next().unwrap();
        let at = usize::try_from(at).unwrap();
        file[at..at + 2].copy_from_slice(&[0x90, 0xe9]);
        let entries = analyse(&file).unwrap().entries;
        assert!(entries.is_err(), "{entries:?}");
    }
}
