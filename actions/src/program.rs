//! What one program is made from: the input of `unit`, `parts` and `faults`.

use predicates::part::PartMaps;

use crate::clause::ClauseContext;
use crate::compiler::Compiler;
use crate::maps::RING;
use crate::options::Enabled;
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
