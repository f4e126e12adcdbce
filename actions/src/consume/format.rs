//! The formats of the output.

/// What events are shown as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// DTrace's text.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
    /// A table with commas.
    Csv,
    /// Stacks, one a line.
    Folded,
    /// A picture of stacks: SVG.
    Flamegraph,
    /// What speedscope opens.
    Speedscope,
    /// What Perfetto and Chrome open: trace events.
    Chrome,
    /// What pprof opens.
    Pprof,
    /// Metrics of aggregations, in Prometheus' text format.
    Prometheus,
    /// Spans, metrics and records of logs for an OpenTelemetry collector.
    Otlp,
    /// Stacks while they are collected, on a screen.
    Top,
}

impl OutputFormat {
    /// All formats with their names.
    pub const ALL: &[(&str, Self)] = &[
        ("text", Self::Text),
        ("json", Self::Json),
        ("csv", Self::Csv),
        ("folded", Self::Folded),
        ("flamegraph", Self::Flamegraph),
        ("speedscope", Self::Speedscope),
        ("chrome", Self::Chrome),
        ("pprof", Self::Pprof),
        ("prometheus", Self::Prometheus),
        ("otlp", Self::Otlp),
        ("top", Self::Top),
    ];

    /// Whether it shows when a record was made, and in which thread. Records do not say otherwise.
    #[must_use]
    pub fn shows_origin(self) -> bool {
        !matches!(self, Self::Text | Self::Prometheus)
    }

    /// Whether it shows calls: what `-F` shows of entries and returns must be in their records.
    #[must_use]
    pub fn shows_calls(self) -> bool {
        match self {
            Self::Text | Self::Json | Self::Csv | Self::Prometheus => false,
            Self::Folded
            | Self::Flamegraph
            | Self::Speedscope
            | Self::Chrome
            | Self::Pprof
            | Self::Otlp
            | Self::Top => true,
        }
    }

    /// Whether it shows calls on tracks, each with times of its own: of threads, and of tasks.
    #[must_use]
    pub fn shows_tracks(self) -> bool {
        match self {
            Self::Speedscope | Self::Chrome | Self::Otlp => true,
            Self::Text
            | Self::Json
            | Self::Csv
            | Self::Prometheus
            | Self::Folded
            | Self::Flamegraph
            | Self::Pprof
            | Self::Top => false,
        }
    }

    /// Whether all that a run has to show is one document, to whose end nothing can be added: it takes
    /// the place of what a file had before.
    #[must_use]
    pub fn is_document(self) -> bool {
        match self {
            Self::Text | Self::Json | Self::Csv | Self::Folded | Self::Otlp | Self::Top => false,
            Self::Flamegraph | Self::Speedscope | Self::Chrome | Self::Pprof | Self::Prometheus => {
                true
            }
        }
    }
}
