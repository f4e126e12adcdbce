//! What a probe description means: whose executions, and which providers and names there.
//!
//! A file's own provider name is the *bare* one, `python`; in a process, the process id is a part of
//! the name. So the provider field says whose executions count:
//!
//! ```text
//!     python1234        process 1234; or all that it starts too, if it is followed
//!     python*  *        every process: the glob matches with any process id
//!     python12*         those processes that there are and whose ids fit
//!     (empty)           the target, if there is one, else every process
//! ```
//!
//! That is a [`Scope`]. A probe of one process has its id in the provider; one of a tree or of the
//! whole system is one probe for each file, and its provider the bare name.

use dlang::program::ProbeDesc;

use super::builtin;
use crate::glob::Glob;
use crate::probe::Scope;
use crate::process::files;

/// Whose executions a description can mean in this run.
#[derive(Clone, Debug, Default)]
pub(super) struct Scopes {
    /// The process that `-c` or `-p` gave.
    pub(super) target: Option<u32>,
    /// Processes whose trees are followed.
    pub(super) roots: Vec<u32>,
}

impl Scopes {
    /// The scopes to look for `desc` in. None if it means only probes of rdtrace's own.
    pub(super) fn of(&self, desc: &ProbeDesc) -> Vec<Scope> {
        if builtin::is_meant(desc) {
            return Vec::new();
        }
        if self.is_everywhere(desc) {
            return vec![Scope::System];
        }
        let scope = |pid| {
            if self.roots.contains(&pid) {
                Scope::Tree(pid)
            } else {
                Scope::Process(pid)
            }
        };
        self.processes(desc).into_iter().map(scope).collect()
    }

    /// The processes whose probes `desc` can mean, one by one. A followed one may have ended while its
    /// children run on.
    pub(super) fn processes(&self, desc: &ProbeDesc) -> Vec<u32> {
        if builtin::is_meant(desc) {
            return Vec::new();
        }
        if desc.provider.is_empty()
            && let Some(target) = self.target
        {
            return vec![target];
        }
        if Glob::new(&desc.provider).is_literal() {
            let readings = split_provider(&desc.provider).into_iter();
            return readings.map(|(_, pid)| pid).collect();
        }
        let mut all = files::all_processes();
        let ended = self.roots.iter().filter(|pid| !all.contains(pid)).copied();
        let ended: Vec<u32> = ended.collect();
        all.extend(ended);
        all
    }

    /// Whether `desc` means every process: its provider is a glob for any process id, or empty
    /// while there is no target.
    fn is_everywhere(&self, desc: &ProbeDesc) -> bool {
        match &*desc.provider {
            "" => self.target.is_none(),
            glob => !Glob::new(glob).is_literal() && glob.ends_with('*'),
        }
    }
}

/// Whether the provider field of a description means the provider `bare` in a scope. In a tree, it has
/// the id of the root, whichever process fires the probe.
pub(super) fn means(provider: &str, bare: &str, scope: Scope) -> bool {
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
pub(super) fn provider_in(scope: Scope, bare: &str) -> String {
    match scope {
        Scope::Process(pid) => format!("{bare}{pid}"),
        Scope::Tree(_) | Scope::System => bare.to_owned(),
    }
}

/// Whether the fields of `desc` after the provider match these.
pub(super) fn fits(desc: &ProbeDesc, module: &str, function: &str, name: &str) -> bool {
    Glob::new(&desc.module).matches(module)
        && Glob::new(&desc.function).matches(function)
        && Glob::new(&desc.name).matches(name)
}

/// A description of these fields.
pub(super) fn description(provider: &str, module: &str, function: &str, name: &str) -> ProbeDesc {
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
    use super::super::tests::desc;
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
    fn globs_for_any_process_id_mean_every_process() {
        for (provider, target, everywhere) in [
            ("python*", None, true),
            ("*", None, true),
            ("", None, true),
            ("", Some(1), false),
            ("python*", Some(1), true),
            ("python1*2", None, false),
            ("python1234", None, false),
            ("python??", None, false),
        ] {
            let scopes = Scopes {
                target,
                roots: Vec::new(),
            };
            let desc = description(provider, "", "", "x");
            assert_eq!(
                scopes.of(&desc) == [Scope::System],
                everywhere,
                "{provider} {target:?}"
            );
        }
    }

    #[test]
    fn a_followed_process_means_its_tree() {
        let gone = 999_999_999;
        let scopes = Scopes {
            target: Some(gone),
            roots: vec![gone],
        };
        let tree = Scope::Tree(gone);
        assert_eq!(scopes.of(&desc(":::x")), [tree]);
        assert!(scopes.of(&desc("python999999999:::x")).contains(&tree));
        assert!(scopes.of(&desc("python??*9:::x")).contains(&tree), "ended");
        assert_eq!(scopes.of(&desc("python12:::x")).len(), 2);
        assert_eq!(scopes.of(&desc("*:::x")), [Scope::System]);
        assert!(scopes.of(&desc(":::BEGIN")).is_empty());
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
