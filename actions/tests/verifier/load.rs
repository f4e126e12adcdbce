//! From D text to what the verifier says of it.

use std::sync::{Arc, Mutex};

use actions::lower::{Compiler, Enabled, Extras, LowerOptions, PART_LENGTH};
use dlang::check::UnknownArgs;
use dlang::diag::{Origin, Source};
use dlang::program::ProbeDesc;
use dlang::types::Int;
use dlang::{CheckOptions, Macros};
use predicates::asm::OpenLoops;
use predicates::storage::TaskFields;
use provider::catalog::Catalog;
use provider::features::{self, KernelFeatures};
use provider::kernel_types::BtfTypes;
use provider::probe::{
    ArgLocation, File, Moment, Probe, ProbeArg, ProbeId, ProbeKind, Register, Scope, Site, Sites,
};
use provider::session::Session;
use test_support::skipped;

/// One program at a time, so that those that are open are this one's.
static ONE: Mutex<()> = Mutex::new(());

/// What became of a program.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// All its programs were loaded, and the verifier followed so many instructions.
    Loaded { followed: u64 },
    /// rdtrace itself has refused it, with a message and its place.
    Refused(String),
    /// The kernel has refused it.
    Rejected(String),
}

/// Whether this process may load programs; counts the test as skipped if not.
pub(crate) fn may_load() -> bool {
    KernelFeatures::loads_programs() || skipped("needs root")
}

/// Compiles a program and has it verified. Its probes: those of rdtrace itself, timers, and
/// `app1:::hit` (two sites) and `app1:::other` in one file.
pub(crate) fn verify(text: &str) -> Verdict {
    verify_in_parts(text, PART_LENGTH)
}

/// [`verify`] with programs cut into parts of so many instructions.
pub(crate) fn verify_in_parts(text: &str, part_length: usize) -> Verdict {
    let source = Source {
        origin: Origin::Script("test.d".into()),
        text: text.into(),
    };
    let refused = |errors: &dyn std::fmt::Debug| Verdict::Refused(format!("{errors:?}"));
    let ast = match dlang::parse(std::slice::from_ref(&source), &Macros::default()) {
        Ok(ast) => ast,
        Err(errors) => return refused(&errors),
    };
    let kernel = BtfTypes::of_kernel();
    let checked = dlang::check_with(&ast, &UnknownArgs, &kernel, &CheckOptions::default());
    let program = match checked {
        Ok(program) => program,
        Err(errors) => return refused(&errors),
    };
    let mut catalog = Catalog::new();
    let app = app();
    let mut enabled = Vec::new();
    for (clause, of) in program.clauses.iter().enumerate() {
        for desc in &of.probes {
            let mut probes = catalog.enable(&desc.desc);
            probes.extend(app.iter().filter(|probe| probe.desc == desc.desc).cloned());
            enabled.extend(probes.into_iter().map(|probe| Enabled { clause, probe }));
        }
    }
    let options = LowerOptions {
        // Scratch in a thread's state, or claimed.
        strsize: if text.len() % 7 == 1 { 16384 } else { 256 },
        scratchsize: 256,
        ring_bytes: 1 << 16,
        aggregation_keys: Some(64),
        dynvarsize: 1 << 14,
        speculations: 4,
        extras: Extras::default(),
        task: TaskFields {
            real_parent: Some(1000),
            tgid: Some(1008),
            fs_base: Some(1016),
            self_exec_id: Some(1024),
            ..TaskFields::default()
        },
        part_length,
        open_loops: KernelFeatures::open_loops().map(|loops| match loops {
            features::OpenLoops::MayGoto => OpenLoops::MayGoto,
            features::OpenLoops::Calls => OpenLoops::Calls,
        }),
        follow: None,
        grows: false,
        frames: actions::frames::FrameOptions::default(),
        in_locks: text.len() % 5 == 1,
        cpus: 64,
        cpu: (text.len() % 3 == 1).then_some(0),
        nests: text.len() % 2 == 1,
    };
    let object = match Compiler::new(Arc::new(program), options).lower(&enabled) {
        Ok(object) => object,
        Err(refusal) => return refused(&refusal),
    };
    let _one = ONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut session = Session::new(KernelFeatures::detect());
    session.create_maps(&object.maps).unwrap();
    for (program, code) in object.programs.iter().zip(&object.codes) {
        if let Err(error) = session.load(program) {
            let text = if let provider::error::Error::Load(load) = &error {
                load.log.clone()
            } else {
                error.to_string()
            };
            let end: Vec<&str> = text.lines().rev().take(12).collect();
            let end: Vec<&str> = end.into_iter().rev().collect();
            if std::env::var_os("LISTING").is_some() {
                eprintln!("{}\n{text}", code.listing());
            }
            return Verdict::Rejected(format!("{error}\n{}", end.join("\n")));
        }
    }
    Verdict::Loaded {
        followed: followed(),
    }
}

/// Two probes in a file, one of them at two places that have its arguments in different ones.
fn app() -> Vec<Arc<Probe>> {
    let file = Arc::new(File {
        path: "/bin/true".into(),
        shown: "/bin/true".into(),
        identity: (1, 1),
        born: None,
    });
    let probe = |id, name: &str, addresses: &[u64]| {
        let site = |(index, &address): (usize, &u64)| Site {
            file_offset: address,
            address,
            semaphore: None,
            args: (0..6)
                .map(|n| location(n + i64::try_from(index).unwrap()))
                .collect(),
        };
        Arc::new(Probe {
            id: ProbeId(id),
            desc: ProbeDesc {
                provider: "app1".into(),
                module: String::new(),
                function: String::new(),
                name: name.into(),
            },
            place: 0,
            dependent: None,
            args: vec![ProbeArg::int(Int::I64); 6].into(),
            kind: ProbeKind::Sites(Sites {
                file: Arc::clone(&file),
                scope: Scope::System,
                sites: addresses.iter().enumerate().map(site).collect(),
                moment: Moment::Reached,
                raises: Vec::new(),
            }),
            source: None,
            python: None,
        })
    };
    vec![
        probe(1001, "hit", &[0x1010, 0x1020]),
        probe(1002, "other", &[0x1030]),
    ]
}

fn location(n: i64) -> ArgLocation {
    match n % 3 {
        0 => ArgLocation::Register {
            register: Register::IP,
            shift: 0,
            int: Int::I64,
        },
        1 => ArgLocation::Memory {
            base: Some(Register::IP),
            index: None,
            displacement: 8 * n,
            int: Int::I32,
        },
        _ => ArgLocation::Constant(n),
    }
}

/// How many instructions the verifier followed for the programs that this process has open.
fn followed() -> u64 {
    let files = std::fs::read_dir("/proc/self/fdinfo").unwrap();
    files
        .filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok())
        .filter_map(|text| {
            let line = text
                .lines()
                .find(|line| line.starts_with("verified_insns"))?;
            line.split_whitespace().last()?.parse::<u64>().ok()
        })
        .sum()
}
