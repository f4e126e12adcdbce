//! What a file has: its USDT markers, grouped to probes, and what the code of its interpreter tells.
//!
//! A compiler copies a marker that is inlined or unrolled, so one probe has several sites. All sites
//! with the same provider, function and name are a [`Group`], the marker as people know it. A file is
//! read when it is first met, and once in a run however many processes execute it: the kernel, too,
//! knows files by inode. Its interpreter's code is analysed only when somebody asks, which takes a while.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use dlang::types::Int;

use super::names::provider_in;
use crate::probe::{File, Moment, Probe, ProbeArg, Scope, Sites};
use crate::python::cache::{Cache, Findings};
use crate::python_objects::PythonObjects;
use crate::usdt::frames::Frames;
use crate::usdt::note::Note;
use crate::usdt::symbols::{self, Function};
use crate::usdt::{UsdtFile, UsdtSite, args};

/// Device and inode.
pub(crate) type Identity = (u64, u64);

/// The files that have been read.
///
/// A file of a layer that several overlay file systems share has another device number in each, but for
/// the kernel it is one: a probe in it fires wherever it is executed. So the one that is met first
/// stands for all of them, for the whole run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    read: HashMap<Identity, Arc<FileProbes>>,
    /// The files of layers, by what is the same on every mount.
    layers: HashMap<Contents, Identity>,
    /// The files that another one stands for.
    same_as: HashMap<Identity, Identity>,
    /// Identities that belong to another file than before.
    reused: Vec<Identity>,
    /// Files that were gone before they were read.
    vanished: Vec<Arc<File>>,
}

impl Files {
    /// The probes of some files, in their order.
    pub(crate) fn read(
        &mut self,
        files: impl IntoIterator<Item = Arc<File>>,
    ) -> Vec<Arc<FileProbes>> {
        let mut read = Vec::new();
        for file in files {
            let is_it = |known: &Arc<FileProbes>| known.file.born == file.born;
            if self.read.get(&file.identity).is_some_and(is_it) || fs::metadata(&file.path).is_ok()
            {
                read.push(self.read_one(&file));
            } else {
                self.vanished.push(file);
            }
        }
        read
    }

    /// The files that were gone before they could be read, since the last call.
    pub(crate) fn vanished(&mut self) -> Vec<Arc<File>> {
        std::mem::take(&mut self.vanished)
    }

    /// A file's probes. Read once in a run.
    fn read_one(&mut self, file: &Arc<File>) -> Arc<FileProbes> {
        let is_another = |known: &Arc<FileProbes>| {
            known.file.identity == file.identity && known.file.born != file.born
        };
        if self.read.get(&file.identity).is_some_and(is_another) {
            self.forget(file.identity);
            self.reused.push(file.identity);
        }
        let identity = self.identity(file);
        let entry = self
            .read
            .entry(identity)
            .or_insert_with(|| Arc::new(FileProbes::read(file)));
        // The cached path may lead through a process that is gone.
        if entry.file.path != file.path && fs::metadata(&entry.file.path).is_err() {
            let mut moved = FileProbes::clone(entry);
            moved.file = Arc::new(File {
                identity,
                ..File::clone(file)
            });
            *entry = Arc::new(moved);
        }
        Arc::clone(entry)
    }

    /// The identity of the file that stands for this one.
    fn identity(&mut self, file: &Arc<File>) -> Identity {
        if let Some(first) = self.same_as.get(&file.identity) {
            return *first;
        }
        if self.read.contains_key(&file.identity) {
            return file.identity;
        }
        let probes = Arc::new(FileProbes::read(file));
        if let Some(contents) = probes.in_layer() {
            let first = *self.layers.entry(contents).or_insert(file.identity);
            if first != file.identity && self.read.contains_key(&first) {
                self.same_as.insert(file.identity, first);
                return first;
            }
        }
        self.read.insert(file.identity, probes);
        file.identity
    }

    /// The identity of the file that stands for this one, as far as is known.
    pub(crate) fn stand_in(&self, file: &File) -> Identity {
        let first = self.same_as.get(&file.identity);
        first.copied().unwrap_or(file.identity)
    }

