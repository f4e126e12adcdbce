//! The probes of rdtrace's own: `dtrace:::BEGIN`, `END` and `ERROR`, and the timers of `profile`.
//!
//! They have neither module nor function, and are in no file. There are as many timers as there are
//! rates, so that one exists when its name is spelled out; a glob means those that a listing shows.

use dlang::program::ProbeDesc;

use super::meaning::{description, fits};
use crate::glob::Glob;
use crate::probe::ProbeKind;
use crate::profile;

/// The probes that `desc` matches, with their full names; those of `dtrace` first.
pub(super) fn matching(desc: &ProbeDesc) -> Vec<(ProbeDesc, ProbeKind)> {
    let own = [
        ("BEGIN", ProbeKind::Begin),
        ("END", ProbeKind::End),
        ("ERROR", ProbeKind::Error),
    ];
    let own = own.into_iter().map(|(name, kind)| ("dtrace", name, kind));
    let rates = if Glob::new(&desc.name).is_literal() {
        vec![&*desc.name]
    } else {
        profile::LISTED.to_vec()
    };
    let timers = rates
        .into_iter()
        .filter_map(|name| Some(("profile", name, profile::parse(name)?)));
    own.chain(timers)
        .filter(|(provider, name, _)| {
            Glob::new(&desc.provider).matches(provider) && fits(desc, "", "", name)
        })
        .map(|(provider, name, kind)| (description(provider, "", "", name), kind))
        .collect()
}

/// Whether `desc` means probes of rdtrace's own and no others: by their provider, or by the whole
/// name of one. For `BEGIN` and `tick-1s` without a provider there is no need to look at every process.
pub(super) fn is_meant(desc: &ProbeDesc) -> bool {
    matches!(&*desc.provider, "dtrace" | "profile")
        || (Glob::new(&desc.name).is_literal() && !matching(desc).is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::tests::desc;
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let full = |desc: ProbeDesc| format!("{}:{}", desc.provider, desc.name);
        let found = matching(&desc(text)).into_iter();
        found.map(|(desc, _)| full(desc)).collect()
    }

    #[test]
    fn timers_exist_as_they_are_asked_for() {
        assert_eq!(found(":::tick-1sec"), ["profile:tick-1sec"]);
        assert_eq!(found("profile:::profile-97"), ["profile:profile-97"]);
        assert!(found("profile:::tick-0").is_empty());
        assert!(found("profile:x::tick-1").is_empty());
        assert_eq!(found("profile:::tick-*").len(), 6);
        assert_eq!(found("profile:::").len(), 13);
        assert_eq!(found(":::").len(), 16);
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
            assert_eq!(is_meant(&desc(text)), ours, "{text}");
        }
    }
}
