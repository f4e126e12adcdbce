//! The running kernel's types, for D programs that name one: BTF to D types.
//!
//! The kernel describes some 100,000 types in `/sys/kernel/btf/vmlinux` (kernel documentation:
//! `bpf/btf.rst`), and a program uses ten. So the file is read when the first name is asked for, and
//! only the types that belong to a name are translated.

mod records;
mod signatures;

use std::cell::OnceCell;
use std::path::PathBuf;

use dlang::types::{KernelTypes, NameKind, Type};

use self::records::Types;
pub(crate) use self::signatures::{FunctionType, KernelArg, Signatures, with_signatures};
use crate::kallsyms;

/// The types that a file of BTF describes, read when the first is asked for.
#[derive(Debug)]
pub struct BtfTypes {
    path: PathBuf,
    read: OnceCell<Option<Types>>,
}

impl BtfTypes {
    /// Those of the running kernel.
    #[must_use]
    pub fn of_kernel() -> Self {
        Self::in_file("/sys/kernel/btf/vmlinux".into())
    }

    /// Those of a file.
    #[must_use]
    pub fn in_file(path: PathBuf) -> Self {
        Self {
            path,
            read: OnceCell::new(),
        }
    }

    /// Whether the file has been looked at.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.read.get().is_some()
    }
}

impl KernelTypes for BtfTypes {
    fn find(&self, kind: NameKind, name: &str) -> Option<Type> {
        let types = self
            .read
            .get_or_init(|| Types::parse(std::fs::read(&self.path).ok()?));
        types.as_ref()?.find(kind, name)
    }

    fn symbol(&self, module: &str, name: &str) -> Option<u64> {
        kallsyms::address_in(&kallsyms::read(), module, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tasks_are_known() {
        let types = BtfTypes::of_kernel();
        assert!(!types.is_read(), "nothing is read before it is asked for");
        // Kernels without BTF have none to read.
        if let Some(Type::Struct(task)) = types.find(NameKind::Struct, "task_struct") {
            let member = task.members.iter().find(|member| member.name == "pid");
            assert_eq!(member.map(|member| member.ty.clone()), Some(Type::INT));
        }
    }
}
