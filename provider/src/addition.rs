//! Adding to a session that runs: maps, programs and attachments that belong together, all of them
//! or none.
//!
//! What is made through an [`Addition`] is in the session at once, so that later parts can name
//! earlier ones; but unless [`join`](Addition::join) is called, dropping the addition detaches, unloads
//! and frees it, and the session is as it was. Ids are given as if it had never been there.

use std::ops::{Deref, DerefMut};

use crate::object::MapKind;
use crate::session::{Link, LinkId, Session, close_all, lock};

/// Something that is being added to a session.
#[derive(Debug)]
pub struct Addition<'s> {
    session: &'s mut Session,
    maps: usize,
    programs: usize,
    attachments: usize,
    raised: usize,
}

impl Session {
    /// Begins to add something.
    pub fn add(&mut self) -> Addition<'_> {
        let links = lock(&self.links);
        let (attachments, raised) = (links.attached.len(), links.raised.len());
        drop(links);
        Addition {
            maps: self.maps.len(),
            programs: self.programs.len(),
            attachments,
            raised,
            session: self,
        }
    }
}

impl Addition<'_> {
    /// Makes it a part of the session. The descriptors of its programs and of their read-only data are
    /// closed: what is attached keeps them in the kernel.
    pub fn join(mut self) -> Vec<LinkId> {
        let (attachments, raised) = {
            let links = lock(&self.session.links);
            (links.attached.len(), links.raised.len())
        };
        let added = self.attachments..attachments;
        for program in &mut self.session.programs[self.programs..] {
            program.fd = None;
        }
        let mut kept = Vec::new();
        for map in &mut self.session.maps[self.maps..] {
            map.take_if(|map| map.spec().read_only);
            kept.extend(map.take_if(|map| map.spec().kind == MapKind::Programs));
        }
        // Programs go on in others for as long as they are attached.
        let mut links = lock(&self.session.links);
        if let Some(last) = links.attached[added.clone()].last_mut() {
            last.extend(kept.into_iter().map(Link::keeping));
        }
        drop(links);
        self.maps = self.session.maps.len();
        self.programs = self.session.programs.len();
        self.attachments = attachments;
        self.raised = raised;
        added.map(LinkId).collect()
    }
}

impl Drop for Addition<'_> {
    fn drop(&mut self) {
        let links = {
            let mut all = lock(&self.session.links);
            // When everything has been detached for good meanwhile, there are fewer.
            let raised = self.raised.min(all.raised.len());
            let raised = all.raised.split_off(raised).into_iter();
            let attached = self.attachments.min(all.attached.len());
            let attached = all.attached.split_off(attached).into_iter().flatten();
            attached
                .chain(raised.flat_map(|raised| raised.links))
                .collect()
        };
        close_all(links);
        self.session.programs.truncate(self.programs);
        self.session.maps.truncate(self.maps);
    }
}

impl Deref for Addition<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session
    }
}

impl DerefMut for Addition<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        self.session
    }
}
