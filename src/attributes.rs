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

    /// Reads `Stable/Evolving/Common`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let level = |word: &str| {
            let known = LEVELS
                .iter()
                .find(|(_, name)| name.eq_ignore_ascii_case(word));
            known.map(|(level, _)| *level)
        };
        let mut words = text.split('/');
        let (name, data) = (level(words.next()?)?, level(words.next()?)?);
        let word = words.next()?;
        let class = CLASSES
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(word))?;
        words.next().is_none().then_some(Self {
            name,
            data,
            class: class.0,
        })
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
            ("Stable/Stable", None),
            ("Stable/Stable/Common/x", None),
            ("foo", None),
        ] {
            let read = Attributes::parse(text).map(Attributes::line);
            assert_eq!(read.as_deref(), shown, "{text}");
        }
    }
}
