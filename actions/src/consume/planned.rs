//! An ECB as the consumer has it: what there is to do for a record, prepared once for all of them.

use std::sync::Arc;

use dlang::format::Format;
use dlang::program::{AggId, Expr};
use dlang::types::Type;

use super::names::Namer;
use super::{aggregate, printf};
use crate::record::{Ecb, OutputKind, Speculation};

/// An ECB and its outputs, ready to run.
#[derive(Debug)]
pub(super) struct PlannedEcb {
    pub(super) ecb: Ecb,
    pub(super) outputs: Vec<PlannedOutput>,
    /// The fields with the speculation that its records are of, if it has any: not those of a clause
    /// that ends one.
    pub(super) tentative: Option<Speculation>,
    /// Whether all that it does is to end speculations, which shows nothing of its own.
    pub(super) silent: bool,
}

/// What one action does.
#[derive(Debug)]
pub(super) struct PlannedOutput {
    /// The field that says whether it is done at all, if there is one.
    pub(super) guard: Option<u16>,
    pub(super) kind: Planned,
}

/// The same without its guard.
#[derive(Debug)]
pub(super) enum Planned {
    Trace(Expr),
    Printf(printf::Plan, Vec<Expr>),
    Printa(Option<aggregate::Plan>, Vec<AggId>),
    Clear(AggId),
    Trunc(AggId, Option<Expr>),
    Normalize(AggId, Expr),
    Denormalize(AggId),
    Tracemem(Expr, Option<Expr>),
    Print {
        address: Expr,
        memory: Expr,
        ty: Arc<Type>,
    },
    Speculate,
    /// `commit()`, or else `discard()`.
    End(Speculation, bool),
    System(printf::Plan),
    Freopen(Option<printf::Plan>),
    Ftruncate,
    Setopt(Expr, Option<Expr>),
    /// What the kernel side has done already.
    Nothing,
}

impl PlannedEcb {
    pub(super) fn new(ecb: Ecb, strsize: u32, names: &Namer) -> Self {
        let format_plan = |format: &Format, args: &[Expr]| {
            printf::Plan::new(format, args, &ecb, (strsize, names.clone()))
        };
        let plan = |kind: &OutputKind| match kind {
            OutputKind::Trace(expr) => Planned::Trace(expr.clone()),
            OutputKind::Printf(format, args) => {
                Planned::Printf(format_plan(format, args), args.clone())
            }
            OutputKind::Printa(format, ids) => {
                let plan = format
                    .as_ref()
                    .map(|format| aggregate::Plan::new(format, ids.len()));
                Planned::Printa(plan, ids.clone())
            }
            OutputKind::Exit | OutputKind::Silent => Planned::Nothing,
            OutputKind::System(format, args) => Planned::System(format_plan(format, args)),
            OutputKind::Freopen(format, args) => {
                Planned::Freopen(format.as_ref().map(|format| format_plan(format, args)))
            }
            OutputKind::Ftruncate => Planned::Ftruncate,
            OutputKind::Setopt(name, value) => Planned::Setopt(name.clone(), value.clone()),
            OutputKind::Clear(id) => Planned::Clear(*id),
            OutputKind::Trunc(id, keep) => Planned::Trunc(*id, keep.clone()),
            OutputKind::Normalize(id, normal) => Planned::Normalize(*id, normal.clone()),
            OutputKind::Denormalize(id) => Planned::Denormalize(*id),
            OutputKind::Tracemem(memory, shown) => Planned::Tracemem(memory.clone(), shown.clone()),
            OutputKind::Print {
                address,
                memory,
                ty,
            } => Planned::Print {
                address: address.clone(),
                memory: memory.clone(),
                ty: Arc::clone(ty),
            },
            OutputKind::Speculate(_) => Planned::Speculate,
            OutputKind::Commit(fields) => Planned::End(*fields, true),
            OutputKind::Discard(fields) => Planned::End(*fields, false),
        };
        let outputs = ecb.layout.outputs.iter();
        let outputs = outputs
            .map(|output| PlannedOutput {
                guard: output.guard,
                kind: plan(&output.kind),
            })
            .collect();
        let kinds = || ecb.layout.outputs.iter().map(|output| &output.kind);
        let ends =
            |kind: &OutputKind| matches!(kind, OutputKind::Commit(_) | OutputKind::Discard(_));
        let is_tentative = |kind: &OutputKind| {
            if let OutputKind::Speculate(fields) = kind {
                Some(*fields)
            } else {
                None
            }
        };
        let commits = kinds().any(|kind| matches!(kind, OutputKind::Commit(_)));
        let tentative = kinds().find_map(is_tentative).filter(|_| !commits);
        let silent = kinds().any(ends)
            && kinds().all(|kind| ends(kind) || matches!(kind, OutputKind::Speculate(_)));
        Self {
            ecb,
            outputs,
            tentative,
            silent,
        }
    }
}
