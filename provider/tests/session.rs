//! Maps, programs and links in the real kernel.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{counter, has, insn, map, reporter, root};
use provider::error::Error;
use provider::features::KernelFeatures;
use provider::object::{
    Attachment, Context, MapId, MapKind, MapSpec, Program, ProgramId, Target, UprobeSite,
};
use provider::probe::{Cpus, File, Scope, Timer};
use provider::session::Session;

fn session(maps: &[MapSpec]) -> Session {
    let mut session = Session::new(KernelFeatures::detect());
    session.create_maps(maps).unwrap();
    session
}

fn first_u64(session: &Session, map: u32) -> u64 {
    let map = session.map(MapId(map)).unwrap();
    let mut value = vec![0; map.value_len()];
    assert!(map.lookup(&0_u32.to_ne_bytes(), &mut value).unwrap());
    u64::from_ne_bytes(value[..8].try_into().unwrap())
}

fn python() -> Arc<File> {
    let path = std::fs::canonicalize("/usr/bin/python3").unwrap();
    let meta = std::fs::metadata(&path).unwrap();
    Arc::new(File {
        shown: path.clone(),
        path,
        identity: (meta.dev(), meta.ino()),
        born: None,
    })
}

/// The entry of a function of an executable, as a site.
fn function(file: &File, name: &str, cookie: u64) -> UprobeSite {
    use object::{Object, ObjectSegment, ObjectSymbol};
    let data = std::fs::read(&file.path).unwrap();
    let elf = object::File::parse(&*data).unwrap();
    let address = elf
        .dynamic_symbols()
        .find(|symbol| symbol.name() == Ok(name))
        .unwrap()
        .address();
    let file_offset = elf
        .segments()
        .find_map(|segment| {
            let within = address.checked_sub(segment.address())?;
            (within < segment.file_range().1).then(|| segment.file_range().0 + within)
        })
        .unwrap();
    UprobeSite {
        file_offset,
        semaphore: None,
        cookie,
    }
}

#[test]
fn every_kind_of_map_can_be_made() {
    if !root() {
        return;
    }
    let maps = [
        map(MapKind::Array, 4, 24, 3),
        map(MapKind::PerCpuArray, 4, 12, 3),
        map(MapKind::Hash, 20, 8, 100),
        map(MapKind::PerCpuHash, 264, 512, 1 << 20),
        map(MapKind::RingBuf, 0, 0, 1 << 20),
        map(MapKind::TaskStorage, 4, 100, 0),
    ];
    let session = session(&maps);
    assert!(session.ring(MapId(4)).is_ok());
    assert!(session.ring(MapId(0)).is_err());
    assert!(session.map(MapId(6)).is_err());
}

#[test]
fn hash_entries_are_read_in_batches() {
    if !root() {
        return;
    }
    let session = session(&[map(MapKind::Hash, 4, 8, 10_000)]);
    let map = session.map(MapId(0)).unwrap();
    for key in 0..9000_u32 {
        map.update(&key.to_ne_bytes(), &(u64::from(key) * 3).to_ne_bytes())
            .unwrap();
    }
    let mut seen = Vec::new();
    map.for_each(&mut |key, value| {
        let key = u32::from_ne_bytes(key.try_into().unwrap());
        assert_eq!(
            u64::from_ne_bytes(value.try_into().unwrap()),
            u64::from(key) * 3
        );
        seen.push(key);
    })
    .unwrap();
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(0..9000));
    map.clear().unwrap();
    map.for_each(&mut |_, _| panic!("not empty")).unwrap();
}

#[test]
fn per_cpu_values_come_apart() {
    if !root() {
        return;
    }
    for kind in [MapKind::PerCpuHash, MapKind::PerCpuArray] {
        let session = session(&[map(kind, 4, 12, 2)]);
        let map = session.map(MapId(0)).unwrap();
        assert_eq!(map.stride(), 16);
        let mut value = vec![0; map.value_len()];
        for (cpu, slot) in (1..).zip(value.chunks_mut(16)) {
            slot[..12].fill(cpu);
        }
        map.update(&1_u32.to_ne_bytes(), &value).unwrap();
        let mut found = Vec::new();
        map.for_each(&mut |key, value| {
            if key == 1_u32.to_ne_bytes() {
                found = map.cpu_values(value).map(<[u8]>::to_vec).collect();
            }
        })
        .unwrap();
        assert_eq!(found.len(), map.cpus());
        assert!(
            (1..).zip(&found).all(|(cpu, slot)| *slot == [cpu; 12]),
            "{found:?}"
        );
    }
}

