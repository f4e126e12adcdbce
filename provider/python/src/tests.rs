//! Whole builds: some recorded, cut down to the bytes that the analysis reads, and all that are
//! found on the machine.
//!
//! To record one more for [`recorded`](super::recorded):
//!
//! ```text
//! RECORD=NAME:/path/to/libpython3.X.so cargo test -p python-analysis record -- --ignored
//! ```

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSymbol as _};

use super::analyse::build;
use super::image::Image;
use super::recorded::{RECORDED, restore};
use super::*;

#[test]
fn recorded_builds_are_read_as_before() {
    for (name, recording) in RECORDED {
        let (expected, file) = restore(recording);
        let build = analyse(&file).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(summary(&build), expected, "{name}");
    }
}

#[test]
fn every_site_is_where_a_probe_may_be() {
    for (name, recording) in RECORDED {
        let (_, file) = restore(recording);
        let build = analyse(&file).unwrap();
        let entries = build.entries.iter().flatten();
        for site in build.sites.iter().chain(entries.map(|entry| &entry.site)) {
            check_site(name, &file, site);
        }
    }
}

#[test]
fn a_cut_or_altered_file_is_refused_or_read_without_panic() {
    let (_, file) = restore(RECORDED[5].1);
    for length in (0..file.len()).step_by(file.len() / 31) {
        let _ = analyse(&file[..length]);
    }
    for at in (0..4096).step_by(61) {
        let mut file = file.clone();
        file[at] ^= 0xff;
        let _ = analyse(&file);
    }
}

#[test]
fn a_dissenting_handler_is_a_refusal() {
    let (_, mut file) = restore(RECORDED[5].1);
    // `mov %r10,0x38(%rbx)` of one of the handlers becomes `mov %r9,0x38(%rbx)`.
    let at = file
        .windows(4)
        .position(|w| w == [0x4c, 0x89, 0x53, 0x38])
        .unwrap();
    file[at + 1] = 0x89;
    file[at + 2] = 0x4b;
    assert!(matches!(analyse(&file), Err(Refusal::Vote(_))));
}

#[test]
fn another_version_s_opcodes_are_a_refusal() {
    let (_, mut file) = restore(RECORDED[5].1);
    let at = address_of(&file, "Py_Version");
    file[at..at + 4].copy_from_slice(&0x030b_07f0_u32.to_le_bytes());
    let tag = file.windows(11).position(|w| w == b"cpython-312").unwrap();
    file[tag..tag + 11].copy_from_slice(b"cpython-311");
    let version = Version {
        major: 3,
        minor: 11,
        micro: Some(7),
    };
    assert_eq!(analyse(&file), Err(Refusal::Fingerprint { version }));
}

#[test]
fn other_offsets_are_a_refusal() {
    let (_, mut file) = restore(RECORDED[8].1);
    let at = address_of(&file, "_PyRuntime");
    let word = (at..).step_by(8).find(|&i| file[i] == 136).unwrap();
    file[word] = 144;
    assert_eq!(
        analyse(&file),
        Err(Refusal::Offsets {
            what: "the code object".into()
        })
    );
}

#[test]
fn a_free_threaded_build_has_other_offsets() {
    let (_, mut file) = restore(RECORDED[8].1);
    let at = address_of(&file, "_PyRuntime");
    file[at + 16] = 1;
    assert!(matches!(analyse(&file), Err(Refusal::Offsets { .. })));
}

