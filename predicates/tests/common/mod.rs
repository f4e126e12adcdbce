//! D expressions through the real kernel.
//!
//! A test gives rows: D text, arguments, and what must come out. All rows become one program: the
//! verifier checks it, `BPF_PROG_TEST_RUN` runs it in this very process (so that addresses of the
//! test's own buffers are user addresses that it can read), and every value comes back through an
//! array map. Arguments come from another map, so nothing can be folded. Each program is made
//! twice, as a probe's and as a timer's, which differ in where their scratch is.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses a part of it"
)]
#![allow(
    missing_docs,
    missing_debug_implementations,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test harness"
)]

pub mod compile;

use std::fmt;

use dlang::diag::Span;
use dlang::program::{Expr, ExprKind, Program, Scope, StmtKind, Subroutine};
use dlang::types::Type;
use predicates::asm::{Code, MapRef, OpenLoops};
use predicates::emit::{Argument, Emit, Emitted, KernelStack, MachineState, Rodata};
use predicates::insn::{Insn, Reg, Size};
use predicates::storage::{
    COUNTER_BYTES, CommonMaps, ScratchPlace, Shape, Sizes, Storage, TaskFields, TupleMaps,
    count_strings, key_sizes,
};
use provider::features::{self, KernelFeatures};
use provider::object::{Context, MapId, MapKind, MapSpec, Relocation};
use provider::session::Session;
pub use test_support::root;

/// An argument of a probe.
#[derive(Clone, Debug)]
pub enum In {
    /// A number.
    Int(i64),
    /// The address of these bytes and a NUL.
    Text(Vec<u8>),
}

/// A number as an argument.
pub fn n(value: i64) -> In {
    In::Int(value)
}

/// The address of a string as an argument.
pub fn s(text: impl AsRef<[u8]>) -> In {
    In::Text(text.as_ref().to_vec())
}

/// What an expression gave.
#[derive(Clone, PartialEq, Eq)]
pub enum Out {
    /// An integer.
    Int(i64),
    /// A string.
    Text(Vec<u8>),
    /// A fault: its number and address.
    Fault(u32, i64),
    /// Nothing at all.
    Nothing,
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "{:?}", String::from_utf8_lossy(text)),
            Self::Fault(kind, address) => write!(f, "fault {kind} at {address:#x}"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

impl From<i64> for Out {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Out {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }
}

impl From<Vec<u8>> for Out {
    fn from(text: Vec<u8>) -> Self {
        Self::Text(text)
    }
}

/// Statements with one set of arguments.
#[derive(Clone, Debug)]
pub struct Row {
    pub body: Vec<StmtKind>,
    pub args: Vec<In>,
}

/// How a program is made.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a way to run a program, beside the others"
)]
pub struct Options {
    pub strsize: u32,
    /// Whether `copyinstr` of one address is read once; then all rows have the same arguments.
    pub share: bool,
    pub timer: bool,
    /// Whether loops are functions, as on a kernel without `may_goto`.
    pub calls: bool,
    /// Whether it runs only where loops are open ones: what is tested has no others.
    pub open: bool,
    /// Whether arguments may be texts that were converted to the scratch.
    pub converted_text: bool,
    /// What is declared before the clauses.
    pub declarations: &'static str,
    /// How often the program is run; the values are the last run's.
    pub firings: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            strsize: 256,
            share: false,
            timer: false,
            calls: false,
            open: false,
            converted_text: false,
            declarations: "",
            firings: 1,
        }
    }
}

/// Runs each text with its arguments, all in one program, and compares the last value that it
/// gives. What the constant folder can say of the same expression must agree.
pub fn check<T: Into<Out> + Clone>(rows: &[(&str, &[In], T)]) {
    check_with(Options::default(), rows);
}

/// [`check`] with other options.
pub fn check_with<T: Into<Out> + Clone>(options: Options, rows: &[(&str, &[In], T)]) {
    // The strings of all rows of a program share one heap, and that of a timer has 32 KiB.
    for rows in rows.chunks(if options.strsize > 1024 { 1 } else { 12 }) {
        check_program(options, rows);
    }
}

