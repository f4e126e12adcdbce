//! Functions of the kernel by their symbols: kprobes.
//!
//! A function that the compiler has changed has another name in the list of symbols than in the sources
//! (`finish_task_switch.isra.0`), and no type: the kernel's BTF leaves it out, so that there is no fentry at it. A
//! kprobe needs the address only. Which functions can have one is what tracefs lists for the function tracer: the
//! kernel lets nobody trace the others.

use std::collections::HashSet;
use std::fs;
use std::sync::{Arc, OnceLock};

use crate::kallsyms::{self, KERNEL, Line};
use crate::probe::KernelSymbol;
use crate::traceable::{self, Found};

/// The number of the `kprobe` event type; `None` if the kernel has none.
pub(crate) fn event_type() -> Option<u32> {
    static TYPE: OnceLock<Option<u32>> = OnceLock::new();
    *TYPE.get_or_init(|| {
        let text = fs::read_to_string("/sys/bus/event_source/devices/kprobe/type").ok()?;
        text.trim().parse().ok()
    })
}

/// The functions that the kernel and its modules have, in the order of the list; read once.
pub(crate) fn functions() -> impl Iterator<Item = Line<'static>> {
    static SYMBOLS: OnceLock<String> = OnceLock::new();
    let text = SYMBOLS.get_or_init(kallsyms::read);
    let all = text.lines().filter_map(kallsyms::parse);
    all.filter(|symbol| symbol.is_code)
}

/// Whether a function can be traced; all may be where tracefs lists none.
pub(crate) fn is_traceable(symbol: &Line<'_>) -> bool {
    static LISTED: OnceLock<HashSet<String>> = OnceLock::new();
    let listed = LISTED.get_or_init(|| {
        let text = fs::read_to_string("/sys/kernel/tracing/available_filter_functions");
        let text = text.unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    });
    let is_listed = || match symbol.module {
        KERNEL => listed.contains(symbol.name),
        module => listed.contains(&format!("{} [{module}]", symbol.name)),
    };
    listed.is_empty() || is_listed()
}

/// What compilers add to the names of functions that they have changed: parameters that are not used, or always the
/// same, are left out. (A `.part` or `.cold` is not the whole function.)
const CHANGED: [&str; 5] = [
    "",
    ".isra.0",
    ".constprop.0",
    ".isra.0.constprop.0",
    ".constprop.0.isra.0",
];

/// The code of a function of the kernel, whichever of its names it has; none if it cannot be traced. Since parameters may
/// be left out, nothing is known of where they are.
pub(crate) fn code_of(function: &str) -> Option<KernelSymbol> {
    let of = |name: String, address| KernelSymbol {
        name: name.into(),
        address,
    };
    for added in CHANGED {
        let name = format!("{function}{added}");
        match traceable::find(&name) {
            Some(Found::At(address)) => return Some(of(name, address)),
            Some(Found::Not) => {}
            None => return listed_code_of(function),
        }
    }
    None
}

/// The same by the list of symbols, for kernels that cannot be asked for one.
fn listed_code_of(function: &str) -> Option<KernelSymbol> {
    let is_it = |symbol: &Line<'_>| {
        let added = symbol.name.strip_prefix(function);
        symbol.module == KERNEL && added.is_some_and(|added| CHANGED.contains(&added))
    };
    let symbol = functions().find(|symbol| is_it(symbol) && is_traceable(symbol))?;
    Some(symbol_of(&symbol))
}

/// A line of the list as a probe has it.
pub(crate) fn symbol_of(line: &Line<'_>) -> KernelSymbol {
    KernelSymbol {
        name: Arc::from(line.name),
        address: line.address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_under_each_of_their_names() {
        if !test_support::root() {
            return;
        }
        if functions().next().is_none() || !cfg!(target_arch = "x86_64") {
            test_support::skipped("needs the symbols of a kernel for x86-64");
            return;
        }
        let open = code_of("do_filp_open").unwrap();
        assert_eq!(&*open.name, "do_filp_open");
        assert_eq!(listed_code_of("do_filp_open"), Some(open));
        assert_eq!(code_of("no_such_function"), None);
        assert_eq!(listed_code_of("no_such_function"), None);
        let switched = code_of("finish_task_switch");
        assert_eq!(listed_code_of("finish_task_switch"), switched);
    }
}
