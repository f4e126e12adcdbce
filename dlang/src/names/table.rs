//! The table of D's names, sorted by name.
//!
//! To add a subroutine, write its row: name, type of the value, parameters, and the variant of
//! [`Subroutine`] that stands for it in the checked program. A function that rdtrace does not run
//! has the reason in the variant's place.

use super::kind::{
    ActionName, Array, Attributes, Kind, Lack, MemoryFunction, Name, Parameter, ProcessPath,
    Prototype, Takes, ValueType, Variable,
};
use crate::aggregating::AggregatingName;
use crate::program::{Builtin, Subroutine};
use crate::symbol::Symbol;
use crate::types::Int;

/// All of D's names.
#[rustfmt::skip]
pub const TABLE: &[Name] = &[
    NULL,
    subroutine("alloca", ValueType::Scratch, &[SIZE], Ok(Subroutine::Alloca)),
    argument("arg0", 0),
    argument("arg1", 1),
    argument("arg2", 2),
    argument("arg3", 3),
    argument("arg4", 4),
    argument("arg5", 5),
    argument("arg6", 6),
    argument("arg7", 7),
    argument("arg8", 8),
    argument("arg9", 9),
    array("args", Ok(Array::Args)),
    aggregating("avg", &[ANY], AggregatingName::Avg),
    subroutine("basename", STRING, &[CHARS], Ok(Subroutine::Basename)),
    subroutine("bcopy", ValueType::Void, &[MEMORY, SCRATCH, SIZE], Ok(Subroutine::Bcopy)),
    action("breakpoint", &[], Err(Lack::Impossible)).destructive(),
    variable("caller", UINT64, Builtin::Caller),
    action("chill", &[INT32], Err(Lack::Impossible)).destructive(),
    subroutine("cleanpath", STRING, &[CHARS], Ok(Subroutine::Cleanpath)),
    action("clear", &[ANY], Ok(ActionName::Clear)).records(),
    action("commit", &[INT32], Ok(ActionName::Commit)),
    subroutine("copyin", ValueType::Scratch, &[ADDRESS, SIZE], Ok(Subroutine::Copyin)),
    subroutine("copyinstr", STRING, &[ADDRESS, optional(SIZE)], Ok(Subroutine::Copyinstr)),
    subroutine("copyinto", ValueType::Void, &[ADDRESS, SIZE, SCRATCH], Ok(Subroutine::Copyinto)),
    action("copyout", &[MEMORY, ADDRESS, SIZE], Ok(ActionName::Copyout)).destructive(),
    action("copyoutstr", &[CHARS, ADDRESS, SIZE], Ok(ActionName::Copyoutstr)).destructive(),
    aggregating("count", &[], AggregatingName::Count),
    variable("cpu", INT, Builtin::Cpu),
    variable("curthread", ValueType::Kernel("task_struct"), Builtin::Curthread),
    path("cwd", ProcessPath::WorkingDirectory),
    reading("d_path", STRING, &[MEMORY], MemoryFunction::DPath),
    subroutine("ddi_pathname", STRING, &[MEMORY, LONG], Err(Lack::Unimplemented)),
    action("denormalize", &[ANY], Ok(ActionName::Denormalize)).records(),
    subroutine("dirname", STRING, &[CHARS], Ok(Subroutine::Dirname)),
    action("discard", &[INT32], Ok(ActionName::Discard)),
    variable("epid", UINT, Builtin::Epid),
    variable("errno", INT, Builtin::Errno),
    EXECARGS,
    variable("execname", STRING, Builtin::Execname),
    action("exit", &[INT32], Ok(ActionName::Exit)).records(),
    action("freopen", &[ANY, MORE], Ok(ActionName::Freopen)).records().destructive(),
    action("ftruncate", &[], Ok(ActionName::Ftruncate)).records(),
    action("func", &[ADDRESS], Ok(ActionName::Symbol(Symbol::Func))).records(),
    subroutine("getmajor", UINT, &[DEVICE], Ok(Subroutine::Getmajor)),
    subroutine("getminor", UINT, &[DEVICE], Ok(Subroutine::Getminor)),
    variable("gid", UINT, Builtin::Gid),
    subroutine("htonl", UINT, &[UINT32], Ok(Subroutine::Htonl)),
    subroutine("htonll", UINT64, &[ULONG], Ok(Subroutine::Htonll)),
    subroutine("htons", USHORT, &[UINT16], Ok(Subroutine::Htons)),
    variable("id", UINT, Builtin::Id),
    subroutine("index", INT, &[CHARS, CHARS, optional(INT32)], Ok(Subroutine::Index)),
    reading("inet_ntoa", STRING, &[MEMORY], MemoryFunction::InetNtoa),
    reading("inet_ntoa6", STRING, &[MEMORY, optional(INT32)], MemoryFunction::InetNtoa6),
    reading("inet_ntop", STRING, &[INT32, MEMORY], MemoryFunction::InetNtop),
    unsupported_variable("ipl", UINT, Lack::Impossible),
    unsupported_variable("jailname", STRING, NO_ZONES),
    unsupported_variable("jid", INT, NO_ZONES),
    subroutine("json", STRING, &[CHARS, CHARS], Ok(Subroutine::Json)),
    subroutine("jstack", ValueType::Stack, &[optional(FRAMES), optional(FRAMES)], Ok(Subroutine::Pystack)),
    reading("link_ntop", STRING, &[INT32, MEMORY], MemoryFunction::LinkNtop),
    aggregating("llquantize", &[ANY, LEVEL, LEVEL, LEVEL, LEVEL, optional(ANY)], AggregatingName::Llquantize),
    subroutine("lltostr", STRING, &[LONG, optional(BASE)], Ok(Subroutine::Lltostr)),
    aggregating("lquantize", &[ANY, LEVEL, LEVEL, optional(ANY), optional(ANY)], AggregatingName::Lquantize),
    aggregating("max", &[ANY], AggregatingName::Max),
    subroutine("memref", OTHER, &[ANY, ANY], Err(NO_SCRATCH)),
    subroutine("memstr", STRING, &[ANY, ANY, ANY], Err(NO_SCRATCH)),
    aggregating("min", &[ANY], AggregatingName::Min),
    action("mod", &[ADDRESS], Ok(ActionName::Symbol(Symbol::Mod))).records(),
    subroutine("msgdsize", UINT64, &[MEMORY], Err(Lack::Unimplemented)),
    subroutine("msgsize", UINT64, &[MEMORY], Err(Lack::Unimplemented)),
    reading("mutex_owned", INT, &[MEMORY], MemoryFunction::MutexOwned),
    reading("mutex_owner", ValueType::Kernel("task_struct"), &[MEMORY], MemoryFunction::MutexOwner),
    reading("mutex_type_adaptive", INT, &[MEMORY], MemoryFunction::MutexTypeAdaptive),
    reading("mutex_type_spin", INT, &[MEMORY], MemoryFunction::MutexTypeSpin),
    action("normalize", &[ANY, ULONG], Ok(ActionName::Normalize)).records(),
    subroutine("ntohl", UINT, &[UINT32], Ok(Subroutine::Ntohl)),
    subroutine("ntohll", UINT64, &[ULONG], Ok(Subroutine::Ntohll)),
    subroutine("ntohs", USHORT, &[UINT16], Ok(Subroutine::Ntohs)),
    action("panic", &[], Err(Lack::Impossible)).destructive(),
    action("pcap", &[MEMORY, INT32], Err(Lack::Impossible)),
    variable("pid", INT, Builtin::Pid),
    variable("ppid", INT, Builtin::Ppid),
    action("print", &[ANY], Ok(ActionName::Print)).records(),
    action("printa", &[ANY, MORE], Ok(ActionName::Printa)).records(),
    action("printf", &[ANY, MORE], Ok(ActionName::Printf)).records(),
    action("printm", &[SIZE, MEMORY], Err(NO_MEMORY_RECORDS)).records(),
    action("printt", &[SIZE, MEMORY], Err(NO_MEMORY_RECORDS)).records(),
    variable("probefunc", STRING, Builtin::Probefunc),
    variable("probemod", STRING, Builtin::Probemod),
    variable("probename", STRING, Builtin::Probename),
    variable("probeprov", STRING, Builtin::Probeprov),
    subroutine("progenyof", INT, &[PID], Ok(Subroutine::Progenyof)),
    subroutine("pyarg", ValueType::PythonObject, &[ANY], Ok(Subroutine::Pyarg)),
    subroutine("pyattr", ValueType::PythonObject, &[OBJECT, ANY], Ok(Subroutine::Pyattr)),
    subroutine("pyaudit", ValueType::PythonObject, &[INT32], Ok(Subroutine::Pyaudit)),
    variable("pydepth", UINT, Builtin::Pydepth),
    variable("pyexception", ValueType::PythonObject, Builtin::Pyexception),
    variable("pyfile", STRING, Builtin::Pyfile),
    subroutine("pyfloat", INT64, &[OBJECT], Ok(Subroutine::Pyfloat)),
    variable("pyframe", UINT64, Builtin::Pyframe),
    variable("pyfunc", STRING, Builtin::Pyfunc),
    variable("pygreenlet", UINT64, Builtin::Pygreenlet),
    subroutine("pyint", INT64, &[OBJECT], Ok(Subroutine::Pyint)),
    subroutine("pylen", INT64, &[OBJECT], Ok(Subroutine::Pylen)),
    variable("pyline", INT, Builtin::Pyline),
    subroutine("pylocal", ValueType::PythonObject, &[ANY], Ok(Subroutine::Pylocal)),
    variable("pymodule", STRING, Builtin::Pymodule),
    variable("pyqualname", STRING, Builtin::Pyqualname),
    subroutine("pyrepr", STRING, &[OBJECT], Ok(Subroutine::Pyrepr)),
    variable("pyresumed", INT, Builtin::Pyresumed),
    variable("pyreturn", ValueType::PythonObject, Builtin::Pyreturn),
    subroutine("pyself", ValueType::PythonObject, &[ANY], Ok(Subroutine::Pyself)),
    subroutine("pystack", ValueType::Stack, &[optional(FRAMES), optional(FRAMES)], Ok(Subroutine::Pystack)),
    subroutine("pystr", STRING, &[OBJECT], Ok(Subroutine::Pystr)),
    variable("pytask", STRING, Builtin::Pytask),
    variable("pythread", STRING, Builtin::Pythread),
    variable("pytraceback", UINT64, Builtin::Pytraceback),
    subroutine("pytype", STRING, &[OBJECT], Ok(Subroutine::Pytype)),
    aggregating("quantize", &[ANY, optional(ANY)], AggregatingName::Quantize),
    action("raise", &[INT32], Ok(ActionName::Raise)).destructive(),
    subroutine("rand", INT, &[], Ok(Subroutine::Rand)),
    array("regs", Err(ONLY_UREGS)),
    action("return", &[INT32], Ok(ActionName::Return)).destructive(),
    subroutine("rindex", INT, &[CHARS, CHARS, optional(INT32)], Ok(Subroutine::Rindex)),
    path("root", ProcessPath::Root),
    reading("rw_iswriter", INT, &[MEMORY], MemoryFunction::RwIswriter),
    reading("rw_read_held", INT, &[MEMORY], MemoryFunction::RwReadHeld),
    reading("rw_write_held", INT, &[MEMORY], MemoryFunction::RwWriteHeld),
    action("setopt", &[CHARS, optional(CHARS)], Ok(ActionName::Setopt)).records(),
    action("speculate", &[INT32], Ok(ActionName::Speculate)),
    subroutine("speculation", INT, &[], Ok(Subroutine::Speculation)),
    subroutine("stack", ValueType::Stack, &[optional(FRAMES)], Ok(Subroutine::Stack)),
    variable("stackdepth", UINT, Builtin::Stackdepth),
    aggregating("stddev", &[ANY], AggregatingName::Stddev),
    action("stop", &[], Ok(ActionName::Stop)).destructive(),
    subroutine("strchr", STRING, &[CHARS, CHAR], Ok(Subroutine::Strchr)),
    subroutine("strjoin", STRING, &[CHARS, CHARS], Ok(Subroutine::Strjoin)),
    subroutine("strlen", UINT64, &[CHARS], Ok(Subroutine::Strlen)),
    subroutine("strrchr", STRING, &[CHARS, CHAR], Ok(Subroutine::Strrchr)),
    subroutine("strstr", STRING, &[CHARS, CHARS], Ok(Subroutine::Strstr)),
    subroutine("strtok", STRING, &[CHARS_OR_NULL, CHARS], Ok(Subroutine::Strtok)),
    subroutine("strtoll", INT64, &[CHARS, optional(BASE)], Ok(Subroutine::Strtoll)),
    subroutine("substr", STRING, &[CHARS, INT32, optional(INT32)], Ok(Subroutine::Substr)),
    aggregating("sum", &[ANY], AggregatingName::Sum),
    action("sym", &[ADDRESS], Ok(ActionName::Symbol(Symbol::Sym))).records(),
    action("system", &[ANY, MORE], Ok(ActionName::System)).records().destructive(),
    variable("tid", INT, Builtin::Tid),
    variable("timestamp", UINT64, Builtin::Timestamp),
    subroutine("tolower", STRING, &[CHARS], Ok(Subroutine::Tolower)),
    subroutine("toupper", STRING, &[CHARS], Ok(Subroutine::Toupper)),
    action("trace", &[ANY], Ok(ActionName::Trace)).records(),
    action("tracemem", &[ANY, SIZE, optional(SIZE)], Ok(ActionName::Tracemem)).records(),
    action("trunc", &[ANY, optional(LONG)], Ok(ActionName::Trunc)).records(),
    action("uaddr", &[ADDRESS], Ok(ActionName::Symbol(Symbol::Uaddr))).records(),
    variable("ucaller", UINT64, Builtin::Ucaller),
    action("ufunc", &[ADDRESS], Ok(ActionName::Symbol(Symbol::Ufunc))).records(),
    variable("uid", UINT, Builtin::Uid),
    action("umod", &[ADDRESS], Ok(ActionName::Symbol(Symbol::Umod))).records(),
    array("uregs", Ok(Array::Uregs)),
    subroutine("ustack", ValueType::Stack, &[optional(FRAMES), optional(FRAMES)], Ok(Subroutine::Ustack)),
    variable("ustackdepth", UINT, Builtin::Ustackdepth),
    action("usym", &[ADDRESS], Ok(ActionName::Symbol(Symbol::Usym))).records(),
    array("vmregs", Err(ONLY_UREGS)),
    variable("vtimestamp", UINT64, Builtin::Vtimestamp),
    variable("walltimestamp", INT64, Builtin::Walltimestamp),
    unsupported_variable("zonename", STRING, NO_ZONES),
];