fn check_program<T: Into<Out> + Clone>(options: Options, rows: &[(&str, &[In], T)]) {
    let sources: Vec<&str> = rows.iter().map(|(source, ..)| *source).collect();
    let (program, bodies) = compile::compile_with(options.declarations, &sources);
    let compiled: Vec<Row> = bodies
        .into_iter()
        .zip(rows)
        .map(|(body, (_, args, _))| Row {
            body,
            args: args.to_vec(),
        })
        .collect();
    for ((source, args, expected), row) in rows.iter().zip(&compiled) {
        let expected: Out = expected.clone().into();
        if let Some(folded) = fold(row, options.strsize as usize) {
            assert_eq!(folded, expected, "the folder on {source} with {args:?}");
        }
    }
    if !root() {
        return;
    }
    for (timer, calls) in [(false, false), (true, false), (true, true)] {
        if options.open && (!timer || KernelFeatures::open_loops().is_none()) {
            continue;
        }
        let options = Options {
            timer,
            calls,
            ..options
        };
        let outs = run(&program, &compiled, options);
        for ((source, args, expected), out) in rows.iter().zip(outs) {
            let expected: Out = expected.clone().into();
            let out = out.last().cloned().unwrap_or(Out::Nothing);
            assert_eq!(out, expected, "{source} with {args:?}");
        }
    }
}

/// Runs each text with its arguments; what the constant folder says must come out.
pub fn fold_all(options: Options, rows: &[(&str, &[In])]) {
    let mut compiled = Vec::new();
    let sources: Vec<&str> = rows.iter().map(|(source, _)| *source).collect();
    let (_, bodies) = compile::compile(&sources);
    for (body, (source, args)) in bodies.into_iter().zip(rows) {
        let row = Row {
            body,
            args: args.to_vec(),
        };
        let folded = fold(&row, options.strsize as usize);
        compiled.push((*source, *args, folded.expect("the folder knows it")));
    }
    check_with(options, &compiled);
}

/// What the constant folder makes of a row's only expression, its arguments put in.
pub fn fold(row: &Row, strsize: usize) -> Option<Out> {
    let [StmtKind::Expr(expr)] = &row.body[..] else {
        return None;
    };
    let known = with_args(expr, &row.args);
    match dlang::eval::eval(&known, &dlang::eval::Constants { strsize }) {
        Ok(dlang::eval::Value::Int(value)) => Some(Out::Int(value)),
        Ok(dlang::eval::Value::Str(text)) => Some(Out::Text(text.into_owned())),
        Err(dlang::eval::EvalError::DivideByZero) => Some(Out::Fault(4, 0)),
        Err(dlang::eval::EvalError::NullString | dlang::eval::EvalError::BadAddress) => {
            Some(Out::Fault(1, 0))
        }
        Err(dlang::eval::EvalError::NotConstant) => None,
    }
}

/// The expression that a statement is.
fn expression(stmt: &StmtKind) -> Option<&Expr> {
    if let StmtKind::Expr(expr) = stmt {
        Some(expr)
    } else {
        None
    }
}

/// An expression with constants in the place of arguments.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is no argument, and has none in it, stays as it is"
)]
fn with_args(expr: &Expr, args: &[In]) -> Expr {
    let boxed = |e: &Expr| Box::new(with_args(e, args));
    let all = |list: &[Expr]| list.iter().map(|e| with_args(e, args)).collect();
    let kind = match &expr.kind {
        ExprKind::Arg(n) => match args.get(usize::from(*n)) {
            Some(In::Int(value)) => ExprKind::Int(*value),
            _ => expr.kind.clone(),
        },
        ExprKind::Call(Subroutine::Copyinstr, of) if of.len() == 1 => match &of[0].kind {
            ExprKind::Arg(n) | ExprKind::TypedArg(n) => text_of(args, *n, expr),
            ExprKind::Cast(inner) => match &inner.kind {
                ExprKind::Arg(n) => text_of(args, *n, expr),
                _ => expr.kind.clone(),
            },
            _ => expr.kind.clone(),
        },
        ExprKind::Call(subroutine, of) => ExprKind::Call(*subroutine, all(of)),
        ExprKind::Unary(op, of) => ExprKind::Unary(*op, boxed(of)),
        ExprKind::Binary(op, a, b) => ExprKind::Binary(*op, boxed(a), boxed(b)),
        ExprKind::Logic(op, a, b) => ExprKind::Logic(*op, boxed(a), boxed(b)),
        ExprKind::Ternary(c, a, b) => ExprKind::Ternary(boxed(c), boxed(a), boxed(b)),
        ExprKind::Cast(of) => ExprKind::Cast(boxed(of)),
        ExprKind::Byte(a, b) => ExprKind::Byte(boxed(a), boxed(b)),
        ExprKind::Comma(a, b) => ExprKind::Comma(boxed(a), boxed(b)),
        other => other.clone(),
    };
    Expr {
        kind,
        ty: expr.ty.clone(),
        span: expr.span,
    }
}

