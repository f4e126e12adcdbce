//! Programs so long that the kernel would take long to load them are cut into parts. What a firing has,
//! all parts have: arguments, `this->` variables, what has been fetched, the record of a clause.

use std::fmt::Write as _;

use crate::harness::{can_trace, rdtrace, run, trigger};

/// Clauses on one probe: some 30,000 instructions.
const CLAUSES: usize = 200;

/// Clauses that count in a `this->` variable and print what they have in common, some that fault, and one
/// whose predicate never holds.
fn clauses(probe: &str, argument: &str) -> String {
    let mut program = format!(
        "{probe} {{ this->n = 0; this->s = \"all\"; this->start = timestamp; self->total = 0; }}\n"
    );
    for n in 0..CLAUSES {
        let _ = writeln!(
            program,
            "{probe} /this->n == {n} && this->s == \"all\"/ {{
                this->n++; self->total += {argument};
                @[strjoin(execname, \"\") == execname] = count();
                printf(\"%d %d %s\\n\", this->n, timestamp == this->start, this->s); }}"
        );
        if n % 20 == 7 {
            let _ = writeln!(
                program,
                "{probe} {{ trace(1 / (this->n - {})); printf(\"never\"); }}
                 {probe} /this->n == 0/ {{ printf(\"never\"); }}",
                n + 1
            );
        }
    }
    let _ = writeln!(
        program,
        "{probe} {{ printf(\"sum %d\\n\", self->total); }}
         ERROR {{ printf(\"fault %d\\n\", arg4); }}
         END {{ printa(\"counted %@d\\n\", @); }}"
    );
    program
}

/// What one firing prints, without the faults.
fn firing(argument: i64) -> Vec<String> {
    let lines = (1..=CLAUSES).map(|n| format!("{n} 1 all"));
    let mut lines: Vec<String> = lines.collect();
    let sum = argument * i64::try_from(CLAUSES).unwrap();
    lines.push(format!("sum {sum}"));
    lines
}

/// The lines that were printed, and how many faults are among them.
fn lines(output: &str) -> (Vec<&str>, usize) {
    let lines = output.lines().filter(|line| !line.is_empty());
    let (faults, others): (Vec<_>, _) = lines.partition(|line| *line == "fault 4");
    (others, faults.len())
}

/// How many programs rdtrace makes of a script.
fn programs(program: &str) -> usize {
    let listing = run(rdtrace(["--dump", "bpf", "-qn", program]));
    let starts = listing.stdout.lines();
    starts.filter(|line| line.starts_with("    0: ")).count()
}

#[test]
fn a_firing_goes_on_through_all_parts() {
    if !can_trace() {
        return;
    }
    let program = format!("{} BEGIN {{ exit(3); }}", clauses("BEGIN", "5"));
    assert!(programs(&program) > 3, "it is cut");
    let outcome = run(rdtrace(["-qn", &program]));
    let mut expected = firing(5);
    expected.push(format!("counted {CLAUSES}"));
    let (found, faults) = lines(&outcome.stdout);
    assert_eq!(found, expected);
    assert_eq!(faults, CLAUSES / 20);
    assert_eq!(outcome.status, 3);
}

#[test]
fn a_timer_s_firing_goes_on_through_all_parts() {
    if !can_trace() {
        return;
    }
    let program = clauses("tick-10ms", "5").replace("self->", "this->") + "tick-10ms { exit(0); }";
    let outcome = run(rdtrace(["-qn", &program]));
    let mut expected = firing(5);
    expected.push(format!("counted {CLAUSES}"));
    let (found, faults) = lines(&outcome.stdout);
    assert_eq!(found, expected);
    assert_eq!(faults, CLAUSES / 20);
}

#[test]
fn arguments_are_there_in_all_parts_and_probes_may_start_in_any() {
    if !can_trace() {
        return;
    }
    let mut program = clauses("test$target:::one", "arg0");
    let guarded = clauses("test$target:::guarded", "7");
    program += guarded.split_once("ERROR").unwrap().0;
    let command = trigger("usdt.c").join(" ");
    let output = run(rdtrace(["-qn", &program, "-c", &command])).stdout;
    let (found, faults) = lines(&output);
    let (one, guarded) = (firing(-7), firing(7));
    let ones = found.windows(one.len()).filter(|lines| *lines == one);
    let ones = ones.count();
    let others = found.windows(guarded.len());
    let others = others.filter(|lines| *lines == guarded).count();
    assert!(ones > 0 && others == 1, "{ones} and {others}: {output}");
    let all = (ones + others) * CLAUSES;
    assert_eq!(faults, (ones + others) * CLAUSES / 20);
    assert_eq!(found.len(), (ones + others) * one.len() + 1);
    assert_eq!(*found.last().unwrap(), format!("counted {all}"));
}

#[test]
fn one_clause_may_be_cut_between_its_statements() {
    if !can_trace() {
        return;
    }
    let mut program = String::from("int x; BEGIN { this->n = 1; x = 6;");
    for n in 0..400 {
        let _ = write!(program, "@[execname, {n}] = sum(++this->n);");
    }
    program += "printf(\"%d %d\\n\", x, this->n); exit(0); }
        BEGIN { this->n = 0; trace(x / (x - 6));";
    for n in 0..400 {
        let _ = write!(program, "@[execname, {n}] = sum(++this->n);");
    }
    program += "exit(1); } END { trunc(@, 1); printa(\"%@d\\n\", @); }";
    let output = run(rdtrace(["-qn", &program])).clean();
    assert_eq!(lines(&output).0, ["6 401", "401"]);
}
