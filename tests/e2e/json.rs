//! `-x oformat=json`, read by a JSON reader that is not ours, over all golden programs.

use std::fs;
use std::process::Command;

use crate::golden::{directive, lacks_what_it_needs};
use crate::harness::{can_trace_python, rdtrace, repository, run, trigger};

/// Reads lines of JSON and checks them against the schema of docs/output.md. Prints the text that
/// the messages add up to, or nothing if the program shows something without a message.
const READER: &str = r#"
import json, sys
EVENTS = {
    "start": {"schema", "wall-offset"},
    "probe": {"timestamp", "cpu", "pid", "tid", "clause", "id", "provider", "module", "function",
              "name", "output"},
    "fault": {"fault", "pc", "message"},
    "drop": {"tag", "count", "message"},
    "aggregations": {"aggregations"},
    "end": {"interrupted", "records", "faults", "corrupt"},
}
ACTIONS = {"trace": {"value", "type"}, "tracemem": {"bytes"}, "printf": {"message", "values"}, "printa": {"aggregations"}}

def value(v):
    assert {"value", "type"} <= v.keys() <= {"value", "type", "bytes", "action"}, v
    assert isinstance(v["value"], (int, str)) or "bytes" in v \
        or isinstance(v["value"], (float, type(None))) and v["type"] in ("float", "double"), v
    assert isinstance(v["value"], str) == (v["type"] == "string" or v["type"].startswith("_") or v["type"].startswith("char [")) \
        or v["value"] is None or v["type"].endswith("]"), v
    bytes.fromhex(v.get("bytes", ""))

def aggregations(of):
    for a in of:
        assert a.keys() == {"aggregation-name", "function", "aggregation-data"}, a
        for entry in a["aggregation-data"]:
            for key in entry["keys"]:
                value(key)
            if "buckets" not in entry:
                assert isinstance(entry["value"], int), entry
                continue
            last = None
            for b in entry["buckets"]:
                assert b.keys() == {"low", "high", "count"} and b["count"] != 0, b
                assert last is None or last < (b["low"] if b["low"] is not None else b["high"]), entry
                last = b["high"]

lines = [json.loads(line) for line in sys.stdin.buffer.read().decode("utf-8").splitlines()]
assert lines[0]["event"] == "start" and lines[0]["schema"] == 1, lines[:1]
assert [i for i, l in enumerate(lines) if l["event"] in ("start", "end")] == [0, len(lines) - 1]
text, whole = "", True
records = faults = 0
for line in lines:
    assert EVENTS[line["event"]] <= line.keys(), line
    records += line["event"] == "probe"
    faults += line["event"] == "fault"
    for item in line.get("output", []):
        assert ACTIONS[item["action"]] <= item.keys(), item
        if item["action"] == "trace":
            value(item)
        for v in item.get("values", []):
            value(v)
        aggregations(item.get("aggregations", []))
        whole = whole and "message" in item and "bytes" not in item
        text += item.get("message", "")
    if line["event"] == "aggregations":
        aggregations(line["aggregations"])
        whole = False
assert records == lines[-1]["records"] and faults == lines[-1]["faults"], (records, faults, lines[-1])
if whole:
    sys.stdout.write(text + "\n")
"#;

#[test]
fn all_golden_programs_give_json_of_the_schema() {
    if !can_trace_python() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let reader = dir.path().join("reader.py");
    fs::write(&reader, READER).unwrap();
    let mut with_text = 0;
    let areas = fs::read_dir(repository("tests/golden")).unwrap();
    let scripts = areas.flat_map(|area| fs::read_dir(area.unwrap().path()).unwrap());
    for script in scripts.map(|script| script.unwrap().path()) {
        let name = script.file_name().unwrap().to_str().unwrap();
        let is_program = script.extension().is_some_and(|kind| kind == "d");
        if !name.starts_with("tst.") || !is_program {
            continue;
        }
        if lacks_what_it_needs(&script) {
            continue;
        }
        let source = fs::read_to_string(&script).unwrap();
        let args = directive(&source, "args").unwrap_or("-q");
        let lines = dir.path().join("lines");
        let mut command = rdtrace(args.split_whitespace());
        command
            .args(["-x", "oformat=json", "-o"])
            .arg(&lines)
            .arg("-s")
            .arg(name)
            .current_dir(script.parent().unwrap());
        if let Some(line) = directive(&source, "trigger") {
            command.arg("-c").arg(trigger(line).join(" "));
        }
        let status = directive(&source, "status").map_or(0, |status| status.parse().unwrap());
        let outcome = run(command);
        assert_eq!(outcome.status, status, "{name}: {}", outcome.stderr);
        let mut read = Command::new("/usr/bin/python3");
        read.arg("-X").arg("utf8").arg(&reader);
        let read = read
            .stdin(fs::File::open(&lines).unwrap())
            .output()
            .unwrap();
        let why = String::from_utf8_lossy(&read.stderr);
        assert!(read.status.success(), "{name}: {why}");
        let any_order = directive(&source, "order") == Some("any");
        if args == "-q" && !any_order && !read.stdout.is_empty() {
            with_text += 1;
            let expected = fs::read(script.with_extension("out")).unwrap();
            assert!(
                read.stdout == expected,
                "{name}: the messages differ from the text"
            );
        }
        fs::remove_file(&lines).unwrap();
    }
    assert!(
        with_text > 20,
        "only {with_text} programs have a text to compare"
    );
}
