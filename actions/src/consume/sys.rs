//! The C library's calendar, which knows the machine's time zone, and its floating-point numbers as text.

#![expect(
    unsafe_code,
    reason = "localtime_r, strftime and snprintf have no safe wrapper in the crates used here"
)]

use std::ffi::{CStr, CString, c_int};
use std::mem::MaybeUninit;

/// `seconds` since 1970 as local time, as `Mon, 23 Nov 2026 06:37:15 UTC`.
pub(super) fn long_date(seconds: i64) -> Option<String> {
    const FORMAT: &CStr = c"%a, %d %b %G %T %Z";
    let mut tm = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call, and `tm` is written by it.
    let done = unsafe { libc::localtime_r(&raw const seconds, tm.as_mut_ptr()) };
    if done.is_null() {
        return None;
    }
    let mut text = [0_u8; 64];
    let (start, size) = (text.as_mut_ptr().cast(), text.len());
    // SAFETY: `text` has so many bytes, the format ends in a NUL, and `tm` was filled above.
    let length = unsafe { libc::strftime(start, size, FORMAT.as_ptr(), tm.as_ptr()) };
    let text = text.get(..length).filter(|text| !text.is_empty())?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// A number by C's `printf`, with this width and precision. `conversion` is one of a `double`: `%`, flags,
/// `*.*` and one of `aAeEfFgG`.
pub(super) fn double(conversion: &str, (width, precision): (c_int, c_int), value: f64) -> String {
    debug_assert!(conversion.contains("*.*") && conversion.ends_with(|c| "aAeEfFgG".contains(c)));
    let Ok(format) = CString::new(conversion) else {
        return String::new();
    };
    let mut text: Vec<u8> = Vec::new();
    // Twice: once to know how long it is.
    loop {
        let (start, size) = (text.as_mut_ptr().cast(), text.len());
        // SAFETY: `text` has so many bytes, and the format takes two ints and a double.
        let needed =
            unsafe { libc::snprintf(start, size, format.as_ptr(), width, precision, value) };
        let needed = usize::try_from(needed).unwrap_or(0);
        if needed < text.len() || needed == 0 {
            text.truncate(needed);
            return String::from_utf8_lossy(&text).into_owned();
        }
        text.resize(needed + 1, 0_u8);
    }
}

/// `seconds` since 1970 as local time: year, month (0-11), day, hour, minute, second.
pub(super) fn local_time(seconds: i64) -> Option<[i32; 6]> {
    let mut tm = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call, and `tm` is written by it.
    let done = unsafe { libc::localtime_r(&raw const seconds, tm.as_mut_ptr()) };
    if done.is_null() {
        return None;
    }
    // SAFETY: zeroed at first and filled by a successful call; any bytes are a valid `tm`.
    let tm = unsafe { tm.assume_init() };
    Some([
        tm.tm_year + 1900,
        tm.tm_mon,
        tm.tm_mday,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec,
    ])
}
