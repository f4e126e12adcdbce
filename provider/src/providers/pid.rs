//! `pid1234:MODULE:FUNCTION:entry`, `return`, and offsets: the functions of a process.
//!
//! ```text
//!     pid$target:libc.so.6:getenv:entry     its first instruction; arg0 to arg9 are its arguments
//!     pid$target:libc:getenv:return         arg1 is its result
//!     pid$target:a.out:main:4               the instruction 4 bytes in, a hexadecimal number
//!     pid$target:a.out:main:                both, and each instruction
//!     pid$target:a.out:sub_1149:entry       a function without a name, at 0x1149 of the file
//!     pid$target:a.out:-:1149               the instruction there
//! ```
//!
//! The functions are those of the symbol tables, and in a stripped file those that only `.eh_frame` knows
//! (`usdt::symbols`, `usdt::frames`). A probe description names a
//! process: there are thousands of functions in each, so that `pid*` would be no answer to any question,
//! and a listing has them only if they are asked for. A function with several names (`malloc`,
//! `__libc_malloc`) is one probe under the best-known one for a description with a glob, and can be
//! asked for by each of them.
//!
//! An entry finds its arguments where the calling convention has them for integers and pointers, which
//! is right before the first instruction only. A return is seen at the function's `ret` instructions
//! if these can be known ([`machine_code`]), else by the kernel's return probe, which has its own address
//! in the place of the return address on the stack: a program that looks for the callers there, to throw an
//! exception or because it moves stacks, would end. Where that may be, there is no probe. Nor is there where something
//! else is on top of the stack: at `_start`, and at a part of a function that is kept apart.

use std::cell::LazyCell;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use dlang::program::ProbeDesc;
use dlang::types::Int;

use super::file::FileProbes;
use super::machine_code::{self, Code};
use super::names::{full_name, means};
use super::part::{Made, Offer, Origin, Provider, Search};
use crate::diagnosis::Diagnosis;
use crate::glob::Glob;
use crate::probe::{ArgLocation, Arguments, Moment, ProbeKind, Register, Scope, Site, Sites};
use crate::process::files;
use crate::spelling::near;
use crate::text::escaped;
use crate::usdt::symbols::{Function, holder};

/// The provider.
#[derive(Debug)]
pub(super) struct Pid;

const NAME: &str = "pid";

/// The module name of the program itself, whatever its file is called.
const PROGRAM: &str = "a.out";

/// The function whose offsets are places in the file.
const FILE: &str = "-";

/// The functions' probes that a glob for their names may mean.
const NAMED: [&str; 2] = ["entry", "return"];

/// How many arguments there are.
const ARGUMENTS: usize = 10;

impl Provider for Pid {
    fn summary(&self) -> &'static str {
        "`pid1234` for the functions of a process"
    }

    fn in_file<'f>(&self, search: &Search<'f>, desc: &ProbeDesc) -> Vec<Offer<'f>> {
        let pid = match search.scope {
            Scope::Process(pid) | Scope::Tree(pid) => pid,
            Scope::System => return Vec::new(),
        };
        // Not in `python1234:::` or `*1234:::`.
        if !Glob::new(&desc.provider).is_literal()
            || desc.provider.is_empty()
            || !means(&desc.provider, NAME, search.scope)
            || !is_module(search.file, &desc.module, pid)
        {
            return Vec::new();
        }
        if desc.function == FILE {
            return of_file(search, &desc.name).into_iter().collect();
        }
        let functions = matching(search.file.functions(), &desc.function);
        // What is named is not left out: the kernel says why it cannot be probed.
        let is_named = Glob::new(&desc.function).is_literal() && !desc.function.is_empty();
        let file = fs::File::open(&search.file.file.path).ok();
        let can_be_probed = |function: &&Function| is_named || begins_well(file.as_ref(), function);
        // Of this file or of others: greenlets move the stack with all functions on it, and the processor may look, too.
        let looks_for_callers = LazyCell::new(|| {
            search.file.looks_for_callers()
                || files::moves_stacks(pid)
                || files::has_shadow_stack(pid)
        });
        functions
            .filter(can_be_probed)
            .flat_map(|function| {
                let starts = || instruction_starts(search.file, function);
                let with_starts = is_named && function.is_in_symtab;
                let points = points(&desc.name, with_starts, starts);
                let is_harmless = |point: &Point| {
                    *point != Point::Return
                        || ends_by_returns(search.file, function)
                        || !*looks_for_callers && has_caller(search.file, function)
                };
                let points: Vec<_> = points.into_iter().filter(is_harmless).collect();
                points.into_iter().map(move |point| {
                    offer(search, (function, point), &function.name, &point.name())
                })
            })
            .collect()
    }

    /// A module that is there has all the functions that it will ever have.
    fn will_never_have(&self, desc: &ProbeDesc, name: &str, pid: u32) -> Option<bool> {
        let mut files = files::executable_files(pid).into_iter();
        let has_module = |file| is_module(&FileProbes::unread(&file), &desc.module, pid);
        (name == NAME).then(|| files.any(has_module))
    }

    fn why_not(&self, desc: &ProbeDesc) -> Option<Diagnosis> {
        let everywhere = desc.provider.strip_prefix(NAME) == Some("*");
        everywhere.then(|| Diagnosis {
            reason: format!("`{NAME}*` means the functions of every process, which are too many"),
            advice: vec![format!(
                "write `{NAME}$target` with -c or -p for one process, `{NAME}1234` for the process 1234"
            )],
            ..Diagnosis::default()
        })
    }

    fn why_not_in(
        &self,
        files: &[Arc<FileProbes>],
        desc: &ProbeDesc,
        name: &str,
        pid: u32,
    ) -> Option<Diagnosis> {
        (name == NAME).then(|| missing(files, desc, pid))
    }
}

