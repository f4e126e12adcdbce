//! The map of stacks: whether a program has any, how many frames they have, and how the consumer
//! reads one.

use dlang::program::{Builtin, Clause, Expr, ExprKind, ProbeSpec, Program, Subroutine};
use dlang::walk::{clause_has, each_clause_expr, each_part, program_has};
use predicates::frames::{ADDRESSES, COUNT, FrameLimits, MOST_PYTHON_FRAMES, PROCESS};
use predicates::python::PythonName;
use predicates::python_layout::state_of_thread;
use predicates::storage::PYTHON_NAMES;
use provider::object::{MapKind, MapSpec};
use unwind::memory::{PROCESSES, TABLES_AT, WORD};
use unwind::python;

use crate::compiler::reads_object;
use crate::options::LowerOptions;

/// How many frames stacks have unless the program says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameOptions {
    /// `-x stackframes`: of `stack()`.
    pub kernel: u32,
    /// `-x ustackframes`: of `ustack()`.
    pub user: u32,
    /// `-x jstackframes`: of `jstack()`.
    pub python: u32,
    /// `-x maxframes`: of any stack, at most [`MOST_FRAMES`].
    pub most: u32,
    /// Whether stacks are found where a map that grows gets few new entries: in timers and in the kernel.
    pub in_interrupts: bool,
    /// `-x pystack`: whether `ustack()` shows Python's functions in the place of the interpreter's.
    pub mixed: bool,
}

/// The most frames that the kernel finds: `kernel.perf_event_max_stack`, unless somebody has changed it.
pub const MOST_FRAMES: u32 = 127;

impl Default for FrameOptions {
    fn default() -> Self {
        Self {
            kernel: 20,
            user: 100,
            python: 512,
            most: MOST_FRAMES,
            in_interrupts: false,
            mixed: true,
        }
    }
}

/// The most different stacks of a run.
const STACKS: u32 = 1 << 16;

/// The most memory for stacks that have their place from the start.
const STACK_BYTES: u32 = 64 << 20;

/// The map with all stacks. Where interrupts are off, a map that grows gets few new entries, of this size one in the
/// first firing on a CPU: `@[stack(), ustack()]` would lose one. So if any are found there, all that there may be have
/// their place from the start; so have those of Python, which are long.
pub(crate) fn stacks_map(limits: FrameLimits, has_places: bool) -> MapSpec {
    let (kind, most) = if has_places {
        (MapKind::FixedHash, STACK_BYTES / limits.bytes())
    } else {
        (MapKind::Hash, STACKS)
    };
    MapSpec::new("stacks", kind, 8, limits.bytes(), most.min(STACKS))
}

/// The array map with the tables for walking stacks, and the map of processes that have some.
pub(crate) fn unwind_maps() -> [MapSpec; 2] {
    let tables = MapSpec::shared("unwind", TABLES_AT + TABLE_WORDS * WORD);
    let processes = MapSpec::new("unwind_pids", MapKind::Hash, 8, 8, PROCESSES);
    [tables, processes]
}

/// How many [`python_maps`] there are.
pub(crate) const PYTHON_MAPS: u32 = 5;

/// The maps by which Python's frames are found: the facts of processes, the numbers of code objects, what is
/// known of these, and the states of threads.
///
/// Where a program finds frames that may well be of no Python, the maps are small at first; but not in interrupts, where
/// they could hardly grow.
pub(crate) fn python_maps(
    program: &Program,
    in_interrupts: bool,
) -> [MapSpec; PYTHON_MAPS as usize] {
    let kind = if finds_python(program) || in_interrupts {
        MapKind::FixedHash
    } else {
        MapKind::Hash
    };
    let state = if names_tasks(program) {
        state_of_thread::WITH_TASKS
    } else {
        state_of_thread::BYTES
    };
    let facts = python::Facts::BYTES;
    let (key, value) = (python::CODE_KEY, python::CODE_VALUE);
    [
        MapSpec::new("python_pids", MapKind::Hash, 8, facts, python::PROCESSES),
        MapSpec::new("python_codes", kind, key, value, python::CODES),
        MapSpec::new("python_texts", kind, 8, python::TEXT, 4 * python::CODES),
        MapSpec::new("python_lines", kind, 8, python::PIECE, python::ALL_PIECES),
        MapSpec::new("python_states", MapKind::TaskStorage, 4, state, 0),
    ]
}

