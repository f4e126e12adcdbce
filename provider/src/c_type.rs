//! Types as the kernel's sources write them: `const char *`, `struct stat *`, `umode_t`.
//!
//! Of what is passed by value only the size and the sign matter; a pointer's struct is known by its tag, and
//! looked up when a program wants a member of it. The names of integers are those of the kernel's interface to
//! programs: what they mean cannot change.

use std::sync::Arc;

use dlang::types::{Int, Space, Struct, Type};

/// The type that these words mean, with pointers into `space`; `None` if its size is not known.
pub(crate) fn parse(text: &str, space: Space) -> Option<Type> {
    let plain = plain(text);
    let base = plain.trim_end_matches(['*', ' ']);
    let stars = plain[base.len()..].matches('*').count();
    let base = match (base_type(base), stars) {
        (Some(ty), _) => ty,
        // What is behind a pointer may be anything.
        (None, 1..) => Type::Void,
        (None, 0) => return None,
    };
    Some((0..stars).fold(base, |to, _| Type::pointer_in(space, to)))
}

/// The words without what says nothing about the value: `char **` of `const char *const *`.
pub(crate) fn plain(text: &str) -> String {
    const QUALIFIERS: [&str; 5] = ["const", "volatile", "restrict", "__user", "__restrict"];
    let spaced = text.replace('*', " * ");
    let words = spaced.split_whitespace();
    let mut plain = String::new();
    for word in words.filter(|word| !QUALIFIERS.contains(word)) {
        let joined = plain.is_empty() || word == "*" && plain.ends_with('*');
        if !joined {
            plain.push(' ');
        }
        plain.push_str(word);
    }
    plain
}

fn base_type(name: &str) -> Option<Type> {
    let (kind, tag) = name.split_once(' ').unwrap_or(("", name));
    match kind {
        "struct" | "union" => {
            let declared = Struct::declared(tag, kind == "union");
            return Some(Type::Struct(Arc::new(declared)));
        }
        "enum" => return Some(Type::Int(Int::U32)),
        _words => {}
    }
    Some(Type::Int(match name {
        "void" => return Some(Type::Void),
        "char" | "signed char" | "s8" | "__s8" => Int::I8,
        "unsigned char" | "u8" | "__u8" | "bool" | "_Bool" => Int::U8,
        "short" | "short int" | "s16" | "__s16" => Int::I16,
        "unsigned short" | "short unsigned int" | "u16" | "__u16" | "umode_t" => Int::U16,
        "int" | "s32" | "__s32" | "pid_t" | "key_t" | "clockid_t" | "timer_t" | "mqd_t"
        | "key_serial_t" | "rwf_t" | "__kernel_rwf_t" => Int::I32,
        "unsigned" | "unsigned int" | "u32" | "__u32" | "uid_t" | "gid_t" | "qid_t" | "dev_t" => {
            Int::U32
        }
        "long" | "long int" | "long long" | "long long int" | "s64" | "__s64" | "loff_t"
        | "off_t" | "ssize_t" | "time_t" | "__kernel_old_time_t" => Int::I64,
        "unsigned long"
        | "long unsigned int"
        | "unsigned long long"
        | "long long unsigned int"
        | "u64"
        | "__u64"
        | "size_t"
        | "aio_context_t"
        // Pointers by another name.
        | "cap_user_header_t"
        | "cap_user_data_t" => Int::U64,
        _unknown => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_as_written_in_c() {
        for (text, shown, size) in [
            ("const char *const *", "char **", 8),
            ("unsigned int", "uint32_t", 4),
            ("unsigned", "uint32_t", 4),
            ("const clockid_t", "int", 4),
            ("struct stat *", "struct stat *", 8),
            ("union bpf_attr *", "union bpf_attr *", 8),
            ("umode_t", "uint16_t", 2),
            ("sigset_t *", "void *", 8),
            ("size_t", "uint64_t", 8),
            ("long", "int64_t", 8),
        ] {
            let ty = parse(text, Space::User).unwrap();
            assert_eq!(
                (ty.to_string().as_str(), ty.size(256)),
                (shown, size),
                "{text}"
            );
        }
        assert_eq!(
            parse("struct stat *", Space::User).unwrap().space(),
            Space::User
        );
        assert_eq!(parse("nobody_knows_t", Space::User), None);
        assert_eq!(parse("", Space::User), None);
    }

    #[test]
    fn qualifiers_are_left_out() {
        assert_eq!(plain("const char *const *"), "char **");
        assert_eq!(plain("const struct iovec *"), "struct iovec *");
        assert_eq!(plain("const int"), "int");
    }
}
