//! The numbers of system calls, by the names that the kernel's sources give them.
//!
//! A number has two names: that of the interface (`stat`), by which C programs know it, and that of the
//! function in the kernel (`newstat`), which is the probe's. They are mostly the same; where they are not,
//! the function was replaced by a newer one long ago, and the number kept its name.

use syscalls::Sysno;

/// Names of the interface, and what the kernel calls the function on some architecture.
const RENAMED: [(&str, &[&str]); 11] = [
    ("stat", &["newstat"]),
    ("fstat", &["newfstat"]),
    ("lstat", &["newlstat"]),
    ("fstatat", &["newfstatat"]),
    ("fstatat64", &["newfstatat"]),
    ("uname", &["newuname"]),
    ("sendfile", &["sendfile64"]),
    ("umount2", &["umount"]),
    ("fadvise64", &["fadvise64_64"]),
    ("arm_fadvise64_64", &["fadvise64_64"]),
    ("sync_file_range2", &["sync_file_range"]),
];

/// Numbers and names of those calls whose name the kernel has, in order of their numbers.
pub(super) fn numbers(has: impl Fn(&str) -> bool) -> Vec<(u16, String)> {
    let (first, last) = (Sysno::first().id(), Sysno::last().id());
    let all = (first..=last).filter_map(|id| Some((id, Sysno::new(usize::try_from(id).ok()?)?)));
    let found = all.filter_map(|(id, call)| {
        let number = u16::try_from(id).ok()?;
        Some((number, kernel_name(call.name(), &has)?.to_owned()))
    });
    found.collect()
}

/// What the kernel calls a system call, if it has it.
pub(super) fn kernel_name(name: &str, has: impl Fn(&str) -> bool) -> Option<&str> {
    let renamed = RENAMED.iter().find(|(interface, _)| *interface == name);
    let others = renamed.map_or(&[][..], |(_, names)| names);
    let mut names = others.iter().copied().chain([name]);
    names.find(|name| has(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_kernels_name() {
        let all = numbers(|name| !["stat", "uname"].contains(&name));
        let name_of = |number: i64| {
            let number = u16::try_from(number).unwrap();
            all.iter()
                .find(|(n, _)| *n == number)
                .map(|(_, name)| name.as_str())
        };
        assert_eq!(name_of(libc::SYS_read), Some("read"));
        assert_eq!(name_of(libc::SYS_uname), Some("newuname"));
        assert_eq!(name_of(libc::SYS_mmap), Some("mmap"));
    }
}
