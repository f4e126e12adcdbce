//! An ELF file as the analysis sees it: bytes at linked addresses, exported symbols, and what the
//! dynamic linker will store where.
//!
//! Everything here is about the file, never about a process. Addresses are virtual addresses as
//! linked; [`Image::file_offset`] is the one way from an address to a place in the file, and it
//! goes through the `PT_LOAD` headers (a symbol's or section's own idea of an offset is not used:
//! a breakpoint at a wrong offset corrupts data of the target).
//!
//! A pointer in a position-independent file is zero, or the addend, until the dynamic linker
//! relocates it. [`Image::words`] gives the value that a pointer will have (less the load base),
//! from `R_X86_64_RELATIVE`, from `DT_RELR`, or from the file itself in an `ET_EXEC`.

use std::ops::Range;

use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSymbol as _, elf};

/// An ELF file for x86-64, with an index of its relocations.
#[derive(Debug)]
pub(super) struct Image<'d> {
    elf: ElfFile64<'d, Endianness>,
    segments: Vec<Segment<'d>>,
    /// `ET_EXEC`: words in the file are addresses already.
    fixed: bool,
    /// Where the dynamic linker stores addresses of this file, in order: (where, address).
    relative: Vec<(u64, u64)>,
    /// Slots of the procedure linkage table, in order: (slot, name of the function).
    imports: Vec<(u64, &'d [u8])>,
    needed: Vec<&'d [u8]>,
    /// Where the dynamic linker stores the number of this file's blocks of thread-local storage.
    block_numbers: Vec<u64>,
    /// What was read, for the recorder of test fixtures: (address, length).
    #[cfg(test)]
    pub(super) touched: std::cell::RefCell<Vec<(u64, usize)>>,
}

#[derive(Debug)]
struct Segment<'d> {
    address: u64,
    offset: u64,
    bytes: &'d [u8],
    executable: bool,
}

/// Why a file is not one that can be analysed at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadImage {
    #[error("{0}")]
    NotElf(String),
    #[error("it is not for x86-64")]
    Machine,
}

/// An exported symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) address: u64,
    pub(super) size: u64,
}

const R_RELATIVE: u32 = 8;
const R_JUMP_SLOT: u32 = 7;
const R_GLOB_DAT: u32 = 6;
const R_64: u32 = 1;
const R_DTPMOD64: u32 = 16;

impl<'d> Image<'d> {
    /// Reads the headers and the dynamic relocations.
    pub(super) fn parse(data: &'d [u8]) -> Result<Self, BadImage> {
        let not_elf = |e: object::Error| BadImage::NotElf(e.to_string());
        let elf = ElfFile64::<Endianness>::parse(data).map_err(not_elf)?;
        let header = elf.elf_header();
        let endian = elf.endian();
        if header.e_machine(endian) != elf::EM_X86_64 || endian != Endianness::Little {
            return Err(BadImage::Machine);
        }
        let mut segments: Vec<Segment<'d>> = Vec::new();
        for ph in elf.elf_program_headers() {
            if ph.p_type(endian) == elf::PT_LOAD {
                segments.push(Segment {
                    address: ph.p_vaddr(endian),
                    offset: ph.p_offset(endian),
                    bytes: ph.data(endian, data).unwrap_or(&[]),
                    executable: ph.p_flags(endian) & elf::PF_X != 0,
                });
            }
        }
        let fixed = header.e_type(endian) == elf::ET_EXEC;
        let mut image = Self {
            elf,
            segments,
            fixed,
            relative: Vec::new(),
            imports: Vec::new(),
            needed: Vec::new(),
            block_numbers: Vec::new(),
            #[cfg(test)]
            touched: std::cell::RefCell::default(),
        };
        image.read_dynamic();
        Ok(image)
    }

