//! Programs without symbols: their functions are known by `.eh_frame`, and called by their addresses.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{can_find_frames, can_trace, compiled_as, rdtrace, repository, run, skipped};

/// A program of `tests/triggers`, with its symbols and without.
struct Both {
    with: PathBuf,
    without: PathBuf,
    _directory: tempfile::TempDir,
}

fn both(source: &str) -> Option<Both> {
    if !can_trace() {
        return None;
    }
    if !cfg!(target_arch = "x86_64") {
        skipped("needs x86-64");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let source = repository(&format!("tests/triggers/{source}"));
    let [with, without] = ["with", "without"].map(|name| directory.path().join(name));
    compiled_as(&source, &with, &["-O2".into()]);
    compiled_as(&source, &without, &["-O2".into(), "-s".into()]);
    Some(Both {
        with,
        without,
        _directory: directory,
    })
}

/// What the functions of a program that has been stripped are called, by what they were called before.
fn names(program: &Path) -> HashMap<String, String> {
    let symbols = run({
        let mut nm = Command::new("nm");
        nm.arg(program);
        nm
    });
    let symbols = symbols.clean();
    let functions = symbols.lines().filter_map(|line| {
        let (address, rest) = line.split_once(' ')?;
        let address = u64::from_str_radix(address, 16).ok()?;
        let name = rest.strip_prefix("t ").or(rest.strip_prefix("T "))?;
        Some((name.to_owned(), format!("sub_{address:x}")))
    });
    functions.collect()
}

#[test]
fn functions_without_names_have_entries_returns_and_offsets() {
    let Some(both) = both("functions.c") else {
        return;
    };
    let names = names(&both.with);
    let [sum, twice, last] = ["sum", "twice", "last"].map(|name| names[name].clone());
    let address = &twice["sub_".len()..];
    let program = format!(
        "pid$target:a.out:{sum}:entry {{ @sum[probefunc] = sum(arg7); }}
         pid$target:a.out:{twice}:return {{ @twice[probefunc] = sum(arg1); }}
         pid$target:a.out:{twice}:0 {{ @first[probefunc] = count(); }}
         pid$target:a.out:-:{address} {{ @file[probefunc, probename] = count(); }}
         pid$target:a.out::entry /probefunc == \"{last}\"/ {{ @last[probefunc] = max(arg0); }}
         END {{ printa(@sum); printa(@twice); printa(@first); printa(@file); printa(@last); }}"
    );
    let command = format!("{} 100", both.without.display());
    let output = run(rdtrace(["-qn", &program, "-c", &command])).clean();
    let words: Vec<_> = output.split_whitespace().collect();
    let expected = format!("{sum} 800 {twice} 10100 {twice} 100 - {address} 100 {last} 99");
    assert_eq!(words.join(" "), expected, "{output}");
}

#[test]
fn a_place_that_is_no_instruction_is_refused() {
    let Some(both) = both("functions.c") else {
        return;
    };
    let names = names(&both.with);
    let command = both.without.to_str().unwrap();
    let sum = u64::from_str_radix(&names["sum"]["sub_".len()..], 16).unwrap();
    for (place, told) in [
        (format!("-:{:x}", sum + 1), "no instruction of `without` of"),
        ("-:0".into(), "no instruction of `without` of"),
        ("sub_1:entry".into(), "has no function `sub_1`"),
        ("sum:entry".into(), "has no function `sum`"),
        (
            format!("{}:return", names["_start"]),
            "no address to return to is on top of the stack",
        ),
    ] {
        let clause = format!("pid$target:a.out:{place} {{}}");
        let message = run(rdtrace(["-qn", &clause, "-c", command])).failure(1);
        assert!(message.contains(told), "{place}: {message}");
    }
}

#[test]
fn stacks_show_functions_without_names() {
    let Some(both) = both("functions.c") else {
        return;
    };
    if !can_find_frames() {
        return;
    }
    let names = names(&both.with);
    let program = "pid$target:libc.so.6:getenv:entry
        { printf(\"%k%A %A\", ustack(2), ucaller, ucaller); usym(ucaller); exit(0); }";
    let [with, without] = [&both.with, &both.without].map(|path| {
        let command = path.to_str().unwrap();
        run(rdtrace(["-qn", program, "-c", command])).clean()
    });
    assert!(with.contains("with`main+0x"), "{with}");
    let renamed = with
        .replace("with`", "without`")
        .replace("`main", &format!("`{}", names["main"]));
    // Columns are as wide, whatever the name.
    assert_eq!(without.trim_end(), renamed.trim_end());
}

/// With the kernel's return probe at what is no function, the program would find the probe's address in the place of
/// what it has there.
#[test]
fn a_program_is_not_changed_by_probes_on_all_returns() {
    let Some(both) = both("apart.c") else {
        return;
    };
    let names = names(&both.with);
    let clause = "pid$target:a.out::return { @[probefunc] = count(); }
        END { printa(\"%s %@d\\n\", @); }";
    for program in [&both.with, &both.without] {
        let command = program.to_str().unwrap();
        let output = run(rdtrace(["-qn", clause, "-c", command])).clean();
        assert!(
            output.contains("1 seldom, sum 240, 1 arguments\n"),
            "{output}"
        );
        let (checked, apart) = if program == &both.with {
            ("checked", "checked.cold")
        } else {
            (&*names["checked"], &*names["checked.cold"])
        };
        assert!(output.contains(&format!("\n{checked} 6\n")), "{output}");
        assert!(!output.contains(apart), "{output}");
    }
}
