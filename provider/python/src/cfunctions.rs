//! CPython 3.11 to 3.15: where Python code calls functions written in C, and where these return.
//!
//! The handlers of the opcodes that call have the calls of objects ([`called`](super::called)). Some of them call nothing but
//! functions in C, by an indirect call, which the kernel cannot emulate; the others any object, most of them by a direct
//! call, which it can. The last instruction before a call that it can emulate is a jump as a rule, whose flags tell whether it leads to
//! the call:
//!
//! ```text
//!     cmp  $0x80,0x10(%rax)          a function with such arguments?
//!     jne  general                   <------- entry, if it is not taken; the object is in %r12
//!     ...
//!     call *%rcx
//!     mov  %rax,%r13
//!     test %edx,%edx
//!     jle  ...                       <------- return
//! ```
//!
//! So from each call the code is followed back, on all paths, to the instructions that lead to it. Each execution of the call
//! passes exactly one of them. Where the object is at such an instruction follows from where it is at the call. The
//! return is the first instruction after the call that can be emulated; other paths may lead there, too, so that a return
//! counts only if the same frame has called. Whether the object is a function in C is asked when it is hit.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the decoder's enums have an entry for each instruction of the processor"
)]

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{FlowControl, Instruction};
use serde::{Deserialize, Serialize};

use super::build::Place;
use super::called::{Callers, Way};
use super::code::{Home, State, Value, decode, emulated, straight};
use super::entries::FlagTest;
use super::finder::{FRAME, Finder};
use super::flow::reachable;
use super::opcodes::Opcodes;
use super::site::{Execution, Location};

/// The calls of functions that are written in C.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cfunctions {
    /// Where the types of functions are.
    pub function_types: Vec<u64>,
    /// Where the type of methods is.
    pub method_type: u64,
    /// Where an object is about to be called.
    pub entries: Vec<CallSite>,
    /// Where one has returned, if the frame has called one.
    pub returns: Vec<ReturnSite>,
}

/// An instruction after which an object is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSite {
    /// Where it is.
    pub place: Place,
    /// How the kernel executes it.
    pub execution: Execution,
    /// Holds the calling frame.
    pub frame: Location,
    /// Holds the object; the lowest bits may be marks.
    pub object: Location,
    /// What the processor's flags must be; `None` for anything.
    pub flags: Option<FlagTest>,
}

/// An instruction that follows such a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnSite {
    /// Where it is.
    pub place: Place,
    /// How the kernel executes it.
    pub execution: Execution,
    /// Holds the calling frame.
    pub frame: Location,
}

/// The types of functions; the second is there from 3.9 on.
const FUNCTION_TYPES: [&str; 2] = ["PyCFunction_Type", "PyCMethod_Type"];
const METHOD_TYPE: &str = "PyMethodDescr_Type";

/// More instructions than the loop has.
const LOOP: usize = 100_000;
/// How many instructions the handler of one opcode may lead to.
const HANDLER: usize = 8_000;
/// How many instructions a call may be away from those that lead to it, and from where it has returned.
const NEAR: usize = 120;

/// Finds the sites; the error says what was missing.
pub(super) fn find(finder: &Finder<'_, '_>, opcodes: &Opcodes) -> Result<Cfunctions, String> {
    let address = |name: &str| finder.image.symbol(name).map(|symbol| symbol.address);
    let function_types = FUNCTION_TYPES.map(address);
    let function_types: Option<Vec<u64>> = function_types.into_iter().collect();
    let types = function_types.zip(address(METHOD_TYPE));
    let (function_types, method_type) =
        types.ok_or("the types of functions that are written in C are not exported")?;
    if finder.table.is_of_functions(finder.image) {
        return Err("its handlers are functions, in which calls are not looked for yet".to_owned());
    }
    let mut search = Search::new(finder);
    for &opcode in opcodes.calls {
        search.handler(opcode)?;
    }
    let general = search.calls.clone();
    for &opcode in opcodes.c_calls {
        let calls = search.handler(opcode)?;
        if calls.is_subset(&general) {
            return Err(format!(
                "the call in the handler of opcode {opcode} was not found"
            ));
        }
    }
    let (entries, returns) = search.sites()?;
    Ok(Cfunctions {
        function_types,
        method_type,
        entries,
        returns,
    })
}

/// A way from an instruction to another: a conditional jump that is taken or not, or the only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: u64,
    taken: Option<bool>,
}

