//! The steps of an analysis, in their order: bytes in, a [`Build`] or a [`Refusal`] out.

use super::build::{Build, Method};
use super::caught::CaughtSite;
use super::cfunctions::Cfunctions;
use super::entries::EntrySite;
use super::headers::offsets_of;
use super::identify::{Identity, identify};
use super::image::Image;
use super::lines::LineFormat;
use super::offsets::ByteCode;
use super::opcodes::Opcodes;
use super::published::agrees;
use super::refusal::Refusal;
use super::site::Site;
use super::vote::Vote;
use super::{audit, calls, exceptions, gc, gil, handlers, import, opcodes, table, vote};

/// Analyses the bytes of an interpreter: an executable, or a `libpython`.
pub fn analyse(file: &[u8]) -> Result<Build, Refusal> {
    let image = Image::parse(file)?;
    build(&image)
}

pub(super) fn build(image: &Image<'_>) -> Result<Build, Refusal> {
    let identity = identify(image)?;
    let version = identity.version;
    let free_threaded = identity.free_threaded();
    let offsets = offsets_of(version.minor, free_threaded);
    let (3, Some(offsets)) = (version.major, offsets) else {
        return Err(Refusal::Unsupported { version });
    };
    if let Some(published) = &identity.debug_offsets {
        agrees(published, &offsets)?;
    }
    let mut notes = Vec::new();
    if identity.has_jit {
        notes.push(
            "this build has a JIT compiler, off by default; where it is on, calls in compiled code are not seen, but counted"
                .to_owned(),
        );
    }
    let functions = match opcodes::of(version.minor) {
        Some(opcodes) => in_handlers(image, &identity, opcodes, &mut notes)?,
        None => {
            let found = calls::sites(image, version.minor)?;
            Functions {
                method: Method::Calls,
                sites: found.sites,
                entries: Ok(Vec::new()),
                caught: found.caught,
                cfunctions: Err(format!(
                    "in CPython {version}, as in all before 3.11, calls of functions in C are not looked for yet"
                )),
                fingerprint: 0,
                masking_opcodes: &[],
            }
        }
    };
    let entries = match offsets.code.byte_code {
        ByteCode::Inline {
            copies: Some(_), ..
        } => Err("each thread has a copy of the byte code, to which it changes over".to_owned()),
        ByteCode::Inline { copies: None, .. } | ByteCode::Bytes { .. } => functions.entries,
    };
    Ok(Build {
        version,
        free_threaded,
        method: functions.method,
        sites: functions.sites,
        entries,
        offsets,
        lines: LineFormat::of(version.minor),
        masking_opcodes: functions.masking_opcodes,
        collectors: gc::find(image),
        gil: gil::find(image),
        passes: exceptions::find(image),
        caught: functions.caught,
        cfunctions: functions.cfunctions,
        imports: import::find(image, version.minor, &offsets.string),
        audits: audit::find(image, version.minor),
        fingerprint: functions.fingerprint,
        notes,
    })
}

struct Functions {
    method: Method,
    sites: Vec<Site>,
    entries: Result<Vec<EntrySite>, String>,
    caught: Result<Vec<CaughtSite>, String>,
    cfunctions: Result<Cfunctions, String>,
    fingerprint: u64,
    masking_opcodes: &'static [u8],
}

/// The sites in the handlers of a loop with computed gotos, or in those that are functions.
fn in_handlers(
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
    let found = handlers::sites(image, &table, &registers, opcodes, identity.has_jit)?;
    notes.extend(found.notes);
    Ok(Functions {
        method: Method::Handlers,
        sites: found.sites,
        entries: found.entries,
        caught: found.caught,
        cfunctions: if identity.free_threaded() {
            Err(format!(
                "in a free-threaded CPython {version} calls are not looked for yet"
            ))
        } else {
            found
                .cfunctions
                .map_err(|why| format!("in the code of this CPython {version}, {why}"))
        },
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
