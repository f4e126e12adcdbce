//! Is this file a CPython, and which?

use std::fs::File;

use object::read::elf::{FileHeader, SectionHeader as _};
use object::{Endianness, ReadCache, elf};
use regex::bytes::Regex;

use super::image::Image;
use super::published::{DebugOffsets, debug_offsets};
use super::refusal::Refusal;
use super::version::Version;

/// Larger tables of names are damage, or an attempt to make us run out of memory.
const LARGEST_NAMES: u64 = 1 << 28;

/// Whether a file is worth an analysis: a quick look at its dynamic symbols' names only, for those
/// of an interpreter and those that a program needs which starts one.
pub(super) fn may_be_python(file: &File) -> bool {
    let name = Regex::new(
        r"(?-u)\x00(_PyEval_EvalFrameDefault|PyEval_EvalFrameEx|Py_Main|Py_BytesMain)\x00",
    );
    let names = dynamic_names(&ReadCache::new(file));
    name.is_ok_and(|name| names.is_some_and(|names| name.is_match(&names)))
}

/// The names of a file's dynamic symbols; of the file, little else is read. `None` for a file of
/// another machine than those that rdtrace runs on.
fn dynamic_names(data: &ReadCache<&File>) -> Option<Vec<u8>> {
    let header = elf::FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let native = match std::env::consts::ARCH {
        "aarch64" => elf::EM_AARCH64,
        _ => elf::EM_X86_64,
    };
    if !header.is_little_endian() || header.e_machine(endian) != native {
        return None;
    }
    let sections = header.sections(endian, data).ok()?;
    let (_, section) = sections.section_by_name(endian, b".dynstr")?;
    if section.sh_size(endian) > LARGEST_NAMES {
        return None;
    }
    Some(section.data(endian, data).ok()?.to_vec())
}

/// What the file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) version: Version,
    /// What it publishes about its objects, from 3.13 on.
    pub(super) debug_offsets: Option<DebugOffsets>,
    /// It can compile byte code to machine code, if it is asked to (`PYTHON_JIT=1`).
    pub(super) has_jit: bool,
}

impl Identity {
    /// Whether it is a free-threaded build; there are none before 3.13.
    pub(super) fn free_threaded(&self) -> bool {
        let published = self.debug_offsets.as_ref();
        published.is_some_and(|offsets| offsets.free_threaded)
    }
}

/// Finds the version, from the best source there is:
///
/// - 3.13 on: `_Py_DebugOffsets`, at the start of `_PyRuntime`;
/// - 3.11 on: `Py_Version`, an exported word;
/// - before: the cache tag (`cpython-310`), a string in every CPython, and the version string.
pub(super) fn identify(image: &Image<'_>) -> Result<Identity, Refusal> {
    if image.symbol("_PyEval_EvalFrameDefault").is_none() {
        return Err(not_an_interpreter(image));
    }
    let debug_offsets = debug_offsets(image);
    let hex = published_version(image, debug_offsets.as_ref());
    let tag = cache_tag(image);
    let version = match hex {
        Some(hex) => Version::from_hex(hex),
        None => from_strings(image, tag).ok_or(Refusal::UnknownVersion)?,
    };
    if let Some((major, minor)) = tag
        && (major, minor) != (version.major, version.minor)
    {
        return Err(Refusal::Contradiction {
            version,
            tag: format!("cpython-{major}{minor}"),
        });
    }
    let has_jit = version.minor >= 13 && has_string(image, r"\x00PYTHON_JIT\x00");
    Ok(Identity {
        version,
        debug_offsets,
        has_jit,
    })
}

/// The version and what the file publishes, without the strings in it where they need not be looked for: that takes
/// most of the time.
pub(super) fn identify_soon(image: &Image<'_>) -> Result<(Version, Option<DebugOffsets>), Refusal> {
    if image.symbol("_PyEval_EvalFrameDefault").is_none() {
        return Err(not_an_interpreter(image));
    }
    let debug_offsets = debug_offsets(image);
    let version = match published_version(image, debug_offsets.as_ref()) {
        Some(hex) => Version::from_hex(hex),
        None => from_strings(image, cache_tag(image)).ok_or(Refusal::UnknownVersion)?,
    };
    Ok((version, debug_offsets))
}

/// The version as a word, where there is one.
fn published_version(image: &Image<'_>, debug_offsets: Option<&DebugOffsets>) -> Option<u32> {
    debug_offsets
        .map(|published| published.version)
        .or_else(|| {
            let symbol = image.symbol("Py_Version")?;
            image
                .slice(symbol.address, 4)?
                .first_chunk()
                .map(|b| u32::from_le_bytes(*b))
        })
}

fn not_an_interpreter(image: &Image<'_>) -> Refusal {
    let library = image
        .needed()
        .iter()
        .map(|name| String::from_utf8_lossy(name))
        .find(|name| name.starts_with("libpython"));
    if let Some(library) = library {
        return Refusal::InLibrary {
            library: library.into_owned(),
        };
    }
    if image.symbol("PyEval_EvalFrameEx").is_some() || image.symbol("Py_Main").is_some() {
        return Refusal::TooOld;
    }
    Refusal::NotPython
}

/// `cpython-310`: major and minor version.
fn cache_tag(image: &Image<'_>) -> Option<(u8, u8)> {
    let tag = Regex::new(r"(?-u)\x00cpython-3[0-9]{1,2}t?\x00").ok()?;
    let bytes = image.bytes_at(image.find(&tag)?)?;
    let digits = bytes.get(b"\0cpython-3".len()..)?;
    let minor = digits
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .fold(0_u8, |n, b| {
            n.saturating_mul(10).saturating_add(b.wrapping_sub(b'0'))
        });
    Some((3, minor))
}

/// The version string ends a literal: `3.10.13`, by itself or merged into a longer one.
fn from_strings(image: &Image<'_>, tag: Option<(u8, u8)>) -> Option<Version> {
    let (major, minor) = tag?;
    let literal = Regex::new(&format!(r"(?-u){major}\.{minor}\.[0-9]{{1,2}}\+?\x00")).ok()?;
    let micro = image
        .find(&literal)
        .and_then(|at| image.bytes_at(at))
        .and_then(|bytes| {
            let text = std::str::from_utf8(bytes.split(|&b| b == 0 || b == b'+').next()?).ok()?;
            text.rsplit('.').next()?.parse().ok()
        });
    Some(Version {
        major,
        minor,
        micro,
    })
}

fn has_string(image: &Image<'_>, pattern: &str) -> bool {
    Regex::new(&format!("(?-u){pattern}")).is_ok_and(|r| image.find(&r).is_some())
}
