//! Programs through the kernel's verifier, which must take each of them and be done soon.
//!
//! How soon is told by the number of instructions that it followed, which depends on the program
//! and the kernel only, never on the machine's load. Needs root.
//!
//! ```text
//! PROGRAMS=10000 cargo test -p actions --test verifier random     more random programs
//! FIRST=4711 PROGRAMS=1 cargo test -p actions --test verifier random    just one, by its seed
//! D=script.d cargo test -p actions --test verifier script -- --nocapture    a script of your own
//! ```

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stderr, reason = "tests say what was covered")]

mod generate;
mod load;
mod numbers;

use actions::lower::PART_LENGTH;
use load::{Verdict, verify, verify_in_parts};

/// The most instructions that the verifier may follow in a random program: it gives up at a million.
/// Of four thousand programs one took 467,000, and all others fewer than 270,000.
const MOST_FOLLOWED: u64 = 500_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn random_programs_load() {
    if !load::may_load() {
        return;
    }
    random_programs(PART_LENGTH);
}

/// The same programs cut into parts wherever that is possible.
#[test]
fn random_programs_load_in_parts() {
    if !load::may_load() {
        return;
    }
    random_programs(1);
}

fn random_programs(part_length: usize) {
    let (first, programs) = (number("FIRST", 1), number("PROGRAMS", 60));
    let (mut loaded, mut refused, mut most) = (0, 0, (0, 0));
    let mut failures = Vec::new();
    for seed in first..first + programs {
        let size = usize::try_from(1 + seed % 5).unwrap();
        let source = generate::program(seed, size);
        match verify_in_parts(&source, part_length) {
            Verdict::Loaded { followed } => {
                loaded += 1;
                most = most.max((followed, seed));
                if followed > MOST_FOLLOWED {
                    failures.push(format!("seed {seed}: the verifier followed {followed}"));
                }
            }
            Verdict::Refused(message) => {
                refused += 1;
                if std::env::var_os("SHOW").is_some() {
                    eprintln!("seed {seed}: {message}");
                }
            }
            Verdict::Rejected(why) => failures.push(format!("seed {seed}: {why}\n{source}")),
        }
    }
    eprintln!("{loaded} loaded, {refused} refused with a message; most followed: {most:?}");
    assert!(
        failures.is_empty(),
        "{} fail\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(
        refused * 4 <= programs,
        "the generator writes programs that are no D"
    );
}

