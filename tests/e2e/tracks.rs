//! Calls in tasks of asyncio: each task has a track of its own in the outputs that show when calls were.

use std::path::PathBuf;

use crate::harness::{PYTHON, can_find_frames, can_trace_python, rdtrace, repository, run};
use crate::outputs::{perfetto, read_by_python};

/// Asks for tasks, so that there are tracks of them.
const CALLS: &str = "python$target:::function-entry,python$target:::function-return
    /basename(copyinstr(arg0)) == \"task_calls.py\" && pytask != \"nobody\"/ {}";

/// Reads trace events as Perfetto does: on each track an end is that of the innermost call. Prints each named track with
/// its calls in their order, `(` for a beginning and `)` for an end, and those that are on no named track.
const READ: &str = "
import json, sys, collections
events = json.load(open(sys.argv[1]))['traceEvents']
names, open_calls, lines = {}, collections.defaultdict(list), collections.defaultdict(str)
for e in events:
    track = e['pid'], e['tid']
    name = e['name'].split()[0]
    if e['ph'] == 'M':
        names[track] = ' '.join(e['args']['name'].split()[:2])
    elif e['ph'] == 'B':
        open_calls[track].append(e['name'])
        lines[names.get(track, 'thread')] += name + '('
    elif e['ph'] == 'E':
        assert open_calls[track].pop() == e['name'], e
        lines[names.get(track, 'thread')] += ')'
assert not any(open_calls.values()), open_calls
for name, calls in sorted(lines.items()):
    print(name, calls)
";

/// A directory with the trace events of the calls in it, if there can be any.
fn traced() -> Option<(tempfile::TempDir, PathBuf)> {
    if !can_trace_python() || !can_find_frames() {
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let output = dir.path().join("trace.json");
    let mut command = rdtrace(["-q", "--format", "chrome", "-n", CALLS, "-o"]);
    let script = repository("tests/triggers/task_calls.py");
    command.arg(&output).arg("-c");
    command.arg(format!("{PYTHON} {}", script.display()));
    run(command).clean();
    Some((dir, output))
}

#[test]
fn interleaved_tasks_have_tracks_on_which_their_calls_nest() {
    let Some((_dir, output)) = traced() else {
        return;
    };
    // Each coroutine starts, and goes on once for each turn of its loop.
    let turn = "outer(inner())";
    let expected = format!(
        "task first {}\ntask main {}\ntask second {}\nthread <module>()\n",
        turn.repeat(4),
        "main()main()",
        turn.repeat(3),
    );
    assert_eq!(read_by_python(READ, &output), expected);
}

#[test]
fn perfetto_has_tasks_as_threads() {
    let Some(perfetto) = perfetto() else { return };
    let Some((_dir, output)) = traced() else {
        return;
    };
    let query = "
select coalesce(substr(thread.name, 1, instr(thread.name, ' of ') - 1), 'thread'),
  substr(s.name, 1, instr(s.name, ' ') - 1), s.depth, count(*), min(s.dur) >= 0
from slice s join thread_track on s.track_id = thread_track.id join thread using (utid)
group by 1, 2 order by 1, 3;";
    assert_eq!(
        run(perfetto.ask(&output, query)).stdout,
        "task first\touter\t0\t4\t1\ntask first\tinner\t1\t4\t1\n\
         task main\tmain\t0\t2\t1\n\
         task second\touter\t0\t3\t1\ntask second\tinner\t1\t3\t1\n\
         thread\t<module>\t0\t1\t1\n"
    );
}
