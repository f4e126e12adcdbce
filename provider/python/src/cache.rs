//! What was found out about interpreters, kept from run to run.
//!
//! An analysis takes tens of milliseconds and a self-test hundreds, so both are kept under the hash
//! of the file's contents. Hashing a large library takes long enough itself, so a second look
//! is by what `stat` says: a file with the same device, inode, size and times is taken for the
//! same. (Its change time cannot be set by anyone but the kernel.)
//!
//! ```text
//!     /var/cache/rdtrace/          ours alone; ~/.cache/rdtrace for other users than root
//!         file-HEX                 for a file by its stat data: the hash of its contents
//!         build-HASH.json          what was found out about those contents
//! ```
//!
//! A file that another build of rdtrace wrote, or that is damaged, counts as missing.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::analyse::analyse;
use super::audit::Audits;
use super::build::{Build, Method, Place};
use super::caught::CaughtSite;
use super::cfunctions::Cfunctions;
use super::entries::EntrySite;
use super::gc::Collector;
use super::gil::Gil;
use super::headers::offsets_of;
use super::identify::may_be_python;
use super::import::Imports;
use super::lines::LineFormat;
use super::opcodes;
use super::refusal::Refusal;
use super::site::Site;
use super::store::Store;
use super::version::Version;

/// Files larger than this are no interpreters.
const LARGEST: u64 = 1 << 29;

/// What is known of a file.
#[derive(Clone, Debug)]
pub struct Findings {
    /// What the analysis gave.
    pub analysis: Result<Arc<Build>, Refusal>,
    /// How the self-test went, if there was one.
    pub check: Option<Check>,
    /// The hash of the contents; `None` if the file changed while it was read, or could not be read.
    key: Option<String>,
}

/// How a self-test went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Check {
    /// The probes saw exactly what happened.
    Passed,
    /// They did not.
    Failed {
        /// What was different.
        why: String,
    },
}

/// The results of earlier runs. By default, none are kept.
#[derive(Debug, Default)]
pub struct Cache {
    store: Option<Store>,
}

impl Cache {
    /// The cache of the user that rdtrace runs as. If it has none, nothing is kept.
    #[must_use]
    pub fn of_user() -> Self {
        let dir = if nix::unistd::geteuid().is_root() {
            Some(PathBuf::from("/var/cache")) // whatever the environment says, which may be another user's
        } else {
            let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
            named("XDG_CACHE_HOME")
                .filter(|dir| dir.is_absolute())
                .or_else(|| Some(named("HOME")?.join(".cache")))
        };
        Self {
            store: dir.and_then(|dir| Store::open(&dir.join("rdtrace")).ok()),
        }
    }

    /// A cache in this directory.
    pub fn in_dir(dir: &Path) -> io::Result<Self> {
        Ok(Self {
            store: Some(Store::open(dir)?),
        })
    }

    /// What is known of a file; it is analysed if nothing is.
    #[must_use]
    pub fn find_out(&self, path: &Path) -> Findings {
        let refused = |refusal| Findings {
            analysis: Err(refusal),
            check: None,
            key: None,
        };
        let unreadable = |error: io::Error| refused(Refusal::NotElf(error.to_string()));
        let (mut file, before) = match open(path) {
            Ok(opened) => opened,
            Err(error) => return unreadable(error),
        };
        let index = index_of(&before);
        if let Some(findings) = self.indexed(&index) {
            return findings;
        }
        if !may_be_python(&file) {
            return refused(Refusal::NotPython);
        }
        let mut contents = Vec::new();
        if let Err(error) = file.rewind().and_then(|()| file.read_to_end(&mut contents)) {
            return unreadable(error);
        }
        let key = hash(&contents);
        let findings = self.by_contents(&key).unwrap_or_else(|| Findings {
            analysis: analyse(&contents).map(Arc::new),
            check: None,
            key: Some(key.clone()),
        });
        // A file that is being written, or was an instant ago (file times are coarse), is
        // not what its times say.
        let settled = file
            .metadata()
            .is_ok_and(|after| index_of(&after) == index && is_old(&after));
        self.keep(&findings);
        if let (Some(store), true) = (&self.store, settled) {
            let _ = store.write(&index, key.as_bytes());
        }
        findings
    }