/// Which place of a function fires a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    Entry,
    Return,
    /// The instruction so many bytes in.
    Offset(u64),
}

/// The places of a function that a probe name means. With `with_starts`, a glob means instructions, too: where the
/// function is named (those of all functions of a module would be hundreds of thousands), and in `.symtab`, as
/// in DTrace.
///
/// An instruction may be probed only where it is known to start: a probe in the middle of one changes what the program
/// does.
fn points(name: &str, with_starts: bool, starts: impl Fn() -> Vec<u64>) -> Vec<Point> {
    let glob = Glob::new(name);
    if glob.is_literal()
        && let Some(offset) = offset(name)
    {
        let is_start = starts().binary_search(&offset).is_ok();
        let found = is_start.then_some(Point::Offset(offset));
        return found.into_iter().collect();
    }
    let offsets = if with_starts && !glob.is_literal() {
        starts()
    } else {
        Vec::new()
    };
    [Point::Entry, Point::Return]
        .into_iter()
        .chain(offsets.into_iter().map(Point::Offset))
        .filter(|point| glob.matches(&point.name()))
        .collect()
}

/// An offset: a hexadecimal number, as DTrace writes it.
fn offset(name: &str) -> Option<u64> {
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(name, 16).ok()).flatten()
}

impl Point {
    fn name(self) -> String {
        match self {
            Self::Entry => NAMED[0].into(),
            Self::Return => NAMED[1].into(),
            Self::Offset(offset) => format!("{offset:x}"),
        }
    }
}

/// Whether a module of a description is this file: by its name, by `libc.so` or `libc` for
/// `libc.so.6`, or as the program of the process.
fn is_module(file: &FileProbes, wanted: &str, pid: u32) -> bool {
    if wanted == PROGRAM {
        let program = fs::metadata(format!("/proc/{pid}/exe"));
        return program.is_ok_and(|meta| (meta.dev(), meta.ino()) == file.file.identity);
    }
    is_called(&file.module(), wanted)
}

/// Whether a module of a description is a file of this name.
fn is_called(name: &str, wanted: &str) -> bool {
    let glob = Glob::new(wanted);
    let library = name.find(".so").map_or(name, |at| &name[..at]);
    glob.matches(name) || glob.matches(library) || glob.matches(&format!("{library}.so"))
}

/// The functions that a description's field means; of those at one address only the first, unless
/// it is another that is named.
fn matching<'f>(functions: &'f [Function], wanted: &str) -> impl Iterator<Item = &'f Function> {
    let glob = Glob::new(wanted);
    let mut last = None;
    functions.iter().filter(move |function| {
        let found = glob.matches(&function.name) && last != Some(function.address);
        if found {
            last = Some(function.address);
        }
        found
    })
}

