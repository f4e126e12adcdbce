//! Where a run's output goes.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;

use actions::consume::pipeline::Cut;
use anyhow::{Result, bail};

use crate::message::reason;

/// Where the output goes.
pub(crate) struct Output {
    /// What takes it.
    pub(super) writer: Box<dyn Write + Send>,
    /// What it is called in messages.
    pub(super) name: String,
    /// Whether it is standard output.
    pub(super) is_stdout: bool,
    /// Takes back what has been written, if it is a file.
    pub(super) cut: Box<dyn FnMut(Cut) -> io::Result<()> + Send>,
}

impl Output {
    /// The file of `-o`, to whose end it is added (or which it replaces, if the output is a document of
    /// its own), or standard output.
    pub(crate) fn open(path: Option<&str>, is_document: bool) -> Result<Self> {
        let Some(path) = path else {
            if is_document && io::stdout().is_terminal() {
                bail!("this format is a document, not text for a terminal; say -o FILE");
            }
            return Ok(Self {
                writer: Box::new(io::stdout()),
                name: "standard output".into(),
                is_stdout: true,
                cut: Box::new(|cut| {
                    cut.apply(&File::from(io::stdout().as_fd().try_clone_to_owned()?))
                }),
            });
        };
        let failed =
            |error| anyhow::anyhow!("failed to open output file '{path}': {}", reason(&error));
        let mut file = OpenOptions::new();
        let file = file.append(true).create(true).open(path).map_err(failed)?;
        if is_document {
            // A device or a pipe has nothing to empty.
            let _ = file.set_len(0);
        }
        let same = file.try_clone()?;
        Ok(Self {
            writer: Box::new(file),
            name: path.into(),
            is_stdout: false,
            cut: Box::new(move |cut| cut.apply(&same)),
        })
    }

    /// What takes it.
    pub(crate) fn into_writer(self) -> Box<dyn Write + Send> {
        self.writer
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Writes what has been collected.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Writes what stands before all that the program prints.
    pub(crate) fn write(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_all(text.as_bytes())
    }

    /// Something that keeps it.
    pub(crate) fn to(writer: impl Write + Send + 'static) -> Self {
        Self::named("memory", writer)
    }

    /// Something that takes it, and what that is called.
    pub(crate) fn named(name: &str, writer: impl Write + Send + 'static) -> Self {
        Self {
            writer: Box::new(writer),
            name: name.into(),
            is_stdout: false,
            cut: Box::new(|_| Ok(())),
        }
    }
}
