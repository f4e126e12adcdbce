//! Addresses that show as names: what `sym()` and its relatives make of an address.
//!
//! A symbol is a value of its own type. It is an address as long as it is computed with, and is
//! looked up where it is shown: in the kernel, or in the process in which the probe fired.

/// How an address shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Symbol {
    /// `sym(address)`: the kernel's module and symbol.
    Sym,
    /// `func(address)`: the same.
    Func,
    /// `mod(address)`: the kernel's module.
    Mod,
    /// `usym(address)`: the process's file and symbol.
    Usym,
    /// `ufunc(address)`: the same.
    Ufunc,
    /// `umod(address)`: the process's file.
    Umod,
    /// `uaddr(address)`: file, symbol, and how far the address is from where the symbol starts.
    Uaddr,
}

impl Symbol {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Sym,
        Self::Func,
        Self::Mod,
        Self::Usym,
        Self::Ufunc,
        Self::Umod,
        Self::Uaddr,
    ];

    /// Whether the address is a process's, and not the kernel's.
    #[must_use]
    pub const fn is_user(self) -> bool {
        match self {
            Self::Sym | Self::Func | Self::Mod => false,
            Self::Usym | Self::Ufunc | Self::Umod | Self::Uaddr => true,
        }
    }

    /// The function's name in D.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sym => "sym",
            Self::Func => "func",
            Self::Mod => "mod",
            Self::Usym => "usym",
            Self::Ufunc => "ufunc",
            Self::Umod => "umod",
            Self::Uaddr => "uaddr",
        }
    }
}
