//! `#pragma D attributes`, `binding` and `depends_on`: they change nothing here, but one that is
//! wrong is told as libdtrace tells it.

use super::checker::{Checked, Checker};
use crate::ast::{Ast, Item, Pragma};
use crate::names;
use crate::program::Scope;
use crate::tags::Tag;

/// The words for how stable a name or its data is.
const STABILITIES: [&str; 8] = [
    "Internal", "Private", "Obsolete", "External", "Unstable", "Evolving", "Stable", "Standard",
];

/// The words for what a name depends on.
const CLASSES: [&str; 6] = ["Unknown", "CPU", "Platform", "Group", "ISA", "Common"];

/// The words for what of a provider has attributes.
const COMPONENTS: [&str; 5] = ["provider", "module", "function", "name", "args"];

/// The providers that are there without a declaration.
const PROVIDERS: [&str; 15] = [
    "cpc", "dtrace", "fbt", "io", "ip", "lockstat", "proc", "profile", "rawfbt", "rawtp", "sched",
    "sdt", "syscall", "tcp", "udp",
];

impl Checker<'_> {
    /// Checks a pragma after the whole program, so that it may stand before what it names.
    pub(super) fn checked_pragma(&mut self, ast: &Ast, pragma: &Pragma) -> Checked<()> {
        let words: Vec<&str> = pragma.rest.split_whitespace().collect();
        match (pragma.word.as_str(), words.as_slice()) {
            ("attributes", [attributes, name, ..]) => {
                if !are_attributes(attributes) {
                    let message = "invalid attributes specified by #pragma attributes";
                    return self.plain_error(Tag::PragmaInval, pragma.span, message);
                }
                if let ("provider", [provider, component]) = (*name, &words[2..]) {
                    return self.check_provider_attributes(ast, pragma, provider, component);
                }
                self.check_pragma_name(ast, pragma, name)
            }
            ("binding", [version, name]) if is_quoted(version) => {
                if !is_version(version.trim_matches('"')) {
                    let message = "invalid version string specified by #pragma binding";
                    return self.plain_error(Tag::PragmaInval, pragma.span, message);
                }
                self.check_pragma_name(ast, pragma, name)
            }
            ("depends_on", ["library", _, ..]) => {
                let message = "main program may not explicitly depend on a library";
                let error = self
                    .diagnostic(Tag::PragmaDepend, pragma.span, message)
                    .with_hint("what a program uses of the libraries it gets without asking");
                self.reject(error)
            }
            ("depends_on", ["module" | "provider", _, ..]) => Ok(()),
            ("depends_on", [class, _, ..]) => {
                let message = format!("invalid class {class} specified by #pragma depends_on");
                self.plain_error(Tag::PragmaInval, pragma.span, &message)
            }
            (word @ ("attributes" | "binding" | "depends_on"), _) => {
                let expected = match word {
                    "attributes" => "<attributes> <ident>",
                    "binding" => "\"version\" <ident>",
                    _ => "<class> <name>",
                };
                let message = format!("malformed #pragma {word} {expected}");
                self.plain_error(Tag::PragmaMalform, pragma.span, &message)
            }
            _ => Ok(()),
        }
    }

    /// `attributes A/B/C provider NAME COMPONENT`.
    fn check_provider_attributes(
        &mut self,
        ast: &Ast,
        pragma: &Pragma,
        provider: &str,
        component: &str,
    ) -> Checked<()> {
        let named = |item: &Item| matches!(item, Item::Provider(own) if own.name.text == provider);
        if !ast.items.iter().any(named) && !PROVIDERS.contains(&provider) {
            let message = "unused #pragma attributes";
            return self.plain_error(Tag::PragmaUnused, pragma.span, message);
        }
        if !COMPONENTS.contains(&component) {
            // In this order in libdtrace, too.
            let message = format!(
                "invalid component \"{provider}\" in attribute #pragma for provider {component}"
            );
            return self.plain_error(Tag::PragmaInval, pragma.span, &message);
        }
        Ok(())
    }

    /// The name must be one that the program itself defines.
    fn check_pragma_name(&mut self, ast: &Ast, pragma: &Pragma, name: &str) -> Checked<()> {
        let own = self
            .variables
            .contains_key(&(Scope::Global, name.to_owned()))
            || self.inlines.contains_key(name)
            || match name {
                "provider" => ast.items.iter().any(|i| matches!(i, Item::Provider(_))),
                "translator" => ast.items.iter().any(|i| matches!(i, Item::Translator(_))),
                _ => false,
            };
        if own {
            return Ok(());
        }
        let word = &pragma.word;
        if names::find(name).is_some() {
            let message =
                format!("#pragma {word} cannot modify entity defined outside program scope");
            return self.plain_error(Tag::PragmaScope, pragma.span, &message);
        }
        let message = format!("unused #pragma {word}");
        let error = self.diagnostic(Tag::PragmaUnused, pragma.span, &message);
        self.reject(error.with_hint(&format!("`{name}` is not defined")))
    }
}

/// `Stable/Evolving/Common`: of the name, and, if given, of its data, and what it depends on.
fn are_attributes(text: &str) -> bool {
    let known: [&[&str]; 3] = [&STABILITIES, &STABILITIES, &CLASSES];
    let words: Vec<&str> = text.split('/').filter(|word| !word.is_empty()).collect();
    let is_known = |(word, known): (&&str, &[&str])| {
        known.iter().any(|known| known.eq_ignore_ascii_case(word))
    };
    (1..=known.len()).contains(&words.len()) && words.iter().zip(known).all(is_known)
}

fn is_quoted(text: &str) -> bool {
    text.len() >= 2 && text.starts_with('"') && text.ends_with('"')
}

/// `1.2` or `1.2.3`.
fn is_version(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let number = |part: &&str| part.parse::<u16>().is_ok_and(|n| n < 4096);
    (2..=3).contains(&parts.len()) && parts.iter().all(number)
}
