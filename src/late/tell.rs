//! Messages about probes that were attached late, or not at all: the output alone does not show what is
//! missing from it.

use std::path::PathBuf;
use std::sync::Arc;

use provider::catalog::Started;
use provider::doctor::Diagnosis;
use provider::interpreters::{is_file_of_one, is_of_one};
use provider::probe::File;
use provider::process::files::{may_look_into_all, runs};
use provider::text::escaped;

use super::Late;
use super::told::TOLD;
use crate::compile::{Spec, no_match, with_reason};

impl Late {
    /// Tells which processes were ahead of their probes; `running` says it of those that have not ended.
    pub(super) fn tell_late(&mut self, started: &[Started], running: &str) {
        for process in started {
            let pid = process.pid;
            let Some(enabler) = self.worker.idle() else {
                return;
            };
            let Some(file) = self.times.missed(process, &enabler.catalog) else {
                continue;
            };
            if !self.told.late.insert((pid, file.identity)) {
                continue;
            }
            let fate = if runs(pid) {
                running
            } else {
                "had ended before its probes were attached: its events"
            };
            // Those in `PATH` are looked for when tracing begins, where a description may mean them.
            let advice = if is_of_one(&file) && !self.told.advice && process.root.is_some() {
                self.told.advice = true;
                "; of a Python whose directory is in PATH, nothing is missed"
            } else {
                ""
            };
            let file = file.shown.display();
            self.messages.say(&format!(
                "process {pid} {fate} in {file} are not seen{advice}"
            ));
        }
    }

    /// Tells which programs had come and gone, their files too, before anybody could look at them.
    pub(super) fn tell_unseen(&mut self, started: &[Started]) {
        let enabler = self.worker.idle();
        let vanished = enabler.map(|enabler| enabler.catalog.vanished());
        let vanished = vanished.unwrap_or_default();
        for process in started {
            let told = &mut self.told.late;
            let mapped = process.mapped.files.iter().map(|(file, _)| file);
            let mapped = mapped.filter(|file| {
                let is_it =
                    |gone: &Arc<File>| gone.identity == file.identity && gone.born == file.born;
                vanished.iter().any(is_it) && told.insert((process.pid, file.identity))
            });
            let mapped = mapped.map(|file| file.shown.display().to_string());
            let names: Vec<String> = process
                .mapped
                .gone
                .iter()
                .map(escaped)
                .chain(mapped)
                .collect();
            let python = names.iter().find(|name| is_file_of_one(name.as_ref()));
            let Some(name) = python else {
                // Any program may have probes. Most have none, and in another root all that have
                // ended look like this: these are counted. (A command is stopped at each of its programs.)
                if !names.is_empty() && self.command != Some(process.pid) {
                    self.told.undecided.insert(process.pid);
                }
                continue;
            };
            // Of another user's it is not known whether it has ended.
            if !may_look_into_all() {
                if !std::mem::replace(&mut self.told.hidden, true) {
                    self.messages.say(&format!(
                        "process {} has started {name}, which could not be looked at, nor will others of \
                         other users be: this needs root, or CAP_SYS_PTRACE",
                        process.pid,
                    ));
                }
                continue;
            }
            self.told.unseen += 1;
            if self.told.unseen <= TOLD {
                self.messages.say(&format!(
                    "process {} had ended before {name} could be looked at: if there are probes in it, \
                     its events are not seen",
                    process.pid,
                ));
            }
        }
    }

    /// Tells that a followed process runs a Python that lacks what a description means. Once for each
    /// interpreter.
    pub(super) fn tell_lacking(
        &mut self,
        process: &Started,
        why: &Diagnosis,
        key: (Spec, PathBuf),
    ) {
        // By now it may be another program than the one that was looked at.
        if process.is_as_it_was() && self.told.lacking.insert(key) {
            self.messages.say(&why.to_string());
        }
    }

    /// Tells which processes have brought files that nobody could look at before the run ended.
    pub(super) fn tell_unfinished<'s>(&self, started: impl Iterator<Item = &'s Started>) {
        let of_process = |process: &'s Started| {
            let mapped = process.mapped.files.iter().map(|(file, _)| file);
            let mut files = mapped.chain(&process.files);
            let file = files.find(|file| !self.times.is_known(file))?;
            Some((process.pid, file))
        };
        // Pythons most likely have some: each of them is told.
        let (pythons, others): (Vec<_>, Vec<_>) = started
            .filter_map(of_process)
            .partition(|(_, file)| is_of_one(file));
        let untold = others.len().saturating_sub(TOLD);
        for (pid, file) in pythons.iter().chain(others.iter().take(TOLD)) {
            let file = file.shown.display();
            self.messages.say(&format!(
                "process {pid} had only just started when tracing ended: if {file} has probes, its \
                 events are not seen"
            ));
        }
        if untold > 0 {
            self.messages.say(&format!(
                "{untold} more processes had only just started when tracing ended"
            ));
        }
    }

    /// Tells why a file's probes are not enabled; of too many files only how many, in the end.
    pub(super) fn tell_refused(&mut self, file: &File, error: &anyhow::Error) {
        self.told.refused.insert(file.identity);
        if self.told.refused.len() <= TOLD {
            let file = file.shown.display();
            self.messages
                .say(&format!("the probes in {file} are not enabled: {error:#}"));
        }
    }

    /// Tells how much could not be traced, as far as that has not been told one by one.
    pub(crate) fn report_untraced(&self) {
        let refused = self.told.refused.len();
        if refused > TOLD {
            self.messages.say(&format!(
                "the probes in {refused} files were not enabled, of which the first {TOLD} are told \
                 above"
            ));
        }
        let unseen = self.told.unseen;
        if unseen > TOLD {
            self.messages.say(&format!(
                "{unseen} programs had ended before they could be looked at, of which the first {TOLD} \
                 are told above"
            ));
        }
        let undecided = self.told.undecided.len();
        if undecided > 0 {
            let plural = if undecided == 1 { "" } else { "es" };
            self.messages.say(&format!(
                "files of {undecided} process{plural} were gone before they could be looked at: if there \
                 were probes in them, their events are not seen"
            ));
        }
    }

    /// Tells which descriptions were awaited in vain.
    pub(crate) fn report_unmatched(&self, unmatched: &[Spec]) {
        for &spec in unmatched {
            let error = no_match(&self.parsed, self.parsed.spec(spec), &self.options);
            let why = "none of the programs that the target and its children ran had such a probe";
            self.messages.say(&with_reason(&error, why));
        }
    }
}
