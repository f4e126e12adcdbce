//! `rdtrace flamegraph-diff`: what differs between two files of folded stacks, as a picture.

use std::path::Path;

use actions::consume::difference;
use anyhow::{Result, anyhow};

use crate::cli::Difference;
use crate::message::reason;
use crate::run::Output;

impl Difference {
    /// Draws it.
    pub(crate) fn draw(&self) -> Result<i32> {
        let [before, after] = &self.files;
        let mut picture = Vec::new();
        difference(Path::new(before), Path::new(after), &mut picture).map_err(|error| {
            anyhow!(
                "failed to compare {before} with {after}: {}",
                reason(&error)
            )
        })?;
        let mut output = Output::open(self.output.as_deref(), true)?;
        output.write(&String::from_utf8_lossy(&picture))?;
        Ok(0)
    }
}