/// Every interpreter of this machine: that the file says what the interpreter says, and that all
/// sites may carry a probe.
#[test]
#[expect(
    clippy::print_stdout,
    reason = "a reader of the log wants to know what was covered"
)]
fn interpreters_found_here() {
    for python in interpreters() {
        let Some((path, file)) = interpreter_file(&python) else {
            continue;
        };
        let name = path.display().to_string();
        match analyse(&file) {
            Ok(build) => {
                let code = "import sys; print('%d.%d.%d' % sys.version_info[:3])";
                let output = Command::new(&python)
                    .args(["-I", "-S", "-c", code])
                    .output();
                // One of another root, found by a link, may not start here.
                let Some(output) = output.ok().filter(|output| output.status.success()) else {
                    println!("does not start: {}", python.display());
                    continue;
                };
                assert_eq!(
                    String::from_utf8_lossy(&output.stdout).trim(),
                    build.version.to_string(),
                    "{name}"
                );
                let entries = build.entries.iter().flatten().map(|entry| &entry.site);
                for site in build.sites.iter().chain(entries) {
                    check_site(&name, &file, site);
                }
                check_exclusive(&name, &file, &build);
                let gc = build.collectors.as_ref().map_or("no gc", |_| "gc");
                if let Err(why) = &build.entries {
                    println!("no entries alone: {name}: {why}");
                }
                let gil = build.gil.as_ref().map_or_else(Clone::clone, |gil| {
                    format!(
                        "lock {}+{}+{}",
                        gil.waits.len(),
                        gil.acquires.len(),
                        gil.releases.len()
                    )
                });
                let imports = build.imports.as_ref();
                let imports = imports.map_or_else(String::as_str, |_| "imports");
                let caught = build.caught.as_ref();
                let caught = caught.map_or_else(String::as_str, |_| "handlers of exceptions");
                let calls = build
                    .cfunctions
                    .as_ref()
                    .map_or_else(Clone::clone, |calls| {
                        format!("calls {}+{}", calls.entries.len(), calls.returns.len())
                    });
                println!(
                    "covered: {} {:?}, {gc}, {gil}, {imports}, {caught}, {calls}: {name}",
                    build.version, build.method
                );
            }
            Err(refusal) => println!("refused: {name}: {refusal}"),
        }
    }
}

/// The Pythons in `PATH`, in `/usr/bin` and of pyenv, one for each file.
pub(super) fn interpreters() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    folders.push("/usr/bin".into());
    if let Some(home) = std::env::home_dir() {
        let versions = std::fs::read_dir(home.join(".pyenv/versions"));
        folders.extend(
            versions
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.path().join("bin")),
        );
    }
    let mut found: Vec<PathBuf> = folders
        .iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(Iterator::flatten)
        .filter(|entry| {
            let name = entry.file_name();
            let version = name.to_str().and_then(|n| n.strip_prefix("python3"));
            version.is_some_and(|v| v.chars().all(|c| c == '.' || c.is_ascii_digit()))
        })
        .filter_map(|entry| entry.path().canonicalize().ok())
        .filter(|path| std::fs::read(path).is_ok_and(|f| f.starts_with(b"\x7fELF")))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The file with the interpreter: the program, or the library beside it.
pub(super) fn interpreter_file(python: &Path) -> Option<(PathBuf, Vec<u8>)> {
    let file = std::fs::read(python).ok()?;
    if let Err(Refusal::InLibrary { library }) = analyse(&file) {
        let path = python.parent()?.parent()?.join("lib").join(library);
        return Some((path.clone(), std::fs::read(path).ok()?));
    }
    Some((python.to_owned(), file))
}

fn check_site(name: &str, file: &[u8], site: &Site) {
    let at = usize::try_from(site.file_offset).unwrap();
    let bytes = &file[at..at + 15];
    let length = iced_x86::Decoder::new(64, bytes, 0).decode().len();
    match site.execution {
        Execution::Emulated(kind) => {
            assert_eq!(
                Emulated::of(&bytes[..length]),
                Some(kind),
                "{name}: {site:x?}"
            );
        }
        Execution::Stepped => assert_eq!(site.event, Event::Yield, "{name}: {site:x?}"),
    }
}

/// What a recording must give again.
/// That a site to which no other opcode leads is none any more once one does.
fn check_exclusive(name: &str, file: &[u8], build: &Build) {
    let entries = build.entries.iter().flatten().map(|entry| &entry.site);
    let Some(site) = entries.into_iter().find(|site| site.opcodes.is_empty()) else {
        return;
    };
    let image = Image::parse(file).unwrap();
    let opcodes = opcodes::of(build.version.minor).unwrap();
    let undefined: Vec<u8> = opcodes.undefined().collect();
    let table = table::find(&image, &undefined).unwrap();
    let led_to_by = |opcode: u8| {
        // Its handler becomes a `jmp` to the site.
        let handler = table.targets[usize::from(opcode)];
        let offset = usize::try_from(image.file_offset(handler).unwrap()).unwrap();
        let distance = site.address.cast_signed() - handler.cast_signed() - 5;
        let mut altered = file.to_vec();
        altered[offset] = 0xe9;
        altered[offset + 1..offset + 5]
            .copy_from_slice(&i32::try_from(distance).unwrap().to_le_bytes());
        // Some handlers are needed for more than their own sake.
        let entries = analyse(&altered).ok()?.entries.ok()?;
        entries
            .into_iter()
            .find(|entry| entry.site.address == site.address)
    };
    let others = (0_u8..=255).filter(|op| !opcodes.resume.contains(op) && !undefined.contains(op));
    let altered = others.take(40).find_map(led_to_by).unwrap();
    assert!(!altered.site.opcodes.is_empty(), "{name}");
}