/// Programs that the verifier once refused, or took minutes for, and the most that it may follow.
#[test]
fn what_was_refused_or_slow_loads_soon() {
    if !load::may_load() {
        return;
    }
    for (source, most) in [
        (
            "int x; string s; BEGIN { s = substr(strstr(execname, \"/\"), x, 3); exit(0); }",
            10_000,
        ),
        (
            "long x[string]; long y;
             BEGIN { y = index(execname, execname, x[\"a\"] + x[\"b\"]); exit(0); }",
            10_000,
        ),
        (
            "string s; BEGIN { s = substr(strchr(execname, 0), ppid, 0); exit(0); }",
            10_000,
        ),
        // The heap of ERROR's clauses follows that of any probe, not of the last one.
        (
            "string a; BEGIN { trace(copyinstr(8)); trace(strjoin(execname, copyinstr(arg0))); }
             app1:::hit { trace(copyinstr(arg0)); trace(execname); }
             app1:::other { a = strjoin(execname, execname); trace(*(int *)arg1); }
             app1:::hit { @ = sum(1 / arg1); }
             ERROR { trace(strjoin(execname, basename(a))); }",
            30_000,
        ),
        (
            "string s; self int64_t a[int64_t, string, int64_t]; this int t; uint64_t g;
             profile-997 { probemod < s; }
             ERROR { if (errno) { trace(g); }
                 self->b[dirname(execname), 0] =
                     substr(substr(\"a\", this->t, self->a[epid, probename, this->t]), 0, uid ^ g); }",
            20_000,
        ),
        (
            "app1:::hit /pyfunc == \"a\" || pyfile == \"b\" && pyqualname != \"c\"/
             {
                 @[pyfile, pyqualname] = count();
                 printf(\"%s %s\", pyfunc, pyfile);
                 jstack();
                 @s[jstack()] = count();
             }
             profile-97 { @t[pyfunc, jstack()] = count(); }",
            40_000,
        ),
        (
            "app1:::hit /pyline > 7 || pymodule == \"a\" && pydepth > 2/
             {
                 @[pymodule, pyline, pydepth] = count();
                 printf(\"%d %s %d\", pyline, pymodule, pydepth);
             }
             profile-97 /pyline != 7/ { @t[pyfunc, pyline, pymodule] = count(); }",
            150_000,
        ),
        (
            "app1:::hit /pyint(pyarg(\"n\")) > 7 || pystr(pyself(\"name\")) == \"a\"/
             {
                 @[pystr(pyattr(pyarg(0), \"x\"))] = count();
                 printf(\"%s %d\", pyattr(pylocal(\"a\"), \"b\"), pyint(arg0));
             }
             profile-97 /pyint(pyarg(0)) == 7/ { trace(pyarg(1)); }",
            300_000,
        ),
        (
            "app1:::hit /pytype(pyexception) == \"KeyError\" && pythread != \"a\"/
             { @[pythread] = count(); printf(\"%s %s\", pyexception, pythread); }
             profile-97 { @t[pythread, pystr(pyexception)] = count(); }",
            300_000,
        ),
        (
            "app1:::hit /pytask != \"a\"/ { @[pytask, pymodule] = count(); printf(\"%s\", pytask); }
             profile-97 /pyint(arg0) > 1/ { @t[pytask] = count(); }",
            300_000,
        ),
        (
            "app1:::hit /pygreenlet != 3/ { self->t[pygreenlet] = timestamp; trace(arg0 > 1 ? pygreenlet : 0); }
             profile-97 { @t[pygreenlet, pyfunc] = count(); }",
            300_000,
        ),
        (
            "app1:::hit { trace(arg0 > 1 ? pyframe : arg1 > 1 ? pyframe + 2 : 0); trace(pyframe); }",
            40_000,
        ),
        // Constants on one way and another, which decide later on.
        (
            "this int a; this int b; this int c; this int d; this int e;
             app1:::hit { if (arg0 > 1) { this->a = 1; } else { this->a = 2; }
                 if (arg1 > 1) { this->b = 1; } else { this->b = 2; }
                 if (arg2 > 1) { this->c = 1; } else { this->c = 2; }
                 if (arg3 > 1) { this->d = 1; } else { this->d = 2; }
                 this->e = (arg0 > arg1) + (arg1 > arg2) + (arg2 > arg3) + (arg3 > arg4);
                 if (this->a + this->b + this->c + this->d + this->e == 7) { trace(1); } }",
            1_500,
        ),
        // What is compared with one number after the other.
        (
            "app1:::hit { if (arg0 == 1 && arg1 == 1 && arg3 == 1) { trace(1); }
                 if (arg0 == 2 && arg1 == 2 && arg3 == 2) { trace(2); }
                 if (arg0 == 3 && arg1 == 3 && arg3 == 3) { trace(3); }
                 if (arg0 == 4 && arg1 == 4 && arg3 == 4) { trace(4); }
                 if (arg0 == 5 || arg1 == 5 || arg3 == 5) { trace(5); } }",
            1_500,
        ),
        // Memory of ours is found in the scratch before the thread's state has been fetched.
        (
            "self long a;
             profile:::tick-1s / *(uint64_t *)copyin(63, 8) / { self->a = 3; }",
            1_500,
        ),
        // A clause without anything to record may branch, too.
        ("int x; BEGIN { if (pid > 1) { x = 1; } else { x = 2; } }", 500),
    ] {
        let verdict = verify(source);
        let Verdict::Loaded { followed } = verdict else {
            panic!("{verdict:?}: {source}");
        };
        assert!(followed <= most, "the verifier followed {followed}: {source}");
    }
}

/// The kernel's time grows with the square of a program's length, so long ones are cut; what it
/// follows of each part is told by its length.
#[test]
fn a_thousand_clauses_on_a_probe_load() {
    if !load::may_load() {
        return;
    }
    for probe in ["tick-1s", "app1:::hit"] {
        let clause = |n: u32| match n % 5 {
            0 => format!(
                "{probe} /execname == \"x{n}\"/ {{ @a{}[execname] = count(); }}",
                n % 20
            ),
            1 => format!("{probe} /pid == {n}/ {{ printf(\"%s %d\\n\", execname, pid); }}"),
            2 => format!(
                "{probe} /strstr(execname, \"py{n}\") != NULL/ {{ @b[execname, pid] = sum({n}); }}"
            ),
            3 => format!("{probe} {{ s = strjoin(execname, \"{n}\"); x[execname] = {n}; }}"),
            _four => {
                format!("{probe} /s == \"a{n}\"/ {{ @q = quantize({n}); printf(\"%s\\n\", s); }}")
            }
        };
        let clauses: String = (0..1_000).map(clause).collect();
        let verdict = verify(&format!("string s; int x[string]; {clauses}"));
        let Verdict::Loaded { followed } = verdict else {
            panic!("{probe}: {verdict:?}");
        };
        assert!(
            followed <= 1_000_000,
            "{probe}: the verifier followed {followed}"
        );
    }
}

/// What is computed of numbers is one field of a record, however long the expression is.
#[test]
fn a_clause_with_many_expressions_has_room_for_its_record() {
    if !load::may_load() {
        return;
    }
    let printfs = "printf(\"%d\\n\", pid * 3 + 7 - uid);".repeat(1_500);
    let verdict = verify(&format!("BEGIN {{ {printfs} }}"));
    assert!(matches!(verdict, Verdict::Loaded { .. }), "{verdict:?}");
}

#[test]
fn script_of_ones_own() {
    let Some(path) = std::env::var_os("D") else {
        return;
    };
    let source = std::fs::read_to_string(path).unwrap();
    eprintln!("{:?}", verify(&source));
}
