//! Any bytes as a file that a traced process has mapped: as one with USDT probes, as a Python, and as the
//! section that stacks are walked by.

#![no_main]

use libfuzzer_sys::fuzz_target;
use provider::usdt::UsdtFile;
use unwind::{Section, Table, rows};

fuzz_target!(|bytes: &[u8]| {
    let _ = UsdtFile::from_bytes(bytes);
    let _ = python_analysis::analyse(bytes);
    let section = Section {
        address: 0x1000,
        bytes,
    };
    let rows = rows(section, None);
    let table = Table::of(&rows);
    for row in &rows {
        assert_eq!(table.rule(row.address), row.rule);
    }
});