/// The instruction at a place of the file, if a function is known to have one there.
fn of_file<'f>(search: &Search<'f>, name: &str) -> Option<Offer<'f>> {
    let place = offset(name)?;
    let functions = search.file.functions();
    let function = holder(functions, place, |function| {
        (function.address, function.size)
    })?;
    let within = place - function.address;
    let starts = instruction_starts(search.file, function);
    starts.binary_search(&within).ok()?;
    Some(offer(search, (function, Point::Offset(within)), FILE, name))
}

/// A place of a function, as it is called.
fn offer<'f>(
    search: &Search<'f>,
    (function, point): (&'f Function, Point),
    shown: &str,
    name: &str,
) -> Offer<'f> {
    let Search { file, scope, .. } = *search;
    let desc = full_name(scope, NAME, &file.module(), shown, name);
    Offer {
        key: search.key(desc, Origin::Function),
        make: Box::new(move || make(file, scope, function, point)),
    }
}

/// Whether the kernel puts a probe on the first instruction of a function.
fn begins_well(file: Option<&fs::File>, function: &Function) -> bool {
    let mut bytes = [0; 16];
    let read = file.and_then(|file| file.read_at(&mut bytes, function.file_offset).ok());
    read.is_some_and(|length| machine_code::can_be_probed(&bytes[..length]))
}

/// Where the instructions of a function start; none if that cannot be known.
fn instruction_starts(file: &FileProbes, function: &Function) -> Vec<u64> {
    read_code(file, function).map_or_else(Vec::new, |code| code.starts)
}

fn read_code(file: &FileProbes, function: &Function) -> Option<Code> {
    let opened = fs::File::open(&file.file.path).ok()?;
    let bytes = code_of(&opened, function)?;
    let alone = machine_code::read((function, &bytes), None)?;
    let Some(apart) = part_apart(file, function, &alone.leaves) else {
        return Some(alone);
    };
    let with_part = code_of(&opened, apart)
        .and_then(|part| machine_code::read((function, &bytes), Some((apart, &part))));
    Some(with_part.unwrap_or(alone))
}

/// The bytes of a function.
fn code_of(file: &fs::File, function: &Function) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(function.size).ok()?.min(1 << 20)];
    file.read_exact_at(&mut bytes, function.file_offset).ok()?;
    Some(bytes)
}

/// The part of a function that GCC keeps apart as it is seldom executed, `f.cold`, if jumps out of the
/// function go there. In a stripped file it is what no call begins.
fn part_apart<'f>(
    file: &'f FileProbes,
    function: &Function,
    leaves: &[u64],
) -> Option<&'f Function> {
    let functions = file.functions();
    let mut reached = leaves.iter().filter_map(|&address| {
        let next = functions.partition_point(|other| other.address <= address);
        functions[..next].last()
    });
    reached.find(|part| {
        let name = part.name.split_once(".cold").map(|(name, _)| name);
        // Of names that the function has, the part has one.
        let first = functions.partition_point(|other| other.address < function.address);
        let mut names = functions[first..]
            .iter()
            .take_while(|other| other.address == function.address);
        let is_without_name = !function.has_name && !part.has_name;
        if is_without_name && part.address != function.address {
            return file.frames().begins_call(part.address) == Some(false);
        }
        let in_step = part.address.wrapping_sub(part.file_offset)
            == function.address.wrapping_sub(function.file_offset);
        in_step && name.is_some_and(|name| names.any(|other| other.name == name))
    })
}

/// Whether the address to which a function returns is on top of the stack where it begins, for all that is known.
fn has_caller(file: &FileProbes, function: &Function) -> bool {
    // Elsewhere it is in a register.
    !cfg!(target_arch = "x86_64") || file.frames().begins_call(function.address) != Some(false)
}

/// Whether a function's `ret`s are its only ways out.
fn ends_by_returns(file: &FileProbes, function: &Function) -> bool {
    read_code(file, function).is_some_and(|code| code.returns().is_some())
}