#[test]
fn a_value_of_the_wrong_size_is_refused() {
    if !root() {
        return;
    }
    let session = session(&[map(MapKind::Hash, 4, 8, 10)]);
    let map = session.map(MapId(0)).unwrap();
    assert!(map.update(&[0; 3], &[0; 8]).is_err());
    assert!(map.lookup(&[0; 4], &mut [0; 7]).is_err());
}

#[test]
fn read_only_data_is_written_and_frozen() {
    if !root() {
        return;
    }
    let spec = MapSpec {
        initial: Some(b"abc".to_vec()),
        read_only: true,
        ..map(MapKind::Array, 4, 8, 1)
    };
    let session = session(&[spec]);
    assert_eq!(first_u64(&session, 0).to_ne_bytes(), *b"abc\0\0\0\0\0");
    let map = session.map(MapId(0)).unwrap();
    assert!(map.update(&0_u32.to_ne_bytes(), &[0; 8]).is_err());
}

#[test]
fn a_direct_program_runs_to_its_end() {
    if !root() {
        return;
    }
    let mut session = session(&[
        map(MapKind::Array, 4, 8, 1),
        map(MapKind::RingBuf, 0, 0, 4096),
    ]);
    let count = session.load(&counter(Context::Nothing, MapId(0))).unwrap();
    let report = session.load(&reporter(Context::Nothing, MapId(1))).unwrap();
    session.run(count).unwrap();
    session.run(report).unwrap();
    assert_eq!(first_u64(&session, 0), 1);
    let mut records = Vec::new();
    let drained = session
        .ring(MapId(1))
        .unwrap()
        .drain(&mut |record| records.push(record.to_vec()));
    assert_eq!((drained, records), (1, vec![42_u64.to_ne_bytes().to_vec()]));
}

#[test]
fn a_rejected_program_shows_the_verifiers_log() {
    if !root() {
        return;
    }
    let mut session = session(&[]);
    let program = Program {
        name: "reads r2".into(),
        context: Context::Registers,
        called: None,
        insns: vec![insn(0xbf, 0, 2, 0, 0), insn(0x95, 0, 0, 0, 0)],
        relocations: vec![],
        functions: vec![],
    };
    let Err(Error::Load(error)) = session.load(&program) else {
        panic!()
    };
    assert!(error.log.contains("R2 !read_ok"), "{}", error.log);
    assert!(error.rejected_by_verifier());
}

#[test]
fn a_program_that_is_too_large_is_told_so() {
    if !root() {
        return;
    }
    let mut session = session(&[]);
    let program = Program {
        name: "long loop".into(),
        context: Context::Registers,
        called: None,
        insns: vec![
            insn(0xb7, 1, 0, 0, 0),          // r1 = 0
            insn(0x07, 1, 0, 0, 1),          // r1 += 1
            insn(0x55, 1, 0, -2, 2_000_000), // if r1 != 2000000 goto -2
            insn(0xb7, 0, 0, 0, 0),          // r0 = 0
            insn(0x95, 0, 0, 0, 0),          // exit
        ],
        relocations: vec![],
        functions: vec![],
    };
    let Err(Error::Load(error)) = session.load(&program) else {
        panic!()
    };
    assert!(error.log.contains("too large"), "{}", error.log);
    assert!(error.rejected_by_verifier());
}

#[test]
fn timers_fire_until_they_are_detached() {
    if !root() {
        return;
    }
    let mut session = session(&[map(MapKind::Array, 4, 8, 1)]);
    let program = session.load(&counter(Context::PerfData, MapId(0))).unwrap();
    for cpus in [Cpus::One, Cpus::Every] {
        let target = Target::Timer(Timer::of_clock(5_000_000, cpus));
        let before = first_u64(&session, 0);
        let link = session.attach(&Attachment { program, target }).unwrap();
        sleep(Duration::from_millis(200));
        session.detach(link);
        let fired = first_u64(&session, 0) - before;
        assert!(fired >= 5, "{fired}");
        sleep(Duration::from_millis(30));
        assert_eq!(first_u64(&session, 0) - before, fired);
    }
}

fn cookies(features: KernelFeatures, scope: Scope) -> Vec<u64> {
    let mut session = Session::new(features);
    session
        .create_maps(&[map(MapKind::RingBuf, 0, 0, 1 << 16)])
        .unwrap();
    let program = session
        .load(&reporter(Context::Registers, MapId(0)))
        .unwrap();
    assert_eq!(program, ProgramId(0));
    let file = python();
    let sites = vec![
        function(&file, "Py_RunMain", 7),
        function(&file, "Py_FinalizeEx", u64::MAX),
    ];
    session
        .attach(&Attachment {
            program,
            target: Target::Uprobes { file, scope, sites },
        })
        .unwrap();
    assert!(
        Command::new("/usr/bin/python3")
            .args(["-c", "pass"])
            .status()
            .unwrap()
            .success()
    );
    session.detach_all();
    let mut cookies = Vec::new();
    session.ring(MapId(0)).unwrap().drain(&mut |record| {
        cookies.push(u64::from_ne_bytes(record.try_into().unwrap()));
    });
    cookies
}

