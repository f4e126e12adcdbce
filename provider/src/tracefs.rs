//! Where the kernel describes its tracepoints in files: tracefs.
//!
//! ```text
//!     events/GROUP/NAME/format    the fields of an event: `field:TYPE NAME; offset:N; size:N; signed:N;`,
//!                                 one on each line; first those that all events have, then an empty line
//!     available_events            `GROUP:NAME` of each event
//!     dynamic_events              those that users have made
//! ```

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Where it is mounted, if it is: on its own, or below debugfs.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// The directory of the events.
pub(crate) fn events() -> Option<PathBuf> {
    let mut places = PLACES.iter().map(|place| Path::new(place).join("events"));
    places.find(|events| events.is_dir())
}

/// The names of what is in a directory; none if it cannot be read.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect()
}

/// All events, as group and name; none if they cannot be read.
pub(crate) fn available() -> Vec<(String, String)> {
    let list = |events: PathBuf| fs::read_to_string(events.with_file_name("available_events")).ok();
    let text = events().and_then(list).unwrap_or_default();
    let pair = |line: &str| {
        let (group, name) = line.split_once(':')?;
        Some((group.to_owned(), name.to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

/// The groups of events that users have made (`p:GROUP/NAME PLACE`), which are no tracepoints.
pub(crate) fn made_by_users() -> HashSet<String> {
    let list = |events: PathBuf| fs::read_to_string(events.with_file_name("dynamic_events")).ok();
    let text = events().and_then(list).unwrap_or_default();
    let group = |line: &str| {
        let (_, place) = line.split_once(':')?;
        Some(place.split_once('/')?.0.to_owned())
    };
    text.lines().filter_map(group).collect()
}

/// A field of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// Its type, as in C.
    pub(crate) ty: String,
    /// Its name; of an array with its length: `comm[16]`.
    pub(crate) name: String,
    /// Where it is in the record.
    pub(crate) offset: i16,
    /// How many bytes it has.
    pub(crate) size: u16,
}

impl Field {
    /// Whether it is an array, or says where one is (`__data_loc`).
    pub(crate) fn is_array(&self) -> bool {
        self.name.ends_with(']')
    }
}

/// The fields that only this event has; none if it is not described.
pub(crate) fn fields_of(group: &str, name: &str) -> Vec<Field> {
    let path = events().map(|events| events.join(group).join(name).join("format"));
    let format = path.and_then(|path| fs::read_to_string(path).ok());
    format.map_or_else(Vec::new, |format| own_fields(&format))
}

/// The number of an event.
pub(crate) fn id_of(group: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(events()?.join(group).join(name).join("id")).ok()?;
    text.trim().parse().ok()
}

/// The fields that only this event has, by the text of its `format`.
pub(crate) fn own_fields(format: &str) -> Vec<Field> {
    let lines = format.lines().map(str::trim);
    let mut groups = lines.skip_while(|line| *line != "format:").skip(1);
    // The common ones, up to the empty line.
    groups.by_ref().take_while(|line| !line.is_empty()).count();
    let own = groups.take_while(|line| !line.is_empty());
    own.filter_map(field).collect()
}

fn field(line: &str) -> Option<Field> {
    let mut parts = line.strip_prefix("field:")?.split(';').map(str::trim);
    let declared = parts.next()?;
    let (offset, size) = (parts.next()?, parts.next()?);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let length = declared.rfind('[').filter(|_| declared.ends_with(']'));
    let start = declared[..length.unwrap_or(declared.len())]
        .trim_end_matches(is_name)
        .len();
    Some(Field {
        ty: declared[..start].trim().to_owned(),
        name: declared[start..].to_owned(),
        offset: offset.strip_prefix("offset:")?.parse().ok()?,
        size: size.strip_prefix("size:")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXECVE: &str = "name: sys_enter_execve\nID: 782\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:int __syscall_nr;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:const char * filename;\toffset:16;\tsize:8;\tsigned:0;\n\
        \tfield:const char *const * argv;\toffset:24;\tsize:8;\tsigned:0;\n\n\
        print fmt: \"filename: 0x%08lx\", ((unsigned long)(REC->filename))\n";

    #[test]
    fn an_event_has_fields_of_its_own() {
        let fields = own_fields(EXECVE);
        let shown: Vec<_> = fields
            .iter()
            .map(|field| format!("{}|{}", field.ty, field.name))
            .collect();
        assert_eq!(
            shown,
            [
                "int|__syscall_nr",
                "const char *|filename",
                "const char *const *|argv"
            ]
        );
    }

    #[test]
    fn fields_have_places() {
        let text = "format:\n\n\tfield:char comm[16];\toffset:8;\tsize:16;\tsigned:0;\n\
            \tfield:__data_loc char[] file;\toffset:24;\tsize:4;\tsigned:0;\n";
        let fields = own_fields(text);
        let places: Vec<_> = fields
            .iter()
            .map(|f| (f.offset, f.size, f.is_array()))
            .collect();
        assert_eq!(places, [(8, 16, true), (24, 4, false)]);
        assert_eq!((&*fields[0].ty, &*fields[0].name), ("char", "comm[16]"));
        assert_eq!(
            (&*fields[1].ty, &*fields[1].name),
            ("__data_loc char[]", "file")
        );
    }

    #[test]
    fn damage_is_no_panic() {
        for length in 0..EXECVE.len() {
            let _ = own_fields(&EXECVE[..length]);
        }
    }
}