/// How many words of tables there is room for: 16 MiB of them. A large program and its libraries have some
/// hundred thousand.
pub(crate) const TABLE_WORDS: u32 = 2 << 20;

/// Whether a program asks for the stacks of processes.
#[must_use]
pub fn walks_processes(program: &Program) -> bool {
    program_has(program, &|expr| {
        matches!(
            expr.kind,
            ExprKind::Builtin(Builtin::Ucaller | Builtin::Ustackdepth)
                | ExprKind::Call(Subroutine::Ustack, _)
        )
    })
}

/// Whether a program asks for stacks in which Python's functions may be beside those in C.
#[must_use]
pub fn mixes(program: &Program, pystack: bool) -> bool {
    pystack
        && program_has(program, &|expr| {
            matches!(expr.kind, ExprKind::Call(Subroutine::Ustack, _))
        })
}

/// Whether they are found here.
pub(crate) fn can_mix(program: &Program, options: &LowerOptions) -> bool {
    let finds_python = options.open_loops.is_some() && options.task.fs_base.is_some();
    finds_python && cfg!(target_arch = "x86_64") && mixes(program, options.frames.mixed)
}

/// Whether a program asks for the Python functions that threads are in, or for Python's values where it takes the
/// same to find them.
#[must_use]
pub fn finds_python(program: &Program) -> bool {
    program.has_task_variables()
        || program_has(program, &is_of_frame)
        || program.clauses.iter().any(reads_values_elsewhere)
}

/// Whether a program asks for the asyncio task that a thread is running, or has variables of one.
#[must_use]
pub fn names_tasks(program: &Program) -> bool {
    program.has_task_variables()
        || program_has(program, &|expr| {
            matches!(expr.kind, ExprKind::Builtin(Builtin::Pytask))
        })
}

/// Whether a program asks for the greenlet that a thread is running.
#[must_use]
pub fn finds_greenlets(program: &Program) -> bool {
    program_has(program, &|expr| {
        matches!(expr.kind, ExprKind::Builtin(Builtin::Pygreenlet))
    })
}

/// Whether a program asks for the coroutines that wait for the asyncio task that a thread is running.
#[must_use]
pub fn shows_awaiting(program: &Program) -> bool {
    program_has(program, &|expr| {
        matches!(expr.kind, ExprKind::Call(Subroutine::PystackAsync, _))
    })
}

fn is_of_frame(expr: &Expr) -> bool {
    matches!(
        expr.kind,
        ExprKind::Builtin(
            Builtin::Pyfile
                | Builtin::Pyfunc
                | Builtin::Pyline
                | Builtin::Pymodule
                | Builtin::Pydepth
                | Builtin::Pythread
                | Builtin::Pytask
                | Builtin::Pygreenlet
                | Builtin::Pyexception
                | Builtin::Pytraceback
                | Builtin::Pyqualname
                | Builtin::Pyframe
        ) | ExprKind::Call(Subroutine::Pystack | Subroutine::PystackAsync, _)
    )
}

/// Whether a clause reads Python's objects, or the variables of functions, in probes that do not bring what that
/// takes. All of Python's own know how objects are laid out; those of functions have a frame.
fn reads_values_elsewhere(clause: &Clause) -> bool {
    let own = |probe: &ProbeSpec| probe.desc.provider.starts_with("python");
    let of_functions = |probe: &ProbeSpec| own(probe) && probe.desc.name.starts_with("function-");
    let others = !clause.probes.iter().all(own);
    let no_functions = !clause.probes.iter().all(of_functions);
    let elsewhere = |expr: &Expr| {
        others && reads_object(expr)
            || no_functions
                && matches!(
                    expr.kind,
                    ExprKind::Call(
                        Subroutine::Pyarg | Subroutine::Pylocal | Subroutine::Pyself,
                        _
                    )
                )
    };
    (others || no_functions) && clause_has(clause, &elsewhere)
}

