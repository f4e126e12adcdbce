//! Any CPython, from outside: where its functions start and end, found in the file alone.
//!
//! Few builds of CPython carry the USDT probes `function-entry` and `function-return`. This
//! module finds, in the ELF file of an interpreter from 3.6 to 3.15 for x86-64, the instructions
//! that play their part, and says what is in the registers there, so that eBPF on plain uprobes
//! can report the same events with the same arguments. It needs no symbols but the dynamic ones,
//! no debug information, and no help from the process. `docs/python.md` explains the method.
//!
//! The analysis is pure: bytes in, [`Build`] out, or a [`Refusal`] that says in plain words why
//! this build cannot be traced so. It prefers to refuse: each step has a check that a build it
//! does not understand fails.

mod audit;
pub mod cache;
mod code;
mod describe;
mod flow;
mod free_threaded;
mod gc;
mod identify;
mod image;
mod import;
mod import_method;
pub mod lines;
pub mod offsets;
pub mod opcodes;
mod recipe_a;
mod recipe_c;
mod site;
mod store;
mod table;
mod unwind;
mod vote;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::audit::{AuditSite, Audits};
pub use self::code::Emulated;
pub use self::gc::Collector;
use self::identify::Identity;
use self::image::{BadImage, Image};
pub use self::import::{ImportSite, Imports};
use self::lines::LineFormat;
use self::offsets::Offsets;
use self::opcodes::Opcodes;
pub use self::site::{Condition, Event, Execution, InstructionPointer, Location, Site};
use self::vote::Vote;

/// What there is to know of one interpreter file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Which CPython it is.
    pub version: Version,
    /// Whether it is without the global lock (`--disable-gil`).
    pub free_threaded: bool,
    /// By which method its functions are traced.
    pub recipe: Recipe,
    /// The instructions to probe for function-entry and function-return.
    pub sites: Vec<Site>,
    /// Where the fields of its objects are.
    pub offsets: Offsets,
    /// How its code objects map byte code to lines.
    pub lines: LineFormat,
    /// The opcodes that stand for others where a tool watches single lines or instructions:
    /// found at a site instead of the expected opcode, they are no mistake.
    pub masking_opcodes: &'static [u8],
    /// The garbage collector, every copy of it; or why it could not be found.
    pub collectors: Result<Vec<Collector>, String>,
    /// Where an import looks for a module; or why that could not be found.
    pub imports: Result<Imports, String>,
    /// Where audit events are raised; none before 3.8.
    pub audits: Option<Audits>,
    /// Two builds with the same fingerprint have the same opcodes: a hash of the undefined ones.
    /// 0 for the recipe that needs no dispatch table.
    pub fingerprint: u64,
    /// Remarks for `-lv` and the probe doctor.
    pub notes: Vec<String>,
}

/// How function-entry and function-return are had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Recipe {
    /// 3.6 to 3.10: at the start and the end of the interpreter function.
    Calls,
    /// 3.11 to 3.15: in the handlers of a few opcodes.
    Handlers,
}

/// A version of CPython.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// 3.
    pub major: u8,
    /// The minor version.
    pub minor: u8,
    /// The patch release, where the file says.
    pub micro: Option<u8>,
}

impl Version {
    /// From `PY_VERSION_HEX`.
    pub(crate) fn from_hex(hex: u32) -> Self {
        let [_, micro, minor, major] = hex.to_le_bytes();
        Self {
            major,
            minor,
            micro: Some(micro),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        self.micro.map_or(Ok(()), |micro| write!(f, ".{micro}"))
    }
}

/// Why a file cannot be traced by this method.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// Not an ELF file, or a broken one.
    #[error("it is not an ELF file that can be read: {0}")]
    NotElf(String),
    /// Another machine's.
    #[error("it is not for x86-64, the only machine that Python functions are found on so far")]
    Machine,
    /// Some other program.
    #[error("it is not a CPython interpreter")]
    NotPython,
    /// The interpreter is elsewhere.
    #[error("it is a starter only; the interpreter is in {library}, which it loads")]
    InLibrary {
        /// The library's name, as the file asks for it.
        library: String,
    },
    /// Python 2, or before 3.6.
    #[error("it is a CPython older than 3.6")]
    TooOld,
    /// No version could be read.
    #[error("it is a CPython, but of what version could not be found out")]
    UnknownVersion,
    /// A version that is not supported.
    #[error("CPython {version} is not one of 3.6 to 3.15, whose functions can be found")]
    Unsupported {
        /// The version.
        version: Version,
    },
    /// Two sources disagree.
    #[error("it says that it is CPython {version}, but its cache tag is {tag}")]
    Contradiction {
        /// What the version word says.
        version: Version,
        /// The tag of its compiled files.
        tag: String,
    },
    /// `--without-computed-gotos`, or another interpreter loop.
    #[error(
        "no dispatch table of CPython {version} was found in it; it was probably built without computed gotos"
    )]
    NoTable {
        /// The version.
        version: Version,
    },
    /// The table is not that of this version.
    #[error("its dispatch table is not that of CPython {version}; a modified interpreter?")]
    Fingerprint {
        /// The version.
        version: Version,
    },
    /// It behaves otherwise than its code looks.
    #[error("its self-test failed: {0}")]
    SelfTest(String),
    /// The handlers do not agree on the registers.
    #[error("the handlers of its opcodes do not agree on where the frame is ({0})")]
    Vote(String),
    /// The file's own table of offsets contradicts ours.
    #[error("it lays out {what} unlike the version that it says it is")]
    Offsets {
        /// Which object.
        what: Cow<'static, str>,
    },
    /// A place was not found.
    #[error("in {what} there is no place for a probe: {why}")]
    NoSite {
        /// Which place.
        what: String,
        /// The reason.
        why: String,
    },
}

