//! The extension module greenlet in a file: by what facts the generated code finds the greenlet that a thread is running.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use python_analysis::{Greenlets, greenlets_of};
use unwind::python::{Fact, Facts};

use crate::usdt::elf::Contents;
use crate::usdt::loads::CodeLoads;

/// A file that is greenlet, by its name.
#[derive(Debug)]
pub(super) struct GreenletModule {
    /// `None` if its code is not as expected.
    greenlets: Option<Greenlets>,
    loads: CodeLoads,
}

impl GreenletModule {
    /// That of an open file.
    pub(super) fn of_file(file: &fs::File) -> Self {
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let loads = || Some(Contents::open(&path).ok()?.elf().ok()?.code_loads());
        Self {
            greenlets: greenlets_of(file),
            loads: loads().unwrap_or_default(),
        }
    }

    /// Whether a file of this name is looked at: `_greenlet.cpython-311-x86_64-linux-gnu.so`, before 1.0 without the
    /// underscore.
    pub(super) fn may_be(name: &str) -> bool {
        let stem = name.strip_prefix('_').unwrap_or(name);
        stem.starts_with("greenlet.") && Path::new(name).extension() == Some(OsStr::new("so"))
    }

    /// Adds what it takes in a process that has the part of the file from `offset` on at `start`; `None` if that is not
    /// known.
    pub(super) fn add(&self, offset: u64, start: u64, facts: &mut Facts) -> Option<()> {
        let base = start.wrapping_sub(self.loads.linked_address(offset)?);
        let mut set = |fact: Fact, value: u64| facts.words[fact as usize] = value;
        match self.greenlets? {
            Greenlets::OfThread {
                block,
                state,
                current,
            } => {
                set(Fact::GreenletBlock, base.wrapping_add(block));
                set(Fact::GreenletState, state.into());
                set(Fact::Greenlet, current.into());
            }
            Greenlets::OfProcess {
                last,
                dict,
                dict_of_thread,
            } => {
                set(Fact::LastGreenlet, base.wrapping_add(last));
                set(Fact::GreenletDict, dict.into());
                set(Fact::DictOfGreenlets, dict_of_thread.into());
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_greenlet_by_its_name() {
        for (name, expected) in [
            ("_greenlet.cpython-311-x86_64-linux-gnu.so", true),
            ("greenlet.cpython-38-x86_64-linux-gnu.so", true),
            ("_greenlet.abi3.so", true),
            (
                "_greenlet_primitives.cpython-311-x86_64-linux-gnu.so",
                false,
            ),
            ("_test_extension_cpp.cpython-311-x86_64-linux-gnu.so", false),
            ("greenlet.py", false),
        ] {
            assert_eq!(GreenletModule::may_be(name), expected, "{name}");
        }
    }
}