/// The code of the loop, and what was found in it.
struct Search<'f, 'a, 'd> {
    finder: &'f Finder<'a, 'd>,
    callers: Callers<'a, 'd>,
    code: BTreeMap<u64, Instruction>,
    /// What leads to each instruction.
    before: BTreeMap<u64, Vec<Edge>>,
    /// The calls of objects.
    calls: BTreeSet<u64>,
    /// The last ways to them that can be probed, and where object and frame are; nowhere, if that was not found.
    edges: BTreeMap<Edge, [Places; 2]>,
    /// Where they have returned, and where the frame is.
    returns: BTreeMap<u64, Places>,
}

impl<'f, 'a, 'd> Search<'f, 'a, 'd> {
    fn new(finder: &'f Finder<'a, 'd>) -> Self {
        let handlers = finder.table.targets.iter().copied();
        let code = reachable(finder.image, handlers, LOOP);
        let mut before: BTreeMap<u64, Vec<Edge>> = BTreeMap::new();
        for (&from, insn) in &code {
            for (to, taken) in ways(insn) {
                before.entry(to).or_default().push(Edge { from, taken });
            }
        }
        Self {
            finder,
            callers: Callers::new(finder.image),
            code,
            before,
            calls: BTreeSet::new(),
            edges: BTreeMap::new(),
            returns: BTreeMap::new(),
        }
    }

    /// Follows all that the handler of an opcode leads to; gives the calls of objects there.
    fn handler(&mut self, opcode: u8) -> Result<BTreeSet<u64>, String> {
        let start = self.finder.target(opcode);
        let start = start.ok_or("the dispatch table is too short")?;
        let walk = self.walk(start);
        for &(address, _) in &walk.calls {
            self.call(&walk, address)?;
        }
        let has = |way: Way| walk.calls.iter().any(|(_, called)| *called == way);
        if walk.calls.is_empty() || has(Way::Vectorcall) && !has(Way::Function) {
            return Err(format!(
                "how the handler of opcode {opcode} calls objects is not understood"
            ));
        }
        let calls: BTreeSet<u64> = walk.calls.iter().map(|(address, _)| *address).collect();
        self.calls.extend(&calls);
        Ok(calls)
    }

    /// Goes through each instruction from `start` on once.
    fn walk(&mut self, start: u64) -> Walk {
        let mut walk = Walk::default();
        let (mut state, ..) = self.finder.at_handler();
        state.ignore_marks();
        let mut seen = BTreeSet::new();
        let mut todo = vec![(start, state)];
        while let Some((start, mut state)) = todo.pop() {
            let mut next = Some(start);
            while let Some(address) = next.filter(|&at| seen.len() < HANDLER && seen.insert(at)) {
                let Some(insn) = decode(self.finder.image, address) else {
                    break;
                };
                if emulated(self.finder.image, &insn).is_some() {
                    walk.states.insert(address, state.fork());
                }
                if let Some(called) = self.callers.called(&state, &insn) {
                    walk.calls.push((address, called.way));
                }
                let mut ways = ways(&insn);
                state.step(&insn);
                next = ways.next().map(|(to, _)| to);
                todo.extend(ways.map(|(to, _)| (to, state.fork())));
            }
        }
        walk
    }

    /// Keeps what leads to a call, and where it has returned.
    fn call(&mut self, walk: &Walk, call: u64) -> Result<(), String> {
        for edge in self.edges_to(call)? {
            let state = walk.states.get(&edge.from);
            let found = state.and_then(|state| self.at_edge(state, edge, call));
            // Another opcode may lead there, too, with less known.
            let Some(found) = found else {
                self.edges.entry(edge).or_default();
                continue;
            };
            let [object, frame] = self.edges.entry(edge).or_default();
            object.keep(found.object);
            frame.keep(found.frame);
            let (address, frame) = found.returned;
            self.returns.entry(address).or_default().keep(frame);
        }
        Ok(())
    }

    /// The last ways to a call that begin with an instruction that the kernel emulates; the call itself, if it is one.
    fn edges_to(&self, call: u64) -> Result<BTreeSet<Edge>, String> {
        let is_emulated = |at: &u64| {
            (self.code.get(at)).is_some_and(|insn| emulated(self.finder.image, insn).is_some())
        };
        if is_emulated(&call) {
            return Ok(BTreeSet::from([Edge {
                from: call,
                taken: None,
            }]));
        }
        let mut edges = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut todo = vec![call];
        while let Some(address) = todo.pop() {
            if !seen.insert(address) {
                continue;
            }
            if seen.len() > NEAR || self.finder.table.targets.contains(&address) {
                return Err(format!(
                    "nothing that can be probed leads to the call at {call:#x}"
                ));
            }
            for &edge in self.before.get(&address).into_iter().flatten() {
                if is_emulated(&edge.from) {
                    edges.insert(edge);
                } else {
                    todo.push(edge.from);
                }
            }
        }
        Ok(edges)
    }

