//! Many processes and threads at once: nothing is lost and nothing is mixed up.

use std::collections::HashMap;

use crate::harness::{PYTHON, can_trace, can_trace_python, rdtrace, repository, run, trigger};

/// Runs shell commands side by side.
fn all_at_once(commands: impl IntoIterator<Item = String>) -> String {
    let script: Vec<String> = commands
        .into_iter()
        .map(|command| format!("{command} &"))
        .collect();
    format!("sh -c '{} wait'", script.join(" "))
}

/// Processes that run at once, and calls that each makes.
const PROCESSES: usize = 12;
const CALLS: u32 = 2000;

#[test]
fn records_of_many_processes_do_not_mix() {
    if !can_trace_python() {
        return;
    }
    // Names of different lengths, the longest well beyond what fits a small key.
    let names: Vec<String> = (0..PROCESSES)
        .map(|n| {
            let letter = char::from(b'a' + u8::try_from(n).unwrap());
            letter.to_string().repeat(1 + 4 * n)
        })
        .collect();
    let mixed = repository("tests/triggers/mixed.py");
    let command = all_at_once(
        names
            .iter()
            .map(|name| format!("{PYTHON} {} {name} {CALLS}", mixed.display())),
    );
    let program = "self int calls; self string last;
        python*:::function-entry
        /substr(copyinstr(arg1), 0, 2) == \"f_\"/
        {
            self->calls++;
            printf(\"R %d %s %s %s %d\\n\", pid, copyinstr(arg1), copyinstr(arg0),
                self->last != NULL ? self->last : \"\", self->calls);
            self->last = copyinstr(arg1);
            @keyed[pid, copyinstr(arg1), copyinstr(arg0)] = count();
        }
        END { printa(\"A %d %s %s %@d\\n\", @keyed); }";
    let output = run(rdtrace(["-qn", program, "-c", &command])).clean_but_late();

    let mut calls: HashMap<&str, u32> = HashMap::new();
    let mut keys = 0;
    for line in output.lines().filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        let name = words[2]
            .strip_prefix("f_")
            .unwrap_or_else(|| panic!("{line}"));
        assert_eq!(
            words[3],
            format!("/{}/{name}.py", name.repeat(3)),
            "mixed: {line}"
        );
        if words[0] == "A" {
            keys += 1;
            assert_eq!(words[4], CALLS.to_string(), "{line}");
            continue;
        }
        let seen = calls.entry(words[1]).or_default();
        *seen += 1;
        let last = if *seen == 1 { "" } else { words[2] };
        assert_eq!(
            (words[4], words[5]),
            (last, seen.to_string().as_str()),
            "mixed: {line}"
        );
    }
    assert_eq!(keys, PROCESSES);
    assert_eq!(calls.len(), PROCESSES);
    assert!(calls.values().all(|seen| *seen == CALLS), "{calls:?}");
}

#[test]
fn threads_have_their_own_variables() {
    if !can_trace_python() {
        return;
    }
    let program = "self int calls;
        python$target:::function-entry
        /copyinstr(arg1) == \"left\" || copyinstr(arg1) == \"right\"/
        { self->calls++; @[copyinstr(arg1)] = max(self->calls); @n = count(); }";
    let command = trigger("threads.py 5000").join(" ");
    let output = run(rdtrace(["-qn", program, "-c", &command])).clean_but_late();
    let words: Vec<&str> = output.split_whitespace().collect();
    assert_eq!(words, ["left", "5000", "right", "5000", "10000"]);
}

#[test]
fn no_record_of_two_hundred_thousand_calls_is_lost() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let program = "self int depth;
        python$target:::function-entry
        { printf(\"%d\\t%*s=> %s:%s:%d\\n\", timestamp, self->depth++, \"\", basename(copyinstr(arg0)),
            copyinstr(arg1), arg2); }
        python$target:::function-return
        { printf(\"%d\\t%*s<= %s:%s:%d\\n\", timestamp, --self->depth, \"\", basename(copyinstr(arg0)),
            copyinstr(arg1), arg2); }";
    let command = trigger("calls.py 66667").join(" ");
    run(rdtrace([
        "-q",
        "-o",
        out.to_str().unwrap(),
        "-n",
        program,
        "-c",
        &command,
    ]))
    .clean();
    let output = std::fs::read_to_string(&out).unwrap();
    let count = |text: &str| output.matches(text).count();
    assert_eq!(
        [
            count("=> calls.py:outer:10\n"),
            count("<= calls.py:outer:12\n"),
            count("=> calls.py:inner:6\n"),
            count("<= calls.py:inner:7\n"),
        ],
        [66667, 66667, 133_334, 133_334]
    );
}

/// Clauses, a third of each kind.
const CLAUSES: usize = 300;

/// The ring buffer of a program that runs only once is smaller than `bufsize`.
#[test]
fn all_records_of_clauses_that_run_once_have_room() {
    if !can_trace() {
        return;
    }
    // On the stack, on the heap, and one that ends in a fault.
    let clause = |n: usize| {
        let text = "x".repeat(60 + n % 3);
        match n % 3 {
            0 => format!("BEGIN {{ trace({n}); trace(\"{text}\"); }}"),
            1 => format!(
                "END {{ s = strjoin(\"{text}\", probename); trace(s); trace(s); trace({n}); }}"
            ),
            _ => format!("BEGIN {{ trace(\"{text}\"); trace({n}); trace(*(int *)0); }}"),
        }
    };
    let on_faults =
        "ERROR { trace(\"fault\"); } ERROR { s = strjoin(\"again \", probename); trace(s); }";
    let clauses: String = (0..CLAUSES).map(clause).collect();
    let program = format!("string s; {on_faults} {clauses} BEGIN {{ exit(0); }}");
    let outcome = run(rdtrace(["-qn", &program]));
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let count = |text: &str| outcome.stdout.matches(text).count();
    let third = CLAUSES / 3;
    assert_eq!(
        [count(&"x".repeat(60)), count("fault"), count("again ERROR")],
        [third + 2 * third, third, third],
        "{}",
        outcome.stdout
    );
    assert!(!outcome.stderr.contains("drop"), "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("invalid address").count(), third);
}