    /// Whether a file stands for others, which may still be there when it is gone.
    pub(crate) fn stands_for_others(&self, file: &File) -> bool {
        self.same_as.values().any(|first| *first == file.identity)
    }

    /// A file that has been read.
    pub(crate) fn get(&self, file: &File) -> Option<&FileProbes> {
        self.read.get(&file.identity).map(Arc::as_ref)
    }

    /// The identities that have been found to be another file's than before, since the last call.
    pub(crate) fn reused(&mut self) -> Vec<Identity> {
        std::mem::take(&mut self.reused)
    }

    /// Forgets a file: another one may have its identity.
    pub(crate) fn forget(&mut self, file: Identity) {
        self.read.remove(&file);
        self.layers.retain(|_, first| *first != file);
    }

    /// What its code tells, if that has been asked for.
    pub(crate) fn findings_mut(&mut self, file: &File) -> Option<&mut Findings> {
        let entry = self.read.get_mut(&file.identity)?;
        Arc::make_mut(entry).findings.get_mut()
    }

    /// Puts a file there that does not exist.
    #[cfg(test)]
    pub(crate) fn insert(&mut self, file: Arc<FileProbes>) {
        self.read.insert(file.file.identity, file);
    }
}

/// A file's probes, ready to be matched.
#[derive(Clone, Debug)]
pub(crate) struct FileProbes {
    pub(crate) file: Arc<File>,
    pub(crate) usdt: UsdtFile,
    pub(crate) groups: Vec<Group>,
    /// What its own code tells, once that has been asked for.
    pub(crate) findings: OnceLock<Findings>,
    /// Its functions, once they have been asked for.
    pub(crate) functions: OnceLock<Vec<Function>>,
    /// What its `.eh_frame` says of stacks, once that has been asked for.
    pub(crate) frames: OnceLock<Frames>,
    /// [`looks_for_callers`](Self::looks_for_callers), once that has been asked for.
    pub(crate) looks_for_callers: OnceLock<bool>,
    /// How the objects of its interpreter are laid out, if it has one.
    pub(crate) objects: Arc<PythonObjects>,
}

/// The sites that share provider, function and name: one probe.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Without a process id.
    pub(crate) provider: String,
    pub(crate) function: String,
    pub(crate) name: String,
    /// Indices of [`UsdtFile::sites`].
    pub(crate) sites: Vec<usize>,
}

/// What `-lv` shows of a USDT probe beside its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// The file, as the target sees it.
    pub file: PathBuf,
    /// Its build id, lower-case hex.
    pub build_id: Option<String>,
    /// The notes of its sites, as `readelf -n` shows them.
    pub notes: Vec<Note>,
}

impl FileProbes {
    fn read(file: &Arc<File>) -> Self {
        let usdt = UsdtFile::read(&file.path).unwrap_or_default();
        Self {
            file: Arc::clone(file),
            groups: group(&usdt),
            usdt,
            findings: OnceLock::new(),
            functions: OnceLock::new(),
            frames: OnceLock::new(),
            looks_for_callers: OnceLock::new(),
            objects: Arc::new(PythonObjects::of(&file.path)),
        }
    }

    /// A file of which only the name matters.
    pub(crate) fn unread(file: &Arc<File>) -> Self {
        Self {
            file: Arc::clone(file),
            groups: Vec::new(),
            usdt: UsdtFile::default(),
            findings: OnceLock::new(),
            functions: OnceLock::new(),
            frames: OnceLock::new(),
            looks_for_callers: OnceLock::new(),
            objects: Arc::new(PythonObjects::of(&file.path)),
        }
    }

    /// Its functions, of which not all need have a name. Read at the first call.
    pub(crate) fn functions(&self) -> &[Function] {
        self.functions
            .get_or_init(|| symbols::functions_in(&self.file.path))
    }

    /// What its `.eh_frame` says of stacks. Read at the first call.
    pub(crate) fn frames(&self) -> &Frames {
        self.frames.get_or_init(|| Frames::of(&self.file.path))
    }

