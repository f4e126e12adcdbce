//! The result of an analysis: what there is to know of one interpreter.

use serde::{Deserialize, Serialize};

use super::audit::Audits;
use super::caught::CaughtSite;
use super::cfunctions::Cfunctions;
use super::entries::EntrySite;
use super::gc::Collector;
use super::gil::Gil;
use super::import::Imports;
use super::lines::LineFormat;
use super::offsets::Offsets;
use super::site::Site;
use super::version::Version;

/// What there is to know of one interpreter file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Which CPython it is.
    pub version: Version,
    /// Whether it is without the global lock (`--disable-gil`).
    pub free_threaded: bool,
    /// By which method its functions are traced.
    pub method: Method,
    /// The instructions to probe for function-entry and function-return.
    pub sites: Vec<Site>,
    /// The instructions to probe where of functions only entries are wanted, in the place of those
    /// with [`Event::Entry`](super::Event::Entry) and of all that end a function: each hit is an
    /// entry, and nothing has to be paired. Or why there are none.
    pub entries: Result<Vec<EntrySite>, String>,
    /// Where the fields of its objects are.
    pub offsets: Offsets,
    /// How its code objects map byte code to lines.
    pub lines: LineFormat,
    /// The opcodes that stand for others where a tool watches single lines or instructions:
    /// found at a site instead of the expected opcode, they are no mistake.
    pub masking_opcodes: &'static [u8],
    /// The garbage collector, every copy of it; or why it could not be found.
    pub collectors: Result<Vec<Collector>, String>,
    /// Where the lock is taken and dropped; or why that could not be found.
    pub gil: Result<Gil, String>,
    /// Where an exception comes to a function: the start of the exported function that makes its traceback longer.
    pub passes: Option<Place>,
    /// Where an exception has found its handler; or why that could not be found.
    pub caught: Result<Vec<CaughtSite>, String>,
    /// Where functions that are written in C are called; or why that could not be found.
    pub cfunctions: Result<Cfunctions, String>,
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

/// An instruction to probe of which nothing has to be known but where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its virtual address as linked.
    pub address: u64,
    /// Where it is in the file.
    pub file_offset: u64,
}

/// How function-entry and function-return are had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Method {
    /// 3.6 to 3.10: at the start and the end of the interpreter function.
    Calls,
    /// 3.11 to 3.15: in the handlers of a few opcodes.
    Handlers,
}
