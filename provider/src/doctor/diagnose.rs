//! Why a description matches nothing, as far as its provider's name tells.

use dlang::program::ProbeDesc;

use super::{everywhere, process};
use crate::catalog::{Catalog, split_provider};
use crate::diagnosis::Diagnosis;
use crate::glob::Glob;
use crate::limits;
use crate::providers::part::Provider;
use crate::providers::{OTHER_PROVIDERS, PROVIDERS};
use crate::spelling::near;

/// Why `desc` will never match anything, whatever starts later: there is no such provider, or its name
/// cannot be one of a process's. `None` if it may.
#[must_use]
pub fn never(catalog: &mut Catalog, desc: &ProbeDesc) -> Option<Diagnosis> {
    let provider = desc.provider.trim_end_matches(|c: char| c.is_ascii_digit());
    let literal = !desc.provider.is_empty() && Glob::new(&desc.provider).is_literal();
    let not_ours = OTHER_PROVIDERS.contains(&provider);
    let nowhere = literal && split_provider(&desc.provider).is_empty();
    (not_ours || nowhere).then(|| diagnose(catalog, desc))
}

/// Finds out why `desc` matches nothing.
#[must_use]
pub fn diagnose(catalog: &mut Catalog, desc: &ProbeDesc) -> Diagnosis {
    if let Some(limit) = limits::reached() {
        return Diagnosis {
            reason: format!("not everything could be looked at: {limit}"),
            ..Diagnosis::default()
        };
    }
    let provider = desc.provider.trim_end_matches(|c: char| c.is_ascii_digit());
    if OTHER_PROVIDERS.contains(&provider) {
        return not_ours(provider);
    }
    if let Some(diagnosis) = PROVIDERS.iter().find_map(|part| part.why_not(desc)) {
        return diagnosis;
    }
    if !Glob::new(&desc.provider).is_literal() {
        return everywhere::diagnose(catalog, desc);
    }
    // `python1234` may be read as `python` 1234, `python1` 234 and so on; the shortest name that
    // fits a living process is what was meant.
    let readings = split_provider(&desc.provider);
    let living = readings.iter().find(|(_, pid)| process::exists(*pid));
    match (living, readings.first()) {
        (Some((provider, pid)), _) => process::hidden(*pid).unwrap_or_else(|| {
            let files = catalog.files_of(*pid);
            let mut parts = PROVIDERS.iter();
            parts
                .find_map(|part| part.why_not_in(&files, desc, provider, *pid))
                .unwrap_or_else(|| process::diagnose(catalog, desc, provider, *pid))
        }),
        (None, Some((_, pid))) => Diagnosis {
            reason: format!("there is no process {pid}"),
            ..Diagnosis::default()
        },
        (None, None) => no_process_id(desc),
    }
}

fn not_ours(provider: &str) -> Diagnosis {
    let instead = match provider {
        "vminfo" | "sysinfo" => {
            "cpc:::page_faults-all-1 and its like count what the kernel does; `rawtp` has its tracepoints"
        }
        "rawfbt" => "`fbt` has the same functions",
        _others => "what the kernel does is in `syscall`, `rawtp` and `fbt`",
    };
    Diagnosis {
        reason: format!("rdtrace has no provider `{provider}`"),
        advice: vec![format!("it has {}", all_providers()), instead.into()],
        ..Diagnosis::default()
    }
}

/// The providers that there are: `a, b, and c`.
fn all_providers() -> String {
    let [first @ .., last] = PROVIDERS.map(Provider::summary);
    format!("{}, and {last}", first.join(", "))
}

/// `python:::x`, or `python0:::x`, which `$target` gives without a target.
fn no_process_id(desc: &ProbeDesc) -> Diagnosis {
    let provider = &desc.provider;
    let bare = provider.trim_end_matches('0');
    let reason = if bare.len() < provider.len() {
        format!(
            "`$target` is 0 here: neither -c nor -p names a process, so there is no `{provider}`"
        )
    } else {
        format!("`{provider}` is no provider by itself: its processes' ids belong to the name")
    };
    let whole: Vec<&str> = PROVIDERS.iter().filter_map(|part| part.name()).collect();
    Diagnosis {
        reason,
        did_you_mean: near(provider, &whole),
        advice: vec![
            format!("write `{bare}$target` with -c or -p for one process,"),
            format!("`{bare}1234` for the process 1234, `{bare}*` for every process"),
        ],
        ..Diagnosis::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(text: &str) -> ProbeDesc {
        let mut fields = text.split(':').map(str::to_owned);
        let mut next = || fields.next().unwrap();
        ProbeDesc {
            provider: next(),
            module: next(),
            function: next(),
            name: next(),
        }
    }

    fn told(text: &str) -> String {
        diagnose(&mut Catalog::new(), &description(text)).to_string()
    }

    #[test]
    fn descriptions_without_a_process() {
        assert!(told("python:::line").contains("`python$target` with -c or -p"));
        assert!(told("python0:::line").starts_with("`$target` is 0 here"));
        assert_eq!(
            told("python900000000:::line"),
            "there is no process 900000000"
        );
        assert!(told(":::BEGN").contains("did you mean `BEGIN`?"));
        assert!(told("sycall:::entry").contains("did you mean `syscall`?"));
        assert!(told("dtrace:x::END").contains("has no probe `x::END`"));
        assert!(told("profile:::tick-0").starts_with("`tick-0` is no rate"));
        assert!(told("vminfo:::pgpgin").starts_with("rdtrace has no provider `vminfo`"));
        let never = |text| never(&mut Catalog::new(), &description(text)).map(|why| why.reason);
        for text in ["vminfo:::pgpgin", "vminfo12:::", "foo:::bar"] {
            assert!(never(text).is_some(), "{text}");
        }
        for text in ["foo12:::bar", "foo*:::bar", ":::bar", "*:::"] {
            assert_eq!(never(text), None, "{text}");
        }
        assert!(told("nosuch*:::x").starts_with("no process has a provider like `nosuch*`"));
    }

    #[test]
    fn a_process_without_probes() {
        let text = told(&format!("python{}:::line", std::process::id()));
        assert!(text.contains("has no provider `python`"), "{text}");
        assert!(text.contains("not a Python"), "{text}");
    }
}
