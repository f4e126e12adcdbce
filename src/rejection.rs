//! Programs that the kernel's verifier refuses, which is a mistake of rdtrace: told with all that helps to
//! find it.

use std::fmt::Write as _;

use dlang::diag::Source;
use dlang::tags::Tag;
use predicates::asm::Code;
use provider::error::Error;
use provider::rejection::Rejection;

use crate::compile::refusal;
use crate::options::Options;

/// A program that the verifier has refused.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Rejected {
    text: String,
    /// Whether that was because it had to look at too much.
    pub(crate) is_too_much: bool,
}

/// The error for a program that the kernel did not take. For one that the verifier has refused it has the
/// place in the script that the refused instruction comes from, the verifier's last words and the listing.
pub(crate) fn told(
    error: Error,
    code: &Code,
    sources: &[Source],
    options: &Options,
) -> anyhow::Error {
    let Error::Load(load) = &error else {
        return error.into();
    };
    if !load.rejected_by_verifier() {
        return error.into();
    }
    let Rejection { insn, words } = Rejection::of(&load.log);
    let what = format!(
        "the kernel's verifier refuses the program `{}`; this is a mistake in rdtrace: please report \
         it with the script and all that follows",
        load.name
    );
    let mut text = match insn.and_then(|insn| code.place_of(insn)) {
        Some(span) => refusal(Tag::Unknown, span, &what, sources, options),
        None => what,
    };
    text.push('\n');
    if words.is_empty() {
        let _ = writeln!(text, "  {error}");
    }
    for line in words {
        let _ = writeln!(text, "  verifier: {line}");
    }
    if let Some(insn) = insn
        && let Some(refused) = code.insns.get(insn)
    {
        let _ = writeln!(text, "  instruction {insn}: {refused}");
    }
    let _ = write!(text, "{}", code.listing());
    let is_too_much = load.source.raw_os_error() == Some(libc::E2BIG);
    Rejected { text, is_too_much }.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actions::lower::{Compiler, Enabled};
    use dlang::check::UnknownArgs;
    use dlang::diag::Origin;
    use dlang::{CheckOptions, Macros};
    use provider::catalog::Catalog;
    use provider::features::KernelFeatures;
    use provider::session::Session;

    use super::*;
    use crate::code_options::{Meant, code_options};

    /// Compiles a script for BEGIN, has the first program spoilt, and gives what loading it tells.
    fn spoilt(text: &str, spoil: impl FnOnce(&Code, &mut Vec<u64>)) -> Option<String> {
        if !KernelFeatures::loads_programs() {
            return None;
        }
        let source = Source {
            origin: Origin::Script("spoilt.d".into()),
            text: text.into(),
        };
        let sources = [source];
        let ast = dlang::parse(&sources, &Macros::default()).unwrap();
        let program = dlang::check(&ast, &UnknownArgs, &CheckOptions::default()).unwrap();
        let mut enabled = Vec::new();
        for (clause, of) in program.clauses.iter().enumerate() {
            let probes = Catalog::new().enable(&of.probes[0].desc);
            enabled.extend(probes.into_iter().map(|probe| Enabled { clause, probe }));
        }
        let options = Options::default();
        let lower = code_options(&program, &options, Meant::default(), false, None);
        let mut object = Compiler::new(Arc::new(program), lower)
            .lower(&enabled)
            .unwrap();
        let mut session = Session::new(KernelFeatures::detect());
        session.create_maps(&object.maps).unwrap();
        spoil(&object.codes[0], &mut object.programs[0].insns);
        let error = session.load(&object.programs[0]).unwrap_err();
        Some(told(error, &object.codes[0], &sources, &options).to_string())
    }

    /// `r0 = *(u64 *)(r10 + 8)`, which is behind the stack.
    const BAD_LOAD: u64 = 0x79 | 0xa0 << 8 | 8 << 16;

    #[test]
    fn a_refused_instruction_is_told_with_its_statement_and_the_verifier_s_words() {
        let text = "BEGIN\n{\n\tx = pid;\n\ty = pid + 7;\n\texit(0);\n}\n";
        let told = spoilt(text, |code, insns| {
            let at = text.find("y =").unwrap();
            let mut places = code.places.iter();
            let place = places.find(|(_, span)| span.start as usize == at);
            insns[place.unwrap().0] = BAD_LOAD;
        });
        let Some(told) = told else { return };
        let head: Vec<&str> = told.lines().take(3).collect();
        assert!(head[0].contains("line 4: the kernel's verifier"), "{told}");
        assert_eq!(head[1], "  4 |         y = pid + 7;", "{told}");
        assert!(head[2].ends_with("|         ^^^^^^^^^^^"), "{told}");
        assert!(
            told.contains("  verifier: invalid read from stack"),
            "{told}"
        );
        assert!(told.contains("  instruction "), "{told}");
        assert!(told.contains("; clause 0 on dtrace:::BEGIN"), "{told}");
    }

    #[test]
    fn what_belongs_to_no_statement_is_told_without_a_place() {
        let told = spoilt("BEGIN { exit(0); }", |_, insns| insns[0] = BAD_LOAD);
        let Some(told) = told else { return };
        assert!(told.starts_with("the kernel's verifier refuses"), "{told}");
        assert!(told.contains("  verifier: "), "{told}");
    }
}
