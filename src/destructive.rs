//! Destructive actions, which change the traced system: `-w` must allow them.

use anyhow::{Result, bail};
use dlang::program::{Program, StmtKind};
use dlang::walk::each_statement;

use crate::message::Messages;
use crate::options::Options;

/// Refuses a program that does what the options do not allow, in libdtrace's words; says so where
/// they do.
pub(crate) fn check(program: &Program, options: &Options, messages: &Messages) -> Result<()> {
    if options.destructive {
        if !options.output.quiet {
            messages.say("allowing destructive actions");
        }
        return Ok(());
    }
    let mut found = false;
    for clause in &program.clauses {
        each_statement(&clause.body, &mut |stmt| {
            found |= matches!(&stmt.kind, StmtKind::Action(action) if action.is_destructive());
        });
    }
    if found {
        bail!("could not enable tracing: Destructive actions not allowed");
    }
    Ok(())
}
