//! The parts of an ELF file that USDT needs, read on demand: a 7 MB interpreter costs a few reads
//! of some kilobytes each.
//!
//! The file is read with seek and read, never mapped: another process may shorten it while we look.

#![warn(clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::iter;
use std::ops::Range;
use std::path::Path;

use object::elf::{FileHeader64, ProgramHeader64, SectionHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, SectionTable, Sym, SymbolTable};
use object::{Endianness, ReadCache, ReadRef, elf};

use super::args::Machine;
use super::loads::{CodeLoad, CodeLoads};

/// Why a file has no probes that rdtrace can use.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// It cannot be read.
    #[error("{}", crate::remedy::errno_text(.0))]
    Io(#[from] io::Error),
    /// It is no ELF file (a script, say).
    #[error("it is not an ELF file")]
    NotElf,
    /// It is a 32-bit program.
    #[error("it is a 32-bit program; rdtrace traces 64-bit ones")]
    Bits32,
    /// It is for another machine.
    #[error(
        "it is for another machine ({machine}); rdtrace traces programs of {}",
        std::env::consts::ARCH
    )]
    Foreign {
        /// The machine's name, or its number.
        machine: String,
    },
    /// Its structure makes no sense.
    #[error("its ELF structure is damaged: {0}")]
    Damaged(String),
}

impl From<object::Error> for ElfError {
    fn from(error: object::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// A note's owner, type and descriptor.
pub type RawNote<'a> = (&'a [u8], u32, &'a [u8]);

/// Larger sections than this are damage, or an attempt to make us run out of memory.
const LARGEST_SECTION: u64 = 1 << 28;

/// The names of the symbols of one table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SymbolNames<'a>(&'a [u8]);

impl<'a> SymbolNames<'a> {
    /// The name of a symbol; empty if it has none.
    pub(crate) fn of<S: Sym>(self, symbol: &S, endian: S::Endian) -> &'a [u8] {
        let from = usize::try_from(symbol.st_name(endian)).ok();
        let rest = from.and_then(|from| self.0.get(from..)).unwrap_or_default();
        let mut parts = rest.split(|byte| *byte == 0);
        parts.next().unwrap_or_default()
    }
}

/// An open file's contents, each part read when first asked for.
#[derive(Debug)]
pub struct Contents {
    cache: ReadCache<fs::File>,
}

impl Contents {
    /// Opens a file.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = fs::File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        }
        Ok(Self {
            cache: ReadCache::new(file),
        })
    }

    /// Reads the headers.
    pub fn elf(&self) -> Result<Elf<'_, &ReadCache<fs::File>>, ElfError> {
        Elf::parse(&self.cache)
    }
}

/// A 64-bit ELF file of this machine.
#[derive(Debug)]
pub struct Elf<'a, R: ReadRef<'a>> {
    data: R,
    endian: Endianness,
    fixed: bool,
    segments: &'a [ProgramHeader64<Endianness>],
    sections: SectionTable<'a, FileHeader64<Endianness>, R>,
}

