//! A register, by its place in what the kernel hands to a uprobe program.

use serde::{Deserialize, Serialize};

/// A general register of the traced machine, as the byte offset of its slot in the kernel's
/// `struct pt_regs` (x86-64) or `struct user_pt_regs` (aarch64), where a uprobe program finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Register(pub u16);

impl Register {
    /// The instruction pointer on the machine that this was built for.
    pub const IP: Self = Self(if cfg!(target_arch = "aarch64") {
        256
    } else {
        128
    });

    /// The processor's flags, on x86-64.
    pub const FLAGS: Self = Self(144);
}
