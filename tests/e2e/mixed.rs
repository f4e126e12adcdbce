//! Stacks in which Python's functions are between those of C, in each format that shows stacks.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{can_find_frames, rdtrace, run};
use crate::outputs::{has_reader, read_by_python, readers};

/// `key` is called by C, which `main` has called.
const PROGRAM: &str = "
import os, time
def key(x):
    os.getppid()
    return x
def main():
    return sorted([3, 1, 2], key=key)
time.sleep(1)
main()
";

/// What each format is read with has the stacks in this variable, the innermost frame first.
const CHECK: &str = "

def place(frames, what):
    found = [at for at, frame in enumerate(frames) if what in frame]
    assert len(found) == 1, (what, frames)
    return found[0]
assert stacks
for frames in stacks:
    getppid, key, main, module = (place(frames, what) for what in ('`getppid', 'program.py:4 key', 'program.py:7 main', ' <module>'))
    assert getppid == 0 and 1 < key < main - 1 and module == main + 1 < len(frames) - 1, frames
    of_c = frames[1:key] + frames[key + 1:main] + frames[module + 1:]
    assert all('`' in frame for frame in of_c), frames
";

/// A directory with what a format makes of the stacks in which C is called.
fn traced(format: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program.py");
    fs::write(&program, PROGRAM).unwrap();
    let output = dir.path().join("output");
    let clause = "pid$target:libc.so.6:getppid:entry { @[ustack()] = count(); }";
    let mut command = rdtrace(["-q", "--format", format, "-n", clause, "-o"]);
    command.arg(&output).arg("-c");
    command.arg(format!("/usr/bin/python3 -S {}", program.display()));
    run(command).clean();
    (dir, output)
}

/// Checks what `read` makes of a file: the stacks, and how often there were any.
fn check(read: &str, file: &Path) {
    let program =
        format!("import json, sys\nfile = open(sys.argv[1])\n{read}\n{CHECK}\nprint(count)");
    assert_eq!(read_by_python(&program, file), "3\n");
}

#[test]
fn folded_stacks_are_mixed() {
    if can_find_frames() {
        let read = "
lines = [line.rpartition(' ') for line in file]
stacks = [line.split(';')[::-1] for line, _, _ in lines]
count = sum(int(count) for _, _, count in lines)";
        check(read, &traced("folded").1);
    }
}

#[test]
fn stacks_in_json_are_mixed() {
    if can_find_frames() {
        let read = "
events = [json.loads(line) for line in file]
[of] = [a for e in events if e['event'] == 'aggregations' for a in e['aggregations']]
stacks = [data['keys'][0]['value'] for data in of['aggregation-data']]
count = sum(data['value'] for data in of['aggregation-data'])";
        check(read, &traced("json").1);
    }
}

#[test]
fn stacks_in_speedscope_are_mixed() {
    if can_find_frames() {
        let read = "
whole = json.load(file)
names = [frame['name'] for frame in whole['shared']['frames']]
[profile] = whole['profiles']
stacks = [[names[frame] for frame in sample][::-1] for sample in profile['samples']]
count = sum(profile['weights'])";
        check(read, &traced("speedscope").1);
    }
}

#[test]
fn stacks_in_chrome_are_mixed() {
    if can_find_frames() {
        let read = "
values = [e['args'] for e in json.load(file)['traceEvents'] if e['ph'] == 'C']
stacks = [key.split(';') for args in values for key in args]
count = sum(value for args in values for value in args.values())";
        check(read, &traced("chrome").1);
    }
}

/// A frame of a picture is above its caller's, and within its sides.
#[test]
fn stacks_in_pictures_are_mixed() {
    if can_find_frames() {
        let read = "
import xml.etree.ElementTree as tree
svg = '{http://www.w3.org/2000/svg}'
boxes = []
for group in tree.parse(file).getroot().iter(svg + 'g'):
    title, box = group.find(svg + 'title'), group.find(svg + 'rect')
    if title is not None:
        name, _, count = title.text.rpartition(' (')
        left, width, top = (float(box.get(side).rstrip('%')) for side in ('x', 'width', 'y'))
        boxes.append((name, int(count.split()[0]), left, left + width, top))
leaves = [box for box in boxes if '`getppid' in box[0]]
def below(leaf):
    middle = (leaf[2] + leaf[3]) / 2
    under = [box for box in boxes if box[2] <= middle <= box[3] and box[4] >= leaf[4]]
    return [box[0] for box in sorted(under, key=lambda box: box[4])][:-1]
stacks = [below(leaf) for leaf in leaves]
count = sum(leaf[1] for leaf in leaves)";
        check(read, &traced("flamegraph").1);
    }
}

#[test]
fn stacks_in_pprof_are_mixed() {
    let reader = "node_modules/pprof-format/package.json";
    if !can_find_frames() || !has_reader(reader) {
        return;
    }
    let (dir, output) = traced("pprof");
    let program = "
        const { Profile } = require('pprof-format');
        const read = require('fs').readFileSync(process.argv[1]);
        const p = Profile.decode(require('zlib').gunzipSync(read));
        const text = (i) => p.stringTable.strings[Number(i)];
        const names = new Map(p.function.map((f) => [f.id, text(f.name)]));
        const locations = new Map(p.location.map((l) => [l.id, names.get(l.line[0].functionId)]));
        const samples = p.sample.map((s) => [s.locationId.map((id) => locations.get(id)), Number(s.value[0])]);
        console.log(JSON.stringify(samples));";
    let mut command = std::process::Command::new("node");
    command.args(["-e", program]).arg(&output);
    command.env("NODE_PATH", readers().join("node_modules"));
    let samples = dir.path().join("samples");
    fs::write(&samples, run(command).clean()).unwrap();
    let read = "
samples = json.load(file)
stacks = [stack for stack, _ in samples]
count = sum(count for _, count in samples)";
    check(read, &samples);
}