fn summary(build: &Build) -> String {
    let mut text = format!("{} {:?} {:?}\n", build.version, build.method, build.lines);
    for site in &build.sites {
        writeln!(text, "{site:?}").unwrap();
    }
    for entry in build.entries.iter().flatten() {
        writeln!(text, "{entry:?}").unwrap();
    }
    writeln!(text, "{:?}", build.imports).unwrap();
    text
}

fn address_of(file: &[u8], symbol: &str) -> usize {
    let image = Image::parse(file).unwrap();
    usize::try_from(
        image
            .file_offset(image.symbol(symbol).unwrap().address)
            .unwrap(),
    )
    .unwrap()
}

#[test]
#[ignore = "makes fixtures: set RECORD=NAME:PATH"]
fn record() {
    let argument = std::env::var("RECORD").unwrap();
    let (name, path) = argument.split_once(':').unwrap();
    let mut file = std::fs::read(path).unwrap();
    let whole = analyse(&file).unwrap();
    let keep = cut_handlers(&mut file, &whole);

    let image = Image::parse(&file).unwrap();
    let cut = build(&image).unwrap();
    assert_eq!(summary(&cut), summary(&whole), "too much was cut");
    let mut ranges = keep;
    for &(address, length) in image.touched.borrow().iter() {
        ranges.extend(
            image
                .file_offset(address)
                .map(|o| (usize::try_from(o).unwrap(), length)),
        );
    }
    ranges.extend(metadata(&file, &image));
    ranges.sort_unstable();

    let text = summary(&whole);
    let mut recording = (file.len() as u64).to_le_bytes().to_vec();
    recording.extend((text.len() as u64).to_le_bytes());
    recording.extend(text.as_bytes());
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (start, length) in ranges {
        match merged.last_mut() {
            Some((s, l)) if start <= *s + *l + 8 => *l = (*l).max(start + length - *s),
            _ => merged.push((start, length)),
        }
    }
    for (start, length) in merged {
        let end = (start + length).min(file.len());
        recording.extend(u32::try_from(start).unwrap().to_le_bytes());
        recording.extend(u32::try_from(end - start).unwrap().to_le_bytes());
        recording.extend(&file[start..end]);
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/fixtures");
    std::fs::write(format!("{folder}/{name}.bin"), &recording).unwrap();
    assert_eq!(restore(&recording).0, text);
}

/// Makes the first byte of most handlers one that is no instruction; gives the table's place.
fn cut_handlers(file: &mut [u8], whole: &Build) -> Vec<(usize, usize)> {
    const NO_INSTRUCTION: u8 = 0x06;
    let image = Image::parse(file).unwrap();
    let Some(opcodes) = opcodes::of(whole.version.minor) else {
        return Vec::new();
    };
    let undefined: Vec<u8> = opcodes.undefined().collect();
    let table = table::find(&image, &undefined).unwrap();
    let needed: Vec<u64> = [opcodes.resume, opcodes.returns, opcodes.yield_value]
        .concat()
        .into_iter()
        .chain(opcodes.return_generator)
        .chain(opcodes.jit.map(|jit| jit.enter))
        .map(|op| table.targets[usize::from(op)])
        .collect();
    let voters: Vec<u64> = table
        .targets
        .iter()
        .copied()
        .filter(|&t| table::stored_pair(&image, t).is_some())
        .take(36)
        .collect();
    let cut: Vec<usize> = table
        .targets
        .iter()
        .filter(|t| !needed.contains(t) && !voters.contains(t))
        .map(|&t| usize::try_from(image.file_offset(t).unwrap()).unwrap())
        .collect();
    let words = image.file_offset(table.address).unwrap();
    for at in cut {
        file[at] = NO_INSTRUCTION;
    }
    vec![(usize::try_from(words).unwrap(), 8 * table::OPCODES)]
}

/// Headers, the dynamic section, and what the analysis asks for by name.
fn metadata(file: &[u8], image: &Image<'_>) -> Vec<(usize, usize)> {
    const WANTED: [&str; 9] = [
        "_PyOptimizer_Optimize",
        "_PyEval_EvalFrameDefault",
        "_PyEval_FrameClearAndPop",
        "_Py_CheckFunctionResult",
        "_PyRuntime",
        "Py_Version",
        "PySys_Audit",
        "_PyFrame_Clear",
        "PyImport_ImportModuleLevelObject",
    ];
    let position = |part: &[u8]| part.as_ptr() as usize - file.as_ptr() as usize;
    let elf = ElfFile64::<Endianness>::parse(file).unwrap();
    let header = elf.elf_header();
    let sections = usize::try_from(header.e_shoff.get(Endianness::Little)).unwrap();
    let mut ranges = vec![(0, 0x400), (sections, file.len() - sections)];
    let symbols = image.section(".dynsym").unwrap().1;
    let mut kept_symbols = Vec::new();
    for symbol in elf.dynamic_symbols() {
        let name = symbol.name_bytes().unwrap();
        if WANTED.iter().any(|w| w.as_bytes() == name) {
            kept_symbols.push(u64::try_from(symbol.index().0).unwrap());
            ranges.push((position(symbols) + 24 * symbol.index().0, 24));
            ranges.push((position(name), name.len() + 1));
        }
    }
    let dynamic = image.section(".dynamic").unwrap().1;
    ranges.push((position(dynamic), dynamic.len()));
    let undefined = opcodes::of(identify::identify(image).unwrap().version.minor)
        .map_or(Vec::new(), |o| o.undefined().collect());
    let table = table::find(image, &undefined).map_or(0..0, |t| t.address..t.address + 2048);
    let method = regex::bytes::Regex::new(r"(?-u)_find_and_load\x00").unwrap();
    let mut methods = image.find_all(&method);
    let offset = |address| usize::try_from(image.file_offset(address).unwrap()).unwrap();
    for &text in &methods {
        ranges.push((offset(text), 16));
        ranges.extend(image.pointers_to(text).into_iter().map(|p| (offset(p), 8)));
    }
    let audit = regex::bytes::Regex::new(r"(?-u)audit\x00").unwrap();
    let audit = image.find_all(&audit);
    let mut rows = Vec::new();
    for &text in &audit {
        ranges.push((offset(text), 8));
        rows.extend(image.pointers_to(text));
    }
    ranges.extend(rows.iter().map(|&row| (offset(row), 24)));
    methods.extend(audit);
    methods.extend(image.symbol("_PyRuntime").map(|runtime| runtime.address));
    for name in [".rela.dyn", ".rela.plt"] {
        let Some((_, relocations)) = image.section(name) else {
            continue;
        };
        for entry in relocations.as_chunks::<24>().0 {
            let place = u64::from_le_bytes(entry[..8].try_into().unwrap());
            let symbol = u64::from(u32::from_le_bytes(entry[12..16].try_into().unwrap()));
            let addend = u64::from_le_bytes(entry[16..].try_into().unwrap());
            if table.contains(&place)
                || kept_symbols.contains(&symbol)
                || methods.contains(&addend)
                || rows.iter().any(|row| row + 8 == place)
            {
                ranges.push((position(entry), 24));
            }
        }
    }
    for pattern in [
        r"(?-u)\x00cpython-3[0-9]{1,2}t?\x00",
        r"(?-u)3\.[0-9]+\.[0-9]{1,2}\+?\x00",
        r"(?-u)\x00PYTHON_JIT\x00",
    ] {
        let found = image.find(&regex::bytes::Regex::new(pattern).unwrap());
        let at = found.and_then(|a| image.file_offset(a));
        ranges.extend(at.map(|a| (usize::try_from(a).unwrap(), 24)));
    }
    let runtime = image
        .symbol("_PyRuntime")
        .and_then(|s| image.file_offset(s.address));
    ranges.extend(runtime.map(|at| (usize::try_from(at).unwrap(), 1152)));
    ranges
}