fn text_of(args: &[In], n: u8, expr: &Expr) -> ExprKind {
    match args.get(usize::from(n)) {
        Some(In::Text(text)) => ExprKind::Str(text.clone()),
        _ => expr.kind.clone(),
    }
}

const IN: MapRef = MapRef(6);
const OUT: MapRef = MapRef(7);
const FIRST_ARRAY: u32 = 8;
const ARGS: usize = 4;

/// Code for rows, and what it needs to be run.
pub struct Made {
    pub code: Code,
    maps: Vec<MapSpec>,
    /// How many values each row gives.
    counts: Vec<usize>,
    out_size: u32,
}

/// Compiles the rows to one program.
pub fn make(program: &Program, rows: &[Row], options: Options) -> Emitted<Made> {
    let strsize = options.strsize;
    let mut arrays = Vec::new();
    let mut key = 8;
    for variable in &program.variables {
        if let Some(types) = &variable.key {
            let strings = count_strings(types);
            let thread = u32::from(variable.scope == Scope::ThreadLocal);
            let ints = u32::try_from(types.len()).unwrap() - strings + thread;
            key = key.max(*key_sizes(ints, strings, strsize).last().unwrap() + strsize);
        }
    }
    let common = CommonMaps {
        globals: MapRef(0),
        thread: MapRef(1),
        scratch: MapRef(2),
        rodata: MapRef(3),
        counters: MapRef(4),
        switches: MapRef(5),
    };
    let sizes = Sizes {
        nests: false,
        scratch: ScratchPlace::InState,
        speculations: 0,
        frames: None,
        unwind: None,
        mixed: false,
        objects: false,
        python: None,
        strsize,
        record: 64,
        key,
        copied: 512,
        // A timer's code has no loop that the verifier follows turn by turn.
        open_loops: match KernelFeatures::open_loops().filter(|_| options.timer) {
            Some(_) if options.calls => Some(OpenLoops::Calls),
            Some(features::OpenLoops::MayGoto) => Some(OpenLoops::MayGoto),
            Some(features::OpenLoops::Calls) => Some(OpenLoops::Calls),
            None => None,
        },
        closed_loops: 0,
        task: TaskFields::default(),
    };
    let storage = Storage::plan(program, common, sizes, |var| {
        let variable = &program.variables[var.0 as usize];
        let shape = Shape::of_array(variable).unwrap();
        let value = variable.ty.size(strsize).next_multiple_of(8);
        let sizes = key_sizes(shape.ints, shape.strings, strsize).into_iter();
        let classes = sizes.map(|size| {
            arrays.push(MapSpec::new("array", MapKind::Hash, size, value, 100));
            let number = u32::try_from(arrays.len() - 1).unwrap();
            (size, MapRef(FIRST_ARRAY + number))
        });
        TupleMaps {
            ints: shape.ints,
            strings: shape.strings,
            owner: shape.owner,
            is_array: false,
            selector: None,
            value,
            classes: classes.collect(),
        }
    });
    let mut rodata = Rodata::default();
    let machine = MachineState {
        args: Vec::new(),
        result: None,
        provider: "dtrace".into(),
        any_process: false,
        module: String::new(),
        function: "main".into(),
        name: "BEGIN".into(),
        python: None,
        id: 1,
        epid: 2,
        shared: None,
        timer: options.timer,
        kernel_stack: if options.timer {
            KernelStack::Interrupted
        } else {
            KernelStack::Calling
        },
    };
    let out_size = 24 + strsize.next_multiple_of(8);
    let mut e = Emit::new(&storage, &mut rodata, machine);
    let slots: Vec<i16> = (0..ARGS).map(|_| e.stack.buffer(8).unwrap()).collect();
    e.machine.args = slots.iter().map(|&slot| Argument::Slot(slot)).collect();
    let exprs = rows.iter().flat_map(|row| &row.body).filter_map(expression);
    e.clear_locals(program, exprs);
    e.converted_text = options.converted_text && !options.timer;
    if options.share {
        let exprs = rows.iter().flat_map(|row| &row.body).filter_map(expression);
        e.share_strings(exprs);
    }
    let (prologue, body) = (e.asm.label(), e.asm.label());
    e.asm.jump(prologue);
    e.asm.bind(body);
    let mut counts = Vec::new();
    let mut next = 0;
    for (index, row) in rows.iter().enumerate() {
        let (handler, end) = (e.asm.label(), e.asm.label());
        let known = e.fetched();
        let first = next;
        for (n, &slot) in slots.iter().enumerate().take(row.args.len()) {
            let at = u32::try_from((index * ARGS + n) * 8).unwrap();
            e.asm.map_value(Reg::R1, IN, at);
            e.asm.load(Size::Double, Reg::R0, Reg::R1, 0);
            e.asm.store(Size::Double, Reg::FP, slot, Reg::R0);
        }
        e.asm.note("row");
        for stmt in &row.body {
            if let StmtKind::Expr(expr) = stmt
                && emit_value(&mut e, expr, next * out_size)?
            {
                next += 1;
            }
            assert!(e.stack.idle(), "registers are all given back");
        }
        e.asm.note("end");
        e.asm.jump(end);
        let faults = e.take_faults();
        e.emit_faults(faults, handler);
        e.asm.bind(handler);
        // The fault stands in the row's last place.
        next = next.max(first + 1);
        e.asm.map_value(Reg::R4, OUT, (next - 1) * out_size);
        e.asm.store(Size::Double, Reg::R4, 8, Reg::R1);
        e.asm.store(Size::Double, Reg::R4, 16, Reg::R3);
        e.asm.store_imm(Size::Double, Reg::R4, 0, 3);
        e.asm.bind(end);
        if !options.share {
            e.fetched_only(&known);
        }
        counts.push((next - first) as usize);
    }
    e.leave();
    e.finish_give_up()?;
    e.asm.bind(prologue);
    e.asm.store(Size::Double, Reg::FP, Emit::CONTEXT, Reg::R1);
    e.zero_slots();
    for &slot in &slots {
        e.asm.store_imm(Size::Double, Reg::FP, slot, 0);
    }
    e.asm.jump(body);
    let state = (storage.heap + e.heap_max() + strsize).max(storage.least_state());
    let code = e.finish().unwrap();
    drop(e);
    rodata.put(vec![0; 8]);
    let bytes = rodata.bytes;
    let mut maps = vec![
        MapSpec::new("globals", MapKind::Array, 4, storage.globals_size, 1),
        MapSpec::new("thread", MapKind::TaskStorage, 4, state, 0),
        MapSpec::new("timer", MapKind::PerCpuArray, 4, state, 1),
        MapSpec::read_only("rodata", bytes),
        MapSpec::new("counters", MapKind::PerCpuArray, 4, COUNTER_BYTES, 1),
        MapSpec::new("switches", MapKind::PerCpuArray, 4, 8, 1),
        MapSpec::new(
            "in",
            MapKind::Array,
            4,
            u32::try_from(rows.len() * ARGS * 8).unwrap(),
            1,
        ),
        MapSpec::new("out", MapKind::Array, 4, next.max(1) * out_size, 1),
    ];
    maps.extend(arrays);
    Ok(Made {
        code,
        maps,
        counts,
        out_size,
    })
}

