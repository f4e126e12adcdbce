//! The outputs: what the events of a run are shown as, one file for each format.
//!
//! | format | file | made of |
//! | --- | --- | --- |
//! | `text` | `text` | every event, as DTrace prints it |
//! | `json` | `json` | every event, one object a line |
//! | `csv` | `csv` | values and aggregations, one table |
//! | `folded`, `flamegraph`, `pprof` | `folded`, `flamegraph`, `pprof` | stacks ([`stacks`]), by [`of_stacks`] |
//! | `speedscope` | `speedscope` | calls in their order, and stacks, by [`of_stacks`] |
//! | `prometheus` | `prometheus` | aggregations |
//! | `top` | `top` | stacks, while they are collected |
//! | `otlp` | `otlp` | calls, all other records, aggregations |
//! | `chrome` | `chrome` | calls ([`calls`]), all other records, aggregations |
//!
//! Entry and return probes are calls, of whatever provider they are: [`calls`] puts them together.

mod calls;
mod chrome;
mod columns;
mod csv;
mod flamegraph;
mod folded;
mod json;
mod of_stacks;
mod otlp;
mod pprof;
mod prometheus;
mod series;
mod speedscope;
mod stacks;
#[cfg(test)]
mod tests;
mod text;
mod top;
mod values;

use self::chrome::Chrome;
use self::csv::Csv;
use self::flamegraph::Flamegraph;
use self::folded::Folded;
use self::json::Json;
use self::of_stacks::OfStacks;
use self::otlp::Otlp;
use self::pprof::Pprof;
use self::prometheus::Prometheus;
pub(super) use self::prometheus::{metrics, own};
use self::speedscope::Speedscope;
use self::text::Text;
use self::top::Top;
use super::event::Output;
use super::format::OutputFormat;
use super::options::OutputOptions;

pub use self::flamegraph::difference;

/// The output of a format.
pub(super) fn open(format: OutputFormat, options: &OutputOptions) -> Box<dyn Output> {
    match format {
        OutputFormat::Text => Box::new(Text::new(options)),
        OutputFormat::Json => Box::new(Json::new(options)),
        OutputFormat::Csv => Box::new(Csv::default()),
        OutputFormat::Folded => Box::new(OfStacks::new(Folded)),
        OutputFormat::Flamegraph => Box::new(OfStacks::new(Flamegraph)),
        OutputFormat::Speedscope => Box::new(OfStacks::new(Speedscope::default())),
        OutputFormat::Chrome => Box::new(Chrome::new(options)),
        OutputFormat::Pprof => Box::new(OfStacks::new(Pprof::new(options))),
        OutputFormat::Top => Box::new(Top::default()),
        OutputFormat::Otlp => Box::new(Otlp::new(options)),
        OutputFormat::Prometheus => Box::new(Prometheus::default()),
    }
}