    /// What there is to know of a way to a call, by what is known where it begins.
    fn at_edge(&mut self, before: &State, edge: Edge, call: u64) -> Option<Found> {
        let image = self.finder.image;
        let mut state = before.fork();
        let first = self.code.get(&edge.from)?;
        let mut at = edge.from;
        if edge.from != call {
            let way = ways(first).find(|(_, taken)| *taken == edge.taken)?;
            state.step(first);
            at = way.0;
        }
        let mut path = straight(image, at, NEAR);
        let call = loop {
            let insn = path.next()?;
            if insn.ip() == call {
                break insn;
            }
            state.step(&insn);
        };
        let object = self.callers.called(&state, &call)?.object;
        state.step(&call);
        let next = loop {
            let insn = path.next()?;
            if emulated(image, &insn).is_some() {
                break insn;
            }
            state.step(&insn);
        };
        Some(Found {
            object: places(before, object),
            frame: places(before, FRAME),
            returned: (next.ip(), places(&state, FRAME)),
        })
    }

    /// All that was found, as sites.
    fn sites(&self) -> Result<(Vec<CallSite>, Vec<ReturnSite>), String> {
        let mut entries: BTreeMap<u64, CallSite> = BTreeMap::new();
        for (&edge, found) in &self.edges {
            let lost = || {
                format!(
                    "the object is lost at {:#x}, before it is called",
                    edge.from
                )
            };
            let [object, frame] = found.each_ref().map(Places::first);
            let (object, frame) = object.zip(frame).ok_or_else(lost)?;
            let (place, execution) = self.place(edge.from).ok_or_else(lost)?;
            let insn = self.code.get(&edge.from).ok_or_else(lost)?;
            let site = CallSite {
                place,
                execution,
                frame,
                object,
                flags: edge
                    .taken
                    .map(|taken| FlagTest::of(insn, taken))
                    .map(|f| f.ok_or_else(lost))
                    .transpose()?,
            };
            if let Some(other) = entries.get_mut(&edge.from) {
                // A call whichever way the jump goes.
                other.flags = None;
                if *other
                    != (CallSite {
                        flags: None,
                        ..site
                    })
                {
                    return Err(format!("two calls follow {:#x}", edge.from));
                }
            } else {
                entries.insert(edge.from, site);
            }
        }
        let returns = self.returns.iter().map(|(&address, frame)| {
            let (place, execution) = self.place(address)?;
            let frame = frame.first()?;
            let is_alone = !entries.contains_key(&address);
            is_alone.then_some(ReturnSite {
                place,
                execution,
                frame,
            })
        });
        let returns: Option<Vec<ReturnSite>> = returns.collect();
        let returns = returns.ok_or("another call follows one without anything between")?;
        Ok((entries.into_values().collect(), returns))
    }

    fn place(&self, address: u64) -> Option<(Place, Execution)> {
        let image = self.finder.image;
        let kind = emulated(image, &decode(image, address)?)?;
        let file_offset = image.file_offset(address)?;
        Some((
            Place {
                address,
                file_offset,
            },
            Execution::Emulated(kind),
        ))
    }
}

/// What was found on a way to a call.
struct Found {
    /// Where the object is when it begins.
    object: Vec<Location>,
    /// And the frame.
    frame: Vec<Location>,
    /// Where the call has returned, and where the frame is then.
    returned: (u64, Vec<Location>),
}

/// Where a value is, whichever opcode led there.
#[derive(Default)]
struct Places(Option<Vec<Location>>);

impl Places {
    /// Of the places known so far, only these are right.
    fn keep(&mut self, found: Vec<Location>) {
        match &mut self.0 {
            Some(known) => known.retain(|place| found.contains(place)),
            None => self.0 = Some(found),
        }
    }

    fn first(&self) -> Option<Location> {
        self.0.as_ref()?.first().copied()
    }
}

