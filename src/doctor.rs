//! `--doctor`: whether this machine can be traced, and which interpreters run on it, one line each with
//! what to do.
//!
//! ```text
//! ok    kernel: Linux 6.18.5
//! less  stacks of programs: no ustack(), jstack() and Python's objects: they need Linux 5.17
//! no    eBPF: programs cannot be loaded: Operation not permitted; this needs root, or CAP_BPF and CAP_PERFMON
//! ```

use std::fmt::Write as _;

use anyhow::{Result, bail};
use provider::catalog::Catalog;
use provider::doctor::{Finding, Running, State, machine, running};
use provider::process::files::{all_processes, runs};
use provider::text::escaped;

/// The most process ids that a line names.
const MOST_PIDS: usize = 5;

/// What there is to say of the machine, and of these processes, or all; and the exit status, which is 1 if
/// nothing can be traced.
pub(crate) fn examine(pids: &[String]) -> Result<(String, i32)> {
    let mut chosen = Vec::new();
    for pid in pids {
        match pid.parse() {
            Ok(pid) if runs(pid) => chosen.push(pid),
            Ok(_) | Err(_) => bail!("there is no process {pid}"),
        }
    }
    let machine = machine();
    let mut text = lines(&machine);
    let all = chosen.is_empty();
    let examined = if all { all_processes() } else { chosen };
    let found = running(&mut Catalog::new(), &examined);
    text += &lines(&found.iter().map(of_interpreter).collect::<Vec<_>>());
    if found.is_empty() {
        let what = if all {
            "no process runs one"
        } else {
            "not run by these processes"
        };
        text += &line("--", "Python", what);
    }
    let is_bad = machine.iter().any(|finding| finding.state == State::Bad);
    Ok((text, i32::from(is_bad)))
}

fn lines(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.state {
            State::Good => "ok",
            State::Less => "less",
            State::Bad => "no",
        };
        text += &line(mark, finding.part, &finding.words);
    }
    text
}

fn line(mark: &str, part: &str, words: &str) -> String {
    format!("{mark:<4}  {part}: {words}\n")
}

fn of_interpreter(running: &Running) -> Finding {
    let Running {
        interpreter,
        file,
        pids,
        probes,
        refusal,
    } = running;
    let shown = pids.iter().take(MOST_PIDS).map(u32::to_string);
    let mut processes = shown.collect::<Vec<_>>().join(", ");
    if pids.len() > MOST_PIDS {
        let _ = write!(processes, " and {} more", pids.len() - MOST_PIDS);
    }
    let plural = if pids.len() == 1 { "" } else { "es" };
    let file = escaped(file.as_os_str());
    let mut words = format!("{file} (process{plural} {processes}): ");
    let state = match (probes.is_empty(), refusal) {
        (false, None) => {
            words += &probes.join(", ");
            State::Good
        }
        (false, Some(why)) => {
            let _ = write!(words, "{}; no more can be made: {why}", probes.join(", "));
            State::Less
        }
        (true, Some(why)) => {
            let _ = write!(words, "no probes can be made: {why}");
            State::Less
        }
        (true, None) => {
            let _ = write!(
                words,
                "no probes; `rdtrace --check-python {file}` tells why"
            );
            State::Less
        }
    };
    Finding {
        state,
        part: interpreter.name,
        words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_it_is_with_an_interpreter() {
        let interpreter = provider::interpreters::all().next().unwrap();
        let of = |probes: &[&str], refusal: Option<&str>| {
            let finding = of_interpreter(&Running {
                interpreter,
                file: "/opt/python".into(),
                pids: (1..8).collect(),
                probes: probes.iter().map(|name| (*name).to_owned()).collect(),
                refusal: refusal.map(str::to_owned),
            });
            lines(&[finding])
        };
        let name = interpreter.name;
        let start =
            |mark| format!("{mark}  {name}: /opt/python (processes 1, 2, 3, 4, 5 and 2 more): ");
        assert_eq!(of(&["a", "b"], None), format!("{}a, b\n", start("ok  ")));
        assert_eq!(
            of(&[], Some("too old")),
            format!("{}no probes can be made: too old\n", start("less"))
        );
        assert_eq!(
            of(&[], None),
            format!(
                "{}no probes; `rdtrace --check-python /opt/python` tells why\n",
                start("less")
            )
        );
    }
}
