//! The outputs: what the events of a run are shown as, one file for each format.
//!
//! | format | file | made of |
//! | --- | --- | --- |
//! | `text` | `text` | every event, as DTrace prints it |
//! | `json` | `json` | every event, one object a line |
//! | `csv` | `csv` | values and aggregations, one table |
//! | `folded`, `flamegraph`, `pprof` | `folded`, `flamegraph`, `pprof` | stacks ([`stacks`]) |
//! | `speedscope` | `speedscope` | calls in their order, and stacks |
//! | `prometheus` | `prometheus` | aggregations |
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
mod pprof;
mod prometheus;
mod speedscope;
mod stacks;
#[cfg(test)]
mod tests;
mod text;
mod values;

use self::chrome::Chrome;
use self::csv::Csv;
use self::flamegraph::Flamegraph;
use self::folded::Folded;
use self::json::Json;
use self::pprof::Pprof;
use self::prometheus::Prometheus;
pub(super) use self::prometheus::{metrics, own};
use self::speedscope::Speedscope;
use self::text::Text;
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
        OutputFormat::Folded => Box::new(Folded::default()),
        OutputFormat::Flamegraph => Box::new(Flamegraph::default()),
        OutputFormat::Speedscope => Box::new(Speedscope::default()),
        OutputFormat::Chrome => Box::new(Chrome::new(options)),
        OutputFormat::Pprof => Box::new(Pprof::new(options)),
        OutputFormat::Prometheus => Box::new(Prometheus::default()),
    }
}