    /// Whether its code looks for its callers on the stack: it throws exceptions, or is Go, whose stacks
    /// move. Found out at the first call.
    pub(crate) fn looks_for_callers(&self) -> bool {
        const THROWS: [&[u8]; 4] = [
            b"_Unwind_Resume",
            b"_Unwind_RaiseException",
            b"__cxa_throw",
            b"__gxx_personality_v0",
        ];
        // Linked statically, every C program has what throws; these only programs that do.
        const OWN: [&str; 3] = ["__cxa_throw", "__gxx_personality_v0", "rust_eh_personality"];
        let has = |is_it: &dyn Fn(&str) -> bool| {
            let mut functions = self.functions().iter();
            functions.any(|function| is_it(&function.name))
        };
        *self.looks_for_callers.get_or_init(|| {
            let throws = symbols::imports_any(&self.file.path, &THROWS)
                .unwrap_or_else(|| has(&|name| OWN.contains(&name)));
            throws || has(&|name| name.starts_with("runtime.goexit"))
        })
    }

    /// The file's name, as the MODULE of its probes.
    pub(crate) fn module(&self) -> String {
        let name = self.file.shown.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// The interpreter in the file. Found out at the first call, which takes a while.
    pub(crate) fn findings(&self, cache: &Cache) -> &Findings {
        self.findings
            .get_or_init(|| cache.find_out(&self.file.path))
    }

    /// The marker that a probe is, or that it stands in for.
    pub(crate) fn group_of(&self, probe: &Probe) -> Option<&Group> {
        let (_, scope) = probe.kind.file()?;
        self.groups.iter().find(|group| {
            group.name == probe.desc.name
                && group.function == probe.desc.function
                && provider_in(scope, &group.provider) == probe.desc.provider
        })
    }

    /// What stands in the file about a marker.
    pub(crate) fn details(&self, group: &Group) -> Details {
        Details {
            file: self.file.shown.clone(),
            build_id: self.usdt.build_id.clone(),
            notes: self.markers(group).map(|site| site.note.clone()).collect(),
        }
    }

    /// The places of a marker.
    pub(crate) fn sites(&self, group: &Group, scope: Scope) -> Sites {
        Sites {
            file: Arc::clone(&self.file),
            scope,
            sites: self.markers(group).map(|site| site.site.clone()).collect(),
            moment: Moment::Reached,
            raises: Vec::new(),
        }
    }

    fn markers(&self, group: &Group) -> impl Iterator<Item = &UsdtSite> {
        group.sites.iter().map(|index| &self.usdt.sites[*index])
    }

    /// The arguments that all sites of a marker have. Where the copies of a site differ, the widest
    /// integer holds them all. `argument` says what it is.
    pub(crate) fn arguments(
        &self,
        group: &Group,
        argument: impl Fn(usize, Int) -> ProbeArg,
    ) -> Vec<ProbeArg> {
        let types: Vec<Vec<Int>> = self
            .markers(group)
            .map(|site| args::types(&site.note.arguments))
            .collect();
        let count = types.iter().map(Vec::len).min().unwrap_or(0);
        let widest = |index: usize| {
            types
                .iter()
                .map(|types| types[index])
                .max_by_key(|int| int.size)
                .unwrap_or(Int::I64)
        };
        (0..count)
            .map(|index| argument(index, widest(index)))
            .collect()
    }

    /// What is the same for a file of a shared layer on each overlay file system (the usual one of
    /// containers) that has the layer; `None` for any other file.
    fn in_layer(&self) -> Option<Contents> {
        use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};
        use std::os::unix::fs::MetadataExt;
        let path = &self.file.path;
        let info = statfs(path).ok()?;
        (info.filesystem_type() == OVERLAYFS_SUPER_MAGIC).then(|| Contents {
            inode: self.file.identity.1,
            build_id: self.usdt.build_id.clone(),
            modified: fs::metadata(path).map_or(0, |meta| meta.mtime()),
        })
    }
}

