//! What a record asks for besides output: messages, commands to run, files to open.

/// What a record asks of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Go on.
    Continue,
    /// `exit()` has run: end it.
    Exit,
}

/// Something that a record does beside its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// How much of the output stands before it.
    pub at: usize,
    /// What is to be done.
    pub kind: EffectKind,
}

/// What is to be done beside the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EffectKind {
    /// A line for standard error, without the command's name and the newline.
    Message(String),
    /// `system`: run this command and wait for it.
    System(Vec<u8>),
    /// `freopen`: what follows goes to the file, at its end.
    Freopen {
        /// Its name; none means the output that there was at first.
        path: Option<Vec<u8>>,
        /// Which clause on which probe says so.
        place: String,
    },
    /// `ftruncate`: empty the file that the output goes to.
    Ftruncate,
}
