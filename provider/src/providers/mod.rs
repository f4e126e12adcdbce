//! The providers, and the table of them.
//!
//! Each is one part: a file that says which probes there are, what their arguments are, what makes
//! them fire, and why there is none. The rest of rdtrace knows the table, not who is in it. To add a
//! provider is to write such a file and to add its line here (docs/howto-add-a-provider.md).

pub(crate) mod choice;
mod dtrace;
pub(crate) mod file;
mod installed;
mod machine_code;
pub(crate) mod names;
pub(crate) mod part;
mod pid;
mod profile;
mod python;
mod usdt;

use self::part::Provider;

/// All providers, in the order in which their probes get ids.
pub(crate) const PROVIDERS: [&dyn Provider; 5] = [
    &dtrace::Dtrace,
    &profile::Profile,
    &python::Python,
    &usdt::Usdt,
    &pid::Pid,
];

/// Providers of DTrace's that rdtrace does not have.
pub(crate) const OTHER_PROVIDERS: [&str; 19] = [
    "cpc",
    "fbt",
    "fpuinfo",
    "io",
    "ip",
    "lockstat",
    "mib",
    "plockstat",
    "proc",
    "rawfbt",
    "rawtp",
    "sched",
    "sdt",
    "syscall",
    "sysinfo",
    "tcp",
    "udp",
    "ustack",
    "vminfo",
];
