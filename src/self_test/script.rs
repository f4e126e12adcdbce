//! What the self-test runs, what its probes report of that, and whether it is what they should.

use super::outcome::Outcome;

/// What the interpreter runs.
pub(super) const SCRIPT: &str = include_str!("script.py");

/// What is reported: `> leaf 1` for an entry, `< leaf 2` for a return, `+ found` and `- found 1`
/// for an import.
pub(super) const PROBES: &str = r#"
python$target:::function-entry /copyinstr(arg0) == "<string>"/
{
        printf("> %s %d\n", copyinstr(arg1), arg2);
}

python$target:::function-return /copyinstr(arg0) == "<string>"/
{
        printf("< %s %d\n", copyinstr(arg1), arg2);
}

python$target:::import-find-load-start
/copyinstr(arg0) == "found" || copyinstr(arg0) == "missing"/
{
        printf("+ %s\n", copyinstr(arg0));
}

python$target:::import-find-load-done
/copyinstr(arg0) == "found" || copyinstr(arg0) == "missing"/
{
        printf("- %s %d\n", copyinstr(arg0), arg1);
}
"#;

/// The entries alone, which have sites of their own.
pub(super) const ENTRIES: &str = r#"
python$target:::function-entry /copyinstr(arg0) == "<string>"/
{
        printf("> %s %d\n", copyinstr(arg1), arg2);
}
"#;

/// What the script does, in the words of [`PROBES`]; of [`ENTRIES`], the lines with `>`.
const EXPECTED: &str = include_str!("script.expected");

/// What the probes saw.
pub(super) struct Observed {
    /// What they reported.
    pub(super) text: String,
    /// Whether the script came to its end.
    pub(super) complete: bool,
}

/// What 3.`minor` does with the script: a module starts at line 0 since 3.11, and a list
/// comprehension is no function since 3.12. Imports are there if they have probes.
pub(super) fn expected(minor: u8, imports: bool) -> Vec<String> {
    EXPECTED
        .lines()
        .filter(|line| imports || line.starts_with(['<', '>']))
        .filter(|line| minor < 12 || !line.contains("<listcomp>"))
        .map(|line| match line {
            "> <module> 1" if minor >= 11 => "> <module> 0".to_owned(),
            other => other.to_owned(),
        })
        .collect()
}

/// The D program, without the functions' lines: on a kernel that cannot tell them, nobody relies on
/// them.
pub(super) fn without_lines(program: &str) -> String {
    program.replace(
        r#" %d\n", copyinstr(arg1), arg2)"#,
        r#"\n", copyinstr(arg1))"#,
    )
}

/// An expected event as [`without_lines`] shows it.
pub(super) fn forget_line(event: &mut String) {
    if event.starts_with(['<', '>'])
        && let Some(at) = event.rfind(' ')
    {
        event.truncate(at);
    }
}

/// What came of it. Only an event that is not as it should be is a failure; a script that did not come to
/// its end, for want of time or for whatever reason, proves nothing.
pub(super) fn compare(expected: &[String], seen: &Observed) -> Outcome {
    let complete = seen.complete;
    // The default output ends with an empty line.
    let seen: Vec<&str> = seen.text.lines().filter(|line| !line.is_empty()).collect();
    if seen.is_empty() {
        return Outcome::NotRun("the interpreter did not run the script".into());
    }
    let pairs = expected.iter().zip(&seen);
    let same = pairs
        .take_while(|(expected, seen)| expected == *seen)
        .count();
    match (expected.get(same), seen.get(same)) {
        (None, None) => Outcome::Passed(same),
        (Some(_), None) if !complete => {
            Outcome::NotRun("the script did not come to its end in time".into())
        }
        (wanted, found) => {
            let or_end = |event: Option<&str>| event.map_or("the end".into(), |e| format!("`{e}`"));
            Outcome::Failed(format!(
                "event {} should be {} and was {}",
                same + 1,
                or_end(wanted.map(String::as_str)),
                or_end(found.copied())
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_versions_do() {
        let old = expected(10, true);
        assert_eq!(old.first().map(String::as_str), Some("> <module> 1"));
        assert!(old.iter().any(|line| line.contains("<listcomp>")));
        let new = expected(12, true);
        assert_eq!(new.first().map(String::as_str), Some("> <module> 0"));
        assert_eq!(new.len(), old.len() - 2);
        for events in [old, new] {
            let starts = |line: &&String| line.starts_with(['>', '+']);
            let starts = events.iter().filter(starts).count();
            assert_eq!(
                starts * 2,
                events.len(),
                "every call returns, every import is done"
            );
        }
        assert_eq!(expected(12, false).len(), expected(12, true).len() - 4);
    }

    #[test]
    fn lines_are_left_out_on_both_sides_where_there_are_none() {
        for program in [PROBES, ENTRIES] {
            let text = without_lines(program);
            assert!(program.contains("arg2") && !text.contains("arg2"), "{text}");
        }
        assert!(without_lines(PROBES).contains("\"> %s\\n\", copyinstr(arg1));"));
        let mut events = ["> leaf 1", "< <module> 0", "- found 1"].map(String::from);
        events.iter_mut().for_each(forget_line);
        assert_eq!(events, ["> leaf", "< <module>", "- found 1"]);
    }

    #[test]
    fn any_difference_is_a_failure() {
        let expected: Vec<String> = ["> a 1", "< a 2"].map(String::from).into();
        let observed = |text: &str, complete| Observed {
            text: text.into(),
            complete,
        };
        let told = |seen: &str| compare(&expected, &observed(seen, true)).to_string();
        assert_eq!(told("> a 1\n< a 2\n\n"), "passed, 2 events as expected");
        for (seen, event) in [
            (
                "> a 1\n< a 3\n",
                "event 2 should be `< a 2` and was `< a 3`",
            ),
            ("> a 1\n", "event 2 should be `< a 2` and was the end"),
            (
                "> a 1\n< a 2\n< a 2\n",
                "event 3 should be the end and was `< a 2`",
            ),
            ("< a 2\n", "event 1 should be `> a 1` and was `< a 2`"),
        ] {
            assert_eq!(told(seen), format!("FAILED, {event}"));
        }
        assert!(told("\n").starts_with("not possible"));
        let unfinished = |seen: &str| compare(&expected, &observed(seen, false)).to_string();
        assert!(
            unfinished("> a 1\n").starts_with("not possible"),
            "slowness is no failure"
        );
        assert!(
            unfinished("> a 2\n").starts_with("FAILED"),
            "a wrong event is one"
        );
    }
}
