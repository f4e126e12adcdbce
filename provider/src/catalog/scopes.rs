//! Whose executions a description means.
//!
//! The provider field says it:
//!
//! ```text
//!     python1234        process 1234; or all that it starts too, if it is followed
//!     python*  *        every process: the glob matches with any process id
//!     python12*         those processes that there are and whose ids fit
//!     (empty)           the target, if there is one, else every process
//! ```

use dlang::program::ProbeDesc;

use crate::glob::Glob;
use crate::probe::Scope;
use crate::process::files;
use crate::providers::PROVIDERS;
use crate::providers::names::split_provider;

/// Whose executions a description can mean in this run.
#[derive(Clone, Debug, Default)]
pub(super) struct Scopes {
    /// The process that `-c` or `-p` gave.
    pub(super) target: Option<u32>,
    /// Processes whose trees are followed.
    pub(super) roots: Vec<u32>,
}

impl Scopes {
    /// The scopes to look for `desc` in. None if it means only probes that are in no file.
    pub(super) fn of(&self, desc: &ProbeDesc) -> Vec<Scope> {
        if is_in_no_file(desc) {
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
        if is_in_no_file(desc) {
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

/// Whether `desc` means only probes that are in no file.
fn is_in_no_file(desc: &ProbeDesc) -> bool {
    PROVIDERS.iter().any(|part| part.is_meant_alone(desc))
}

#[cfg(test)]
mod tests {
    use super::super::tests::desc;
    use super::*;
    use crate::providers::names::description;

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
    fn whole_names_without_a_provider_are_ours() {
        for (text, ours) in [
            (":::BEGIN", true),
            (":::tick-1s", true),
            ("*:::tick-1s", true),
            ("dtrace:::nosuch", true),
            ("profile:::", true),
            (":::", false),
            (":::tick-*", false),
            (":::gc-start", false),
            (":python3::BEGIN", false),
            ("python*:::BEGIN", false),
        ] {
            assert_eq!(is_in_no_file(&desc(text)), ours, "{text}");
        }
    }
}
