//! Versions of CPython.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A version of CPython.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// 3.
    pub major: u8,
    /// The minor version.
    pub minor: u8,
    /// The patch release, where the file says.
    pub micro: Option<u8>,
}

impl Version {
    /// Whether tasks of asyncio have names.
    #[must_use]
    pub fn has_task_names(self) -> bool {
        self.minor >= 8
    }

    /// Whether asyncio keeps by whom tasks are awaited.
    #[must_use]
    pub fn keeps_who_awaits(self) -> bool {
        self.minor >= 14
    }

    /// From `PY_VERSION_HEX`.
    pub(super) fn from_hex(hex: u32) -> Self {
        let [_, micro, minor, major] = hex.to_le_bytes();
        Self {
            major,
            minor,
            micro: Some(micro),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        self.micro.map_or(Ok(()), |micro| write!(f, ".{micro}"))
    }
}