/// The names that only definitions of dependent probes know.
pub(super) const BENEATH: &[Name] = &[subroutine(
    "contention",
    UINT64,
    &[ADDRESS, parameter(Takes::Constant(0, 2), "int")],
    Ok(Subroutine::Contention),
)];

// Types of variables and values.
const STRING: ValueType = ValueType::String;
const INT: ValueType = ValueType::Int(Int::I32);
const UINT: ValueType = ValueType::Int(Int::U32);
const USHORT: ValueType = ValueType::Int(Int::U16);
const INT64: ValueType = ValueType::Int(Int::I64);
const UINT64: ValueType = ValueType::Int(Int::U64);
const OTHER: ValueType = ValueType::Other;

// Parameters.
const CHARS: Parameter = parameter(Takes::Str, "char *");
const ADDRESS: Parameter = parameter(Takes::Address, "uintptr_t");
const OBJECT: Parameter = parameter(Takes::Address, "PyObject *");
const CHARS_OR_NULL: Parameter = parameter(Takes::StrOrNull, "char *");
const DEVICE: Parameter = parameter(Takes::Number(Int::U32), "dev_t");
const MEMORY: Parameter = parameter(Takes::Memory, "void *");
const SCRATCH: Parameter = parameter(Takes::Scratch, "alloca pointer");
const SIZE: Parameter = parameter(Takes::Number(Int::U64), "size_t");
const CHAR: Parameter = parameter(Takes::Number(Int::I8), "char");
const INT32: Parameter = parameter(Takes::Number(Int::I32), "int");
const PID: Parameter = parameter(Takes::Number(Int::I32), "pid_t");
const UINT16: Parameter = parameter(Takes::Number(Int::U16), "uint16_t");
const UINT32: Parameter = parameter(Takes::Number(Int::U32), "uint32_t");
// Negative numbers are refused in words of their own.
const FRAMES: Parameter = parameter(Takes::Number(Int::I64), "uint32_t");
const LONG: Parameter = parameter(Takes::Number(Int::I64), "int64_t");
const ULONG: Parameter = parameter(Takes::Number(Int::U64), "uint64_t");
const LEVEL: Parameter = parameter(Takes::Number(Int::I32), "int32_t");
const BASE: Parameter = parameter(Takes::Constant(2, 36), "int");
const ANY: Parameter = parameter(Takes::Any, "@");
const MORE: Parameter = parameter(Takes::More, "...");

