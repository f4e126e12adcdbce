//! USDT probes: what `sys/sdt.h` leaves in an ELF file.
//!
//! A program is sprinkled with `nop`s, one at each site; a note in `.note.stapsdt` says for each
//! which probe it is, where its arguments are at that moment, and which counter (semaphore) the
//! program tests before it goes to the trouble of computing them. A site costs nothing until
//! somebody puts a breakpoint on the `nop` and raises the counter.
//!
//! ```text
//!     readelf -n /usr/bin/python3.11
//!       stapsdt              0x00000046   NT_STAPSDT (SystemTap probe descriptors)
//!         Provider: python
//!         Name: function__return
//!         Location: 0x4f20d4, Base: 0x8cc5a0, Semaphore: 0xa84262
//!         Arguments: 8@%rbp 8@%r12 -4@%eax
//!
//!     gives the site   file offset 0xf20d4 (the PT_LOAD at 0x400000 starts at offset 0),
//!                      semaphore at the file offset that holds 0xa84262,
//!                      arguments: rbp, r12 and the lower half of rax, sign-extended
//! ```
//!
//! A compiler may copy code, so one probe can have several sites, each with its own
//! argument locations; all of them must be armed.

pub mod args;
pub mod cpython;
pub mod elf;
mod file;
pub(crate) mod frames;
pub(crate) mod loads;
pub mod note;
pub(crate) mod symbols;
mod version;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use object::ReadRef;

use self::args::{Machine, Surroundings};
use self::elf::{Contents, Elf, ElfError};
pub use self::file::{UsdtFile, UsdtSite};
use self::note::Note;
use crate::probe::Site;

impl UsdtFile {
    /// Reads a file's probes. A file without any gives none; damaged notes are passed over.
    pub fn read(path: &Path) -> Result<Self, ElfError> {
        Self::from_elf(&Contents::open(path)?.elf()?)
    }

    /// The same for a file in memory.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ElfError> {
        Self::from_elf(&Elf::parse(bytes)?)
    }

    fn from_elf<'a, R: ReadRef<'a>>(elf: &Elf<'a, R>) -> Result<Self, ElfError> {
        let notes: Vec<Note> = elf
            .notes(".note.stapsdt")?
            .into_iter()
            .filter_map(|(owner, kind, descriptor)| Note::parse(owner, kind, descriptor))
            .collect();
        let mut file = Self::default();
        let Some(machine) = Machine::NATIVE else {
            return Ok(file);
        };
        if notes.is_empty() {
            return Ok(file);
        }
        file.build_id = elf.build_id();
        let base = elf.section_address(".stapsdt.base");
        let symbols = Symbols {
            elf,
            found: RefCell::default(),
        };
        for note in notes {
            match site(elf, &note, base, machine, &symbols) {
                Some(site) => file.sites.push(UsdtSite {
                    note,
                    function: None,
                    site,
                }),
                None => file.misplaced.push(note),
            }
        }
        let addresses: Vec<u64> = file.sites.iter().map(|site| site.site.address).collect();
        for (site, function) in file
            .sites
            .iter_mut()
            .zip(symbols::functions_at(elf, &addresses))
        {
            site.function = function;
        }
        if file.sites.iter().any(cpython::is_own) {
            file.python = cpython::version(elf);
            file.entry_raises = cpython::raises(elf, &file.sites, file.python);
        }
        Ok(file)
    }
}

/// The site of a note; `None` if it is not in executable contents of the file, or has a semaphore
/// that is nowhere in the file: then it could not be armed, and would never fire.
fn site<'a, R: ReadRef<'a>>(
    elf: &Elf<'a, R>,
    note: &Note,
    base: Option<u64>,
    machine: Machine,
    symbols: &Symbols<'_, 'a, R>,
) -> Option<Site> {
    let (address, semaphore) = note.moved(base);
    let (file_offset, true) = elf.file_offset(address)? else {
        return None;
    };
    let semaphore = match semaphore {
        Some(address) => Some(elf.file_offset(address)?.0),
        None => None,
    };
    let around = Around {
        symbols,
        site: address,
    };
    let args = args::parse(machine, &note.arguments, &around);
    Some(Site {
        file_offset,
        address,
        semaphore,
        args,
    })
}

/// Symbol look-ups, each done once.
struct Symbols<'s, 'a, R: ReadRef<'a>> {
    elf: &'s Elf<'a, R>,
    found: RefCell<HashMap<String, Option<u64>>>,
}

struct Around<'s, 'a, R: ReadRef<'a>> {
    symbols: &'s Symbols<'s, 'a, R>,
    site: u64,
}

impl<'a, R: ReadRef<'a>> Surroundings for Around<'_, 'a, R> {
    fn symbol(&self, name: &str) -> Option<u64> {
        let mut found = self.symbols.found.borrow_mut();
        *found
            .entry(name.to_owned())
            .or_insert_with(|| symbols::address_of(self.symbols.elf, name))
    }

    fn site(&self) -> u64 {
        self.site
    }

    fn fixed(&self) -> bool {
        self.symbols.elf.is_fixed()
    }
}
