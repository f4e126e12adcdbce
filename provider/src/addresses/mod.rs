//! What is at an address: of the kernel, or of a process, also when that is gone.
//!
//! Everything is read when it is asked for the first time: the kernel's symbols, and those of each
//! file that has an address to be named. What processes map is followed from the start, if the
//! program may ask for it ([`Addresses::follow`]), since a process that has ended tells nothing.

mod contents;
mod demangle;
mod greenlets;
mod image;
mod interpreter;
mod kernel;
mod mapping;
mod placed;
mod pythons;
pub(crate) mod spaces;
mod symbol;
mod table;
mod tables;
mod watch;

use std::collections::HashSet;
use std::fmt;
use std::mem::Discriminant;
use std::sync::{Arc, Mutex, OnceLock};

use self::kernel::KernelSymbols;
use self::mapping::Mapping;
pub use self::pythons::{OfTasks, Pythons};
use self::spaces::Spaces;
pub use self::symbol::{Function, Symbol};
pub use self::tables::{NoRoom, Tables};
use self::watch::Watch;
use crate::error::Error;
use crate::features::KernelFeatures;

/// Looks addresses up.
#[derive(Default)]
pub struct Addresses {
    kernel: OnceLock<KernelSymbols>,
    spaces: Arc<Spaces>,
    watch: Option<Watch>,
    /// Whether names stay as the linker has them.
    raw_names: bool,
    /// Who is told of what is missing, and what has been told.
    on_missing: Option<Box<OnMissing>>,
    told: Mutex<HashSet<Told>>,
}

type OnMissing = dyn Fn(&Missing) + Send + Sync;

/// Why what is shown of stacks and functions is less than there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Stacks end early.
    Room(NoRoom),
    /// A file is no longer what a process has mapped.
    Replaced {
        /// Its name.
        file: Arc<str>,
        /// The process.
        pid: u32,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Room(why) => why.fmt(f),
            Self::Replaced { file, pid } => write!(
                f,
                "{file} has been replaced, deleted or written over since process {pid} mapped it; its functions there have no names"
            ),
        }
    }
}

/// What is told once.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Told {
    Room(Discriminant<NoRoom>),
    Replaced(Arc<str>),
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Addresses");
        shown.field("spaces", &self.spaces).finish_non_exhaustive()
    }
}

impl Addresses {
    /// Looks nothing up yet. Names of C++ and Rust are shown as in their sources if `demangle`.
    #[must_use]
    pub fn new(demangle: bool) -> Self {
        Self {
            raw_names: !demangle,
            ..Self::default()
        }
    }

    /// Keeps tables for walking stacks up to date, from [`follow`](Self::follow) on.
    pub fn keep(&mut self, tables: Tables) {
        self.spaces.keep(tables);
    }

    /// Has somebody told of what is missing in what is shown: that stacks have ended for lack of room, the first of
    /// each kind; that a file has been replaced, each once.
    pub fn tell(&mut self, on_missing: Box<OnMissing>) {
        self.on_missing = Some(on_missing);
    }

    /// Keeps what is to be known of processes that run a Python up to date, from [`follow`](Self::follow) on.
    pub fn keep_pythons(&mut self, pythons: Pythons) {
        self.spaces.keep_pythons(pythons);
    }

    /// Follows what all processes map from now on. These are looked at before this returns, the
    /// others soon after.
    pub fn follow(&mut self, features: &KernelFeatures, first: &[u32]) -> Result<(), Error> {
        for pid in first {
            self.spaces.look(*pid);
        }
        self.watch = Some(Watch::start(features, Arc::clone(&self.spaces))?);
        Ok(())
    }

    /// What is at an address of the kernel.
    #[must_use]
    pub fn of_kernel(&self, address: u64) -> Symbol {
        self.kernel.get_or_init(KernelSymbols::read).find(address)
    }

    /// What is at an address of a process.
    #[must_use]
    pub fn of_process(&self, pid: u32, address: u64) -> Symbol {
        let caught_up = || {
            self.watch.as_ref()?.catch_up();
            self.spaces.find(pid, address)
        };
        let Some(mapping) = self.spaces.find(pid, address).or_else(caught_up) else {
            return Symbol::unknown(address);
        };
        let place = address - mapping.start + mapping.offset;
        let found = mapping.file.image().find(place);
        self.tell_missing(pid, &mapping);
        let function = found.map(|(name, offset)| Function {
            name: if self.raw_names {
                name.into()
            } else {
                demangle::demangled(name).into()
            },
            offset,
        });
        Symbol {
            address,
            module: Some(Arc::clone(&mapping.file.name)),
            function,
        }
    }

    fn tell_missing(&self, pid: u32, mapping: &Mapping) {
        let Some(on_missing) = &self.on_missing else {
            return;
        };
        let file = &mapping.file;
        let replaced = file.is_lost().then(|| Missing::Replaced {
            file: Arc::clone(&file.name),
            pid,
        });
        let no_room = self.spaces.no_room(pid, file).map(Missing::Room);
        for what in [replaced, no_room].into_iter().flatten() {
            let told = match &what {
                Missing::Room(why) => Told::Room(std::mem::discriminant(why)),
                Missing::Replaced { file, .. } => Told::Replaced(Arc::clone(file)),
            };
            if self.told.lock().is_ok_and(|mut all| all.insert(told)) {
                on_missing(&what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_shows_as_a_number() {
        let module = Some("libc.so.6".into());
        let function = Some(Function {
            name: "malloc".into(),
            offset: 0x12,
        });
        let full = Symbol {
            address: 0x1012,
            module: module.clone(),
            function,
        };
        let texts = |symbol: &Symbol| [symbol.with_offset(), symbol.name(), symbol.module_name()];
        assert_eq!(
            texts(&full),
            ["libc.so.6`malloc+0x12", "libc.so.6`malloc", "libc.so.6"]
        );
        let stripped = Symbol {
            module,
            ..Symbol::unknown(0x1012)
        };
        assert_eq!(
            texts(&stripped),
            ["libc.so.6`0x1012", "libc.so.6`0x1012", "libc.so.6"]
        );
        assert_eq!(texts(&Symbol::unknown(5)), ["0x5", "0x5", "0x5"]);
    }

    #[test]
    fn a_process_that_has_ended_is_still_known() {
        let mut addresses = Addresses::new(true);
        addresses.follow(&KernelFeatures::detect(), &[]).unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let pid = child.id();
        let mapped = || {
            let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
            let line = maps
                .lines()
                .find(|line| line.contains("/sleep") && line.contains("r-xp"));
            line.and_then(|line| u64::from_str_radix(line.split('-').next()?, 16).ok())
        };
        let address = std::iter::repeat_with(|| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            mapped()
        })
        .take(500)
        .find_map(|found| found)
        .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let shown = addresses.of_process(pid, address).module_name();
        assert_eq!(shown, "sleep");
    }
}