fn make(file: &FileProbes, scope: Scope, function: &Function, point: Point) -> Made {
    let site = |offset: u64, args: Vec<ArgLocation>| Site {
        file_offset: function.file_offset.wrapping_add(offset),
        address: function.address.wrapping_add(offset),
        semaphore: None,
        args,
    };
    let (sites, moment) = match point {
        Point::Entry => (vec![site(0, arguments())], Moment::Reached),
        Point::Offset(offset) => (vec![site(offset, Vec::new())], Moment::Reached),
        Point::Return => {
            let code = read_code(file, function);
            match code.as_ref().and_then(Code::returns) {
                Some(returns) => {
                    let offset = |address: &u64| address.wrapping_sub(function.address);
                    let sites = returns.iter().map(|at| site(offset(at), result()));
                    (sites.collect(), Moment::Reached)
                }
                None => (vec![site(0, result())], Moment::Returned),
            }
        }
    };
    Made {
        dependent: None,
        // As in DTrace, only `arg0` and its like: nobody knows their types.
        args: Arguments::default(),
        kind: ProbeKind::Sites(Sites {
            file: Arc::clone(&file.file),
            scope,
            sites,
            moment,
            raises: Vec::new(),
        }),
        source: None,
        python: None,
    }
}

/// Where a function's arguments are before its first instruction: the first ones in registers, the
/// others on the stack, on x86-64 above the return address.
fn arguments() -> Vec<ArgLocation> {
    let (registers, stack, first): (&[u16], _, _) = if cfg!(target_arch = "aarch64") {
        (&[0, 8, 16, 24, 32, 40, 48, 56], 248, 0)
    } else {
        (&[112, 104, 96, 88, 72, 64], 152, 8) // rdi, rsi, rdx, rcx, r8, r9; rsp
    };
    let in_registers = registers.iter().map(|&register| in_register(register));
    let on_stack = (0..).map(|n| ArgLocation::Memory {
        base: Some(Register(stack)),
        index: None,
        displacement: first + 8 * n,
        int: Int::I64,
    });
    in_registers.chain(on_stack).take(ARGUMENTS).collect()
}

/// `arg0` and `arg1` when a function returns: 0, as in DTrace, and its result.
fn result() -> Vec<ArgLocation> {
    let register = if cfg!(target_arch = "aarch64") { 0 } else { 80 };
    vec![ArgLocation::Constant(0), in_register(register)]
}

fn in_register(register: u16) -> ArgLocation {
    ArgLocation::Register {
        register: Register(register),
        shift: 0,
        int: Int::I64,
    }
}

