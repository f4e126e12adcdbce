//! `-x cpu`: whether there is such a CPU.

use anyhow::{Result, bail};
use provider::features::KernelFeatures;

use crate::options::Options;

/// Refuses a CPU that is not online. (libdtrace ends then, too, without a word.)
pub(crate) fn check(options: &Options) -> Result<()> {
    let Some(cpu) = options.cpu else {
        return Ok(());
    };
    let features = KernelFeatures::detect();
    let online = features.online_cpus();
    if online.contains(&cpu) {
        return Ok(());
    }
    let online: Vec<_> = online.iter().map(u32::to_string).collect();
    bail!(
        "could not enable tracing: CPU {cpu} of option cpu is not online; these are: {}",
        online.join(", ")
    );
}
