//! Names of C++ and Rust functions as they stand in their sources.

use cpp_demangle::{DemangleOptions, Symbol};

/// The name in the source, if this is the linker's name of a C++ or Rust function; else the name
/// itself. Rust's are shown without their hash, C++'s without their parameters, as a debugger's
/// stacks are.
pub(super) fn demangled(name: &str) -> String {
    if let Ok(rust) = rustc_demangle::try_demangle(name) {
        return format!("{rust:#}");
    }
    let Ok(cpp) = Symbol::new(name) else {
        return name.to_owned();
    };
    let options = DemangleOptions::default().no_params().no_return_type();
    cpp.demangle_with_options(&options)
        .unwrap_or_else(|_| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_sources() {
        for (linked, written) in [
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
            (
                "_ZNSt6vectorIiSaIiEE9push_backEOi",
                "std::vector<int, std::allocator<int> >::push_back",
            ),
            ("_PyEval_EvalFrameDefault", "_PyEval_EvalFrameDefault"),
            ("_Z", "_Z"),
            ("main", "main"),
        ] {
            assert_eq!(demangled(linked), written);
        }
    }
}
