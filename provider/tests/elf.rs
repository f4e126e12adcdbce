//! ELF files made by hand: what their notes give, and that damage never panics.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use proptest::prelude::*;
use provider::probe::ArgLocation;
use provider::usdt::UsdtFile;
use provider::usdt::elf::ElfError;

/// Where the file is linked, and where a section `.stapsdt.base` is said to be.
const LINKED: u64 = 0x40_0000;
const BASE: u64 = LINKED + 0x3000;

/// A file with one executable segment that is the whole of it, these notes, and one function
/// `work` at `LINKED + 0x100`, 0x40 bytes long.
fn elf(notes: &[(u64, u64, u64, &str)]) -> Vec<u8> {
    let mut note_section = Vec::new();
    for (location, base, semaphore, strings) in notes {
        let mut descriptor: Vec<u8> = [*location, *base, *semaphore]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        descriptor.extend_from_slice(strings.as_bytes());
        for word in [8, descriptor.len() as u32, 3] {
            note_section.extend_from_slice(&word.to_le_bytes());
        }
        note_section.extend_from_slice(b"stapsdt\0");
        descriptor.resize(descriptor.len().next_multiple_of(4), 0);
        note_section.extend_from_slice(&descriptor);
    }
    let names = b"\0.note.stapsdt\0.stapsdt.base\0.symtab\0.strtab\0.shstrtab\0";
    let strings = b"\0work\0";
    let mut symbols = vec![0; 24];
    symbols.extend_from_slice(&1_u32.to_le_bytes());
    symbols.extend_from_slice(&[0x12, 0, 1, 0]); // a global function, of section 1
    symbols.extend_from_slice(&(LINKED + 0x100).to_le_bytes());
    symbols.extend_from_slice(&0x40_u64.to_le_bytes());

    let mut file = vec![0; 0x1000];
    let mut place = |bytes: &[u8]| {
        let at = file.len() as u64;
        file.extend_from_slice(bytes);
        file.resize(file.len().next_multiple_of(8), 0);
        (at, bytes.len() as u64)
    };
    let notes = place(&note_section);
    let symbols = place(&symbols);
    let strings = place(strings);
    let names_at = place(names);
    let sections_at = file.len() as u64;
    // name, type, address, (offset, size), link, entry size
    let sections = [
        (0, 0, 0, (0, 0), 0, 0),
        (1, 7, 0, notes, 0, 0),
        (15, 1, BASE, (0, 1), 0, 0),
        (29, 2, 0, symbols, 4, 24),
        (37, 3, 0, strings, 0, 0),
        (45, 3, 0, names_at, 0, 0),
    ];
    for (name, kind, address, (offset, size), link, entry) in sections {
        let mut header = Vec::new();
        header.extend_from_slice(&u32::to_le_bytes(name));
        header.extend_from_slice(&u32::to_le_bytes(kind));
        for word in [0, address, offset, size] {
            header.extend_from_slice(&u64::to_le_bytes(word));
        }
        header.extend_from_slice(&u32::to_le_bytes(link));
        header.extend_from_slice(&u32::to_le_bytes(1));
        for word in [4, entry] {
            header.extend_from_slice(&u64::to_le_bytes(word));
        }
        file.extend_from_slice(&header);
    }
    let machine: u16 = if cfg!(target_arch = "aarch64") {
        183
    } else {
        62
    };
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    for half in [2, machine, 1, 0] {
        header.extend_from_slice(&half.to_le_bytes()); // ET_EXEC, the machine, version 1
    }
    for word in [LINKED, 64, sections_at] {
        header.extend_from_slice(&word.to_le_bytes());
    }
    header.extend_from_slice(&[0; 4]);
    for half in [64_u16, 56, 1, 64, 6, 5] {
        header.extend_from_slice(&half.to_le_bytes());
    }
    header.extend_from_slice(&[1, 0, 0, 0, 7, 0, 0, 0]); // PT_LOAD, all rights
    for word in [0, LINKED, LINKED, 0x1000, 0x1000, 0x1000] {
        header.extend_from_slice(&u64::to_le_bytes(word));
    }
    file[..header.len()].copy_from_slice(&header);
    file
}

#[test]
fn a_site_has_its_place_function_and_semaphore() {
    let file = elf(&[(
        LINKED + 0x110,
        BASE,
        LINKED + 0x800,
        "app\0work__start\08@$5\0",
    )]);
    let found = UsdtFile::from_bytes(&file).unwrap();
    assert_eq!(found.providers(), ["app"]);
    let site = &found.sites[0];
    assert_eq!(site.note.d_name(), "work-start");
    assert_eq!(site.function.as_deref(), Some("work"));
    assert_eq!(
        (site.site.file_offset, site.site.semaphore),
        (0x110, Some(0x800))
    );
    assert_eq!(site.site.args, [ArgLocation::Constant(5)]);
}

#[test]
fn prelinked_files_are_corrected() {
    let moved = 0x1000;
    let file = elf(&[(
        LINKED + 0x110 - moved,
        BASE - moved,
        LINKED + 0x800 - moved,
        "app\0x\0\0",
    )]);
    let found = UsdtFile::from_bytes(&file).unwrap();
    assert_eq!(
        (
            found.sites[0].site.file_offset,
            found.sites[0].site.semaphore
        ),
        (0x110, Some(0x800))
    );
}

#[test]
fn sites_outside_the_file_are_left_out() {
    let file = elf(&[
        (LINKED + 0x5000, BASE, 0, "app\0site\0\0"),
        (LINKED + 0x110, BASE, LINKED + 0x5000, "app\0semaphore\0\0"),
        (LINKED + 0x200, BASE, 0, "app\0good\0\0"),
    ]);
    let found = UsdtFile::from_bytes(&file).unwrap();
    let names: Vec<&str> = found.sites.iter().map(|site| &*site.note.name).collect();
    assert_eq!(names, ["good"]);
    assert_eq!(found.sites[0].function, None, "no function is there");
    assert_eq!(found.misplaced.len(), 2);
}

#[test]
fn what_cannot_be_traced_is_named() {
    let with = |at: usize, byte: u8| {
        let mut file = elf(&[]);
        file[at] = byte;
        UsdtFile::from_bytes(&file).unwrap_err()
    };
    assert!(matches!(with(4, 1), ElfError::Bits32));
    assert!(matches!(with(18, 243), ElfError::Foreign { machine } if machine == "riscv"));
    assert!(matches!(with(5, 2), ElfError::Foreign { .. }));
    assert!(matches!(with(0, b'#'), ElfError::NotElf));
    assert!(matches!(
        UsdtFile::from_bytes(b"").unwrap_err(),
        ElfError::NotElf
    ));
    assert!(matches!(
        UsdtFile::from_bytes(b"#!/bin/sh\nexec python3 \"$@\"\n"),
        Err(ElfError::NotElf)
    ));
}

proptest! {
    #[test]
    fn damage_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
        header in any::<bool>(),
        length in any::<prop::sample::Index>(),
    ) {
        let mut file = elf(&[
            (LINKED + 0x110, BASE, LINKED + 0x800, "app\0x\0 8@%rax -4@sym(%rip)\0"),
            (LINKED + 0x120, BASE, 0, "app\0y\0\0"),
        ]);
        for (at, byte) in changes {
            // Where something can break: the headers, or the notes, symbols and sections.
            let at = if header { at.index(120) } else { 0x1000 + at.index(file.len() - 0x1000) };
            file[at] = byte;
        }
        let _ = UsdtFile::from_bytes(&file);
        file.truncate(length.index(file.len()));
        let _ = UsdtFile::from_bytes(&file);
    }
}
