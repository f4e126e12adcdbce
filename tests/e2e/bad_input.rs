//! Whatever is wrong with what we are given, the answer is a clear message and the right status.
//!
//! That no run panics or hangs is checked by the harness.

use std::fs;
use std::path::Path;

use crate::harness::{
    PYTHON, RDTRACE, as_nobody, can_trace, can_trace_python, install, public_rdtrace, rdtrace, run,
};

/// Asserts that a run with these arguments fails with this status, and a message with these words.
#[track_caller]
fn check_fails(args: &[&str], status: i32, words: &[&str]) {
    let message = run(rdtrace(args)).failure(status);
    for word in words {
        assert!(
            message.contains(word),
            "{args:?} does not say {word:?} but\n{message}"
        );
    }
}

#[test]
fn wrong_command_lines_are_status_2() {
    check_fails(&["-Y"], 2, &["invalid option -- 'Y'"]);
    check_fails(&["--nosuch"], 2, &["--nosuch"]);
    check_fails(&["-n"], 2, &["option requires an argument -- 'n'"]);
    check_fails(&["--dump", "nosuch", "-n", "BEGIN"], 2, &["nosuch"]);
}

#[test]
fn without_arguments_there_is_help() {
    let outcome = run(rdtrace([""; 0]));
    assert_eq!(outcome.status, 2);
    assert!(outcome.stderr.contains("Usage"), "{}", outcome.stderr);
}

#[test]
fn unsupported_options_say_so() {
    for option in ["-G", "-A", "-B"] {
        check_fails(&[option, "-n", "BEGIN"], 1, &["not supported"]);
    }
}

#[test]
fn options_have_names_and_values() {
    check_fails(
        &["-x", "nosuch=1", "-n", "BEGIN"],
        1,
        &["-x nosuch: Invalid option name"],
    );
    check_fails(
        &["-x", "bufsize=many", "-n", "BEGIN"],
        1,
        &["Invalid value"],
    );
    check_fails(&["-b", "12q", "-n", "BEGIN"], 1, &["Invalid value"]);
}

#[test]
fn files_that_cannot_be_read() {
    check_fails(
        &["-s", "/nosuch.d"],
        1,
        &["failed to open /nosuch.d: No such file or directory"],
    );
    check_fails(&["-s", "/"], 1, &["script /: Error occurred while reading"]);
    check_fails(&["-s", "/dev/null"], 1, &["empty D program"]);
}

#[test]
fn a_binary_file_is_not_a_script() {
    check_fails(&["-s", RDTRACE], 1, &["not a D script"]);
}

#[test]
fn odd_text_is_a_syntax_error() {
    for text in [
        "\0",
        "\u{7f}",
        "BEGIN {",
        "BEGIN }",
        "}",
        "{",
        "/",
        "BEGIN / {",
        "BEGIN /1 {",
        "\"",
        "'",
        "/*",
        "BEGIN { @ }",
        "BEGIN { @a[ = count(); }",
        "BEGIN { x = ; }",
        "BEGIN { 1 +; }",
        "BEGIN { printf(; }",
        "self int",
        "#pragma",
        "#pragma D option",
        "é",
        "BEGIN { é = 1; }",
        "BEGIN { 0x; }",
        "BEGIN { 99999999999999999999; }",
        "BEGIN { 1.5; }",
        "BEGIN { '' ; }",
        "BEGIN { if (1) }",
        "BEGIN { while (1) ; }",
        "a:b:c:d:e:f { }",
        "::::: { }",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("it.d");
        fs::write(&file, text).unwrap();
        check_fails(&["-e", "-s", file.to_str().unwrap()], 1, &["it.d"]);
    }
}

#[test]
fn deep_nesting_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (open, close) in [
        ("(", ")"),
        ("-", ""),
        ("!", ""),
        ("x[", "]"),
        ("strlen(", ")"),
    ] {
        let text = format!(
            "BEGIN {{ x = {}1{}; }}",
            open.repeat(20_000),
            close.repeat(20_000)
        );
        let file = dir.path().join("deep.d");
        fs::write(&file, text).unwrap();
        check_fails(&["-s", file.to_str().unwrap()], 1, &["deep.d"]);
    }
    let file = dir.path().join("blocks.d");
    fs::write(&file, format!("BEGIN {{ {} }}", "if (1) { ".repeat(20_000))).unwrap();
    check_fails(&["-s", file.to_str().unwrap()], 1, &["blocks.d"]);
}

