//! Any text as a D program: parsed, its errors shown, checked, printed and compiled.

#![no_main]

use std::sync::{Arc, LazyLock};

use actions::frames::FrameOptions;
use actions::lower::{Compiler, Enabled, Extras, LowerOptions, PART_LENGTH};
use dlang::check::UnknownArgs;
use dlang::diag::{Diagnostic, Origin, Source};
use dlang::program::ProbeDesc;
use dlang::{CheckOptions, Macros, RenderOptions};
use libfuzzer_sys::fuzz_target;
use predicates::asm::OpenLoops;
use predicates::storage::TaskFields;
use provider::catalog::Catalog;
use provider::probe::Probe;

/// The probes that every clause is compiled for, whatever its description.
static PROBES: LazyLock<Vec<Arc<Probe>>> = LazyLock::new(|| {
    let mut catalog = Catalog::new();
    let names = [("dtrace", "BEGIN"), ("dtrace", "ERROR"), ("profile", "tick-1s")];
    let probes = names.map(|(provider, name)| {
        let desc = ProbeDesc {
            provider: provider.into(),
            name: name.into(),
            ..ProbeDesc::default()
        };
        catalog.enable(&desc)
    });
    probes.concat()
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let sources = [Source {
        origin: Origin::Script("fuzz.d".into()),
        text: text.into(),
    }];
    let show = |errors: Vec<Diagnostic>| {
        for error in errors {
            let _ = dlang::render(&error, &sources, RenderOptions { tags: true });
        }
    };
    let ast = match dlang::parse(&sources, &Macros::default()) {
        Ok(ast) => ast,
        Err(errors) => return show(errors),
    };
    let _ = dlang::dump::dump(&ast);
    let program = match dlang::check(&ast, &UnknownArgs, &CheckOptions::default()) {
        Ok(program) => program,
        Err(errors) => return show(errors),
    };
    let _ = dlang::print(&program);
    let clauses = 0..program.clauses.len();
    let enabled = clauses.flat_map(|clause| {
        let on = move |probe: &Arc<Probe>| Enabled {
            clause,
            probe: Arc::clone(probe),
        };
        PROBES.iter().map(on)
    });
    let enabled: Vec<_> = enabled.collect();
    let options = LowerOptions {
        strsize: 256,
        scratchsize: 256,
        ring_bytes: 1 << 16,
        aggregation_keys: Some(64),
        dynvarsize: 1 << 14,
        speculations: 4,
        extras: Extras::default(),
        task: TaskFields::default(),
        part_length: PART_LENGTH,
        open_loops: Some(OpenLoops::MayGoto),
        follow: None,
        grows: false,
        frames: FrameOptions::default(),
        cpu: None,
 in_locks: false,
        nests: text.len() % 2 == 1,
    };
    let _ = Compiler::new(Arc::new(program), options).lower(&enabled);
});
