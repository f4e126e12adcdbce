//! What one program is made from: the input of `unit`, `parts` and `faults`.

use predicates::part::PartMaps;

use crate::clause::ClauseContext;
use crate::compiler::Compiler;
use crate::maps::RING;
use crate::options::Enabled;
use crate::plan::each_clause_expr;
use crate::trampoline::Source;

/// One program while it is made.
pub(crate) struct Unit<'c> {
    pub(crate) compiler: &'c Compiler,
    pub(crate) error_epids: &'c [u32],
    /// The clauses on this program's probes, in program order.
    pub(crate) members: &'c [Enabled],
    /// What runs it: probes for which that is the same share a program.
    pub(crate) source: Source,
    /// What its maps are if it is cut into parts.
    pub(crate) part_maps: PartMaps,
}

impl Unit<'_> {
    /// About how many instructions the clauses of ERROR have, each of which is a part of what reports
    /// a fault.
    pub(crate) fn error_length(&self) -> usize {
        const EACH: usize = 30;
        let mut exprs = 0;
        for error in &self.compiler.error_clauses {
            let clause = &self.compiler.program.clauses[error.clause];
            each_clause_expr(clause, &mut |expr| exprs += 1 + expr.operands().len());
        }
        exprs * EACH
    }

    pub(crate) fn context(&self, epid: u32) -> ClauseContext<'_> {
        ClauseContext {
            ring: RING,
            aggregations: &self.compiler.aggregations,
            epid,
        }
    }
}

/// How many ECBs, or programs; there are far fewer than an EPID can number.
pub(crate) fn count(many: usize) -> u32 {
    u32::try_from(many).expect("ECBs are fewer than 4 billion")
}