    /// The bytes from `address` to the end of its segment's file contents.
    pub(super) fn bytes_at(&self, address: u64) -> Option<&'d [u8]> {
        let (segment, start) = self.locate(address)?;
        segment.bytes.get(start..)
    }

    /// Exactly `len` bytes at `address`.
    pub(super) fn slice(&self, address: u64, len: usize) -> Option<&'d [u8]> {
        #[cfg(test)]
        self.touch(address, len);
        self.bytes_at(address)?.get(..len)
    }

    /// Notes that bytes were used.
    #[cfg(test)]
    pub(super) fn touch(&self, address: u64, len: usize) {
        self.touched.borrow_mut().push((address, len));
    }

    /// The 64-bit word in the file at `address`, as it is before relocation.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        self.slice(address, 8)?
            .first_chunk()
            .map(|b| u64::from_le_bytes(*b))
    }

    /// Where `address` is in the file. `None` outside every `PT_LOAD`, and in its zero-filled
    /// tail.
    pub(super) fn file_offset(&self, address: u64) -> Option<u64> {
        let (segment, start) = self.locate(address)?;
        segment.offset.checked_add(u64::try_from(start).ok()?)
    }

    /// Whether `address` is in an executable segment.
    pub(super) fn is_code(&self, address: u64) -> bool {
        self.locate(address).is_some_and(|(s, _)| s.executable)
    }

    /// The executable segments: address and bytes.
    pub(super) fn code(&self) -> impl Iterator<Item = (u64, &'d [u8])> + '_ {
        self.segments
            .iter()
            .filter(|s| s.executable)
            .map(|s| (s.address, s.bytes))
    }

    /// The other segments: address and bytes.
    pub(super) fn data(&self) -> impl Iterator<Item = (u64, &'d [u8])> + '_ {
        self.segments
            .iter()
            .filter(|s| !s.executable)
            .map(|s| (s.address, s.bytes))
    }

    /// Every word that will hold an address of this file's code, in order of place:
    /// (place, address).
    pub(super) fn words(&self) -> Vec<(u64, u64)> {
        if !self.fixed {
            let is_code = |&(_, target): &(u64, u64)| self.is_code(target);
            return self.relative.iter().copied().filter(is_code).collect();
        }
        let ranges: Vec<Range<u64>> = self
            .code()
            .map(|(a, b)| a..a.saturating_add(b.len() as u64))
            .collect();
        let mut words = Vec::new();
        for (start, bytes) in self.data() {
            let is_code = |&(_, target): &(u64, u64)| ranges.iter().any(|r| r.contains(&target));
            words.extend(data_words(start, bytes).filter(is_code));
        }
        words
    }

    /// An exported (or imported and defined here) dynamic symbol.
    pub(super) fn symbol(&self, name: &str) -> Option<Symbol> {
        self.elf
            .dynamic_symbols()
            .find(|s| s.is_definition() && s.name_bytes() == Ok(name.as_bytes()))
            .map(|s| Symbol {
                address: s.address(),
                size: s.size(),
            })
    }

    /// The function whose address the dynamic linker stores at `slot`.
    pub(super) fn import_at(&self, slot: u64) -> Option<&'d [u8]> {
        let at = self.imports.binary_search_by_key(&slot, |&(s, _)| s).ok()?;
        self.imports.get(at).map(|&(_, name)| name)
    }

    /// The address that will be at `place`, be it of something in this file or of a symbol that it
    /// defines.
    pub(super) fn pointer_at(&self, place: u64) -> Option<u64> {
        if let Some(name) = self.import_at(place) {
            return Some(self.symbol(std::str::from_utf8(name).ok()?)?.address);
        }
        let at = self
            .relative
            .binary_search_by_key(&place, |&(p, _)| p)
            .ok()?;
        self.relative.get(at).map(|&(_, target)| target)
    }

    /// The libraries that this file asks for.
    pub(super) fn needed(&self) -> &[&'d [u8]] {
        &self.needed
    }

    /// Whether the dynamic linker stores there which block of thread-local storage threads have for this file.
    pub(super) fn is_number_of_block(&self, place: u64) -> bool {
        self.block_numbers.contains(&place)
    }

    /// The address of the first place where `needle` is in a segment that is not code, or in
    /// code (string literals may lie in either).
    pub(super) fn find(&self, needle: &regex::bytes::Regex) -> Option<u64> {
        self.data().chain(self.code()).find_map(|(address, bytes)| {
            needle
                .find(bytes)
                .map(|m| address.saturating_add(m.start() as u64))
        })
    }

    /// The addresses of all places where `needle` is.
    pub(super) fn find_all(&self, needle: &regex::bytes::Regex) -> Vec<u64> {
        let segments = self.data().chain(self.code());
        segments
            .flat_map(|(address, bytes)| {
                needle
                    .find_iter(bytes)
                    .map(move |m| address.saturating_add(m.start() as u64))
            })
            .collect()
    }

    /// The places of the words in data that will hold the address `target`.
    pub(super) fn pointers_to(&self, target: u64) -> Vec<u64> {
        if !self.fixed {
            let relative = self.relative.iter().filter(|(_, t)| *t == target);
            return relative.map(|&(place, _)| place).collect();
        }
        let words = self
            .data()
            .flat_map(|(start, bytes)| data_words(start, bytes));
        words
            .filter(|&(_, word)| word == target)
            .map(|(place, _)| place)
            .collect()
    }

    /// A section's address and bytes.
    pub(super) fn section(&self, name: &str) -> Option<(u64, &'d [u8])> {
        use object::ObjectSection as _;
        let section = self.elf.section_by_name(name)?;
        Some((section.address(), section.data().ok()?))
    }

    fn locate(&self, address: u64) -> Option<(&Segment<'d>, usize)> {
        self.segments.iter().find_map(|segment| {
            let start = usize::try_from(address.checked_sub(segment.address)?).ok()?;
            (start < segment.bytes.len()).then_some((segment, start))
        })
    }

    /// Reads `PT_DYNAMIC`: section headers may be stripped, this never is.
    fn read_dynamic(&mut self) {
        let endian = self.elf.endian();
        let data = self.elf.data();
        let entries: Vec<(u64, u64)> = self
            .elf
            .elf_program_headers()
            .iter()
            .filter(|ph| ph.p_type(endian) == elf::PT_DYNAMIC)
            .filter_map(|ph| ph.data(endian, data).ok())
            .flat_map(|bytes| bytes.as_chunks::<16>().0)
            .map(|entry| {
                let (tag, value) = entry.split_at(8);
                (read_u64(tag), read_u64(value))
            })
            .take_while(|&(tag, _)| tag != 0)
            .collect();
        let value = |tag: u64| entries.iter().find(|e| e.0 == tag).map(|e| e.1);

        let strings = value(DT_STRTAB)
            .and_then(|a| self.bytes_at(a))
            .unwrap_or(&[]);
        let string = |at: u64| {
            let tail = strings.get(usize::try_from(at).ok()?..)?;
            tail.split(|&b| b == 0).next()
        };
        self.needed = entries
            .iter()
            .filter(|e| e.0 == DT_NEEDED)
            .filter_map(|e| string(e.1))
            .collect();

        let table = |at: u64, size: u64| -> &'d [u8] {
            value(at)
                .zip(value(size))
                .and_then(|(a, n)| self.bytes_at(a)?.get(..usize::try_from(n).ok()?))
                .unwrap_or(&[])
        };
        let symbols = value(DT_SYMTAB)
            .and_then(|a| self.bytes_at(a))
            .unwrap_or(&[]);
        let symbol_name = |index: u64| {
            let start = usize::try_from(index).ok()?.checked_mul(24)?;
            string(u64::from(u32::from_le_bytes(
                *symbols.get(start..)?.first_chunk()?,
            )))
        };
        let mut relative = Vec::new();
        let mut imports = Vec::new();
        let mut block_numbers = Vec::new();
        for rela in [table(DT_RELA, DT_RELASZ), table(DT_JMPREL, DT_PLTRELSZ)] {
            for entry in rela.as_chunks::<24>().0 {
                let (place, rest) = entry.split_at(8);
                let (info, addend) = rest.split_at(8);
                let (place, info, addend) = (read_u64(place), read_u64(info), read_u64(addend));
                match u32::try_from(info & 0xffff_ffff).unwrap_or(0) {
                    R_RELATIVE => relative.push((place, addend)),
                    // Without a symbol, this file's.
                    R_DTPMOD64 if info >> 32 == 0 => block_numbers.push(place),
                    R_JUMP_SLOT | R_GLOB_DAT | R_64 => {
                        imports.extend(symbol_name(info >> 32).map(|name| (place, name)));
                    }
                    _ => {}
                }
            }
        }
        let relr: Vec<u64> = table(DT_RELR, DT_RELRSZ)
            .as_chunks::<8>()
            .0
            .iter()
            .map(|w| read_u64(w))
            .collect();
        for place in relr_places(&relr) {
            relative.extend(self.word(place).map(|target| (place, target)));
        }
        relative.sort_unstable();
        imports.sort_unstable();
        self.relative = relative;
        self.imports = imports;
        self.block_numbers = block_numbers;
    }
}