/// Computes an expression and writes its value to the output; false for effects only.
fn emit_value(e: &mut Emit<'_>, expr: &Expr, at: u32) -> Emitted<bool> {
    if matches!(expr.kind, ExprKind::Assign(..)) || expr.ty == Type::Void {
        e.effect(expr)?;
        return Ok(false);
    }
    if expr.ty == Type::String {
        let string = e.string(expr)?;
        e.heap_at(Reg::R3, &string.start, Span::default())?;
        e.asm.map_value(Reg::R1, OUT, at + 24);
        e.asm.mov_imm(Reg::R2, i64::from(e.storage.strsize));
        e.asm.call(predicates::insn::Helper::ProbeReadKernelStr);
        e.asm.map_value(Reg::R1, OUT, at);
        let len = e.reg(&string.len, Reg::R2);
        e.asm.push(Insn::store(Size::Double, Reg::R1, 8, len));
        e.asm.store_imm(Size::Double, Reg::R1, 0, 2);
        e.give_string(string);
    } else {
        let val = e.int(expr)?;
        e.asm.map_value(Reg::R1, OUT, at);
        let reg = e.reg(&val, Reg::R0);
        e.asm.store(Size::Double, Reg::R1, 8, reg);
        e.asm.store_imm(Size::Double, Reg::R1, 0, 1);
        e.stack.give(val);
    }
    Ok(true)
}

