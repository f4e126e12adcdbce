//! Where code refers to an address in the file: to a text, above all, which a function prints.

use std::collections::BTreeMap;

use super::image::Image;

/// The places in the code that may refer to each of `targets`: every 32-bit field that is its distance from
/// the next instruction (a field may be followed by an immediate, not in a `lea`), or in code linked below 2 GiB
/// its address. Some may be chance, so each must be found once more by disassembly.
pub(super) fn references(image: &Image<'_>, targets: &[u64]) -> BTreeMap<u64, Vec<u64>> {
    let mut places: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (start, bytes) in image.code() {
        for (window, at) in bytes.windows(4).zip(start..) {
            let Some(&field) = window.first_chunk::<4>() else {
                continue;
            };
            let relative = at
                .wrapping_add(4)
                .wrapping_add_signed(i64::from(i32::from_le_bytes(field)));
            let absolute = u64::from(u32::from_le_bytes(field));
            for &target in targets {
                if relative == target || absolute == target {
                    places.entry(target).or_default().push(at);
                }
            }
        }
    }
    places
}
