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
        let mut text = String::new();
        self.put_with_offset(&mut text);
        text
    }

    /// The same at the end of a text.
    pub fn put_with_offset(&self, text: &mut String) {
        self.put_name(text);
        if let Some(function) = self.function.as_ref().filter(|found| found.offset > 0) {
            let _ = write!(text, "+{:#x}", function.offset);
        }
    }

    /// ``module`function``.
    #[must_use]
    pub fn name(&self) -> String {
        let mut text = String::new();
        self.put_name(&mut text);
        text
    }

    fn put_name(&self, text: &mut String) {
        if let Some(module) = &self.module {
            text.push_str(module);
            text.push('`');
        }
        match &self.function {
            Some(function) if self.module.is_some() => text.push_str(&function.name),
            _unknown => {
                let _ = write!(text, "{:#x}", self.address);
            }
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
