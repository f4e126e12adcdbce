//! The maps that every enabling has, and the names of maps and programs in the kernel.
//!
//! A map is a number until a session makes it. The fixed ones come first; those of the program's own
//! arrays and aggregations follow, then those of each call of the compiler.

use predicates::asm::MapRef;

/// The ring buffer: the principal buffer.
pub(crate) const RING: MapRef = MapRef(0);
/// Globals, rdtrace's own first.
pub(crate) const GLOBALS: MapRef = MapRef(1);
/// The state of each thread, in task storage.
pub(crate) const THREAD: MapRef = MapRef(2);
/// The scratch of timers, for each CPU.
pub(crate) const SCRATCH: MapRef = MapRef(3);
/// Drops, for each CPU.
pub(crate) const COUNTERS_MAP: MapRef = MapRef(4);
/// How often each CPU has switched threads.
pub(crate) const SWITCHES: MapRef = MapRef(5);
/// The first number of the others.
pub(crate) const FIRST_OWN: u32 = 6;

/// A name that the kernel takes for a map or program.
pub(crate) fn program_name(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '_'
            }
        })
        .take(15)
        .collect()
}