    /// Keeps the result of a self-test.
    pub fn record(&self, findings: &mut Findings, check: Check) {
        findings.check = Some(check);
        self.keep(findings);
    }

    fn keep(&self, findings: &Findings) {
        let (Some(store), Some(key)) = (&self.store, &findings.key) else {
            return;
        };
        let kept = Kept {
            writer: writer(),
            analysis: findings
                .analysis
                .as_deref()
                .map(KeptBuild::of)
                .map_err(Clone::clone),
            check: findings.check.clone(),
        };
        // A cache that cannot be written costs time, nothing else.
        if let Ok(text) = serde_json::to_vec(&kept) {
            let _ = store.write(&name_of(key), &text);
        }
    }

    fn indexed(&self, index: &str) -> Option<Findings> {
        let key = String::from_utf8(self.store.as_ref()?.read(index)?).ok()?;
        let is_hash = key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.by_contents(Some(&*key).filter(|_| is_hash)?)
    }

    fn by_contents(&self, key: &str) -> Option<Findings> {
        let text = self.store.as_ref()?.read(&name_of(key))?;
        let kept: Kept = serde_json::from_slice(&text).ok()?;
        if kept.writer != writer() {
            return None;
        }
        let analysis = match kept.analysis {
            Ok(build) => Ok(Arc::new(build.restore()?)),
            Err(refusal) => Err(refusal),
        };
        Some(Findings {
            analysis,
            check: kept.check,
            key: Some(key.to_owned()),
        })
    }
}

fn open(path: &Path) -> io::Result<(File, fs::Metadata)> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() > LARGEST {
        return Err(io::Error::other("it is larger than any interpreter"));
    }
    Ok((file, meta))
}

fn name_of(key: &str) -> String {
    format!("build-{key}.json")
}

