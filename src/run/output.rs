//! Where a run's output goes.

use std::fs::OpenOptions;
use std::io::{self, Write};

use anyhow::Result;
use nix::unistd::{Whence, ftruncate, lseek};

use crate::compile::reason;

/// Where the output goes.
pub(crate) struct Output {
    /// What takes it.
    pub(super) writer: Box<dyn Write + Send>,
    /// What it is called in messages.
    pub(super) name: String,
    /// Whether it is standard output.
    pub(super) is_stdout: bool,
    /// Empties it, if it is a file.
    pub(super) truncate: Box<dyn FnMut() -> io::Result<()> + Send>,
}

impl Output {
    /// The file of `-o`, to whose end it is added, or standard output.
    pub(crate) fn open(path: Option<&str>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self {
                writer: Box::new(io::stdout()),
                name: "standard output".into(),
                is_stdout: true,
                truncate: Box::new(|| {
                    ftruncate(io::stdout(), 0)?;
                    lseek(io::stdout(), 0, Whence::SeekSet)?;
                    Ok(())
                }),
            });
        };
        let mut file = OpenOptions::new();
        let file = file.append(true).create(true).open(path);
        let file =
            file.map_err(|error| anyhow::anyhow!("failed to open {path}: {}", reason(&error)))?;
        let same = file.try_clone()?;
        Ok(Self {
            writer: Box::new(file),
            name: path.into(),
            is_stdout: false,
            truncate: Box::new(move || same.set_len(0)),
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
            is_stdout: false,
            truncate: Box::new(|| Ok(())),
        }
    }
}