/// The aligned words of a segment: (place, word).
fn data_words(start: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    let skip = start.wrapping_neg() & 7;
    let aligned = usize::try_from(skip).ok().and_then(|s| bytes.get(s..));
    let places = (start.saturating_add(skip)..).step_by(8);
    let words = aligned.unwrap_or(&[]).as_chunks::<8>().0;
    places.zip(words.iter().map(|word| u64::from_le_bytes(*word)))
}

const DT_NEEDED: u64 = 1;
const DT_PLTRELSZ: u64 = 2;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const DT_JMPREL: u64 = 23;
const DT_RELRSZ: u64 = 35;
const DT_RELR: u64 = 36;

/// The places that a `DT_RELR` table names: an even word is a place, an odd one a bit map of the
/// 63 words that follow the last.
fn relr_places(table: &[u64]) -> Vec<u64> {
    let mut places = Vec::new();
    let mut next = 0_u64;
    for &word in table {
        if word & 1 == 0 {
            places.push(word);
            next = word.wrapping_add(8);
        } else {
            places.extend(
                (0..63_u64)
                    .filter(|bit| word >> (bit + 1) & 1 == 1)
                    .map(|bit| next.wrapping_add(8 * bit)),
            );
            next = next.wrapping_add(63 * 8);
        }
    }
    places
}