/// What tells the files of layers apart: their inode numbers, which are those of the layer, and what is
/// in them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Contents {
    inode: u64,
    build_id: Option<String>,
    /// Seconds since the epoch.
    modified: i64,
}

/// The probes of a file: its sites by provider, function and name, in order of appearance.
fn group(usdt: &UsdtFile) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<(&str, &str, String), usize> = HashMap::new();
    for (index, UsdtSite { note, function, .. }) in usdt.sites.iter().enumerate() {
        let function = function.as_deref().unwrap_or_default();
        let at = *places
            .entry((&note.provider, function, note.d_name()))
            .or_insert_with(|| {
                groups.push(Group {
                    provider: note.provider.clone(),
                    function: function.to_owned(),
                    name: note.d_name(),
                    sites: Vec::new(),
                });
                groups.len() - 1
            });
        groups[at].sites.push(index);
    }
    groups
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::probe::{ArgLocation, Site};

    fn site(function: &str, name: &str, arguments: &str) -> UsdtSite {
        UsdtSite {
            note: Note {
                provider: "python".into(),
                name: name.into(),
                location: 0,
                base: 0,
                semaphore: 0,
                arguments: arguments.into(),
            },
            function: Some(function.into()),
            site: Site {
                file_offset: 0,
                address: 0,
                semaphore: None,
                args: Vec::<ArgLocation>::new(),
            },
        }
    }

    #[test]
    fn a_file_with_the_inode_of_one_that_is_gone_is_another() {
        use std::time::SystemTime;
        let file = |path: &str, born| {
            Arc::new(File {
                path: path.into(),
                shown: path.into(),
                identity: (1, 2),
                born: Some(born),
            })
        };
        let (then, now) = (SystemTime::UNIX_EPOCH, SystemTime::now());
        let mut files = Files::default();
        let mut shown = |file| files.read([file])[0].file.shown.clone();
        assert_eq!(
            shown(file("/proc/self/exe", then)),
            PathBuf::from("/proc/self/exe")
        );
        assert_eq!(
            shown(file("/", then)),
            PathBuf::from("/proc/self/exe"),
            "a link to it"
        );
        assert_eq!(shown(file("/", now)), PathBuf::from("/"));
        assert_eq!(files.reused(), [(1, 2)]);
        assert!(files.reused().is_empty());
    }

    #[test]
    fn copies_of_a_site_are_one_probe_with_the_widest_arguments() {
        let usdt = UsdtFile {
            sites: vec![
                site("collect", "gc__start", "-4@%eax 8@%rdx"),
                site("collect", "gc__done", "-8@%rax"),
                site("collect", "gc__start", "-8@%rax"),
                site("elsewhere", "gc__start", ""),
            ],
            ..UsdtFile::default()
        };
        let groups = group(&usdt);
        let shown: Vec<(&str, &str, &[usize])> = groups
            .iter()
            .map(|group| (&*group.function, &*group.name, &*group.sites))
            .collect();
        assert_eq!(
            shown,
            [
                ("collect", "gc-start", &[0, 2][..]),
                ("collect", "gc-done", &[1]),
                ("elsewhere", "gc-start", &[3]),
            ]
        );
        let file = FileProbes {
            file: Arc::new(File {
                path: "/nonexistent".into(),
                shown: "/usr/bin/python3".into(),
                identity: (1, 2),
                born: None,
            }),
            usdt,
            groups: Vec::new(),
            findings: OnceLock::new(),
            functions: OnceLock::new(),
            frames: OnceLock::new(),
            looks_for_callers: OnceLock::new(),
            objects: Arc::new(PythonObjects::of(Path::new("/nonexistent"))),
        };
        let types = |group: &Group| -> Vec<Int> {
            let arguments = file
                .arguments(group, |_, int| ProbeArg::int(int))
                .into_iter();
            arguments
                .filter_map(|argument| argument.ty.as_int())
                .collect()
        };
        assert_eq!(types(&groups[0]), [Int::I64], "as many as all have");
        assert!(types(&groups[2]).is_empty());
    }
}
