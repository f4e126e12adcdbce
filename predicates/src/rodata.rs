//! Read-only bytes that generated code points into.

use std::collections::HashMap;

/// Read-only bytes shared by the programs of one object: literals, and zeros.
#[derive(Debug, Default)]
pub struct Rodata {
    /// The bytes, to be loaded as the value of the `rodata` map.
    pub bytes: Vec<u8>,
    known: HashMap<Vec<u8>, u32>,
}

impl Rodata {
    /// Puts `bytes` somewhere, once, and gives the offset.
    pub fn put(&mut self, bytes: Vec<u8>) -> u32 {
        if let Some(&at) = self.known.get(&bytes) {
            return at;
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let at = u32::try_from(self.bytes.len()).expect("literals are far below 4 GiB");
        self.bytes.extend(&bytes);
        self.known.insert(bytes, at);
        at
    }
}
