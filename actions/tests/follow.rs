//! The programs that keep the set of followed processes, on the running kernel. Needs root.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use actions::follow::FollowFields;
use actions::lower::{Compiler, Extras, LowerOptions};
use dlang::check::UnknownArgs;
use dlang::diag::{Origin, Source};
use dlang::{CheckOptions, Macros};
use predicates::storage::{Counter, TaskFields};
use provider::btf::Btf;
use provider::features::KernelFeatures;
use provider::map::Map;
use provider::session::Session;
use test_support::skipped;

/// A session that follows what is put into its map.
struct Following {
    session: Session,
    compiler: Compiler,
}

impl Following {
    /// With room for so many processes; `None` where programs cannot be loaded.
    fn start(most: u32) -> Option<Self> {
        let features = KernelFeatures::detect();
        let Some(mut btf) = Btf::of_kernel().filter(|_| KernelFeatures::loads_programs()) else {
            skipped("needs root, and a kernel with BTF");
            return None;
        };
        let source = Source {
            origin: Origin::Script("test.d".into()),
            text: "BEGIN { }".into(),
        };
        let ast = dlang::parse(std::slice::from_ref(&source), &Macros::default()).unwrap();
        let program = dlang::check(&ast, &UnknownArgs, &CheckOptions::default()).unwrap();
        let options = LowerOptions {
            strsize: 256,
            scratchsize: 256,
            ring_bytes: 1 << 16,
            aggregation_keys: Some(1024),
            dynvarsize: 1 << 20,
            speculations: 4,
            extras: Extras::default(),
            task: TaskFields::default(),
            part_length: actions::lower::PART_LENGTH,
            open_loops: None,
            grows: true,
            frames: actions::frames::FrameOptions::default(),
            cpus: 1,
            cpu: None,
            in_locks: false,
            nests: false,
            follow: Some(FollowFields {
                tgid: btf.member_offset("task_struct", "tgid").unwrap(),
                signal: btf.member_offset("task_struct", "signal").unwrap(),
                live: btf.member_offset("signal_struct", "live").unwrap(),
            }),
        };
        let mut compiler = Compiler::new(Arc::new(program), options);
        let mut object = compiler.lower(&[]).unwrap();
        object.maps[compiler.followed().unwrap().0 as usize].max_entries = most;
        let mut session = Session::new(features);
        session.create_maps(&object.maps).unwrap();
        for program in &object.programs {
            session.load(program).unwrap();
        }
        session.attach_all(&object.attachments).unwrap();
        Some(Self { session, compiler })
    }

    fn map(&self) -> Map {
        let id = self.compiler.followed().unwrap();
        self.session.map(id).unwrap()
    }

    fn add(&self, pid: u32, root: u32) {
        self.map()
            .update(&pid.to_ne_bytes(), &root.to_ne_bytes())
            .unwrap();
    }

    /// The followed processes and their roots.
    fn all(&self) -> BTreeMap<u32, u32> {
        let mut all = BTreeMap::new();
        let word = |bytes: &[u8]| u32::from_ne_bytes(bytes.try_into().unwrap());
        self.map()
            .for_each(&mut |pid, root| _ = all.insert(word(pid), word(root)))
            .unwrap();
        all
    }

    fn drops(&self) -> u64 {
        let map = self.session.map(self.compiler.counters()).unwrap();
        let mut value = vec![0; map.value_len()];
        map.lookup(&0u32.to_ne_bytes(), &mut value).unwrap();
        let at = Counter::FollowDrops as usize * 8;
        let count = |cpu: &[u8]| u64::from_ne_bytes(cpu[at..at + 8].try_into().unwrap());
        map.cpu_values(&value).map(count).sum()
    }
}

/// A shell that waits for a line before it does what it is told.
fn shell(script: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read line; {script}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn children_have_their_parents_root_until_they_end() {
    let Some(following) = Following::start(100) else {
        return;
    };
    let mut tree = shell("(sleep 9; true) & sleep 9");
    let mut other = shell("sleep 9 & sleep 9");
    let root = tree.id();
    following.add(root, root);
    drop(tree.stdin.take());
    drop(other.stdin.take());
    // The shell, the one in parentheses, and a sleep of each.
    wait_until("four are followed", || following.all().len() == 4);
    assert!(following.all().values().all(|of| *of == root));
    assert!(!following.all().contains_key(&other.id()));
    tree.kill().unwrap();
    tree.wait().unwrap();
    let left = following.all();
    assert_eq!(left.len(), 3, "the root has ended, its children go on");
    for pid in left.keys() {
        let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
    wait_until("all have ended", || following.all().is_empty());
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(following.drops(), 0);
}

#[test]
fn threads_come_and_go_without_a_change() {
    let Some(following) = Following::start(100) else {
        return;
    };
    let us = std::process::id();
    following.add(us, us);
    for _ in 0..3 {
        thread::spawn(|| ()).join().unwrap();
    }
    assert_eq!(following.all().get(&us), Some(&us));
    assert_eq!(following.drops(), 0);
}

#[test]
fn a_process_stays_when_its_first_thread_ends() {
    let Some(following) = Following::start(100) else {
        return;
    };
    // Python's main thread ends for itself; the other one goes on.
    let code = "import ctypes, os, sys, threading, time\n\
        sys.stdin.readline()\n\
        threading.Thread(target=lambda: (time.sleep(0.4), os._exit(0))).start()\n\
        ctypes.CDLL(None).syscall(60, 0)"; // exit, of the thread only
    let Ok(mut python) = Command::new("/usr/bin/python3")
        .args(["-c", code])
        .stdin(Stdio::piped())
        .spawn()
    else {
        skipped("needs /usr/bin/python3");
        return;
    };
    let pid = python.id();
    following.add(pid, pid);
    drop(python.stdin.take());
    let first = format!("/proc/{pid}/task/{pid}/stat");
    wait_until("the first thread has ended", || {
        std::fs::read_to_string(&first).is_ok_and(|stat| stat.contains(") Z "))
    });
    assert!(following.all().contains_key(&pid));
    python.wait().unwrap();
    assert!(following.all().is_empty());
}

#[test]
fn forks_that_find_no_room_are_counted() {
    let Some(following) = Following::start(2) else {
        return;
    };
    let mut tree = shell("sleep 9 & sleep 9 & sleep 9 & wait");
    following.add(tree.id(), tree.id());
    drop(tree.stdin.take());
    wait_until("two forks are counted", || following.drops() == 2);
    let all = following.all();
    assert_eq!(all.len(), 2, "{all:?}");
    tree.kill().unwrap();
    tree.wait().unwrap();
    for pid in all.keys() {
        let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
}
