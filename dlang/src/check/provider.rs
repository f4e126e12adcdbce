//! `provider name { probe name(args) : (args); };`: what a program that is yet to be built will
//! have as probes. `-h` makes a header of it; a running probe's types come from the probe itself.
//!
//! The rules, their order and their words are those of libdtrace's `dt_provider` and `dt_node_probe`.

use super::checker::{Checked, Checker};
use super::translate::is_compatible;
use crate::ast::{self, DeclaratorPart, Name, Parameter, Prototype, ProviderProbe};
use crate::diag::Span;
use crate::program::{DeclaredProbe, DeclaredProvider};
use crate::tags::Tag;
use crate::types::Type;

/// The longest name of a provider or a probe, as in `DTRACE_PROVNAMELEN` and `DTRACE_NAMELEN`.
const NAME_MAX: usize = 63;

/// A parameter of a probe: its type, its name if it has one, and where it stands.
struct Argument<'a> {
    ty: Type,
    name: Option<&'a Name>,
    span: Span,
}

impl<'a> Checker<'a> {
    pub(super) fn provider(&mut self, provider: &'a ast::Provider) -> Checked<()> {
        let name = &provider.name.text;
        let bad = if name.len() > NAME_MAX {
            Some(format!(
                "provider name may not exceed {NAME_MAX} characters: {name}"
            ))
        } else if name.ends_with(|last: char| last.is_ascii_digit()) {
            // A process's id follows it.
            Some(format!("provider name may not end with a digit: {name}"))
        } else {
            None
        };
        if let Some(message) = bad {
            return self.plain_error(Tag::ProvBadname, provider.name.span, &message);
        }
        let mut declared = DeclaredProvider {
            name: name.clone(),
            probes: Vec::new(),
        };
        for probe in &provider.probes {
            let checked = self.probe(name, probe)?;
            if declared.probes.iter().any(|old| old.name == checked.name) {
                let message = format!("probe redeclared: {name}:::{}", shown(&checked.name));
                return self.plain_error(Tag::ProvPrdup, probe.name.span, &message);
            }
            declared.probes.push(checked);
        }
        let old = self.program.providers.iter().find(|old| old.name == *name);
        match old.and_then(|old| mismatch(old, &declared)) {
            Some(message) => self.plain_error(Tag::ProvIncompat, provider.name.span, &message),
            None => {
                self.program.providers.push(declared);
                Ok(())
            }
        }
    }

    fn probe(&mut self, provider: &str, probe: &'a ProviderProbe) -> Checked<DeclaredProbe> {
        let name = &probe.name.text;
        if name.len() > NAME_MAX {
            let message = format!(
                "probe name may not exceed {NAME_MAX} characters: ::{}",
                shown(name)
            );
            return self.plain_error(Tag::ProvBadname, probe.name.span, &message);
        }
        self.check_prototype(&probe.input.parameters, "probe input")?;
        let input = self.prototype(&probe.input, "probe input prototype", false)?;
        let output = match &probe.output {
            None => (0..)
                .zip(&input)
                .map(|(n, argument)| (n, argument.ty.clone()))
                .collect(),
            Some(output) => {
                let output = self.prototype(output, "probe output prototype", true)?;
                self.outputs(provider, name, &input, output)?
            }
        };
        Ok(DeclaredProbe {
            name: name.clone(),
            input: input.into_iter().map(|argument| argument.ty).collect(),
            output,
            span: probe.name.span,
        })
    }

