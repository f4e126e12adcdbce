//! Which actions may follow each other in a clause with a speculation.
//!
//! A record is either tentative or not, and to commit a speculation is all that its clause may do to
//! the output. As in libdtrace, it is the order in the text that counts, whatever `if` there is.

use super::checker::{Checked, Checker};
use crate::diag::Span;
use crate::names::{ActionName, Attributes};
use crate::tags::Tag;

impl Checker<'_> {
    /// Notes an action, which must be one that may follow those before it.
    pub(super) fn follows(
        &mut self,
        action: ActionName,
        attributes: Attributes,
        span: Span,
    ) -> Checked<()> {
        let done = self.done;
        let wrong = match action {
            ActionName::Speculate => {
                self.done.speculate = true;
                [
                    (
                        done.speculate,
                        Tag::SpecSpec,
                        "speculate( ) may not follow speculate( )",
                    ),
                    (
                        done.commit,
                        Tag::SpecComm,
                        "speculate( ) may not follow commit( )",
                    ),
                    (
                        done.data,
                        Tag::SpecDrec,
                        "speculate( ) may not follow data-recording action(s)",
                    ),
                ]
            }
            ActionName::Commit => {
                self.done.commit = true;
                [
                    (
                        done.data,
                        Tag::CommDrec,
                        "commit( ) may not follow data-recording action(s)",
                    ),
                    NOTHING,
                    NOTHING,
                ]
            }
            ActionName::Discard => [NOTHING; 3],
            ActionName::Exit
            | ActionName::Trace
            | ActionName::Printf
            | ActionName::Printa
            | ActionName::Clear
            | ActionName::Trunc
            | ActionName::Normalize
            | ActionName::Denormalize
            | ActionName::Tracemem
            | ActionName::Print
            | ActionName::System
            | ActionName::Freopen
            | ActionName::Ftruncate
            | ActionName::Setopt
            | ActionName::Raise
            | ActionName::Copyout
            | ActionName::Copyoutstr
            | ActionName::Stop
            | ActionName::Return
            | ActionName::Symbol(_) => {
                self.done.data |= attributes.records;
                [
                    (
                        done.speculate && action == ActionName::Exit,
                        Tag::ExitSpec,
                        "exit( ) may not follow speculate( )",
                    ),
                    (
                        done.speculate && attributes.destructive,
                        Tag::ActSpec,
                        "destructive actions may not follow speculate( )",
                    ),
                    (
                        done.commit && attributes.records,
                        Tag::DrecComm,
                        "data-recording actions may not follow commit( )",
                    ),
                ]
            }
        };
        self.first_wrong(&wrong, span)
    }

    /// The same for an aggregation.
    pub(super) fn aggregation_follows(&mut self, span: Span) -> Checked<()> {
        let done = self.done;
        self.done.data = true;
        let wrong = [
            (
                done.commit,
                Tag::AggComm,
                "aggregating actions may not follow commit( )",
            ),
            (
                done.speculate,
                Tag::AggSpec,
                "aggregating actions may not follow speculate( )",
            ),
        ];
        self.first_wrong(&wrong, span)
    }

    fn first_wrong(&mut self, wrong: &[Wrong], span: Span) -> Checked<()> {
        match wrong.iter().find(|(is_wrong, ..)| *is_wrong) {
            Some((_, tag, message)) => self.error(*tag, span, message),
            None => Ok(()),
        }
    }
}

/// Whether something is wrong, and what.
type Wrong = (bool, Tag, &'static str);

const NOTHING: Wrong = (false, Tag::SpecSpec, "");
