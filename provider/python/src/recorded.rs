//! Interpreters cut down to the bytes that the analysis reads, for tests.
//!
//! A recording is a list of (file offset, length, bytes); the rest of the file is zero. Most
//! handlers are cut off at their first byte, which leaves enough for the vote. It carries the
//! result of the analysis of the whole file, which the cut file must give again.

pub(super) const RECORDED: &[(&str, &[u8])] = &[
    (
        "3.6.15-gcc12-shared",
        include_bytes!("fixtures/3.6.15-gcc12-shared.bin"),
    ),
    (
        "3.9.23-static-canary",
        include_bytes!("fixtures/3.9.23-static-canary.bin"),
    ),
    (
        "3.10.13-gcc12-shared",
        include_bytes!("fixtures/3.10.13-gcc12-shared.bin"),
    ),
    (
        "3.11.7-gcc12-shared",
        include_bytes!("fixtures/3.11.7-gcc12-shared.bin"),
    ),
    (
        "3.11.2-debian-lto",
        include_bytes!("fixtures/3.11.2-debian-lto.bin"),
    ),
    (
        "3.12.1-gcc12-shared",
        include_bytes!("fixtures/3.12.1-gcc12-shared.bin"),
    ),
    (
        "3.12.10-clang20-stripped",
        include_bytes!("fixtures/3.12.10-clang20-stripped.bin"),
    ),
    (
        "3.13.0-gcc12-shared",
        include_bytes!("fixtures/3.13.0-gcc12-shared.bin"),
    ),
    (
        "3.13.7-gcc10-frame-on-stack",
        include_bytes!("fixtures/3.13.7-gcc10-frame-on-stack.bin"),
    ),
    (
        "3.13.18-debian-lto",
        include_bytes!("fixtures/3.13.18-debian-lto.bin"),
    ),
    (
        "3.14.10-debian-lto",
        include_bytes!("fixtures/3.14.10-debian-lto.bin"),
    ),
    (
        "3.15.2-debian-lto",
        include_bytes!("fixtures/3.15.2-debian-lto.bin"),
    ),
    (
        "3.12.11-static-two-clearers",
        include_bytes!("fixtures/3.12.11-static-two-clearers.bin"),
    ),
    (
        "3.11.2-clang21-few-stores",
        include_bytes!("fixtures/3.11.2-clang21-few-stores.bin"),
    ),
    (
        "3.13.15-clang21",
        include_bytes!("fixtures/3.13.15-clang21.bin"),
    ),
    (
        // 3.13's handlers, made functions by hand, as 3.14 can be configured to have them.
        "3.13.15-tail-calls-clang21",
        include_bytes!("fixtures/3.13.15-tail-calls-clang21.bin"),
    ),
    (
        "3.13.15-free-threaded-gcc16",
        include_bytes!("fixtures/3.13.15-free-threaded-gcc16.bin"),
    ),
    (
        "3.14.9-free-threaded-gcc10",
        include_bytes!("fixtures/3.14.9-free-threaded-gcc10.bin"),
    ),
];

/// The recorded files by name.
#[must_use]
pub fn recorded() -> Vec<(&'static str, Vec<u8>)> {
    let files = RECORDED.iter();
    files
        .map(|(name, bytes)| (*name, restore(bytes).1))
        .collect()
}

/// The expected summary and the file of a recording.
pub(super) fn restore(recording: &[u8]) -> (String, Vec<u8>) {
    let mut rest = recording;
    let mut number = |n: usize| {
        let (head, tail) = rest.split_at(n);
        rest = tail;
        head.iter()
            .rev()
            .fold(0, |value, &byte| value << 8 | usize::from(byte))
    };
    let size = number(8);
    let summary_length = number(8);
    let (summary, mut rest) = rest.split_at(summary_length);
    let mut file = vec![0; size];
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let [a, b, c, d, e, f, g, h] = *head;
        let at = u32::from_le_bytes([a, b, c, d]) as usize;
        let length = u32::from_le_bytes([e, f, g, h]) as usize;
        let (bytes, tail) = tail.split_at(length);
        file[at..at + length].copy_from_slice(bytes);
        rest = tail;
    }
    (String::from_utf8_lossy(summary).into_owned(), file)
}