fn hash(contents: &[u8]) -> String {
    let digest = Sha256::digest(contents);
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The name of a file's entry in the index.
fn index_of(meta: &fs::Metadata) -> String {
    let mut name = format!(
        "file-{:x}-{:x}-{:x}-{:x}.{:x}-{:x}.{:x}",
        meta.dev(),
        meta.ino(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ctime(),
        meta.ctime_nsec(),
    );
    // Device numbers with major 0 (overlay, btrfs, tmpfs) are given out anew after each boot.
    if nix::sys::stat::major(meta.dev()) == 0 {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        name.push('-');
        name.push_str(boot.trim());
    }
    name
}

fn is_old(meta: &fs::Metadata) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.is_ok_and(|now| i64::try_from(now.as_secs()).is_ok_and(|now| now > meta.ctime() + 2))
}

/// Which rdtrace this is: another one may find out other things.
fn writer() -> String {
    let program = fs::metadata("/proc/self/exe");
    let program =
        program.map(|meta| format!("{}.{}-{}", meta.mtime(), meta.mtime_nsec(), meta.size()));
    format!(
        "{} {}",
        env!("CARGO_PKG_VERSION"),
        program.unwrap_or_default()
    )
}

/// An entry as it is written.
#[derive(Serialize, Deserialize)]
struct Kept {
    writer: String,
    analysis: Result<KeptBuild, Refusal>,
    check: Option<Check>,
}

/// A [`Build`] without what its version determines.
#[derive(Serialize, Deserialize)]
struct KeptBuild {
    version: Version,
    free_threaded: bool,
    method: Method,
    sites: Vec<Site>,
    entries: Result<Vec<EntrySite>, String>,
    collectors: Result<Vec<Collector>, String>,
    gil: Result<Gil, String>,
    passes: Option<Place>,
    caught: Result<Vec<CaughtSite>, String>,
    cfunctions: Result<Cfunctions, String>,
    imports: Result<Imports, String>,
    audits: Option<Audits>,
    fingerprint: u64,
    notes: Vec<String>,
}

impl KeptBuild {
    fn of(build: &Build) -> Self {
        Self {
            version: build.version,
            free_threaded: build.free_threaded,
            method: build.method,
            sites: build.sites.clone(),
            entries: build.entries.clone(),
            collectors: build.collectors.clone(),
            gil: build.gil.clone(),
            passes: build.passes,
            caught: build.caught.clone(),
            cfunctions: build.cfunctions.clone(),
            imports: build.imports.clone(),
            audits: build.audits.clone(),
            fingerprint: build.fingerprint,
            notes: build.notes.clone(),
        }
    }

    fn restore(self) -> Option<Build> {
        let minor = self.version.minor;
        Some(Build {
            version: self.version,
            free_threaded: self.free_threaded,
            method: self.method,
            sites: self.sites,
            entries: self.entries,
            offsets: offsets_of(minor, self.free_threaded)?,
            lines: LineFormat::of(minor),
            masking_opcodes: opcodes::of(minor).map_or(&[], |opcodes| opcodes.masking),
            collectors: self.collectors,
            gil: self.gil,
            passes: self.passes,
            caught: self.caught,
            cfunctions: self.cfunctions,
            imports: self.imports,
            audits: self.audits,
            fingerprint: self.fingerprint,
            notes: self.notes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::recorded;
    use super::*;

    fn analysed(contents: &[u8]) -> Findings {
        Findings {
            analysis: analyse(contents).map(Arc::new),
            check: None,
            key: Some(hash(contents)),
        }
    }

    #[test]
    fn what_is_kept_comes_back_whole() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::in_dir(&dir.path().join("cache")).unwrap();
        for (name, contents) in recorded() {
            let mut findings = analysed(&contents);
            cache.keep(&findings);
            let again = cache.by_contents(&hash(&contents)).unwrap();
            assert_eq!(again.analysis, findings.analysis, "{name}");
            assert_eq!(again.check, None);
            let check = Check::Failed { why: "x".into() };
            cache.record(&mut findings, check.clone());
            let again = cache.by_contents(&hash(&contents)).unwrap();
            assert_eq!(again.analysis, findings.analysis, "{name}");
            assert_eq!(again.check, Some(check));
        }
    }

    #[test]
    fn refusals_are_kept_too() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::in_dir(&dir.path().join("cache")).unwrap();
        let what = "the frame".into();
        for refusal in [Refusal::Machine, Refusal::Offsets { what }] {
            let findings = Findings {
                analysis: Err(refusal.clone()),
                check: None,
                key: Some("0".repeat(64)),
            };
            cache.keep(&findings);
            let again = cache.by_contents(&"0".repeat(64)).unwrap();
            assert_eq!(again.analysis, Err(refusal));
        }
    }

    #[test]
    fn damaged_and_foreign_entries_count_as_missing() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::in_dir(&dir.path().join("cache")).unwrap();
        let (_, contents) = recorded().remove(0);
        let key = hash(&contents);
        cache.keep(&analysed(&contents));
        let store = cache.store.as_ref().unwrap();
        let text = String::from_utf8(store.read(&name_of(&key)).unwrap()).unwrap();
        for bad in [
            &text[..text.len() / 2],
            "",
            "null",
            &text.replace(&writer(), "0.0.1"),
            &text.replace("\"minor\":", "\"minor\":9"), // 3.96 has no offsets
        ] {
            store.write(&name_of(&key), bad.as_bytes()).unwrap();
            assert!(cache.by_contents(&key).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_file_is_known_by_its_stat_data() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::in_dir(&dir.path().join("cache")).unwrap();
        let (_, contents) = recorded().remove(0);
        cache.keep(&analysed(&contents));
        let path = dir.path().join("python");
        fs::write(&path, b"not what the index says").unwrap();
        let index = index_of(&fs::metadata(&path).unwrap());
        let store = cache.store.as_ref().unwrap();
        store.write(&index, hash(&contents).as_bytes()).unwrap();
        assert!(cache.find_out(&path).analysis.is_ok());
        fs::write(&path, b"changed, and of another size").unwrap();
        assert_eq!(cache.find_out(&path).analysis, Err(Refusal::NotPython));
        store.write(&index, b"../../etc/passwd").unwrap();
        assert!(cache.indexed(&index).is_none());
    }
}