impl<'a, R: ReadRef<'a>> Elf<'a, R> {
    /// Reads the headers and refuses what cannot be traced.
    pub fn parse(data: R) -> Result<Self, ElfError> {
        let ident = data.read_bytes_at(0, 16).map_err(|()| ElfError::NotElf)?;
        match ident.get(..6) {
            Some([0x7f, b'E', b'L', b'F', elf::ELFCLASS64, elf::ELFDATA2LSB]) => {}
            Some([0x7f, b'E', b'L', b'F', elf::ELFCLASS64, _]) => {
                return Err(ElfError::Foreign {
                    machine: "a big-endian one".into(),
                });
            }
            Some([0x7f, b'E', b'L', b'F', elf::ELFCLASS32, _]) => return Err(ElfError::Bits32),
            _ => return Err(ElfError::NotElf),
        }
        let header = FileHeader64::<Endianness>::parse(data)?;
        let endian = header.endian()?;
        let machine = header.e_machine(endian);
        if machine_of(machine).is_none() || machine_of(machine) != Machine::NATIVE {
            return Err(ElfError::Foreign {
                machine: machine_name(machine),
            });
        }
        Ok(Self {
            data,
            endian,
            fixed: header.e_type(endian) == elf::ET_EXEC,
            segments: header.program_headers(endian, data)?,
            // A file without section headers has no notes to offer, but is no damage.
            sections: header.sections(endian, data)?,
        })
    }

    /// Whether linked addresses are run-time addresses.
    pub fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// The file offset of a linked address: through the `PT_LOAD` that holds it, which is the only
    /// right way; and whether it is executable there.
    pub fn file_offset(&self, address: u64) -> Option<(u64, bool)> {
        self.segments
            .iter()
            .filter(|s| s.p_type(self.endian) == elf::PT_LOAD)
            .find_map(|segment| {
                let within = address.checked_sub(segment.p_vaddr(self.endian))?;
                if within >= segment.p_filesz(self.endian) {
                    return None;
                }
                let offset = segment.p_offset(self.endian).checked_add(within)?;
                Some((offset, segment.p_flags(self.endian) & elf::PF_X != 0))
            })
    }

    /// The parts of the file that are loaded to be executed.
    pub(crate) fn code_loads(&self) -> CodeLoads {
        let endian = self.endian;
        let is_code = |segment: &&ProgramHeader64<Endianness>| {
            segment.p_type(endian) == elf::PT_LOAD && segment.p_flags(endian) & elf::PF_X != 0
        };
        let loads = self.segments.iter().filter(is_code);
        loads
            .map(|segment| CodeLoad {
                offset: segment.p_offset(endian),
                bytes: segment.p_filesz(endian),
                address: segment.p_vaddr(endian),
            })
            .collect()
    }

    /// The linked address of a section.
    pub fn section_address(&self, name: &str) -> Option<u64> {
        self.section(name)
            .map(|section| section.sh_addr(self.endian))
    }

    /// The linked addresses of a section.
    pub(crate) fn section_range(&self, name: &str) -> Option<Range<u64>> {
        let section = self.section(name)?;
        let start = section.sh_addr(self.endian);
        Some(start..start.saturating_add(section.sh_size(self.endian)))
    }

    /// The bytes of a section; `None` when there is none.
    pub fn section_data(&self, name: &str) -> Result<Option<&'a [u8]>, ElfError> {
        self.section(name)
            .map(|section| self.data_of(section))
            .transpose()
    }

    /// The 8 bytes that the file has for a linked address.
    pub fn word_at(&self, address: u64) -> Option<u64> {
        let (offset, _) = self.file_offset(address)?;
        let bytes = self.data.read_bytes_at(offset, 8).ok()?;
        bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// The notes of a section: owner, type and descriptor of each. Stops at the first damaged one.
    pub fn notes(&self, name: &str) -> Result<Vec<RawNote<'a>>, ElfError> {
        let Some(section) = self.section(name) else {
            return Ok(Vec::new());
        };
        self.data_of(section)?;
        let Some(mut notes) = section.notes(self.endian, self.data)? else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        while let Ok(Some(note)) = notes.next() {
            all.push((note.name(), note.n_type(self.endian), note.desc()));
        }
        Ok(all)
    }

    /// The build id, as lower-case hex.
    pub fn build_id(&self) -> Option<String> {
        build_id_among(self.notes(".note.gnu.build-id").ok()?)
    }

    /// The full symbol table, or the dynamic one.
    pub(crate) fn symbols(
        &self,
        dynamic: bool,
    ) -> Option<SymbolTable<'a, FileHeader64<Endianness>, R>> {
        let kind = if dynamic {
            elf::SHT_DYNSYM
        } else {
            elf::SHT_SYMTAB
        };
        let table = self.sections.symbols(self.endian, self.data, kind).ok()?;
        (!table.is_empty()).then_some(table)
    }

    /// The names of a table's symbols, in one read: a name for itself would be a read of its own.
    pub(crate) fn symbol_names(
        &self,
        table: &SymbolTable<'a, FileHeader64<Endianness>, R>,
    ) -> SymbolNames<'a> {
        let section = self.sections.section(table.string_section());
        let bytes = section.map_err(ElfError::from);
        let bytes = bytes.and_then(|section| self.data_of(section));
        SymbolNames(bytes.unwrap_or_default())
    }

    pub(crate) fn endian(&self) -> Endianness {
        self.endian
    }

    fn section(&self, name: &str) -> Option<&'a SectionHeader64<Endianness>> {
        self.sections
            .section_by_name(self.endian, name.as_bytes())
            .map(|(_, section)| section)
    }

    fn data_of(&self, section: &SectionHeader64<Endianness>) -> Result<&'a [u8], ElfError> {
        if section.sh_size(self.endian) > LARGEST_SECTION {
            return Err(ElfError::Damaged(
                "a section is larger than any could be".into(),
            ));
        }
        Ok(section.data(self.endian, self.data)?)
    }
}

/// The build id of a file of which there is only the start, as where it is in a process's memory.
pub(crate) fn build_id_by_segments(start: &[u8]) -> Option<String> {
    let header = FileHeader64::<Endianness>::parse(start).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, start).ok()?;
    segments.iter().find_map(|segment| {
        let mut notes = segment.notes(endian, start).ok()??;
        let notes = iter::from_fn(|| notes.next().ok().flatten());
        build_id_among(notes.map(|note| (note.name(), note.n_type(endian), note.desc())))
    })
}

/// The build id among some notes, as lower-case hex.
fn build_id_among<'a>(notes: impl IntoIterator<Item = RawNote<'a>>) -> Option<String> {
    let mut notes = notes.into_iter();
    let (.., id) =
        notes.find(|(owner, kind, _)| *owner == b"GNU" && *kind == elf::NT_GNU_BUILD_ID)?;
    Some(id.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

fn machine_of(machine: u16) -> Option<Machine> {
    match machine {
        elf::EM_X86_64 => Some(Machine::X86_64),
        elf::EM_AARCH64 => Some(Machine::Aarch64),
        _ => None,
    }
}

fn machine_name(machine: u16) -> String {
    match machine {
        elf::EM_X86_64 => "x86_64".into(),
        elf::EM_AARCH64 => "aarch64".into(),
        elf::EM_RISCV => "riscv".into(),
        elf::EM_PPC64 => "powerpc64".into(),
        elf::EM_S390 => "s390".into(),
        elf::EM_LOONGARCH => "loongarch".into(),
        other => format!("ELF machine {other}"),
    }
}
