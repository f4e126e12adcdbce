//! Why a description matches nothing, as it is told to people.

use std::fmt;

use crate::text::escaped;

/// What was found out. Printed, it is a few lines without a final newline: what is the
/// matter, then what is known, then what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// One sentence: why nothing matches.
    pub reason: String,
    /// The interpreter that was looked at.
    pub runs: Option<String>,
    /// The probes of the wanted provider that there are, in D's spelling.
    pub available: Vec<String>,
    /// A probe or provider whose name is much like the wanted one.
    pub did_you_mean: Option<String>,
    /// What to do.
    pub advice: Vec<String>,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names of others may be in all of it.
        f.write_str(&escaped(&self.reason))?;
        if let Some(runs) = &self.runs {
            write!(f, "\n  this is {}", escaped(runs))?;
        }
        if !self.available.is_empty() {
            let available = escaped(self.available.join(", "));
            write!(f, "\n  there are: {available}")?;
        }
        if let Some(name) = &self.did_you_mean {
            write!(f, "\n  did you mean `{}`?", escaped(name))?;
        }
        for line in &self.advice {
            write!(f, "\n  {}", escaped(line))?;
        }
        Ok(())
    }
}
