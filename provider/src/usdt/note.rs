//! The descriptor of a `stapsdt` note.
//!
//! ```text
//!     owner "stapsdt", type 3
//!     8 bytes   location     linked address of the probe's `nop`
//!     8 bytes   base         linked address of .stapsdt.base when this was written
//!     8 bytes   semaphore    linked address of a 16-bit counter, or 0
//!     string    provider\0
//!     string    name\0       with `__` where D has `-`
//!     string    arguments\0  see `args`
//! ```
//!
//! prelink(8) moves sections but leaves notes alone; the distance that `.stapsdt.base` has moved
//! from `base` is the distance that the other two addresses have moved as well.
//!
//! Types 1 and 2 were the formats of SystemTap before 1.4 (2011), which stood in a section
//! `.probes` of their own. A note that says so is read like type 3 if its descriptor is as long as
//! one of that type must be.

#![warn(clippy::indexing_slicing)]

/// A note as it stands in the file; what `readelf -n` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The provider: `python`.
    pub provider: String,
    /// The name as written: `function__entry`.
    pub name: String,
    /// Linked address of the site.
    pub location: u64,
    /// Linked address of `.stapsdt.base` when the note was written.
    pub base: u64,
    /// Linked address of the semaphore; 0 if there is none.
    pub semaphore: u64,
    /// The argument string.
    pub arguments: String,
}

impl Note {
    /// Reads a note of any owner; `None` if it is not a USDT probe, or a damaged one.
    #[must_use]
    pub fn parse(owner: &[u8], kind: u32, descriptor: &[u8]) -> Option<Self> {
        if owner != b"stapsdt" || !(1..=3).contains(&kind) {
            return None;
        }
        let (location, rest) = word(descriptor)?;
        let (base, rest) = word(rest)?;
        let (semaphore, rest) = word(rest)?;
        let (provider, rest) = string(rest)?;
        let (name, rest) = string(rest)?;
        // Without arguments some writers leave out even the NUL.
        let arguments = string(rest).map_or_else(String::new, |(arguments, _)| arguments);
        if provider.is_empty() || name.is_empty() {
            return None;
        }
        Some(Self {
            provider,
            name,
            location,
            base,
            semaphore,
            arguments,
        })
    }

    /// The name in D's spelling: `function-entry`.
    #[must_use]
    pub fn d_name(&self) -> String {
        self.name.replace("__", "-")
    }

    /// Where the site and the semaphore are linked now that `.stapsdt.base` is at `base`.
    #[must_use]
    pub fn moved(&self, base: Option<u64>) -> (u64, Option<u64>) {
        let by = base.map_or(0, |base| base.wrapping_sub(self.base));
        let semaphore = (self.semaphore != 0).then(|| self.semaphore.wrapping_add(by));
        (self.location.wrapping_add(by), semaphore)
    }
}

fn word(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*word), rest))
}

/// A NUL-terminated string of printable characters, and what follows.
fn string(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    let (text, rest) = bytes.split_at(end);
    let text = std::str::from_utf8(text).ok()?;
    if text.chars().any(char::is_control) {
        return None;
    }
    Some((text.to_owned(), rest.get(1..).unwrap_or_default()))
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test may panic")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn descriptor(words: [u64; 3], strings: &str) -> Vec<u8> {
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.extend_from_slice(strings.as_bytes());
        bytes
    }

    #[test]
    fn a_note_is_read() {
        let bytes = descriptor([0x1000, 0x2000, 0x3000], "python\0gc__start\0-4@%eax\0");
        let note = Note::parse(b"stapsdt", 3, &bytes).unwrap();
        assert_eq!(
            (note.location, note.base, note.semaphore),
            (0x1000, 0x2000, 0x3000)
        );
        assert_eq!(
            (&*note.provider, &*note.name, &*note.arguments),
            ("python", "gc__start", "-4@%eax")
        );
        assert_eq!(note.d_name(), "gc-start");
    }

    #[test]
    fn prelink_moves_addresses() {
        let bytes = descriptor([0x1000, 0x2000, 0x3000], "p\0n\0\0");
        let note = Note::parse(b"stapsdt", 3, &bytes).unwrap();
        assert_eq!(note.moved(Some(0x2100)), (0x1100, Some(0x3100)));
        assert_eq!(note.moved(Some(0x1f00)), (0xf00, Some(0x2f00)));
        assert_eq!(note.moved(None), (0x1000, Some(0x3000)));
        let without = Note {
            semaphore: 0,
            ..note
        };
        assert_eq!(without.moved(Some(0x2100)), (0x1100, None));
    }

    #[test]
    fn other_and_damaged_notes_are_passed_over() {
        let good = descriptor([1, 2, 3], "p\0n\0\0");
        assert!(Note::parse(b"GNU", 3, &good).is_none());
        assert!(Note::parse(b"stapsdt", 99, &good).is_none());
        assert!(Note::parse(b"stapsdt", 3, &good[..25]).is_none());
        assert!(Note::parse(b"stapsdt", 3, &descriptor([1, 2, 3], "p\0")).is_none());
        assert!(Note::parse(b"stapsdt", 3, &descriptor([1, 2, 3], "\0n\0\0")).is_none());
        assert!(Note::parse(b"stapsdt", 3, &descriptor([1, 2, 3], "p\u{1b}[2J\0n\0\0")).is_none());
    }

    #[test]
    fn missing_arguments_are_none() {
        let note = Note::parse(b"stapsdt", 3, &descriptor([1, 2, 3], "p\0n\0")).unwrap();
        assert_eq!(note.arguments, "");
    }

    proptest! {
        #[test]
        fn no_descriptor_panics(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = Note::parse(b"stapsdt", 3, &bytes);
        }
    }
}