// Why rdtrace does not run a name.
const ONLY_UREGS: Lack = Lack::Unknown("registers are in uregs[]");
const NO_ZONES: Lack = Lack::Unknown("Linux has no zones or jails");
const NO_MEMORY_RECORDS: Lack =
    Lack::Unsupported("rdtrace does not record memory; trace the members you need");
const NO_SCRATCH: Lack =
    Lack::Unknown("alloca, bcopy, copyin and copyinto bring memory to a program");

const NULL: Name = row("NULL", Kind::Variable(ValueType::Void, Ok(Variable::Null)));

const EXECARGS: Name = row("execargs", Kind::Variable(STRING, Ok(Variable::Execargs)));

const fn row(name: &'static str, kind: Kind) -> Name {
    let attributes = Attributes {
        destructive: false,
        records: false,
    };
    Name {
        name,
        kind,
        attributes,
    }
}

const fn variable(name: &'static str, ty: ValueType, builtin: Builtin) -> Name {
    row(name, Kind::Variable(ty, Ok(Variable::Builtin(builtin))))
}

const fn argument(name: &'static str, number: u8) -> Name {
    row(name, Kind::Variable(INT64, Ok(Variable::Argument(number))))
}

const fn unsupported_variable(name: &'static str, ty: ValueType, why: Lack) -> Name {
    row(name, Kind::Variable(ty, Err(why)))
}

