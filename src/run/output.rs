//! Where a run's output goes.

use std::fs::OpenOptions;
use std::io::{self, Write};

use anyhow::Result;

use crate::compile::reason;

/// Where the output goes.
pub(crate) struct Output {
    /// What takes it.
    pub(super) writer: Box<dyn Write + Send>,
    /// What it is called in messages.
    pub(super) name: String,
}

impl Output {
    /// The file of `-o`, to whose end it is added, or standard output.
    pub(crate) fn open(path: Option<&str>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self {
                writer: Box::new(io::stdout()),
                name: "standard output".into(),
            });
        };
        let mut file = OpenOptions::new();
        let file = file.append(true).create(true).open(path);
        let file =
            file.map_err(|error| anyhow::anyhow!("failed to open {path}: {}", reason(&error)))?;
        Ok(Self {
            writer: Box::new(file),
            name: path.into(),
        })
    }

    /// Writes what stands before all that the program prints.
    pub(crate) fn write(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_all(text.as_bytes())
    }

    /// Something that keeps it.
    pub(crate) fn to(writer: impl Write + Send + 'static) -> Self {
        Self {
            writer: Box::new(writer),
            name: "memory".into(),
        }
    }
}
