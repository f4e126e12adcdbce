//! Declarations, types, inlines, translators and providers.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the grammar says which rules a part can be; the last arm is the last of these"
)]

use pest::iterators::Pair;

use super::{Builder, Rule};
use crate::ast::{
    BaseType, Declaration, Declarator, DeclaratorPart, Expr, Inline, MemberDecl, Name, Parameter,
    Prototype, Provider, ProviderProbe, Specifiers, Translator, TypeName,
};
use crate::diag::Span;

/// How many pointers, arrays and functions one declarator may have.
const MAX_PARTS: usize = 32;

impl Builder<'_> {
    pub(super) fn declaration(&self, pair: Pair<'_, Rule>) -> Declaration {
        let span = self.span(&pair);
        let mut parts = pair.into_inner();
        let specifiers = self.specifiers(parts.next(), span);
        Declaration {
            specifiers,
            declarators: parts.map(|d| self.declarator(d)).collect(),
            span,
        }
    }

    pub(super) fn inline(&self, pair: Pair<'_, Rule>) -> Inline {
        let span = self.span(&pair);
        let mut parts = pair.into_inner().skip(1);
        let specifiers = self.specifiers(parts.next(), span);
        let mut pointers = 0u8;
        let mut name = Name {
            text: String::new(),
            span,
        };
        let mut parameters = None;
        let (mut variadic, mut sized) = (false, false);
        for part in parts.next().into_iter().flat_map(Pair::into_inner) {
            match part.as_rule() {
                Rule::pointer => pointers = pointers.saturating_add(1),
                Rule::ident => name = self.name(&part),
                Rule::inline_size => sized = true,
                _ => {
                    let mut inner = part.clone().into_inner();
                    variadic = inner.any(|part| part.as_rule() == Rule::ellipsis);
                    parameters = Some(self.parameters(part));
                }
            }
        }
        let body = self.some_expr(parts.next(), span);
        Inline {
            specifiers,
            pointers,
            name,
            parameters,
            variadic,
            sized,
            body,
            span,
        }
    }

    pub(super) fn translator(&self, pair: Pair<'_, Rule>) -> Translator {
        let span = self.span(&pair);
        let mut parts = pair.into_inner().skip(1);
        let output = match parts.next() {
            Some(output) => self.type_name(output),
            None => self.type_from(None, Vec::new(), span),
        };
        let input = self.specifiers(parts.next(), span);
        let parameter = parts.next().map(|d| self.declarator(d)).unwrap_or_default();
        let members = parts
            .map(|member| {
                let mut inner = member.into_inner();
                let name = inner.next().map(|n| self.name(&n));
                let name = name.unwrap_or(Name {
                    text: String::new(),
                    span,
                });
                (name, self.some_expr(inner.next(), span))
            })
            .collect();
        Translator {
            output,
            input,
            parameter,
            members,
            span,
        }
    }

    pub(super) fn provider(&self, pair: Pair<'_, Rule>) -> Provider {
        let span = self.span(&pair);
        let mut parts = pair.into_inner().skip(1);
        let name = parts.next().map(|n| self.name(&n));
        let name = name.unwrap_or(Name {
            text: String::new(),
            span,
        });
        let probes = parts
            .filter_map(|probe| {
                let mut inner = probe.into_inner().skip(1);
                Some(ProviderProbe {
                    name: self.name(&inner.next()?),
                    input: self.prototype(inner.next()?),
                    output: inner.next().map(|output| self.prototype(output)),
                })
            })
            .collect();
        Provider { name, probes, span }
    }

    fn prototype(&self, pair: Pair<'_, Rule>) -> Prototype {
        let mut parts = pair.clone().into_inner();
        Prototype {
            variadic: parts.any(|part| part.as_rule() == Rule::ellipsis),
            span: self.span(&pair),
            parameters: self.parameters(pair),
        }
    }

    /// A type as in a cast or `sizeof`.
    pub(super) fn type_name(&self, pair: Pair<'_, Rule>) -> TypeName {
        let span = self.span(&pair);
        let mut parts = pair.into_inner();
        let specifiers = parts.next();
        let declarator = parts.collect();
        self.type_from(specifiers, declarator, span)
    }

    fn type_from(
        &self,
        specifiers: Option<Pair<'_, Rule>>,
        declarator: Vec<Pair<'_, Rule>>,
        span: Span,
    ) -> TypeName {
        let specifiers = self.specifiers(specifiers, span);
        let declarator = declarator.into_iter().next().map(|d| self.declarator(d));
        TypeName {
            specifiers,
            declarator: declarator.unwrap_or_default(),
        }
    }

    pub(super) fn specifiers(&self, pair: Option<Pair<'_, Rule>>, span: Span) -> Specifiers {
        let span = pair.as_ref().map_or(span, |pair| self.span(pair));
        let mut qualifiers = Vec::new();
        let mut words = Vec::new();
        let mut base = None;
        for part in pair.into_iter().flat_map(Pair::into_inner) {
            match part.as_rule() {
                Rule::qualifier => qualifiers.push(self.name(&part)),
                Rule::basic => words.push(part.as_str().to_owned()),
                Rule::struct_spec => base = Some(self.struct_spec(part)),
                Rule::enum_spec => base = Some(self.enum_spec(part)),
                _ => base = Some(BaseType::Named(part.as_str().trim().to_owned())),
            }
        }
        Specifiers {
            qualifiers,
            base: match base {
                None => BaseType::Words(words),
                Some(_) if !words.is_empty() => BaseType::Mixed(words),
                Some(base) => base,
            },
            span,
        }
    }

    fn struct_spec(&self, pair: Pair<'_, Rule>) -> BaseType {
        let (mut union, mut tag, mut members) = (false, String::new(), None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::struct_or_union => union = part.as_str() == "union",
                Rule::scoped_ident => part.as_str().clone_into(&mut tag),
                _ => members = Some(part.into_inner().map(|m| self.member(m)).collect()),
            }
        }
        BaseType::Struct {
            union,
            tag,
            members,
        }
    }

    fn member(&self, pair: Pair<'_, Rule>) -> MemberDecl {
        let span = self.span(&pair);
        let mut parts = pair.into_inner();
        let specifiers = self.specifiers(parts.next(), span);
        let declarators = parts
            .map(|part| {
                let (mut declarator, mut width) = (None, None);
                for piece in part.into_inner() {
                    if piece.as_rule() == Rule::declarator {
                        declarator = Some(self.declarator(piece));
                    } else {
                        width = piece.into_inner().next().map(|e| self.expr(e));
                    }
                }
                (declarator, width)
            })
            .collect();
        MemberDecl {
            specifiers,
            declarators,
        }
    }

    fn enum_spec(&self, pair: Pair<'_, Rule>) -> BaseType {
        let (mut tag, mut enumerators) = (String::new(), None);
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::scoped_ident => part.as_str().clone_into(&mut tag),
                Rule::enumerators => {
                    let list = part.into_inner().filter_map(|enumerator| {
                        let mut inner = enumerator.into_inner();
                        let name = self.name(&inner.next()?);
                        Some((name, inner.next().map(|e| self.expr(e))))
                    });
                    enumerators = Some(list.collect());
                }
                _ => {}
            }
        }
        BaseType::Enum { tag, enumerators }
    }

    /// Any kind of declarator: its parts from the name outwards, suffixes before pointers.
    pub(super) fn declarator(&self, pair: Pair<'_, Rule>) -> Declarator {
        let span = self.span(&pair);
        let mut pointers = 0;
        let mut declarator = Declarator {
            span,
            ..Declarator::default()
        };
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::pointer => pointers += 1,
                Rule::ident => declarator.name = Some(self.name(&part)),
                Rule::declarator | Rule::any_declarator => {
                    let inner = self.declarator(part);
                    declarator.name = inner.name;
                    declarator.parts = inner.parts;
                }
                Rule::parameters => {
                    let parameters = self.parameters(part);
                    declarator.parts.push(DeclaratorPart::Function(parameters));
                }
                _ => declarator.parts.push(self.array_suffix(part)),
            }
        }
        if declarator.parts.len() + pointers > MAX_PARTS {
            self.too_deep(span);
            return declarator;
        }
        declarator
            .parts
            .extend((0..pointers).map(|_| DeclaratorPart::Pointer));
        declarator
    }

    fn array_suffix(&self, pair: Pair<'_, Rule>) -> DeclaratorPart {
        let mut parts = pair.into_inner();
        let first = parts.next();
        let is_open = parts.next().is_some();
        let is_open = is_open
            || first
                .as_ref()
                .is_some_and(|part| part.as_rule() == Rule::ellipsis);
        match first {
            None => DeclaratorPart::Array(None),
            Some(_) if is_open => DeclaratorPart::OpenKeys,
            Some(keys) if keys.as_rule() == Rule::key_types => {
                DeclaratorPart::Keys(keys.into_inner().map(|ty| self.type_name(ty)).collect())
            }
            Some(size) => DeclaratorPart::Array(Some(self.size(size))),
        }
    }

    fn size(&self, pair: Pair<'_, Rule>) -> Expr {
        if pair.as_rule() == Rule::expr {
            self.expr(pair)
        } else {
            self.primary(pair)
        }
    }

    fn parameters(&self, pair: Pair<'_, Rule>) -> Vec<Parameter> {
        pair.into_inner()
            .filter(|part| part.as_rule() == Rule::parameter)
            .map(|parameter| {
                let span = self.span(&parameter);
                let mut inner = parameter.into_inner();
                let specifiers = self.specifiers(inner.next(), span);
                let declarator = inner.next().map(|d| self.declarator(d)).unwrap_or_default();
                Parameter {
                    specifiers,
                    declarator,
                }
            })
            .collect()
    }

    fn some_expr(&self, pair: Option<Pair<'_, Rule>>, span: Span) -> Expr {
        match pair {
            Some(pair) => self.expr(pair),
            None => super::expr::stand_in(span),
        }
    }
}