const fn path(name: &'static str, of: ProcessPath) -> Name {
    row(name, Kind::Variable(STRING, Ok(Variable::Path(of))))
}

const fn array(name: &'static str, runs: Result<Array, Lack>) -> Name {
    row(name, Kind::Array(runs))
}

const fn subroutine(
    name: &'static str,
    result: ValueType,
    parameters: &'static [Parameter],
    runs: Result<Subroutine, Lack>,
) -> Name {
    let prototype = Prototype { result, parameters };
    row(name, Kind::Subroutine(prototype, runs))
}

const fn reading(
    name: &'static str,
    result: ValueType,
    parameters: &'static [Parameter],
    function: MemoryFunction,
) -> Name {
    let prototype = Prototype { result, parameters };
    row(name, Kind::Reading(prototype, function))
}

const fn action(
    name: &'static str,
    parameters: &'static [Parameter],
    runs: Result<ActionName, Lack>,
) -> Name {
    let result = ValueType::Void;
    let prototype = Prototype { result, parameters };
    row(name, Kind::Action(prototype, runs))
}

const fn aggregating(
    name: &'static str,
    parameters: &'static [Parameter],
    function: AggregatingName,
) -> Name {
    let result = ValueType::Void;
    let prototype = Prototype { result, parameters };
    row(name, Kind::Aggregating(prototype, Ok(function)))
}

const fn parameter(takes: Takes, spelling: &'static str) -> Parameter {
    Parameter {
        takes,
        spelling,
        optional: false,
    }
}

const fn optional(parameter: Parameter) -> Parameter {
    Parameter {
        optional: true,
        ..parameter
    }
}

impl Name {
    const fn records(mut self) -> Self {
        self.attributes.records = true;
        self
    }

    const fn destructive(mut self) -> Self {
        self.attributes.destructive = true;
        self
    }
}
