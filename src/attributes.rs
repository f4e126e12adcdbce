//! Stability attributes: how firm an interface is, and which systems have it.

use std::fmt;

/// How firm an interface is, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Internal,
    Private,
    Obsolete,
    External,
    Unstable,
    Evolving,
    Stable,
    Standard,
}

/// Which systems have an interface, from the fewest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Unknown,
    Cpu,
    Platform,
    Group,
    Isa,
    Common,
}

const LEVELS: [(Level, &str); 8] = [
    (Level::Internal, "Internal"),
    (Level::Private, "Private"),
    (Level::Obsolete, "Obsolete"),
    (Level::External, "External"),
    (Level::Unstable, "Unstable"),
    (Level::Evolving, "Evolving"),
    (Level::Stable, "Stable"),
    (Level::Standard, "Standard"),
];

const CLASSES: [(Class, &str); 6] = [
    (Class::Unknown, "Unknown"),
    (Class::Cpu, "CPU"),
    (Class::Platform, "Platform"),
    (Class::Group, "Group"),
    (Class::Isa, "ISA"),
    (Class::Common, "Common"),
];

/// The attributes of an interface: of its name, of what it means, and which systems have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) name: Level,
    pub(crate) data: Level,
    pub(crate) class: Class,
}

impl Attributes {
    /// The same level for name and data.
    pub(crate) const fn of(level: Level, class: Class) -> Self {
        Self {
            name: level,
            data: level,
            class,
        }
    }

    /// The less of each.
    pub(crate) fn least(self, other: Self) -> Self {
        Self {
            name: self.name.min(other.name),
            data: self.data.min(other.data),
            class: self.class.min(other.class),
        }
    }

    /// Reads `Stable/Evolving/Common`; what is left out at the end is the firmest.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split('/').filter(|word| !word.is_empty());
        let level = |word: &str| find(&LEVELS, word);
        let attributes = Self {
            name: level(words.next()?)?,
            data: words.next().map_or(Some(Level::Standard), level)?,
            class: words
                .next()
                .map_or(Some(Class::Common), |word| find(&CLASSES, word))?,
        };
        words.next().is_none().then_some(attributes)
    }

    /// The three words.
    fn words(self) -> [&'static str; 3] {
        let level = |level| {
            let known = LEVELS.iter().find(|(known, _)| *known == level);
            known.map_or("", |(_, name)| name)
        };
        let class = CLASSES.iter().find(|(known, _)| *known == self.class);
        [
            level(self.name),
            level(self.data),
            class.map_or("", |(_, name)| name),
        ]
    }

    /// In one line, as [`parse`](Self::parse) reads them.
    pub(crate) fn line(self) -> String {
        self.words().join("/")
    }
}

/// What a word stands for, in capitals or not.
fn find<T: Copy>(words: &[(T, &str)], word: &str) -> Option<T> {
    let mut words = words.iter();
    let known = words.find(|(_, known)| known.eq_ignore_ascii_case(word));
    known.map(|(meaning, _)| *meaning)
}

/// Three lines, indented as in DTrace's listings.
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [name, data, class] = self.words();
        writeln!(f, "\t\tIdentifier Names: {name}")?;
        writeln!(f, "\t\tData Semantics:   {data}")?;
        writeln!(f, "\t\tDependency Class: {class}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_is_shown() {
        for (text, shown) in [
            ("Stable/Evolving/Common", Some("Stable/Evolving/Common")),
            ("private/OBSOLETE/cpu", Some("Private/Obsolete/CPU")),
            ("Stable", Some("Stable/Standard/Common")),
            ("Stable/Evolving/", Some("Stable/Evolving/Common")),
            ("/", None),
            ("Stable/Stable/Common/x", None),
            ("foo", None),
        ] {
            let read = Attributes::parse(text).map(Attributes::line);
            assert_eq!(read.as_deref(), shown, "{text}");
        }
    }
}
