//! Links: a program is attached until its link is closed.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::map::Map;
use crate::object::UprobeSite;
use crate::probe::{File, Scope};

/// What is attached.
#[derive(Debug, Default)]
pub(crate) struct Links {
    /// By [`LinkId`].
    pub(crate) attached: Vec<Vec<Link>>,
    pub(crate) raised: Vec<Raised>,
    /// Whether everything has been detached for good.
    pub(crate) is_over: bool,
}

/// Detaches all that a session has attached, while another thread may be busy with the session.
#[derive(Clone, Debug)]
pub struct Detacher(pub(super) Arc<Mutex<Links>>);

impl Detacher {
    /// Detaches everything for good; returns when no program runs any more. What is attached from now
    /// on is detached at once.
    pub fn detach_all(&self) {
        let links = {
            let mut links = lock(&self.0);
            links.is_over = true;
            links.take_all()
        };
        close_all(links);
    }
}

impl Links {
    pub(crate) fn take_all(&mut self) -> Vec<Link> {
        let raised = self.raised.drain(..).flat_map(|raised| raised.links);
        let attached = self.attached.iter_mut().flat_map(std::mem::take);
        attached.chain(raised).collect()
    }
}

/// No panic leaves links half changed.
pub(crate) fn lock(links: &Mutex<Links>) -> MutexGuard<'_, Links> {
    links.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Semaphores that are held raised.
#[derive(Debug)]
pub(crate) struct Raised {
    pub(crate) file: Arc<File>,
    pub(crate) scope: Scope,
    pub(crate) sites: Vec<UprobeSite>,
    pub(crate) links: Vec<Link>,
}

/// What keeps a program attached; the order of the fields is the order of closing.
#[derive(Debug)]
pub(crate) struct Link {
    pub(super) _attached: Option<OwnedFd>,
    pub(super) _event: Option<OwnedFd>,
    /// The map of programs that the attached one goes on in.
    pub(crate) parts: Option<Map>,
}

impl Link {
    /// Keeps a map of programs for as long as what goes on in them is attached.
    pub(crate) fn keeping(parts: Map) -> Self {
        Self {
            _attached: None,
            _event: None,
            parts: Some(parts),
        }
    }
}

/// What one call of [`Session::attach`](super::Session::attach) has attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId(pub(crate) usize);

/// Closes links, at the same time where there are several: each waits some 20-40 ms for programs
/// that still run. Those programs may go on in others until then.
pub(crate) fn close_all(links: Vec<Link>) {
    const AT_ONCE: usize = 16;
    let (_parts, links): (Vec<Link>, Vec<Link>) =
        links.into_iter().partition(|link| link.parts.is_some());
    if links.len() < 2 {
        return drop(links);
    }
    let mut shares: Vec<Vec<Link>> = (0..AT_ONCE.min(links.len())).map(|_| Vec::new()).collect();
    let count = shares.len();
    for (i, link) in links.into_iter().enumerate() {
        shares[i % count].push(link);
    }
    thread::scope(|scope| {
        for share in shares {
            scope.spawn(move || drop(share));
        }
    });
}