/// The variables of Python's functions that a program names, as many as are told if no function has them.
pub(crate) fn python_names(program: &Program) -> Vec<PythonName> {
    let mut names = Vec::new();
    for clause in &program.clauses {
        each_clause_expr(clause, &mut |expr| {
            each_part(expr, &mut |expr| {
                if let ExprKind::Call(function @ (Subroutine::Pyarg | Subroutine::Pylocal), args) =
                    &expr.kind
                    && let Some(ExprKind::Str(name)) = args.first().map(|arg| &arg.kind)
                {
                    let name = PythonName {
                        function: *function,
                        name: name.clone(),
                    };
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            });
        });
    }
    names.truncate(PYTHON_NAMES as usize);
    names
}

/// Whether a clause has stacks to be kept.
#[must_use]
pub fn keeps_stacks(clause: &Clause) -> bool {
    clause_has(clause, &|expr| {
        matches!(
            expr.kind,
            ExprKind::Call(Subroutine::Stack | Subroutine::Ustack, _)
        )
    })
}

/// What limits the stacks of a program; `None` if it has none.
pub(crate) fn limits(program: &Program, options: FrameOptions) -> Option<FrameLimits> {
    let mut most = None;
    for clause in &program.clauses {
        each_clause_expr(clause, &mut |expr| {
            most = most.max(most_frames(expr, options));
        });
    }
    Some(FrameLimits {
        most: most?.max(1),
        kernel: options.kernel.clamp(1, options.most),
        user: options.user.clamp(1, options.most),
        python: options.python.clamp(1, MOST_PYTHON_FRAMES),
    })
}

/// The most frames that are wanted in an expression.
fn most_frames(expr: &Expr, options: FrameOptions) -> Option<u32> {
    let own = if let ExprKind::Builtin(Builtin::Caller | Builtin::Ucaller) = expr.kind {
        Some(2)
    } else if let ExprKind::Builtin(Builtin::Stackdepth | Builtin::Ustackdepth) = expr.kind {
        Some(options.most)
    } else if let ExprKind::Call(Subroutine::Stack, args) = &expr.kind {
        Some(wanted(args, options.kernel).min(options.most))
    } else if let ExprKind::Call(Subroutine::Ustack, args) = &expr.kind {
        Some(wanted(args, options.user).min(options.most))
    } else if let ExprKind::Call(Subroutine::Pystack | Subroutine::PystackAsync, args) = &expr.kind
    {
        // One more word says that there are more.
        Some(wanted(args, options.python).min(MOST_PYTHON_FRAMES) + 1)
    } else {
        None
    };
    let operands = expr.operands().into_iter();
    operands
        .map(|operand| most_frames(operand, options))
        .fold(own, Option::max)
}

/// The frames that the first argument says, if there is one.
fn wanted(args: &[Expr], default: u32) -> u32 {
    if let Some(&ExprKind::Int(frames)) = args.first().map(|arg| &arg.kind) {
        u32::try_from(frames).unwrap_or(u32::MAX)
    } else {
        default
    }
}

/// A stack as the map has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stack {
    /// The process; 0 for the kernel's own stack.
    pub process: u32,
    /// The addresses, the innermost first.
    pub addresses: Vec<u64>,
}

impl Stack {
    /// Reads a value of the map; `None` if it makes no sense.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let word = |at: i16| {
            let at = usize::try_from(at).ok()?;
            Some(u32::from_ne_bytes(*value.get(at..)?.first_chunk()?))
        };
        let count = usize::try_from(word(COUNT)?).ok()?;
        let addresses = value.get(ADDRESSES as usize..)?.as_chunks::<8>().0;
        let addresses = addresses.get(..count)?.iter();
        Some(Self {
            process: word(PROCESS)?,
            addresses: addresses.map(|bytes| u64::from_ne_bytes(*bytes)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_read_as_it_was_written() {
        let mut value = vec![7, 0, 0, 0, 2, 0, 0, 0];
        for address in [0x1000_u64, 0x2000, 0xdead] {
            value.extend(address.to_ne_bytes());
        }
        let stack = Stack::parse(&value).unwrap();
        assert_eq!(stack.process, 7);
        assert_eq!(stack.addresses, [0x1000, 0x2000]);
        assert_eq!(Stack::parse(&value[..16]), None);
        assert_eq!(Stack::parse(&[]), None);
    }
}
