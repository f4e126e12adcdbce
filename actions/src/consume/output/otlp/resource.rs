//! Whose spans, records and metrics they are: the machine's, and a process's.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use provider::process::Membership;

use super::value::{attribute, number, text};

/// What there is to know of a process.
pub(super) type OfProcess = fn(u32) -> Membership;

/// So many processes are remembered; what is known of others is asked for again.
const MOST: usize = 1 << 14;

/// Resources by process.
#[derive(Debug)]
pub(super) struct Resources {
    /// Attributes that all have.
    common: Vec<(String, String)>,
    ask: OfProcess,
    known: HashMap<u32, Resource>,
}

impl Resources {
    pub(super) fn new(common: Vec<(String, String)>, ask: OfProcess) -> Self {
        Self {
            common,
            ask,
            known: HashMap::new(),
        }
    }

    /// Asks what a process is, while it is there.
    pub(super) fn meet(&mut self, process: Option<u32>) {
        if let Some(process) = process.filter(|process| *process != 0)
            && !self.known.contains_key(&process)
        {
            self.ask(process);
        }
    }

    /// That of a process, or of the machine alone.
    pub(super) fn of(&mut self, process: Option<u32>) -> Resource {
        let Some(process) = process.filter(|process| *process != 0) else {
            return self.machine();
        };
        match self.known.get(&process) {
            Some(known) => known.clone(),
            None => self.ask(process),
        }
    }

    fn ask(&mut self, process: u32) -> Resource {
        let mut resource = self.machine();
        let Membership {
            executable,
            container,
            pod,
        } = (self.ask)(process);
        let mut add = |key: &str, value| resource.attributes.push(attribute(key, value));
        add("process.pid", number(process.into()));
        for (key, value) in [
            ("process.executable.name", executable),
            ("container.id", container),
            ("k8s.pod.uid", pod),
        ] {
            if let Some(value) = value {
                add(key, text(value));
            }
        }
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(process, resource.clone());
        resource
    }

    fn machine(&self) -> Resource {
        let common = self.common.iter();
        Resource {
            attributes: common
                .map(|(key, value)| attribute(key, text(value)))
                .collect(),
            ..Resource::default()
        }
    }
}

/// Who says all this.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "rdtrace".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..InstrumentationScope::default()
    }
}