fn read_u64(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |b| u64::from_le_bytes(*b))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An executable file that is nothing but code, and where that starts.
    pub(crate) fn executable(code: &[u8]) -> (Vec<u8>, u64) {
        let (header, program_header) = (64_u16, 56_u16);
        let start = u64::from(header + program_header);
        let size = start + code.len() as u64;
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        for half in [2, 62, 1, 0_u16] {
            file.extend(half.to_le_bytes()); // ET_EXEC, x86-64, version
        }
        for word in [0, u64::from(header), 0] {
            file.extend(word.to_le_bytes()); // entry, program headers, section headers
        }
        for half in [0, 0, header, program_header, 1, 0, 0, 0_u16] {
            file.extend(half.to_le_bytes());
        }
        file.extend((1 | 5_u64 << 32).to_le_bytes()); // PT_LOAD, readable and executable
        for word in [0, 0x0040_0000, 0x0040_0000, size, size, 0x1000] {
            file.extend(word.to_le_bytes());
        }
        file.extend(code);
        (file, 0x0040_0000 + start)
    }

    #[test]
    fn relr_bitmaps_continue_from_the_last_place() {
        assert_eq!(
            relr_places(&[0x1000, 0b1011, 0b11]),
            [0x1000, 0x1008, 0x1018, 0x1008 + 63 * 8]
        );
    }

    #[test]
    fn what_is_not_elf_is_said_to_be_so() {
        assert!(matches!(
            Image::parse(b"#!/bin/sh\n"),
            Err(BadImage::NotElf(_))
        ));
        assert!(matches!(Image::parse(b""), Err(BadImage::NotElf(_))));
    }
}
