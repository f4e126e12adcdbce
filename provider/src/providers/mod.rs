//! The providers, and the table of them.
//!
//! Each is one part: a file that says which probes there are, what their arguments are, what makes
//! them fire, and why there is none. The rest of rdtrace knows the table, not who is in it. To add a
//! provider is to write such a file and to add its line here (docs/howto-add-a-provider.md).

mod cpc;
mod dependents;
mod dtrace;
mod fbt;
pub(crate) mod file;
pub(crate) mod interpreter;
mod io;
mod lockstat;
mod machine_code;
pub(crate) mod names;
mod net;
pub(crate) mod part;
mod pid;
mod proc;
mod profile;
pub(crate) mod python;
mod rawfbt;
mod rawtp;
mod sched;
mod sdt;
mod syscall;
mod usdt;

use self::part::Provider;

/// All providers, in the order in which their probes get ids.
pub(crate) const PROVIDERS: [&dyn Provider; 18] = [
    &dtrace::Dtrace,
    &profile::Profile,
    &syscall::Syscall,
    &python::Python,
    &usdt::Usdt,
    &pid::Pid,
    &rawtp::RawTp,
    &sdt::Sdt,
    &fbt::Fbt,
    &rawfbt::RawFbt,
    &proc::PROC,
    &sched::SCHED,
    &io::IO,
    &lockstat::LOCKSTAT,
    &net::IP,
    &net::TCP,
    &net::UDP,
    &cpc::Cpc,
];

/// The provider with this bare name, if its probes are those of an interpreter.
pub(crate) fn of_interpreter(name: &str) -> Option<&'static dyn Provider> {
    let is_it = |part: &&dyn Provider| part.interpreter().is_some_and(|one| one.provider == name);
    PROVIDERS.into_iter().find(is_it)
}

/// Providers of DTrace's that rdtrace does not have.
pub(crate) const OTHER_PROVIDERS: [&str; 6] =
    ["fpuinfo", "mib", "plockstat", "sysinfo", "ustack", "vminfo"];
