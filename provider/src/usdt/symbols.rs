//! Which function holds an address, and where a symbol is.
//!
//! Looked up in `.symtab`, else in `.dynsym`, else in the symbol table that Fedora keeps compressed
//! in `.gnu_debugdata`: a whole ELF file under xz, which is decompressed only when the
//! others don't tell. A site in a stripped file may be in no function with a name. Where all functions of a file are
//! asked for, those that only `.eh_frame` knows are among them (`frames`).

#![warn(clippy::indexing_slicing)]

use std::io::{self, Write};
use std::path::Path;

use object::read::elf::{FileHeader, Sym, SymbolTable};
use object::{ReadRef, elf};

use super::elf::{Contents, Elf, SymbolNames};
use super::frames;

/// More than any real `.gnu_debugdata` (libpython's is 300 KB): a bomb stops here.
const LARGEST_DEBUGDATA: usize = 64 << 20;

/// The names of the functions that hold `addresses`, in the same order.
pub(super) fn functions_at<'a, R: ReadRef<'a>>(
    file: &Elf<'a, R>,
    addresses: &[u64],
) -> Vec<Option<String>> {
    let mut names = vec![None; addresses.len()];
    if let Some(table) = file.symbols(false) {
        fill(&table, file.endian(), addresses, &mut names);
        return names;
    }
    if let Some(table) = file.symbols(true) {
        fill(&table, file.endian(), addresses, &mut names);
    }
    if names.iter().any(Option::is_none)
        && let Ok(Some(packed)) = file.section_data(".gnu_debugdata")
        && let Some(unpacked) = unpack(packed)
        && let Ok(inner) = Elf::parse(&*unpacked)
        && let Some(table) = inner.symbols(false)
    {
        fill(&table, inner.endian(), addresses, &mut names);
    }
    names
}

/// A function that a symbol table names, or that `.eh_frame` alone knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name, without a version; `sub_` and the address if it has none.
    pub(crate) name: String,
    /// Its linked address.
    pub(crate) address: u64,
    /// Where its first instruction is in the file.
    pub(crate) file_offset: u64,
    /// Bytes of code; 0 if the table does not say.
    pub(crate) size: u64,
    /// Whether the file's `.symtab` has it. Where there is none, as in a distribution's libraries, DTrace means
    /// no instructions by a glob.
    pub(crate) is_in_symtab: bool,
    /// Whether a symbol table has its name.
    pub(crate) has_name: bool,
}

/// The functions of a file, by address; of those at one address, the best-known name comes first: the
/// one without underscores, then the shortest. Empty for a file that is no ELF file, or has neither
/// symbols nor frames.
pub(crate) fn functions_in(path: &Path) -> Vec<Function> {
    let Ok(contents) = Contents::open(path) else {
        return Vec::new();
    };
    let Ok(file) = contents.elf() else {
        return Vec::new();
    };
    let mut functions = Vec::new();
    for dynamic in [false, true] {
        if let Some(table) = file.symbols(dynamic) {
            let names = file.symbol_names(&table);
            let table = (&table, names, file.endian());
            add_functions(table, &file, !dynamic, &mut functions);
        }
    }
    if file.symbols(false).is_none()
        && let Ok(Some(packed)) = file.section_data(".gnu_debugdata")
        && let Some(unpacked) = unpack(packed)
        && let Ok(inner) = Elf::parse(&*unpacked)
        && let Some(table) = inner.symbols(false)
    {
        let names = inner.symbol_names(&table);
        let table = (&table, names, inner.endian());
        add_functions(table, &file, false, &mut functions);
    }
    let rank = |name: &str| (name.starts_with('_'), name.len());
    functions.sort_by(|a, b| {
        let by_name = || rank(&a.name).cmp(&rank(&b.name)).then(a.name.cmp(&b.name));
        a.address.cmp(&b.address).then_with(by_name)
    });
    functions.dedup_by(|a, b| (&a.name, a.address) == (&b.name, b.address));
    if file.symbols(false).is_none() {
        add_unnamed(&file, &mut functions);
    }
    functions
}

/// Adds the functions that have no name, to those by address that have one.
fn add_unnamed<'f, F: ReadRef<'f>>(file: &Elf<'f, F>, functions: &mut Vec<Function>) {
    let is_named = |address| {
        let found = holder(functions, address, |named| (named.address, named.size));
        found.is_some_and(|named| named.address == address || named.size > 0)
    };
    let unnamed: Vec<_> = frames::ranges(file)
        .into_iter()
        .filter(|range| !is_named(range.start))
        .filter_map(|range| {
            let (file_offset, true) = file.file_offset(range.start)? else {
                return None;
            };
            Some(Function {
                name: frames::name_of(range.start),
                address: range.start,
                file_offset,
                size: range.end - range.start,
                is_in_symtab: false,
                has_name: false,
            })
        })
        .collect();
    functions.extend(unnamed);
    // Those at one address stay in their order.
    functions.sort_by_key(|function| function.address);
}

