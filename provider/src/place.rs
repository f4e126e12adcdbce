//! Where programs are attached: files, their instructions, and whose executions count.

use std::path::PathBuf;
use std::time::SystemTime;

/// An ELF file with probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// A path that this process can open.
    pub path: PathBuf,
    /// The path in the target's own mount namespace, for messages.
    pub shown: PathBuf,
    /// Device and inode, which identify the file to the kernel.
    pub identity: (u64, u64),
    /// When it was made, where the file system knows: the inode number of a file that has been deleted
    /// is given to another one.
    pub born: Option<SystemTime>,
}

/// Whose executions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// One process, all its threads.
    Process(u32),
    /// A process and all those that it and they start while it is traced (`-x followfork`). The
    /// kernel knows no such set: the probe is attached for every process, and the program asks
    /// whether the one that hit it belongs to the tree of this root.
    Tree(u32),
    /// Every process on the machine, those that start later included.
    System,
}

/// One instruction to attach to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UprobeSite {
    /// File offset of the instruction.
    pub file_offset: u64,
    /// File offset of the semaphore to raise.
    pub semaphore: Option<u64>,
    /// What `bpf_get_attach_cookie` gives at this site.
    pub cookie: u64,
}