/// The registers and stack slots that hold a value.
fn places(state: &State, value: Value) -> Vec<Location> {
    let registers = state.holders(value).map(Home::Register);
    registers
        .chain(state.slots(value))
        .filter_map(Location::of)
        .collect()
}

/// What a handler leads to.
#[derive(Default)]
struct Walk {
    /// What is known where the kernel can emulate the instruction.
    states: BTreeMap<u64, State>,
    /// The calls of objects.
    calls: Vec<(u64, Way)>,
}

/// Where an instruction may go on, and whether it is a jump that is taken for that.
fn ways(insn: &Instruction) -> impl Iterator<Item = (u64, Option<bool>)> + use<> {
    let next = insn.next_ip();
    let target = insn.near_branch_target();
    let (first, second) = match insn.flow_control() {
        FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
            (Some((next, None)), None)
        }
        FlowControl::ConditionalBranch => (Some((next, Some(false))), Some((target, Some(true)))),
        FlowControl::UnconditionalBranch => (Some((target, None)), None),
        _ => (None, None),
    };
    first.into_iter().chain(second)
}

#[cfg(test)]
mod tests {
    use iced_x86::Register as R;

    use super::super::image::Image;
    use super::super::image::tests::executable;
    use super::super::table::Table;
    use super::super::vote::LoopRegisters;
    use super::*;

    /// What is found in a loop of one handler.
    fn found(code: &[u8]) -> Result<(Vec<CallSite>, Vec<ReturnSite>, u64), String> {
        let (file, start) = executable(code);
        let image = Image::parse(&file).unwrap();
        let table = Table {
            address: 0,
            targets: vec![start],
            stores: 1,
        };
        let registers = LoopRegisters {
            frame: Home::Register(R::RBX),
            next_instr: Home::Register(R::R13),
            frame_copies: Vec::new(),
            votes: (1, 1),
        };
        let finder = Finder {
            image: &image,
            table: &table,
            registers: &registers,
        };
        let mut search = Search::new(&finder);
        search.handler(0)?;
        let (entries, returns) = search.sites()?;
        Ok((entries, returns, start))
    }

    const CALL: [u8; 22] = [
        0x83, 0x78, 0x10, 0x08, // cmpl $8,0x10(%rax)
        0x75, 0x0f, // jne elsewhere
        0x49, 0x8b, 0x44, 0x24, 0x10, // mov 0x10(%r12),%rax
        0x48, 0x8b, 0x40, 0x08, // mov 0x8(%rax),%rax
        0xff, 0xd0, // call *%rax
        0x85, 0xd2, // test %edx,%edx
        0x7e, 0x00, // jle on
        0xc3, // on: elsewhere: ret
    ];

    #[test]
    fn a_call_is_entered_by_the_jump_before_it_and_left_at_the_one_behind() {
        let (entries, returns, start) = found(&CALL).unwrap();
        let [entry] = entries[..] else {
            panic!("{entries:?}");
        };
        let [left] = returns[..] else {
            panic!("{returns:?}");
        };
        assert_eq!(entry.place.address, start + 4);
        assert_eq!(left.place.address, start + 19);
        assert_eq!(
            entry.to_string().split_once(", ").unwrap().1,
            "cfunction-entry, conditional jump, object in %r12, frame in %rbx, if flags 0x40 are set"
        );
        assert_eq!(left.frame.to_string(), "%rbx");
    }

    #[test]
    fn a_jump_that_leads_to_a_call_whichever_way_it_goes_has_no_condition() {
        let mut code = CALL;
        code[5] = 0; // to what follows
        let (entries, _, start) = found(&code).unwrap();
        assert_eq!(entries.len(), 1, "{entries:?}");
        assert_eq!(
            (entries[0].place.address, entries[0].flags),
            (start + 4, None)
        );
    }

    #[test]
    fn a_call_that_nothing_leads_to_which_can_be_probed_is_told() {
        let mut code = CALL;
        code[4..6].copy_from_slice(&[0x85, 0xd2]); // test %edx,%edx
        let why = found(&code).unwrap_err();
        assert!(why.contains("nothing that can be probed"), "{why}");
    }

    #[test]
    fn a_lost_object_is_told() {
        let mut code = CALL;
        code[6..11].copy_from_slice(&[0x48, 0x8b, 0x44, 0x24, 0x10]); // mov 0x10(%rsp),%rax
        let why = found(&code).unwrap_err();
        assert!(
            why.contains("calls objects is not understood") || why.contains("lost"),
            "{why}"
        );
    }
}