    /// As libdtrace's `dt_decl_prototype`.
    fn prototype(
        &mut self,
        prototype: &'a Prototype,
        kind: &str,
        named: bool,
    ) -> Checked<Vec<Argument<'a>>> {
        let mut arguments = Vec::new();
        for (n, parameter) in (1..).zip(&prototype.parameters) {
            let ty = self.argument_type(parameter)?;
            let name = parameter.declarator.name.as_ref();
            let span = parameter.specifiers.span;
            if ty == Type::Void {
                if prototype.parameters.len() > 1 || prototype.variadic {
                    return self.void_among_others(span);
                }
                if let Some(name) = name {
                    let message = format!("void parameter may not have a name: {name}");
                    return self.plain_error(Tag::DeclProtoName, name.span, &message);
                }
                return Ok(Vec::new());
            }
            if named && name.is_none() {
                let message = format!("parameter declaration requires a name: parameter #{n}");
                return self.plain_error(Tag::DeclProtoName, span, &message);
            }
            arguments.push(Argument { ty, name, span });
        }
        if prototype.variadic {
            let message = format!("{kind} may not use a variable-length argument list");
            return self.plain_error(Tag::DeclProtoVarargs, prototype.span, &message);
        }
        Ok(arguments)
    }

    /// The type of a parameter: arrays and functions are pointers there, as in C.
    fn argument_type(&mut self, parameter: &Parameter) -> Checked<Type> {
        let ty = self.parameter_type(&parameter.specifiers, &parameter.declarator)?;
        Ok(match ty {
            Type::Array(of, _) => Type::pointer_to((*of).clone()),
            Type::Void => match parameter.declarator.parts.first() {
                Some(DeclaratorPart::Function(_)) => Type::pointer_to(Type::Void),
                Some(_) | None => Type::Void,
            },
            Type::Int(_)
            | Type::Float(_)
            | Type::String
            | Type::Pointer(..)
            | Type::Struct(_)
            | Type::Symbol(_)
            | Type::Stack
            | Type::Named(_) => ty,
        })
    }

    /// The types of `args[]`: each output parameter is the input of its name, converted.
    fn outputs(
        &mut self,
        provider: &str,
        probe: &str,
        input: &[Argument<'_>],
        output: Vec<Argument<'_>>,
    ) -> Checked<Vec<(usize, Type)>> {
        let mut types = Vec::new();
        for (n, argument) in (1..).zip(output) {
            let text = argument.name.map_or("", |name| &name.text);
            let from = input
                .iter()
                .enumerate()
                .find(|(_, from)| from.name.is_some_and(|name| name.text == text));
            let Some((which, from)) = from else {
                let message = format!(
                    "parameter is not declared in probe output prototype: {text}, parameter #{n}"
                );
                return self.plain_error(Tag::DeclProtoForm, argument.span, &message);
            };
            if !is_compatible(&from.ty, &argument.ty)
                && self.find_translator(&argument.ty, &from.ty).is_none()
            {
                let message = format!(
                    "translator for {provider}:::{} output argument #{n} from {} to {} is not \
                     defined",
                    shown(probe),
                    from.ty,
                    argument.ty
                );
                return self.plain_error(Tag::ProvPrxlator, argument.span, &message);
            }
            types.push((which, argument.ty));
        }
        Ok(types)
    }
}

/// A probe's name as descriptions have it: `-` for each `__`.
fn shown(name: &str) -> String {
    name.replace("__", "-")
}

/// How a second declaration of a provider does not agree with the first: as in libdtrace, what it
/// declares must be there already and have the same arguments.
fn mismatch(old: &DeclaredProvider, new: &DeclaredProvider) -> Option<String> {
    let provider = &new.name;
    for probe in &new.probes {
        let name = format!("{provider}:::{}", shown(&probe.name));
        let Some(before) = old.probes.iter().find(|old| old.name == probe.name) else {
            return Some(format!(
                "provider interface mismatch: {provider}\n\t current: probe {name} defined\n\
                 \tprevious: probe {name} not defined"
            ));
        };
        if before.output.len() != probe.output.len() {
            return Some(format!(
                "probe {name} output prototype mismatch:\n\t current: {}\n\tprevious: {}",
                counted(probe.output.len()),
                counted(before.output.len())
            ));
        }
        let differing = (1..)
            .zip(before.output.iter().zip(&probe.output))
            .find(|(_, ((_, old), (_, new)))| old != new);
        if let Some((n, ((_, old), (_, new)))) = differing {
            return Some(format!(
                "probe {name} output prototype argument #{n} mismatch:\n\t current: {new}\n\
                 \tprevious: {old}"
            ));
        }
    }
    None
}

fn counted(arguments: usize) -> String {
    match arguments {
        1 => "1 arg".to_owned(),
        many => format!("{many} args"),
    }
}
