//! What a file's `.eh_frame` says of its functions: where they are, those without a symbol, too, and where one has just
//! been called.
//!
//! A program that has been stripped has `.eh_frame` still, as it takes part in exceptions. A function that only this
//! knows is called by its linked address, `sub_1149`, as disassemblers do: the same name in each process and each run.

use std::ops::Range;
use std::path::Path;

use object::ReadRef;
use unwind::{Row, Section, rule};

use super::elf::{Contents, Elf};

/// The name of a function that has none.
pub(crate) fn name_of(address: u64) -> String {
    format!("sub_{address:x}")
}

/// The section, and where `.text` begins, to which its addresses may be relative.
pub(crate) fn section<'a, R: ReadRef<'a>>(file: &Elf<'a, R>) -> Option<(Section<'a>, Option<u64>)> {
    let address = file.section_address(".eh_frame")?;
    let bytes = file.section_data(".eh_frame").ok()??;
    Some((Section { address, bytes }, file.section_address(".text")))
}

/// The linked addresses of each piece of code that has frames, by address: a function, or a part of one that the compiler
/// keeps apart. Not the linker's jumps to other files.
pub(crate) fn ranges<'a, R: ReadRef<'a>>(file: &Elf<'a, R>) -> Vec<Range<u64>> {
    let Some((eh_frame, text)) = section(file) else {
        return Vec::new();
    };
    let jumps = [".plt", ".plt.got", ".plt.sec"];
    let jumps: Vec<_> = jumps
        .into_iter()
        .filter_map(|name| file.section_range(name))
        .collect();
    let mut found = unwind::ranges(eh_frame, text);
    found.retain(|range| !jumps.iter().any(|jumps| jumps.contains(&range.start)));
    found
}

/// The frames of a file, by address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames(Vec<Row>);

impl Frames {
    /// Those of a file; none if it has no `.eh_frame`.
    pub(crate) fn of(path: &Path) -> Self {
        let rows = || {
            let contents = Contents::open(path).ok()?;
            let file = contents.elf().ok()?;
            let (eh_frame, text) = section(&file)?;
            Some(unwind::rows(eh_frame, text))
        };
        Self(rows().unwrap_or_default())
    }

    /// Whether the return address is on top of the stack at a linked address, as where a function has just been called;
    /// `None` if nothing is known of it.
    pub(crate) fn begins_call(&self, address: u64) -> Option<bool> {
        let address = u32::try_from(address).ok()?;
        let behind = self.0.partition_point(|row| row.address <= address);
        let row = self.0.get(behind.checked_sub(1)?)?;
        (row.rule != 0).then(|| rule::begins_call(row.rule))
    }
}