#[test]
fn a_record_that_is_too_large_is_refused_at_its_place() {
    let traces = "trace(*(struct large *)arg0); ".repeat(9);
    let program = format!("struct large {{ char bytes[4000]; }}; BEGIN {{ {traces} }}");
    let words = ["would record 36", "is the most", "^"];
    check_fails(&["-n", &program], 1, &words);
}

#[test]
fn processes_that_do_not_exist() {
    for pid in ["0", "-1", "999999999", "99999999999999", "self", ""] {
        check_fails(&["-n", "python$target:::line", "-p", pid], 1, &[]);
    }
    check_fails(
        &["-n", "python$target:::line", "-p", "999999"],
        1,
        &["999999"],
    );
}

#[test]
fn commands_that_do_not_exist() {
    check_fails(
        &["-n", "BEGIN", "-c", "/nonexistent --option"],
        1,
        &["/nonexistent"],
    );
    check_fails(
        &["-n", "BEGIN", "-c", "no-such-command-anywhere"],
        1,
        &["no-such-command-anywhere"],
    );
    check_fails(&["-n", "BEGIN", "-c", ""], 1, &[]);
    check_fails(&["-n", "BEGIN", "-c", "'unclosed"], 1, &["no closing '"]);
    check_fails(&["-n", "BEGIN", "-c", "/etc/passwd"], 1, &["/etc/passwd"]);
}

#[test]
fn outputs_that_cannot_be_opened() {
    if can_trace() {
        check_fails(
            &["-o", "/nosuch/dir/out", "-n", "BEGIN"],
            1,
            &["/nosuch/dir/out", "No such file"],
        );
        check_fails(&["-o", "/", "-n", "BEGIN"], 1, &["directory"]);
    }
}

#[test]
fn a_missing_function_is_told_without_advice_for_other_probes() {
    if !can_trace() {
        return;
    }
    let args = ["-n", "pid$target:libc:nosuch:entry", "-c", "/bin/true"];
    let message = run(rdtrace(args)).failure(1);
    assert!(message.contains("has no function `nosuch`"), "{message}");
    assert!(!message.contains("libstapsdt"), "{message}");
}

#[test]
fn a_provider_that_a_program_cannot_get_any_more_is_refused_before_it_runs() {
    if !can_trace() {
        return;
    }
    // The program would wait for a writer for ever, and can load nothing.
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let command = format!("/bin/cat {}", fifo.display());
    for options in [&[][..], &["-n", "pid$target:libc.so.6:read:entry"]] {
        let args = ["-n", "nosuch$target:::x", "-c", &command];
        let message = run(rdtrace(options.iter().chain(&args))).failure(1);
        assert!(message.contains("nosuch"), "{message}");
        assert!(message.contains("does not match any probes"), "{message}");
        assert!(!message.contains("libstapsdt"), "{message}");
    }
}

#[test]
fn what_is_waited_for_is_told_once() {
    if !can_trace() {
        return;
    }
    let args = [
        "-n",
        "nosuch$target:::x",
        "-c",
        "sh -c 'sleep 3; exec sh -c \"sleep 3; exit 7\"'",
    ];
    let message = run(rdtrace(args)).failure(1);
    let told = message.matches(":::x matches no probe yet: the command runs, untraced");
    assert_eq!(told.count(), 1, "{message}");
}

#[test]
fn a_misspelt_probe_gets_a_suggestion() {
    if !can_trace_python() {
        return;
    }
    let command = format!("{PYTHON} -c 1");
    for (probe, meant) in [
        ("python$target:::function-enty", "function-entry"),
        ("python$target:::functionentry", "function-entry"),
        ("python$target:::gc-strat", "gc-start"),
        ("BEGN", "BEGIN"),
    ] {
        check_fails(
            &["-n", probe, "-c", &command],
            1,
            &["does not match any probes", meant],
        );
    }
}

#[test]
fn target_without_a_process() {
    check_fails(
        &["-n", "python$target:::line"],
        1,
        &["python0:::line does not match any probes"],
    );
}

#[test]
fn destructive_actions_need_w() {
    check_fails(
        &["-n", "BEGIN { system(\"true\"); exit(0); }"],
        1,
        &["could not enable tracing: Destructive actions not allowed"],
    );
}

