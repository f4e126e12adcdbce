//! The arguments of the kernel's tracepoints and functions, by its BTF.
//!
//! ```text
//!     tracepoint NAME    typedef btf_trace_NAME: pointer to a function(void *, arguments)
//!     function NAME      func NAME, whose type is a function(arguments) with a result
//! ```

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use dlang::types::{Space, Type};

use super::records::{MOST_NESTED, Record, Types, kind};

/// An argument or a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KernelArg {
    /// Its type. A pointer may be to a program's memory as well as to the kernel's.
    pub(crate) ty: Type,
    /// The type as it is written in C.
    pub(crate) shown: String,
}

/// A function's type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FunctionType {
    /// The function's id.
    pub(crate) id: u32,
    /// Its arguments, up to the first that is a struct passed by value.
    pub(crate) args: Vec<KernelArg>,
    /// Its result; `None` if it has none.
    pub(crate) result: Option<KernelArg>,
}

/// The kernel's BTF, and where tracepoints and functions are in it.
#[derive(Debug)]
pub(crate) struct Signatures {
    types: Types,
    tracepoints: HashMap<String, u32>,
    functions: HashMap<String, u32>,
}

/// Those of the running kernel, if it has BTF; read when somebody asks for the first time.
static KERNEL: LazyLock<Option<Mutex<Signatures>>> = LazyLock::new(|| {
    let types = Types::parse(std::fs::read("/sys/kernel/btf/vmlinux").ok()?)?;
    Some(Mutex::new(Signatures::of(types)?))
});

/// Asks the running kernel's BTF; `None` if it has none.
pub(crate) fn with_signatures<T>(ask: impl FnOnce(&Signatures) -> T) -> Option<T> {
    let kernel = KERNEL.as_ref()?.lock();
    Some(ask(&kernel.unwrap_or_else(PoisonError::into_inner)))
}

/// What the names of the typedefs of tracepoints begin with.
const TRACEPOINT: &str = "btf_trace_";

impl Signatures {
    fn of(types: Types) -> Option<Self> {
        let (mut tracepoints, mut functions) = (HashMap::new(), HashMap::new());
        for (id, &at) in (1..).zip(&types.records) {
            let record = types.record_at(at)?;
            if record.kind == kind::FUNC {
                functions.entry(types.name(at)?).or_insert(id);
            } else if record.kind == kind::TYPEDEF {
                let name = types.string(types.word(at)?)?;
                if let Some(name) = name.strip_prefix(TRACEPOINT.as_bytes()) {
                    tracepoints.insert(String::from_utf8(name.to_vec()).ok()?, id);
                }
            }
        }
        Some(Self {
            types,
            tracepoints,
            functions,
        })
    }

    /// Whether there is a tracepoint of this name.
    pub(crate) fn has_tracepoint(&self, name: &str) -> bool {
        self.tracepoints.contains_key(name)
    }

    /// What a tracepoint passes; `None` if there is none of this name.
    pub(crate) fn tracepoint(&self, name: &str) -> Option<Vec<KernelArg>> {
        let typedef = self.types.record(*self.tracepoints.get(name)?)?;
        let pointer = self.types.record(typedef.size_or_type)?;
        let proto = self.types.record(pointer.size_or_type)?;
        if proto.kind != kind::FUNC_PROTO {
            return None;
        }
        // The first is of the tracepoint's own.
        (1..proto.count).map(|n| self.parameter(proto, n)).collect()
    }

    /// A function's type; `None` if there is none of this name.
    pub(crate) fn function(&self, name: &str) -> Option<FunctionType> {
        let id = *self.functions.get(name)?;
        let proto = self.types.record(self.types.record(id)?.size_or_type)?;
        if proto.kind != kind::FUNC_PROTO {
            return None;
        }
        let all: Option<Vec<_>> = (0..proto.count).map(|n| self.parameter(proto, n)).collect();
        let mut args = all?;
        let by_value = args.iter().position(|arg| !arg.ty.is_scalar());
        args.truncate(by_value.unwrap_or(args.len()));
        let result = proto.size_or_type;
        Some(FunctionType {
            id,
            args,
            result: if result == 0 {
                None
            } else {
                Some(self.arg(result)?)
            },
        })
    }

    /// The names of all functions, in order.
    pub(crate) fn function_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.functions.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    fn parameter(&self, proto: Record, n: usize) -> Option<KernelArg> {
        self.arg(self.types.word(proto.at + 12 + 8 * n + 4)?)
    }

    fn arg(&self, id: u32) -> Option<KernelArg> {
        self.types.parts.set(0);
        let ty = self.types.whole(id, 0)?;
        let ty = ty.bare().clone();
        // Which arguments are a program's addresses is not written down everywhere.
        let ty = if let Type::Pointer(to, Space::Kernel) = &ty {
            Type::pointer_in(Space::Unknown, Type::clone(to))
        } else {
            ty
        };
        Some(KernelArg {
            ty,
            shown: self.types.shown(id, 0)?,
        })
    }
}

impl Types {
    /// A type as it is written in C, without `const` and its like.
    fn shown(&self, id: u32, depth: u32) -> Option<String> {
        if depth > MOST_NESTED {
            return None;
        }
        if id == 0 {
            return Some("void".into());
        }
        let record = self.record(id)?;
        let inner = || self.shown(record.size_or_type, depth + 1);
        let tagged = |word: &str| {
            let name = self.name(record.at)?;
            let name = if name.is_empty() { "{...}" } else { &name };
            Some(format!("{word} {name}"))
        };
        match record.kind {
            kind::PTR => {
                let to = inner()?;
                let space = if to.ends_with('*') { "" } else { " " };
                Some(format!("{to}{space}*"))
            }
            kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => inner(),
            kind::STRUCT => tagged("struct"),
            kind::UNION => tagged("union"),
            kind::FWD => tagged(if record.flag { "union" } else { "struct" }),
            kind::ENUM | kind::ENUM64 => tagged("enum"),
            kind::ARRAY => {
                let of = self.shown(self.word(record.at + 12)?, depth + 1)?;
                Some(format!("{of} [{}]", self.word(record.at + 20)?))
            }
            kind::FUNC_PROTO => Some("void ()".into()),
            _named => self.name(record.at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(args: &[KernelArg]) -> Vec<&str> {
        args.iter().map(|arg| arg.shown.as_str()).collect()
    }

    #[test]
    fn the_kernels_own_signatures() {
        // Kernels without BTF have none.
        with_signatures(|signatures| {
            let exec = signatures.tracepoint("sched_process_exec").unwrap();
            let expected = ["struct task_struct *", "pid_t", "struct linux_binprm *"];
            assert_eq!(shown(&exec), expected);
            assert_eq!(exec[1].ty, Type::INT);
            assert!(signatures.tracepoint("no_such_tracepoint").is_none());
            let open = signatures.function("do_filp_open").unwrap();
            assert_eq!(shown(&open.args)[0], "int");
            assert_eq!(open.result.unwrap().shown, "struct file *");
            assert!(signatures.function("no_such_function").is_none());
            assert!(signatures.function_names().len() > 1000);
        });
    }
}
