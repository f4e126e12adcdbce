//! The D libraries that come with rdtrace: constants, types and translators for names that scripts
//! take for granted (`ENOENT`, `curpsinfo`, `fds[]`).
//!
//! A program gets only those libraries of which it uses a name, and those that these need; one that
//! uses none pays for a look at its own words. The libraries are written so that the names they
//! define are seen without parsing them: each is the last word before `=`, `[` or `;` on a line that
//! begins with `inline`, `typedef` or `}`, or the tag on a line that begins with `typedef struct`.

use std::collections::HashSet;

use crate::diag::{Origin, Source};

/// The libraries, each after those that it needs.
const LIBRARIES: [(&str, &str); 11] = [
    ("errno.d", include_str!("errno.d")),
    ("signal.d", include_str!("signal.d")),
    ("unistd.d", include_str!("unistd.d")),
    ("regs.d", include_str!("regs.d")),
    ("sched.d", include_str!("sched.d")),
    ("procfs.d", include_str!("procfs.d")),
    ("io.d", include_str!("io.d")),
    ("net.d", include_str!("net.d")),
    ("ip.d", include_str!("ip.d")),
    ("tcp.d", include_str!("tcp.d")),
    ("udp.d", include_str!("udp.d")),
];

/// The libraries that the sources use, in the order in which they are to be read.
#[must_use]
pub fn used_by(sources: &[Source]) -> Vec<Source> {
    used_with(sources, &[])
}

/// Those that the sources use, and that arguments of these types take.
#[must_use]
pub fn used_with(sources: &[Source], types: &[&str]) -> Vec<Source> {
    let mut words: HashSet<&str> = sources.iter().flat_map(|s| words_of(&s.text)).collect();
    words.extend(types.iter().flat_map(|ty| words_of(ty)));
    let mut used = [false; LIBRARIES.len()];
    // A library needs only ones before it, so one pass from the last to the first finds all.
    for (used, (_, text)) in used.iter_mut().zip(LIBRARIES).rev() {
        *used = names_of(text).any(|name| words.contains(name));
        if *used {
            words.extend(words_of(text));
        }
    }
    let used = LIBRARIES.into_iter().zip(used).filter(|(_, used)| *used);
    used.map(|((name, text), _)| Source {
        origin: Origin::Library(name.to_owned()),
        text: text.to_owned(),
    })
    .collect()
}

/// Their names.
#[must_use]
pub fn names() -> Vec<&'static str> {
    LIBRARIES.map(|(name, _)| name).to_vec()
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// The names that a library of ours defines.
fn names_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let declares = ["inline ", "typedef ", "} "];
        if !declares.iter().any(|word| line.starts_with(word)) {
            return None;
        }
        let end = line.find(['=', '[', ';', '{']).unwrap_or(line.len());
        words_of(&line[..end]).last()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::{BaseType, Item};
    use crate::check::UnknownArgs;
    use crate::{CheckOptions, Macros, check, parse};

    fn source(text: &str) -> Source {
        Source {
            origin: Origin::Script("x.d".into()),
            text: text.into(),
        }
    }

    fn used(text: &str) -> Vec<String> {
        let names = used_by(&[source(text)])
            .into_iter()
            .map(|s| match s.origin {
                Origin::Library(name) => name,
                Origin::Script(_) | Origin::Specifier { .. } => panic!("not a library"),
            });
        names.collect()
    }

    #[test]
    fn a_program_gets_the_libraries_that_it_uses() {
        for (text, libraries) in [
            ("BEGIN { exit(0); }", &[][..]),
            ("BEGIN { trace(ENOENT); }", &["errno.d"]),
            ("tick-1s { trace(curpsinfo->pr_fname); }", &["procfs.d"]),
            (
                "BEGIN { trace(fds[0].fi_name); trace(SIGKILL); }",
                &["signal.d", "io.d"],
            ),
            ("BEGIN { trace(sizeof(struct lwpsinfo)); }", &["procfs.d"]),
        ] {
            assert_eq!(used(text), libraries, "{text}");
        }
    }

    #[test]
    fn all_names_of_a_library_are_seen_without_parsing_it() {
        for (name, text) in LIBRARIES {
            let library = Source {
                origin: Origin::Library(name.into()),
                text: text.into(),
            };
            let seen: HashSet<&str> = names_of(text).collect();
            let items = parse(&[library], &Macros::default()).unwrap().library;
            assert!(!items.is_empty(), "{name}");
            for item in items {
                let defined = match item {
                    Item::Inline(inline) => vec![inline.name.text],
                    Item::Declaration(declaration) => {
                        let tag = if let BaseType::Struct {
                            tag,
                            members: Some(_),
                            ..
                        } = declaration.specifiers.base
                        {
                            Some(tag)
                        } else {
                            None
                        };
                        let names = declaration.declarators.into_iter();
                        names
                            .filter_map(|d| Some(d.name?.text))
                            .chain(tag)
                            .collect()
                    }
                    Item::Translator(_) => Vec::new(),
                    Item::Clause(_) | Item::Provider(_) => panic!("{name} has more than names"),
                };
                for word in defined {
                    assert!(seen.contains(word.as_str()), "{word} of {name}");
                }
            }
        }
    }

    #[test]
    fn every_library_checks() {
        for (_, text) in LIBRARIES {
            let word = names_of(text).last().unwrap();
            let user = source(&format!("BEGIN {{ trace(sizeof(self->{word})); }}"));
            let declared = source("self int x; BEGIN { x = 0; }");
            let libraries = used_by(&[user]);
            let sources: Vec<Source> = [declared].into_iter().chain(libraries).collect();
            let ast = parse(&sources, &Macros::default()).unwrap();
            check(&ast, &UnknownArgs, &CheckOptions::default()).unwrap();
        }
    }
}
