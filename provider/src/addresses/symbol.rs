//! What is at an address, as it is shown.

use std::fmt::Write as _;
use std::sync::Arc;

/// What is at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The address.
    pub address: u64,
    /// The module of the kernel, or the file that the process has mapped there.
    pub module: Option<Arc<str>>,
    /// The function or variable that holds the address.
    pub function: Option<Function>,
}

/// A function or variable, and a place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: Arc<str>,
    /// How far the place is from its start.
    pub offset: u64,
}

impl Symbol {
    /// An address of which nothing is known.
    #[must_use]
    pub fn unknown(address: u64) -> Self {
        Self {
            address,
            module: None,
            function: None,
        }
    }

    /// ``module`function+0x12``, as DTrace shows it; the number for what is not known.
    #[must_use]
    pub fn with_offset(&self) -> String {
        let mut text = self.name();
        if let Some(function) = self.function.as_ref().filter(|found| found.offset > 0) {
            let _ = write!(text, "+{:#x}", function.offset);
        }
        text
    }

    /// ``module`function``.
    #[must_use]
    pub fn name(&self) -> String {
        let Self {
            address,
            module,
            function,
        } = self;
        match (module, function) {
            (Some(module), Some(function)) => format!("{module}`{}", function.name),
            (Some(module), None) => format!("{module}`{address:#x}"),
            (None, _) => format!("{address:#x}"),
        }
    }

    /// The module alone.
    #[must_use]
    pub fn module_name(&self) -> String {
        let number = || format!("{:#x}", self.address);
        self.module
            .as_ref()
            .map_or_else(number, ToString::to_string)
    }
}