/// Of symbols by their starts, the one that holds a place: a function may lie within another, so the one that starts
/// last and reaches so far. One without a size, as assembly has, reaches to the next. `extent` is a symbol's start and size.
pub(crate) fn holder<S>(
    symbols: &[S],
    place: u64,
    extent: impl Fn(&S) -> (u64, u64),
) -> Option<&S> {
    let behind = symbols.partition_point(|symbol| extent(symbol).0 <= place);
    let before = symbols.get(..behind)?;
    let holds = |(nth, symbol): &(usize, &S)| {
        let (start, size) = extent(symbol);
        place - start < size || size == 0 && *nth == 0
    };
    let mut nearest = before.iter().rev().take(NESTED).enumerate();
    nearest.find(holds).map(|(_, symbol)| symbol)
}

/// So many symbols before a place are asked whether they hold it.
const NESTED: usize = 8;

/// Whether a file expects one of these functions of others; `None` if it does not say what it expects,
/// as a static program does not.
pub(crate) fn imports_any(path: &Path, names: &[&[u8]]) -> Option<bool> {
    let contents = Contents::open(path).ok()?;
    let file = contents.elf().ok()?;
    let table = file.symbols(true)?;
    let endian = file.endian();
    let mut symbols = table.iter();
    Some(symbols.any(|symbol| {
        symbol.st_shndx(endian) == elf::SHN_UNDEF
            && matches!(table.symbol_name(endian, symbol), Ok(name) if names.contains(&name))
    }))
}

/// Adds the functions of a table; where they are in the file, `file` says.
fn add_functions<'a, 'f, H, R, F>(
    (table, names, endian): (&SymbolTable<'a, H, R>, SymbolNames<'a>, H::Endian),
    file: &Elf<'f, F>,
    is_in_symtab: bool,
    functions: &mut Vec<Function>,
) where
    H: FileHeader<Word = u64>,
    R: ReadRef<'a>,
    F: ReadRef<'f>,
{
    for symbol in table.iter() {
        if symbol.st_type() != elf::STT_FUNC || symbol.st_shndx(endian) == elf::SHN_UNDEF {
            continue;
        }
        let address = symbol.st_value(endian);
        let Some((file_offset, true)) = file.file_offset(address) else {
            continue;
        };
        let name = String::from_utf8_lossy(names.of(symbol, endian));
        // A table for the linker has `name@@VERSION`.
        let name = name.split('@').next().unwrap_or_default();
        if !name.is_empty() {
            functions.push(Function {
                name: name.to_owned(),
                address,
                file_offset,
                size: symbol.st_size(endian),
                is_in_symtab,
                has_name: true,
            });
        }
    }
}

/// The linked address of a symbol.
pub(super) fn address_of<'a, R: ReadRef<'a>>(file: &Elf<'a, R>, name: &str) -> Option<u64> {
    [false, true].into_iter().find_map(|dynamic| {
        let table = file.symbols(dynamic)?;
        let endian = file.endian();
        table
            .iter()
            .find(|symbol| {
                symbol.st_shndx(endian) != elf::SHN_UNDEF
                    && table
                        .symbol_name(endian, symbol)
                        .is_ok_and(|found| found == name.as_bytes())
            })
            .map(|symbol| symbol.st_value(endian))
    })
}

/// Fills in the names that are still missing. Of several functions that hold an address, the
/// smallest wins, then the first.
fn fill<'a, H: FileHeader<Word = u64>, R: ReadRef<'a>>(
    table: &SymbolTable<'a, H, R>,
    endian: H::Endian,
    addresses: &[u64],
    names: &mut [Option<String>],
) {
    let mut best: Vec<Option<(u64, &H::Sym)>> = vec![None; addresses.len()];
    for symbol in table.iter() {
        if symbol.st_type() != elf::STT_FUNC || symbol.st_shndx(endian) == elf::SHN_UNDEF {
            continue;
        }
        let (start, size) = (symbol.st_value(endian), symbol.st_size(endian));
        for (address, best) in addresses.iter().zip(&mut best) {
            let inside = address
                .checked_sub(start)
                .is_some_and(|within| within < size);
            if inside && best.is_none_or(|(smallest, _)| size < smallest) {
                *best = Some((size, symbol));
            }
        }
    }
    for (name, best) in names.iter_mut().zip(best) {
        if let (None, Some((_, symbol))) = (&name, best) {
            *name = table
                .symbol_name(endian, symbol)
                .ok()
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
                .filter(|text| !text.is_empty());
        }
    }
}

pub(crate) fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let mut out = Limited(Vec::new());
    lzma_rs::xz_decompress(&mut io::Cursor::new(packed), &mut out).ok()?;
    Some(out.0)
}

/// Bytes, but not more than [`LARGEST_DEBUGDATA`].
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST_DEBUGDATA {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
