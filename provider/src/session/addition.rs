//! Adding to a session that runs: maps, programs and attachments that belong together, all of them
//! or none.
//!
//! What is made through an [`Addition`] is in the session at once, so that later parts can name
//! earlier ones; but unless [`join`](Addition::join) is called, dropping the addition detaches, unloads
//! and frees it, and the session is as it was. Ids are given as if it had never been there.

use std::ops::{Deref, DerefMut};

use super::{Link, LinkId, Session};
use crate::object::MapKind;

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
        Addition {
            maps: self.maps.len(),
            programs: self.programs.len(),
            attachments: self.attachments.len(),
            raised: self.raised.len(),
            session: self,
        }
    }
}

impl Addition<'_> {
    /// Makes it a part of the session. The descriptors of its programs and of their read-only data are
    /// closed: what is attached keeps them in the kernel.
    pub fn join(mut self) -> Vec<LinkId> {
        let added = self.attachments..self.session.attachments.len();
        for program in &mut self.session.programs[self.programs..] {
            program.fd = None;
        }
        let mut kept = Vec::new();
        for map in &mut self.session.maps[self.maps..] {
            map.take_if(|map| map.spec().read_only);
            kept.extend(map.take_if(|map| map.spec().kind == MapKind::Programs));
        }
        // Programs go on in others for as long as they are attached.
        if let Some(links) = self.session.attachments[self.attachments..].last_mut() {
            links.extend(kept.into_iter().map(Link::keeping));
        }
        self.maps = self.session.maps.len();
        self.programs = self.session.programs.len();
        self.attachments = self.session.attachments.len();
        self.raised = self.session.raised.len();
        added.map(LinkId).collect()
    }
}

impl Drop for Addition<'_> {
    fn drop(&mut self) {
        let links = self.session.attachments.drain(self.attachments..).flatten();
        let raised = self.session.raised.drain(self.raised..);
        let links = links
            .chain(raised.flat_map(|raised| raised.links))
            .collect();
        super::close_all(links);
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