/// Why a process has no such function.
fn missing(files: &[Arc<FileProbes>], desc: &ProbeDesc, pid: u32) -> Diagnosis {
    let program = files::program(pid).unwrap_or_default();
    let who = format!("process {pid} ({})", program.display());
    let modules: Vec<String> = files.iter().map(|file| file.module()).collect();
    let meant: Vec<_> = files
        .iter()
        .filter(|file| is_module(file, &desc.module, pid))
        .collect();
    if meant.is_empty() {
        let replaced = files::replaced_files(pid).into_iter();
        let mut names = replaced.filter_map(|path| path.file_name().map(escaped));
        if let Some(name) = names.find(|name| is_called(name, &desc.module)) {
            return Diagnosis {
                reason: format!(
                    "`{name}` has been replaced or deleted since {who} mapped it, and the file that is mapped cannot be read"
                ),
                advice: vec![
                    "this needs root, or CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE, and that the process runs".into(),
                ],
                ..Diagnosis::default()
            };
        }
        return Diagnosis {
            reason: format!("{who} has no module `{}`", desc.module),
            did_you_mean: near(&desc.module, &modules),
            advice: vec![format!("it has: {PROGRAM} {}", modules.join(" "))],
            ..Diagnosis::default()
        };
    }
    let where_ = match &meant[..] {
        [only] => format!("`{}` of {who}", only.module()),
        _ => who,
    };
    let functions = || meant.iter().flat_map(|file| file.functions());
    if functions().next().is_none() {
        return Diagnosis {
            reason: format!(
                "{where_} has neither symbols nor `.eh_frame`, so that its functions are not known"
            ),
            advice: vec!["use one that is not stripped of both".into()],
            ..Diagnosis::default()
        };
    }
    if desc.function == FILE {
        return Diagnosis {
            reason: format!(
                "no instruction of {where_} is known to start at `{}`",
                desc.name
            ),
            advice: vec!["its name is an address of the file in hexadecimal, in a function".into()],
            ..Diagnosis::default()
        };
    }
    let glob = Glob::new(&desc.function);
    let Some(function) = functions().find(|function| glob.matches(&function.name)) else {
        let names: Vec<&str> = functions().map(|function| &*function.name).collect();
        return Diagnosis {
            reason: format!("{where_} has no function `{}`", desc.function),
            did_you_mean: near(&desc.function, &names),
            ..Diagnosis::default()
        };
    };
    let reason = match offset(&desc.name) {
        Some(offset) if offset >= function.size => format!(
            "`{}` is {:#x} bytes long, and `{}` is beyond that",
            function.name, function.size, desc.name
        ),
        Some(_) => format!(
            "no instruction of `{}` is known to start at the offset {}",
            function.name, desc.name
        ),
        None if Glob::new(&desc.name).matches(&Point::Return.name()) => {
            let has_caller = meant.iter().all(|file| has_caller(file, function));
            return Diagnosis {
                reason: if has_caller {
                    format!(
                        "`{}` ends by more than its `ret`s, and the kernel's return probe would end a program \
                         that looks for callers on the stack ({where_} throws exceptions, is Go, moves stacks \
                         with greenlet, or has a shadow stack)",
                        function.name
                    )
                } else {
                    format!(
                        "no address to return to is on top of the stack where `{}` begins: it is no \
                         function that is called, or a part of one",
                        function.name
                    )
                },
                advice: vec![
                    "its entry can be probed, and each of its instructions by its offset".into(),
                ],
                ..Diagnosis::default()
            };
        }
        None => format!("a function has no probe `{}`", desc.name),
    };
    Diagnosis {
        reason,
        available: NAMED.map(str::to_owned).to_vec(),
        did_you_mean: near(&desc.name, &NAMED),
        advice: vec!["and offsets of instructions in hexadecimal, such as 0 or 1f".into()],
        ..Diagnosis::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::File;

    #[test]
    fn a_probe_name_means_places_of_a_function() {
        let starts = || vec![0, 4, 0x1e, 0x1f];
        for (name, of_any, of_named) in [
            ("entry", vec![Point::Entry], vec![]),
            ("return", vec![Point::Return], vec![]),
            ("", vec![Point::Entry, Point::Return], starts()),
            ("*", vec![Point::Entry, Point::Return], starts()),
            ("e*", vec![Point::Entry], vec![]),
            ("1?", vec![], vec![0x1e, 0x1f]),
            ("0", vec![Point::Offset(0)], vec![]),
            ("1f", vec![Point::Offset(31)], vec![]),
            ("1", vec![], vec![]),
            ("ent", vec![], vec![]),
            ("0x1f", vec![], vec![]),
            ("-1", vec![], vec![]),
            ("99999999999999999", vec![], vec![]),
        ] {
            assert_eq!(points(name, false, starts), of_any, "{name}");
            let offsets = of_named.into_iter().map(Point::Offset);
            let of_named: Vec<_> = of_any.into_iter().chain(offsets).collect();
            assert_eq!(points(name, true, starts), of_named, "{name}");
        }
    }

    #[test]
    fn a_library_is_called_by_the_start_of_its_name() {
        let file = FileProbes::unread(&Arc::new(File {
            path: "/nonexistent".into(),
            shown: "/lib/libc.so.6".into(),
            identity: (1, 2),
            born: None,
        }));
        for (module, meant) in [
            ("libc.so.6", true),
            ("libc.so", true),
            ("libc", true),
            ("lib*", true),
            ("", true),
            ("libc.so.7", false),
            ("lib", false),
            ("a.out", false),
        ] {
            assert_eq!(
                is_module(&file, module, std::process::id()),
                meant,
                "{module}"
            );
        }
    }

    #[test]
    fn a_glob_takes_each_function_once_and_a_name_the_one_that_it_names() {
        let function = |name: &str, address| Function {
            name: name.into(),
            address,
            file_offset: address,
            size: 8,
            is_in_symtab: true,
            has_name: true,
        };
        let functions = [
            function("malloc", 16),
            function("__libc_malloc", 16),
            function("mallopt", 32),
        ];
        let found = |wanted| {
            let names = matching(&functions, wanted).map(|function| &*function.name);
            names.collect::<Vec<_>>()
        };
        assert_eq!(found(""), ["malloc", "mallopt"]);
        assert_eq!(found("*malloc"), ["malloc"]);
        assert_eq!(found("__libc_malloc"), ["__libc_malloc"]);
        assert!(found("calloc").is_empty());
    }
}
