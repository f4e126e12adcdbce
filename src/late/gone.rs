//! Detaching from files that have been deleted and that nobody runs any more.

use std::sync::Arc;
use std::time::Instant;

use provider::probe::File;
use provider::process::files::gone_for_good;
use provider::session::LinkId;

use super::Enabler;

/// What has been attached since tracing began.
#[derive(Debug, Default)]
pub(super) struct Attached {
    links: Vec<(LinkId, Arc<File>)>,
    /// When it is looked for files among these that are gone; not before.
    look: Option<Instant>,
}

impl Attached {
    pub(super) fn add(&mut self, links: Vec<(LinkId, Arc<File>)>) {
        self.links.extend(links);
    }

    /// Detaches from files that are gone. Looking for them takes a hundredth of the time at most.
    pub(super) fn release_gone(&mut self, enabler: &mut Enabler) {
        let now = Instant::now();
        if self.links.is_empty() || self.look.is_some_and(|look| now < look) {
            return;
        }
        let files = self.links.iter().map(|(_, file)| Arc::clone(file));
        let gone = gone_for_good(&files.collect::<Vec<_>>());
        self.look = Some(Instant::now() + 100 * now.elapsed());
        self.links.retain(|(link, file)| {
            let is_gone = gone.iter().any(|gone| gone.identity == file.identity)
                && !enabler.catalog.stands_for_others(file);
            if is_gone {
                enabler.enabling.session.detach_file(*link, file);
                enabler.catalog.forget(file);
            }
            !is_gone
        });
    }
}
