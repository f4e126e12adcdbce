//! What a process has mapped, and the files there.

use std::sync::{Arc, OnceLock};

use super::contents::Contents;
use super::greenlets::GreenletModule;
use super::image::Image;
use super::interpreter::Interpreter;
use super::table::Table;

/// What is mapped at some addresses.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Where in the file the first byte is.
    pub(super) offset: u64,
    /// Whether it may be executed.
    pub(super) executable: bool,
    pub(super) file: Arc<MappedFile>,
}

/// A file that some process has mapped.
#[derive(Debug)]
pub(super) struct MappedFile {
    /// Its name without directories, as it is shown.
    pub(super) name: Arc<str>,
    contents: Contents,
    image: OnceLock<Image>,
    table: OnceLock<Option<Table>>,
    interpreter: OnceLock<Option<Interpreter>>,
    greenlets: OnceLock<Option<GreenletModule>>,
}

impl MappedFile {
    /// A file of which nothing is known yet but its name, and how it is read.
    pub(super) fn new(name: Arc<str>, contents: Contents) -> Self {
        Self {
            name,
            contents,
            image: OnceLock::new(),
            table: OnceLock::new(),
            interpreter: OnceLock::new(),
            greenlets: OnceLock::new(),
        }
    }

    /// By what its functions' stacks are walked.
    pub(super) fn table(&self) -> Option<&Table> {
        let made = self.table.get_or_init(|| match &self.contents {
            Contents::File(opened) => opened.read(Table::of_file).flatten(),
            Contents::Vdso(bytes) => Table::of_bytes(bytes),
            Contents::Replaced | Contents::Nothing => None,
        });
        made.as_ref()
    }

    /// The Python in it.
    pub(super) fn interpreter(&self) -> Option<&Interpreter> {
        let found = self.interpreter.get_or_init(|| match &self.contents {
            Contents::File(opened) => opened.read(Interpreter::of_file).flatten(),
            Contents::Vdso(_) | Contents::Replaced | Contents::Nothing => None,
        });
        found.as_ref()
    }

    /// The extension module greenlet, if it is that.
    pub(super) fn greenlets(&self) -> Option<&GreenletModule> {
        let found = self.greenlets.get_or_init(|| match &self.contents {
            Contents::File(opened) if GreenletModule::may_be(&self.name) => {
                opened.read(GreenletModule::of_file)
            }
            Contents::File(_) | Contents::Vdso(_) | Contents::Replaced | Contents::Nothing => None,
        });
        found.as_ref()
    }

    /// Its symbols.
    pub(super) fn image(&self) -> &Image {
        self.image.get_or_init(|| match &self.contents {
            Contents::File(opened) => opened.read(Image::of_file).unwrap_or_default(),
            Contents::Vdso(bytes) => Image::of_bytes(bytes),
            Contents::Replaced | Contents::Nothing => Image::default(),
        })
    }

    /// Whether what is mapped now under the same name and number is the same.
    pub(super) fn is_current(&self) -> bool {
        self.contents.is_current()
    }

    /// Whether something else has taken its place before it was read.
    pub(super) fn is_lost(&self) -> bool {
        self.contents.is_lost()
    }
}