/// Analyses the bytes of an interpreter: an executable, or a `libpython`.
pub fn analyse(file: &[u8]) -> Result<Build, Refusal> {
    let image = Image::parse(file).map_err(|bad| match bad {
        BadImage::NotElf(why) => Refusal::NotElf(why),
        BadImage::Machine => Refusal::Machine,
    })?;
    build(&image)
}

fn build(image: &Image<'_>) -> Result<Build, Refusal> {
    let identity = identify::identify(image)?;
    let version = identity.version;
    let free_threaded = identity.free_threaded();
    let offsets = offsets::of(version.minor, free_threaded);
    let (3, Some(offsets)) = (version.major, offsets) else {
        return Err(Refusal::Unsupported { version });
    };
    if let Some(published) = &identity.debug_offsets {
        offsets::agrees(published, &offsets)?;
    }
    let mut notes = Vec::new();
    if identity.has_jit {
        notes.push(
            "this build has a JIT compiler, off by default; where it is on, calls in compiled code are not seen, but counted"
                .to_owned(),
        );
    }
    let functions = match opcodes::of(version.minor) {
        Some(opcodes) => handlers(image, &identity, opcodes, &mut notes)?,
        None => Functions {
            recipe: Recipe::Calls,
            sites: recipe_a::sites(image, version.minor)?,
            fingerprint: 0,
            masking_opcodes: &[],
        },
    };
    Ok(Build {
        version,
        free_threaded,
        recipe: functions.recipe,
        sites: functions.sites,
        offsets,
        lines: LineFormat::of(version.minor),
        masking_opcodes: functions.masking_opcodes,
        collectors: gc::find(image),
        imports: import::find(image, version.minor, &offsets.string),
        audits: audit::find(image, version.minor),
        fingerprint: functions.fingerprint,
        notes,
    })
}

struct Functions {
    recipe: Recipe,
    sites: Vec<Site>,
    fingerprint: u64,
    masking_opcodes: &'static [u8],
}

/// The sites in the handlers of a loop with computed gotos, or in those that are functions.
fn handlers(
    image: &Image<'_>,
    identity: &Identity,
    opcodes: &Opcodes,
    notes: &mut Vec<String>,
) -> Result<Functions, Refusal> {
    let version = identity.version;
    let undefined: Vec<u8> = opcodes.undefined().collect();
    let table = table::find(image, &undefined).ok_or(Refusal::NoTable { version })?;
    if table.is_of_functions(image) {
        notes.push("its handlers are functions, and call each other last".to_owned());
    }
    let shared = table::unknown_opcodes(&table.targets);
    if !opcodes.fits(&shared) {
        return Err(Refusal::Fingerprint { version });
    }
    let registers = match vote::vote(image, &table) {
        Vote::Unanimous(registers) => registers,
        Vote::Split(pairs) => return Err(Refusal::Vote(format!("{pairs:?}"))),
    };
    notes.push(format!(
        "dispatch table at {:#x}; frame in {:?}, next instruction in {:?}, by {} of {} handlers, none against",
        table.address, registers.frame, registers.next_instr, registers.votes.0, registers.votes.1
    ));
    let found = recipe_c::sites(image, &table, &registers, opcodes, identity.has_jit)?;
    notes.extend(found.notes);
    Ok(Functions {
        recipe: Recipe::Handlers,
        sites: found.sites,
        fingerprint: fingerprint(&shared),
        masking_opcodes: opcodes.masking,
    })
}

/// FNV-1a, which needs to be stable, not strong.
fn fingerprint(undefined: &[u8]) -> u64 {
    undefined.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
pub(crate) mod tests;
