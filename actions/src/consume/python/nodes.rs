//! The objects in a record: a list of nodes, read with checks, and which of them are parts of which.
//!
//! `predicates::python` says how a node looks. All nodes of a level stand before those of the next, so
//! the parts of the containers follow each other in the order of the containers. Where the list ends early,
//! since there was no more room, the last parts are missing.

use predicates::python::{NODE_BYTES, kinds};

/// What was read of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node<'a> {
    /// One of `kinds`.
    pub(super) kind: u8,
    /// Whether a Python program made its type.
    pub(super) heap: bool,
    /// Whether it is a negative `int`.
    pub(super) negative: bool,
    /// The name of its type.
    pub(super) type_name: &'a [u8],
    /// Its address.
    pub(super) address: u64,
    /// Its size, or its first word.
    pub(super) value: u64,
    /// Its text, bytes or digits.
    pub(super) data: &'a [u8],
    /// How many of its parts were put in the queue.
    parts: usize,
}

/// The objects of a record.
#[derive(Debug)]
pub(super) struct Nodes<'a> {
    nodes: Vec<Node<'a>>,
    /// Where the parts of each one start.
    firsts: Vec<usize>,
}

impl<'a> Nodes<'a> {
    /// Reads the list, as far as it makes sense.
    pub(super) fn read(mut bytes: &'a [u8]) -> Self {
        let (mut nodes, mut firsts) = (Vec::new(), Vec::new());
        let mut next = 1_usize;
        while let Some((node, rest)) = Node::read(bytes) {
            firsts.push(next);
            next = next.saturating_add(node.parts);
            nodes.push(node);
            bytes = rest;
        }
        Self { nodes, firsts }
    }

    /// The object.
    pub(super) fn get(&self, index: usize) -> Option<&Node<'a>> {
        self.nodes.get(index)
    }

    /// Which objects are the parts of one, as far as they were read; they come later in the list.
    pub(super) fn parts(&self, index: usize) -> std::ops::Range<usize> {
        let (Some(node), Some(&first)) = (self.nodes.get(index), self.firsts.get(index)) else {
            return 0..0;
        };
        let end = first.saturating_add(node.parts).min(self.nodes.len());
        first.min(end)..end
    }
}

impl<'a> Node<'a> {
    /// The first node of a list, and the rest.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let word = |at: usize| Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let [kind, flags, name_low, name_high, ..] = *bytes else {
            return None;
        };
        let name = usize::from(u16::from_ne_bytes([name_low, name_high]));
        let length = u32::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
        let length = usize::try_from(length).ok()?;
        let is_container = matches!(
            kind,
            kinds::TUPLE | kinds::LIST | kinds::DICT | kinds::SET | kinds::EXCEPTION
        );
        let (data, parts) = if is_container {
            (0, length)
        } else {
            (length, 0)
        };
        let name_end = (NODE_BYTES as usize).checked_add(name)?;
        let data_at = name_end.next_multiple_of(8);
        let data_end = data_at.checked_add(data)?;
        let type_name = bytes.get(NODE_BYTES as usize..name_end)?;
        let node = Self {
            kind,
            heap: flags & 1 != 0,
            negative: flags & 2 != 0,
            type_name: type_name.strip_suffix(b"\0").unwrap_or(type_name),
            address: word(8)?,
            value: word(16)?,
            data: bytes.get(data_at..data_end)?,
            parts,
        };
        Some((node, bytes.get(data_end.next_multiple_of(8)..)?))
    }
}