/// Compiles, loads and runs the rows, and gives the values of each.
pub fn run(program: &Program, rows: &[Row], options: Options) -> Vec<Vec<Out>> {
    let mut made =
        make(program, rows, options).unwrap_or_else(|e| panic!("refused: {}", e.message));
    // The buffers live until the program has run.
    let texts: Vec<Vec<Option<Vec<u8>>>> = rows
        .iter()
        .map(|row| {
            row.args
                .iter()
                .map(|arg| match arg {
                    In::Int(_) => None,
                    In::Text(text) => Some([text, &[0][..]].concat()),
                })
                .collect()
        })
        .collect();
    let mut input = Vec::new();
    for (row, texts) in rows.iter().zip(&texts) {
        for n in 0..ARGS {
            let value = match (row.args.get(n), texts.get(n)) {
                (_, Some(Some(text))) => text.as_ptr().addr() as u64,
                (Some(In::Int(value)), _) => value.cast_unsigned(),
                _ => 0,
            };
            input.extend(value.to_le_bytes());
        }
    }
    made.maps[IN.0 as usize].initial = Some(input);
    let out = load_and_run(&made, options.firings);
    let mut values = out.chunks(made.out_size as usize).map(decode);
    made.counts
        .iter()
        .map(|&count| values.by_ref().take(count).collect())
        .collect()
}

fn load_and_run(made: &Made, firings: u32) -> Vec<u8> {
    let mut session = Session::new(KernelFeatures::detect());
    session.create_maps(&made.maps).unwrap();
    let program = provider::object::Program {
        name: "expressions".into(),
        context: Context::Nothing,
        called: None,
        insns: made.code.insns.iter().map(|insn| insn.encode()).collect(),
        functions: made.code.functions.clone(),
        relocations: made
            .code
            .maps
            .iter()
            .map(|used| Relocation {
                insn: used.insn,
                map: MapId(used.map.0),
                value_offset: used.value_offset,
            })
            .collect(),
    };
    let id = session.load(&program).unwrap_or_else(|error| {
        let text = if let provider::error::Error::Load(load) = &error {
            load.log.clone()
        } else {
            error.to_string()
        };
        let tail: Vec<&str> = text.lines().rev().take(25).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        panic!("{}\n{error}\n{}", made.code.listing(), tail.join("\n"))
    });
    if std::env::var_os("VERIFIED").is_some() {
        eprintln!(
            "{} instructions, {} verified",
            made.code.insns.len(),
            verified()
        );
    }
    for _ in 0..firings {
        session.run(id).unwrap();
    }
    let map = session.map(MapId(OUT.0)).unwrap();
    let mut value = vec![0; map.value_len()];
    assert!(map.lookup(&0_u32.to_ne_bytes(), &mut value).unwrap());
    value
}

/// How many instructions the verifier followed for the largest program that is open now.
fn verified() -> u64 {
    let files = std::fs::read_dir("/proc/self/fdinfo").unwrap();
    files
        .filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok())
        .filter_map(|text| {
            let line = text
                .lines()
                .find(|line| line.starts_with("verified_insns"))?;
            line.split_whitespace().last()?.parse().ok()
        })
        .max()
        .unwrap_or(0)
}

fn decode(entry: &[u8]) -> Out {
    let word = |at: usize| i64::from_le_bytes(entry[at..at + 8].try_into().unwrap());
    match word(0) {
        1 => Out::Int(word(8)),
        2 => {
            let text = &entry[24..];
            let end = text.iter().position(|&b| b == 0).unwrap();
            let len = usize::try_from(word(8)).unwrap();
            assert_eq!(
                len,
                end,
                "the length of {:?}",
                String::from_utf8_lossy(&text[..end])
            );
            Out::Text(text[..end].to_vec())
        }
        3 => Out::Fault(u32::try_from(word(8)).unwrap(), word(16)),
        _ => Out::Nothing,
    }
}
