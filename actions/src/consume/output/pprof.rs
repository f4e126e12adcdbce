//! `-x oformat=pprof`: a profile for `pprof`: `profile.proto` of the pprof project, compressed by gzip.
//!
//! Each profile of [`stacks`](super::stacks) is a sample type of its own. All of the file's text is in
//! one table, whose first must be empty; ids count from 1.

use std::collections::HashMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use super::super::decode::Record;
use super::super::options::OutputOptions;
use super::calls::{Frame, Step, source};
use super::of_stacks::Form;
use super::stacks::{Profile, Stacks};

/// `profile.proto`.
#[derive(Debug)]
pub(super) struct Pprof {
    wall_offset: i64,
    /// The time of the first record.
    start: Option<u64>,
}

impl Pprof {
    pub(super) fn new(options: &OutputOptions) -> Self {
        Self {
            wall_offset: options.wall_offset,
            start: None,
        }
    }
}

impl Form for Pprof {
    fn record(&mut self, record: &Record<'_>, _step: Step, _stacks: &mut Stacks) {
        self.start = self.start.or(record.time());
    }

    fn write(&mut self, stacks: &Stacks, profiles: &[Profile], time: u64, out: &mut Vec<u8>) {
        let mut file = file(stacks, profiles);
        if let Some(start) = self.start {
            file.time_nanos = self.wall_offset.saturating_add_unsigned(start);
            let duration = time.saturating_sub(start);
            file.duration_nanos = i64::try_from(duration).unwrap_or(i64::MAX);
        }
        let mut writer = GzEncoder::new(out, Compression::default());
        let written = writer.write_all(&file.encode_to_vec());
        let written = written.and_then(|()| writer.try_finish());
        written.expect("a vector takes all bytes");
    }
}

fn file(stacks: &Stacks, profiles: &[Profile]) -> proto::Profile {
    let mut texts = Texts::default();
    texts.number("");
    let mut file = proto::Profile::default();
    for (index, profile) in profiles.iter().enumerate() {
        file.sample_type.push(proto::ValueType {
            kind: texts.number(&profile.title),
            unit: texts.number(profile.unit.word()),
        });
        for (node, value) in profile.values() {
            let mut values = vec![0; profiles.len()];
            values[index] = value;
            let frames = stacks.tree.frames(node);
            file.sample.push(proto::Sample {
                location_id: frames.map(|Frame(frame)| u64::from(frame) + 1).collect(),
                value: values,
            });
        }
    }
    for (id, text) in (1..).zip(stacks.frames().texts()) {
        let (name, place) = source(text).unwrap_or((text, ("", 0)));
        let name = texts.number(name);
        file.function.push(proto::Function {
            id,
            name,
            system_name: name,
            filename: texts.number(place.0),
            start_line: place.1,
        });
        file.location.push(proto::Location {
            id,
            line: vec![proto::Line {
                function_id: id,
                line: place.1,
            }],
        });
    }
    file.string_table = texts.all;
    file
}

/// The file's table of texts.
#[derive(Debug, Default)]
struct Texts {
    all: Vec<String>,
    numbers: HashMap<String, i64>,
}

impl Texts {
    fn number(&mut self, text: &str) -> i64 {
        let next = i64::try_from(self.all.len()).unwrap_or(i64::MAX);
        let number = *self.numbers.entry(text.to_owned()).or_insert(next);
        if number == next {
            self.all.push(text.to_owned());
        }
        number
    }
}

/// What is used of `profile.proto`, with its numbers.
mod proto {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Profile {
        #[prost(message, repeated, tag = "1")]
        pub(super) sample_type: Vec<ValueType>,
        #[prost(message, repeated, tag = "2")]
        pub(super) sample: Vec<Sample>,
        #[prost(message, repeated, tag = "4")]
        pub(super) location: Vec<Location>,
        #[prost(message, repeated, tag = "5")]
        pub(super) function: Vec<Function>,
        #[prost(string, repeated, tag = "6")]
        pub(super) string_table: Vec<String>,
        #[prost(int64, tag = "9")]
        pub(super) time_nanos: i64,
        #[prost(int64, tag = "10")]
        pub(super) duration_nanos: i64,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(super) struct ValueType {
        #[prost(int64, tag = "1")]
        pub(super) kind: i64,
        #[prost(int64, tag = "2")]
        pub(super) unit: i64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Sample {
        #[prost(uint64, repeated, tag = "1")]
        pub(super) location_id: Vec<u64>,
        #[prost(int64, repeated, tag = "2")]
        pub(super) value: Vec<i64>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Location {
        #[prost(uint64, tag = "1")]
        pub(super) id: u64,
        #[prost(message, repeated, tag = "4")]
        pub(super) line: Vec<Line>,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(super) struct Line {
        #[prost(uint64, tag = "1")]
        pub(super) function_id: u64,
        #[prost(int64, tag = "2")]
        pub(super) line: i64,
    }

    #[derive(Clone, Copy, PartialEq, prost::Message)]
    pub(super) struct Function {
        #[prost(uint64, tag = "1")]
        pub(super) id: u64,
        #[prost(int64, tag = "2")]
        pub(super) name: i64,
        #[prost(int64, tag = "3")]
        pub(super) system_name: i64,
        #[prost(int64, tag = "4")]
        pub(super) filename: i64,
        #[prost(int64, tag = "5")]
        pub(super) start_line: i64,
    }
}
