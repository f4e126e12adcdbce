//! Probe descriptions: `provider:module:function:name`, right-aligned when fields are missing.

use pest::iterators::Pair;

use super::{Builder, Rule};
use crate::diag::{Diagnostic, SpecifierKind};
use crate::program::{ProbeDesc, ProbeSpec};
use crate::tags::Tag;

impl Builder<'_> {
    pub(super) fn probe_spec(&self, pair: Pair<'_, Rule>) -> ProbeSpec {
        let span = self.span(&pair);
        let text = match self.macros.expand(pair.as_str(), span) {
            Ok(text) => text,
            Err(error) => {
                let message = format!(
                    "invalid probe description \"{}\": Undefined macro variable in probe description",
                    pair.as_str()
                );
                let mut undefined = Diagnostic::new(Tag::PdescInval, span, &message);
                undefined.hint = error.hint;
                self.errors.borrow_mut().push(undefined);
                String::new()
            }
        };
        let desc = if let Some(desc) = describe(&text, self.kind) {
            desc
        } else {
            let message =
                format!("invalid probe description \"{text}\": Overspecified probe description");
            self.errors.borrow_mut().push(
                Diagnostic::new(Tag::PdescInval, span, &message)
                    .with_hint("a probe is written provider:module:function:name"),
            );
            ProbeDesc::default()
        };
        ProbeSpec { desc, span }
    }
}

/// Splits a description; its last part is the field that the option names. `None`: too many.
fn describe(text: &str, kind: SpecifierKind) -> Option<ProbeDesc> {
    let last = match kind {
        SpecifierKind::Provider => 0,
        SpecifierKind::Module => 1,
        SpecifierKind::Function => 2,
        SpecifierKind::Name => 3,
    };
    let mut fields: [String; 4] = Default::default();
    for (n, part) in text.rsplit(':').enumerate() {
        let field = usize::checked_sub(last, n)?;
        part.clone_into(&mut fields[field]);
    }
    let [provider, module, function, name] = fields;
    Some(ProbeDesc {
        provider,
        module,
        function,
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_right_aligned_to_their_option() {
        use SpecifierKind::{Function, Module, Name, Provider};
        for (text, kind, fields) in [
            ("BEGIN", Name, Some(["", "", "", "BEGIN"])),
            ("a:::x", Name, Some(["a", "", "", "x"])),
            ("a:b:c:d", Name, Some(["a", "b", "c", "d"])),
            ("f:entry", Name, Some(["", "", "f", "entry"])),
            ("a:b:c:d:e", Name, None),
            ("python1", Provider, Some(["python1", "", "", ""])),
            ("a:b", Provider, None),
            ("a:b", Module, Some(["a", "b", "", ""])),
            ("b:c", Function, Some(["", "b", "c", ""])),
        ] {
            let found = describe(text, kind).map(|d| [d.provider, d.module, d.function, d.name]);
            assert_eq!(found, fields.map(|f| f.map(str::to_owned)), "{text}");
        }
    }
}
