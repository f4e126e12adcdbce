//! What the output `top` writes: all stacks as they are, once a second, one JSON line each time. Whoever
//! shows them reads the lines again.

use serde::{Deserialize, Serialize};

/// All stacks, with the numbers that they have had since the run began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When, in nanoseconds of the clock that D's `timestamp` has.
    pub time: u64,
    /// What was measured: `calls`, `stacks`, or an aggregation's name.
    pub title: String,
    /// What the numbers count.
    pub unit: Unit,
    /// The texts of frames.
    pub frames: Vec<String>,
    /// Each stack, the innermost frame first, by the places of its frames in [`frames`](Self::frames), with
    /// its number.
    pub stacks: Vec<(Vec<u32>, i64)>,
    /// Whether the run is over.
    pub last: bool,
}

/// What the numbers of a profile count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// How many times.
    #[default]
    Count,
    /// What the program says.
    Value,
}

impl Unit {
    /// In one word, as most formats want it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Nanoseconds => "nanoseconds",
            Self::Count => "count",
            Self::Value => "value",
        }
    }
}

impl Snapshot {
    /// Takes the first snapshot off the bytes; `None` if it is not all there yet.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn take(bytes: &mut Vec<u8>) -> Option<serde_json::Result<Self>> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let read = serde_json::from_slice(&bytes[..end]);
        bytes.drain(..=end);
        Some(read)
    }
}
