//! The names of probes that are in files.
//!
//! A file's own provider name is the *bare* one, `python`; in a process, the process id is a part of
//! the name: `python1234`. The provider of a probe of one process has the id; one of a tree of
//! processes or of the whole system is one probe for each file, and its provider the bare name.

use dlang::program::ProbeDesc;

use crate::glob::Glob;
use crate::probe::Scope;

/// Whether the provider field of a description means the provider `bare` in a scope. In a tree, it has
/// the id of the root, whichever process fires the probe.
pub(crate) fn means(provider: &str, bare: &str, scope: Scope) -> bool {
    let glob = Glob::new(provider);
    match scope {
        Scope::Process(pid) | Scope::Tree(pid) => glob.matches(&format!("{bare}{pid}")),
        // As `python*` and `python[0-9]*` do: these ids share no digit in any one place.
        Scope::System => ["1", "25", "98", "4000"]
            .iter()
            .all(|pid| glob.matches(&format!("{bare}{pid}"))),
    }
}

/// The name that the provider `bare` has in a scope.
pub(crate) fn provider_in(scope: Scope, bare: &str) -> String {
    match scope {
        Scope::Process(pid) => format!("{bare}{pid}"),
        Scope::Tree(_) | Scope::System => bare.to_owned(),
    }
}

/// Whether the fields of `desc` after the provider match these.
pub(crate) fn fits(desc: &ProbeDesc, module: &str, function: &str, name: &str) -> bool {
    Glob::new(&desc.module).matches(module)
        && Glob::new(&desc.function).matches(function)
        && Glob::new(&desc.name).matches(name)
}

/// Whether the name in a description is one, at least where it begins: what an empty name or a glob matches may be
/// more than what is meant.
pub(crate) fn begins_a_name(desc: &ProbeDesc) -> bool {
    desc.name
        .starts_with(|first: char| first.is_ascii_alphanumeric())
}

/// The full name of a probe of the provider `bare` in a scope.
pub(crate) fn full_name(
    scope: Scope,
    bare: &str,
    module: &str,
    function: &str,
    name: &str,
) -> ProbeDesc {
    description(&provider_in(scope, bare), module, function, name)
}

/// A description whose probe name is in D's spelling; it may have been written with `__`, as in
/// the program's source.
pub(crate) fn d_name(desc: &ProbeDesc) -> ProbeDesc {
    ProbeDesc {
        name: desc.name.replace("__", "-"),
        ..desc.clone()
    }
}

/// A description of these fields.
pub(crate) fn description(provider: &str, module: &str, function: &str, name: &str) -> ProbeDesc {
    ProbeDesc {
        provider: provider.into(),
        module: module.into(),
        function: function.into(),
        name: name.into(),
    }
}

/// The ways to read `python1234` as a name and a process id: names may end in digits themselves.
#[must_use]
pub fn split_provider(provider: &str) -> Vec<(&str, u32)> {
    let name = provider.trim_end_matches(|c: char| c.is_ascii_digit());
    (name.len().max(1)..provider.len())
        .filter(|at| provider.is_char_boundary(*at) && provider.as_bytes()[*at] != b'0')
        .filter_map(|at| Some((&provider[..at], provider[at..].parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_providers_digits_are_a_process_id() {
        assert_eq!(
            split_provider("python1234"),
            [
                ("python", 1234),
                ("python1", 234),
                ("python12", 34),
                ("python123", 4)
            ]
        );
        assert_eq!(split_provider("libc10"), [("libc", 10)]);
        assert!(split_provider("python").is_empty());
        assert!(split_provider("").is_empty());
        assert!(split_provider("python0").is_empty());
        assert!(
            split_provider("python99999999999999999999")
                .iter()
                .all(|(name, _)| *name != "python")
        );
    }

    #[test]
    fn a_provider_is_meant_in_a_scope() {
        for (provider, bare, scope, meant) in [
            ("python*", "python", Scope::System, true),
            ("python[0-9]*", "python", Scope::System, true),
            ("", "python", Scope::System, true),
            ("p*", "postgres", Scope::System, true),
            ("python12*", "python", Scope::System, false),
            ("python12", "python", Scope::Process(12), true),
            ("python12", "python1", Scope::Process(2), true),
            ("python1?", "python", Scope::Process(12), true),
            ("python12", "python", Scope::Process(1), false),
            ("python12", "python", Scope::Tree(12), true),
            ("python", "python", Scope::Tree(12), false),
        ] {
            assert_eq!(means(provider, bare, scope), meant, "{provider} {scope:?}");
        }
    }
}