#[test]
fn uprobes_fire_with_their_cookies() {
    if !root() || !has("/usr/bin/python3") {
        return;
    }
    let multi = KernelFeatures::detect();
    let events = multi.clone().without_uprobe_multi();
    for features in [multi, events] {
        assert_eq!(cookies(features.clone(), Scope::System), [7, u64::MAX]);
        // Our own process is not the one that runs Python.
        assert!(cookies(features, Scope::Process(std::process::id())).is_empty());
    }
}

#[test]
fn a_file_that_has_anothers_name_is_not_attached_to() {
    if !root() || !has("/usr/bin/python3") {
        return;
    }
    let there = python();
    let sites = vec![function(&there, "Py_RunMain", 7)];
    let replaced = Arc::new(File {
        identity: (there.identity.0, there.identity.1 + 1),
        ..File::clone(&there)
    });
    let multi = KernelFeatures::detect();
    let events = multi.clone().without_uprobe_multi();
    for features in [multi, events] {
        let mut session = Session::new(features);
        session
            .create_maps(&[map(MapKind::RingBuf, 0, 0, 1 << 16)])
            .unwrap();
        let program = session
            .load(&reporter(Context::Registers, MapId(0)))
            .unwrap();
        let target = Target::Uprobes {
            file: Arc::clone(&replaced),
            scope: Scope::System,
            sites: sites.clone(),
        };
        let error = session.attach(&Attachment { program, target }).unwrap_err();
        assert!(matches!(error, Error::Replaced { .. }), "{error}");
    }
}

#[test]
fn what_is_added_and_not_joined_leaves_nothing() {
    if !root() {
        return;
    }
    let mut session = session(&[map(MapKind::Array, 4, 8, 1)]);
    session.load(&counter(Context::PerfData, MapId(0))).unwrap();
    let mut addition = session.add();
    addition
        .create_maps(&[map(MapKind::Array, 4, 8, 1)])
        .unwrap();
    let program = addition
        .load(&counter(Context::PerfData, MapId(1)))
        .unwrap();
    let target = Target::Timer(Timer::of_clock(1_000_000, Cpus::One));
    addition
        .attach(&Attachment {
            program,
            target: target.clone(),
        })
        .unwrap();
    drop(addition);
    assert!(session.map(MapId(1)).is_err());
    // The ids are given again, and what is joined stays.
    let mut addition = session.add();
    addition
        .create_maps(&[map(MapKind::Array, 4, 8, 1)])
        .unwrap();
    let again = addition
        .load(&counter(Context::PerfData, MapId(1)))
        .unwrap();
    assert_eq!(again, program);
    addition.attach(&Attachment { program, target }).unwrap();
    let links = addition.join();
    assert_eq!(links.len(), 1);
    let map = session.map(MapId(1)).unwrap();
    let count = || {
        let mut value = [0; 8];
        map.lookup(&[0; 4], &mut value).unwrap();
        u64::from_ne_bytes(value)
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while count() == 0 {
        assert!(Instant::now() < deadline, "it does not fire");
    }
}

#[test]
fn a_file_that_is_gone_is_an_error_for_its_process_only() {
    if !root() || !has("/usr/bin/python3") {
        return;
    }
    let there = python();
    let sites = vec![function(&there, "Py_RunMain", 7)];
    let gone = Arc::new(File {
        path: "/nowhere/python3".into(),
        ..File::clone(&there)
    });
    for (scope, fine) in [
        (Scope::System, true),
        (Scope::Process(std::process::id()), false),
    ] {
        let mut session = session(&[map(MapKind::RingBuf, 0, 0, 1 << 16)]);
        let program = session
            .load(&reporter(Context::Registers, MapId(0)))
            .unwrap();
        let target = Target::Uprobes {
            file: Arc::clone(&gone),
            scope,
            sites: sites.clone(),
        };
        let attached = session.attach(&Attachment { program, target });
        assert_eq!(attached.is_ok(), fine, "{scope:?}: {attached:?}");
    }
}

#[test]
fn features_are_known() {
    if !root() {
        return;
    }
    assert!(KernelFeatures::loads_programs());
    let features = KernelFeatures::detect();
    assert!(features.uprobe_event_type().is_some(), "{features:?}");
    assert!(!features.online_cpus().is_empty(), "{features:?}");
}
