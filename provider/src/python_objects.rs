//! How the objects of a Python's interpreter are laid out: found out when a program asks for values.
//!
//! Reading the file takes some milliseconds, which programs that ask for none are spared. What a program
//! asks for is known once it has been checked: [`PythonObjects::look`] is called before code is made,
//! which then reads what is [`known`](PythonObjects::known).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::python::Objects;
use crate::python::objects_in;

/// The objects of the interpreter in one file.
#[derive(Debug)]
pub struct PythonObjects {
    path: PathBuf,
    found: OnceLock<Result<Objects, String>>,
}

impl PythonObjects {
    /// Those of the interpreter in a file, which is not looked at yet.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            found: OnceLock::new(),
        }
    }

    /// Looks at the file, if nobody has.
    pub fn look(&self) {
        self.found
            .get_or_init(|| objects_in(&self.path).map_err(|why| why.to_string()));
    }

    /// How they are laid out, or why that is not known.
    pub fn known(&self) -> Result<Objects, &str> {
        match self.found.get() {
            Some(Ok(objects)) => Ok(*objects),
            Some(Err(why)) => Err(why),
            None => Err("nobody has looked at the interpreter"),
        }
    }
}
