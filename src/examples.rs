//! `rdtrace run`: the scripts of `examples/`, which are in the binary.

use std::fmt::Write as _;

/// A script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Example {
    /// Its name, without `.d`.
    pub(crate) name: &'static str,
    /// Its text.
    pub(crate) text: &'static str,
}

/// What a script shows that does not say so itself: that of Python's own documentation, which stays as it
/// is.
const WITHOUT_COMMENT: [(&str, &str); 1] = [(
    "call_stack",
    "Shows the calls that a Python function named `start` leads to, indented by their depth.",
)];

/// Names and texts, by name.
const ALL: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/examples.rs"));

impl Example {
    /// All scripts, by name.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|(name, text)| Self { name, text })
    }

    /// The script of a name, with or without `.d`.
    pub(crate) fn find(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".d").unwrap_or(name);
        Self::all().find(|example| example.name == name)
    }

    /// What it shows: what [`WITHOUT_COMMENT`] says, or the first paragraph of the comment that it opens with, in one line.
    pub(crate) fn summary(self) -> String {
        let without = WITHOUT_COMMENT.iter().find(|(name, _)| *name == self.name);
        if let Some((_, summary)) = without {
            return (*summary).to_owned();
        }
        let comment = self.text.split_once("/*").map_or("", |(_, rest)| rest);
        let comment = comment.split_once("*/").map_or("", |(comment, _)| comment);
        let lines = comment
            .lines()
            .map(|line| line.trim().trim_start_matches('*').trim());
        let lines = lines.skip_while(|line| line.is_empty());
        let lines = lines.take_while(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join(" ")
    }

    /// The options of its `#!` line, which all begin with `-q`.
    pub(crate) fn options(self) -> Vec<String> {
        let line = self.text.lines().next().unwrap_or_default();
        let format = line.split_once("--format ").map(|(_, rest)| rest);
        let format = format.and_then(|rest| rest.split(' ').next());
        let format = format.map(|format| format!("oformat={format}"));
        std::iter::once("quiet".to_owned()).chain(format).collect()
    }

    /// Whether it traces the process of `-c` or `-p`, which there must be. Those that ask whether there is
    /// one trace all without.
    pub(crate) fn has_target(self) -> bool {
        self.text.contains("$target") && !self.text.contains("$target == 0")
    }

    /// The script for every process in the place of `$target`: probes of all of them, and all but
    /// rdtrace itself where it compares `pid`.
    pub(crate) fn for_all(self) -> String {
        if !self.has_target() {
            return self.text.to_owned();
        }
        let text = self.text.replace("pid == $target", "pid != $pid");
        let mut parts = text.split("$target");
        let mut all = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_provider = all.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            all.push_str(if is_provider { "*" } else { "$target" });
            all.push_str(part);
        }
        all
    }
}

/// The list that `rdtrace run` prints.
pub(crate) fn list() -> String {
    let width = Example::all()
        .map(|example| example.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for example in Example::all() {
        let (name, summary) = (example.name, example.summary());
        let _ = writeln!(text, "{name:width$}  {summary}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_what_it_shows() {
        assert!(Example::all().count() >= 8);
        for example in Example::all() {
            let summary = example.summary();
            let is_sentence = summary.starts_with(char::is_uppercase) && summary.len() > 20;
            assert!(is_sentence, "{}: {summary:?}", example.name);
            assert!(
                !summary.contains("rdtrace") && !summary.contains("./"),
                "{summary}"
            );
        }
    }

    #[test]
    fn each_can_be_for_all_processes() {
        for example in Example::all() {
            let text = example.for_all();
            let names_it = text.contains("$target") && !text.contains("$target == 0");
            assert!(!names_it, "{}:\n{text}", example.name);
            assert_eq!(
                example.has_target(),
                text != example.text,
                "{}",
                example.name
            );
        }
        let example = Example {
            name: "",
            text: "a$target:::b /pid == $target/ {}",
        };
        assert_eq!(example.for_all(), "a*:::b /pid != $pid/ {}");
    }

    #[test]
    fn each_is_run_as_its_first_line_says() {
        for example in Example::all() {
            let line = example.text.lines().next().unwrap_or_default();
            let expected = match line.strip_prefix("#!/usr/bin/env -S rdtrace -q") {
                Some(" --format top -s") => vec!["quiet".to_owned(), "oformat=top".to_owned()],
                // The one that stays as it is has no such line.
                Some("s") | None => vec!["quiet".to_owned()],
                Some(other) => panic!("{}: {other}", example.name),
            };
            assert_eq!(example.options(), expected, "{}", example.name);
        }
    }

    #[test]
    fn a_name_may_have_its_suffix() {
        assert_eq!(Example::find("slow"), Example::find("slow.d"));
        assert!(Example::find("slow").is_some());
        assert_eq!(Example::find("nosuch"), None);
    }
}
