//! The symbols of an ELF file: which one holds a place in it.
//!
//! From `.symtab`, else `.dynsym` and what `.gnu_debugdata` has, and `.eh_frame` for functions without a name
//! (`usdt::frames`). A symbol holds as many bytes as its size says; one without a size, as assembly has, reaches to the next.

use std::fs;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use object::read::elf::{FileHeader, Sym, SymbolTable};
use object::{ReadRef, elf};

use crate::usdt::elf::{Contents, Elf, SymbolNames};
use crate::usdt::frames;
use crate::usdt::symbols::{holder, unpack};

/// A symbol: where it starts, as an offset in the file, how many bytes it has, and where its name is among all.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    start: u64,
    size: u64,
    name: Range<usize>,
}

/// The symbols of one file, by where they start.
#[derive(Debug, Default)]
pub(super) struct Image {
    symbols: Vec<Entry>,
    names: String,
}

impl Image {
    /// Those of an open file; none if it is no ELF file.
    pub(super) fn of_file(file: &fs::File) -> Self {
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let Ok(contents) = Contents::open(&path) else {
            return Self::default();
        };
        contents
            .elf()
            .map_or_else(|_| Self::default(), |elf| Self::of(&elf))
    }

    /// Those of an ELF file in memory.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Elf::parse(bytes).map_or_else(|_| Self::default(), |elf| Self::of(&elf))
    }

    fn of<'a, R: ReadRef<'a>>(file: &Elf<'a, R>) -> Self {
        let mut image = Self::default();
        match file.symbols(false) {
            Some(table) => image.add(&table, file.symbol_names(&table), file.endian(), file),
            None => {
                if let Some(table) = file.symbols(true) {
                    image.add(&table, file.symbol_names(&table), file.endian(), file);
                }
                if let Ok(Some(packed)) = file.section_data(".gnu_debugdata")
                    && let Some(unpacked) = unpack(packed)
                    && let Ok(inner) = Elf::parse(&*unpacked)
                    && let Some(table) = inner.symbols(false)
                {
                    image.add(&table, inner.symbol_names(&table), inner.endian(), file);
                }
                image.sort();
                image.add_unnamed(file);
            }
        }
        image.sort();
        image
    }

    /// Adds the functions that have no name, to the others in their order.
    fn add_unnamed<'f, F: ReadRef<'f>>(&mut self, file: &Elf<'f, F>) {
        let is_named = |start| {
            let found = self.holder(start);
            found.is_some_and(|named| named.start == start || named.size > 0)
        };
        let in_file =
            |range: Range<u64>| file.file_offset(range.start).map(|found| (found.0, range));
        let unnamed: Vec<_> = frames::ranges(file)
            .into_iter()
            .filter_map(in_file)
            .filter(|(start, _)| !is_named(*start))
            .collect();
        for (start, range) in unnamed {
            let size = range.end - range.start;
            self.push(start, size, &frames::name_of(range.start));
        }
    }

    /// Puts the symbols in their order, one at each place.
    fn sort(&mut self) {
        let Self { symbols, names } = self;
        let rank = |entry: &Entry| {
            let name = names.get(entry.name.clone()).unwrap_or_default();
            (entry.size == 0, name.starts_with('_'), name.len(), name)
        };
        symbols.sort_by(|a, b| a.start.cmp(&b.start).then_with(|| rank(a).cmp(&rank(b))));
        symbols.dedup_by_key(|entry| entry.start);
    }

    fn add<'a, 'f, H, R, F>(
        &mut self,
        table: &SymbolTable<'a, H, R>,
        names: SymbolNames<'a>,
        endian: H::Endian,
        file: &Elf<'f, F>,
    ) where
        H: FileHeader<Word = u64>,
        R: ReadRef<'a>,
        F: ReadRef<'f>,
    {
        for symbol in table.iter() {
            let kinds = [
                elf::STT_FUNC,
                elf::STT_OBJECT,
                elf::STT_NOTYPE,
                elf::STT_GNU_IFUNC,
            ];
            // An absolute symbol is a number: the name of a version, say.
            let nowhere = [elf::SHN_UNDEF, elf::SHN_ABS];
            if !kinds.contains(&symbol.st_type()) || nowhere.contains(&symbol.st_shndx(endian)) {
                continue;
            }
            let Some((start, _)) = file.file_offset(symbol.st_value(endian)) else {
                continue;
            };
            let name = String::from_utf8_lossy(names.of(symbol, endian));
            // A table for the linker has `name@@VERSION`.
            let name = name.split('@').next().unwrap_or_default();
            if !name.is_empty() {
                self.push(start, symbol.st_size(endian), name);
            }
        }
    }

    fn push(&mut self, start: u64, size: u64, name: &str) {
        let from = self.names.len();
        self.names.push_str(name);
        self.symbols.push(Entry {
            start,
            size,
            name: from..self.names.len(),
        });
    }

    /// The symbol that holds a place in the file, and how far the place is from its start.
    pub(super) fn find(&self, offset: u64) -> Option<(&str, u64)> {
        let entry = self.holder(offset)?;
        let name = self.names.get(entry.name.clone())?;
        Some((name, offset - entry.start))
    }

    fn holder(&self, offset: u64) -> Option<&Entry> {
        holder(&self.symbols, offset, |entry| (entry.start, entry.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(symbols: &[(u64, u64, &str)]) -> Image {
        let mut image = Image::default();
        for (start, size, name) in symbols {
            image.push(*start, *size, name);
        }
        image
    }

    #[test]
    fn a_symbol_holds_as_many_bytes_as_it_has() {
        let image = image(&[
            (16, 8, "a"),
            (32, 0, "no_size"),
            (64, 32, "outer"),
            (72, 4, "inner"),
        ]);
        for (offset, found) in [
            (15, None),
            (16, Some(("a", 0))),
            (23, Some(("a", 7))),
            (24, None),
            (40, Some(("no_size", 8))),
            (73, Some(("inner", 1))),
            (80, Some(("outer", 16))),
            (100, None),
        ] {
            assert_eq!(image.find(offset), found, "{offset}");
        }
    }

    #[test]
    fn our_own_functions_have_their_names() {
        let exe = fs::File::open("/proc/self/exe").unwrap();
        let image = Image::of_file(&exe);
        let mut names = image
            .symbols
            .iter()
            .map(|entry| &image.names[entry.name.clone()]);
        assert!(names.any(|name| name == "main"));
    }
}
