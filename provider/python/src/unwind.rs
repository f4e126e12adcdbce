//! Where functions start and end, from the unwind tables.
//!
//! Every CPython has `.eh_frame` and its sorted index, stripped or not. A function that GCC split
//! has one entry for each part.

use std::ops::Range;

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, UnwindContext,
    UnwindSection as _, X86_64,
};

use super::image::Image;

/// The unwind tables of a file.
#[derive(Debug)]
pub(super) struct Functions<'d> {
    header: gimli::ParsedEhFrameHdr<EndianSlice<'d, LittleEndian>>,
    frames: EhFrame<EndianSlice<'d, LittleEndian>>,
    bases: BaseAddresses,
}

impl<'d> Functions<'d> {
    /// Reads the index.
    pub(super) fn of(image: &Image<'d>) -> Option<Self> {
        let (header_at, header) = image.section(".eh_frame_hdr")?;
        let (frames_at, frames) = image.section(".eh_frame")?;
        let bases = BaseAddresses::default()
            .set_eh_frame_hdr(header_at)
            .set_eh_frame(frames_at);
        let header = EhFrameHdr::new(header, LittleEndian)
            .parse(&bases, 8)
            .ok()?;
        Some(Self {
            header,
            frames: EhFrame::new(frames, LittleEndian),
            bases,
        })
    }

    /// The function, or part of one, that `address` is in.
    pub(super) fn around(&self, address: u64) -> Option<Range<u64>> {
        let table = self.header.table()?;
        let fde = table
            .fde_for_address(&self.frames, &self.bases, address, EhFrame::cie_from_offset)
            .ok()?;
        let start = fde.initial_address();
        Some(start..start.checked_add(fde.len())?)
    }

    /// Whether what starts at `address` goes on with the stack of what jumps there, as a part of a function that was split
    /// does: called functions start with nothing on the stack but where they return to.
    pub(super) fn continues(&self, address: u64) -> Option<bool> {
        let mut context = UnwindContext::new();
        let row = self
            .frames
            .unwind_info_for_address(&self.bases, &mut context, address, EhFrame::cie_from_offset)
            .ok()?;
        let called = CfaRule::RegisterAndOffset {
            register: X86_64::RSP,
            offset: 8,
        };
        Some(*row.cfa() != called)
    }
}