#[test]
fn a_program_without_python_has_no_python_probes() {
    if can_trace() {
        check_fails(
            &["-n", "python$target:::line", "-c", "/bin/true"],
            1,
            &["does not match any probes"],
        );
    }
}

/// Writes an executable copy of a file with bytes changed.
fn damaged(dir: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = fs::read(PYTHON).unwrap();
    change(&mut bytes);
    let path = dir.join(name);
    let draft = dir.join(format!("{name}.draft"));
    fs::write(&draft, bytes).unwrap();
    install(&draft, &path);
    path.to_str().unwrap().to_owned()
}

/// Where the first stapsdt note of Debian's Python is.
fn first_note(bytes: &[u8]) -> usize {
    bytes
        .windows(8)
        .position(|window| window == b"stapsdt\0")
        .expect("notes")
        - 12
}

#[test]
fn damaged_elf_files_do_no_harm() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let sections = |bytes: &[u8]| {
        usize::try_from(u64::from_le_bytes(bytes[40..48].try_into().unwrap())).unwrap()
    };
    let files = [
        // The section table lies beyond the file, or is noise.
        damaged(dir.path(), "table-away", |bytes| bytes[40..48].fill(0x7f)),
        damaged(dir.path(), "table-noise", |bytes| {
            let start = sections(bytes);
            bytes[start..]
                .iter_mut()
                .enumerate()
                .for_each(|(at, byte)| *byte = at.to_le_bytes()[0] ^ 0xa5);
        }),
        // Notes with sizes, arguments and names that make no sense.
        damaged(dir.path(), "note-size", |bytes| {
            let note = first_note(bytes);
            bytes[note + 4..note + 8].fill(0xff);
        }),
        damaged(dir.path(), "note-text", |bytes| {
            let note = first_note(bytes);
            bytes[note + 20 + 24..note + 20 + 64].fill(b'%');
        }),
        damaged(dir.path(), "note-address", |bytes| {
            let note = first_note(bytes);
            bytes[note + 20..note + 20 + 24].fill(0xee);
        }),
        // Cut off in the middle.
        damaged(dir.path(), "cut", |bytes| bytes.truncate(bytes.len() / 2)),
        damaged(dir.path(), "header-only", |bytes| bytes.truncate(64)),
    ];
    for file in files {
        for args in [
            ["-ln", "python$target:::"],
            ["-n", "python$target:::audit { @ = count(); }"],
        ] {
            let mut command = rdtrace(args);
            // What the kernel takes for no program at all is run by the shell, as `execvp` does,
            // which writes files where a damaged byte is a `>`.
            command
                .current_dir(dir.path())
                .arg("-c")
                .arg(format!("{file} -c 1"));
            let outcome = run(command);
            assert!(outcome.status < 2, "{file}: {outcome:?}");
            assert!(
                outcome.status == 0 || !outcome.stderr.is_empty(),
                "{file}: no message"
            );
        }
    }
}

#[test]
fn without_rights_the_missing_capability_is_named() {
    if !can_trace() {
        return;
    }
    let (_dir, copy) = public_rdtrace();
    for args in [["-n", "BEGIN { exit(0); }"], ["-n", "tick-1s { exit(0); }"]] {
        let mut command = as_nobody();
        command.arg(&copy).args(args);
        let message = run(command).failure(1);
        assert!(
            message.contains("CAP_BPF") && message.contains("root"),
            "{message}"
        );
    }
}

#[test]
fn languages_do_not_mix() {
    check_fails(
        &["-n", "BEGIN { printf(\"%d\\n\", $1); }"],
        1,
        &["macro argument $1 is not defined"],
    );
    check_fails(
        &[
            "-n",
            "usdt:/usr/bin/python3:python:gc__start { @[comm] = count(); }",
        ],
        1,
        &[],
    );
    check_fails(&["-i", "99999999"], 1, &["Unknown probe identifier"]);
    check_fails(&["-i", "x"], 1, &["invalid probe specifier x"]);
    check_fails(
        &["-n", "BEGIN", "extra"],
        1,
        &["extraneous argument 'extra' ($1 is not referenced)"],
    );
    check_fails(
        &["-n", "BEGIN { jstack(0); }"],
        1,
        &["jstack", "non-zero positive integer constant"],
    );
    check_fails(&["-n", "tick-0 { }"], 1, &["tick-0"]);
    check_fails(
        &["-n", "profile-1fortnight { }"],
        1,
        &["profile-1fortnight"],
    );
}
