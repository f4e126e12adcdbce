//! Recorded buffers and their exact text, as DTrace 2.0.7 printed it.

use std::sync::Arc;

use dlang::program::{ExprKind, Subroutine};
use dlang::types::{Int, Type};
use proptest::prelude::*;
use provider::probe::{Probe, ProbeKind, SystemCall, Way};

use super::drops::DropReporter;
use super::testing::{
    Datum, constant, consumer, ecb, expr, int, lay_out, printf, probe, probename, quiet, recorded,
    show, string,
};
use super::*;
use crate::record::{FAULT_EPID, Fault, Flow, Output, OutputKind, Speculation};

fn i(n: i64, int: Int) -> Datum {
    Datum::I(n, int)
}

/// What `printf(format, data...)` prints.
fn formatted(format: &str, data: &[Datum]) -> String {
    let args = data
        .iter()
        .enumerate()
        .map(|(i, datum)| recorded(i, *datum))
        .collect();
    show(quiet(), data, vec![printf(format, args)])
}

#[test]
fn printf_converts_as_dtrace() {
    let cases: &[(&str, Datum, &str)] = &[
        ("%d", int(-5), "-5"),
        ("%i", int(-5), "-5"),
        ("%u", int(5), "5"),
        ("%x", int(255), "ff"),
        ("%X", int(255), "FF"),
        ("%#x", int(255), "0xff"),
        ("%#X", int(255), "0XFF"),
        ("%#x", int(0), "0"),
        ("%o", int(8), "10"),
        ("%#o", int(8), "010"),
        ("%#o", int(0), "0"),
        ("%#d", int(8), "8"),
        ("%#p", int(4096), "0x1000"),
        ("%p", int(4096), "1000"),
        ("%c", int(65), "A"),
        ("%3c", int(66), "  B"),
        ("%-3c", int(67), "C  "),
        ("%05c", int(65), "    A"),
        ("%-05c", int(65), "    A"),
        ("%c", int(0), "\0"),
        ("%C", int(10), "\\n"),
        ("%C", int(65), "A"),
        ("%05d", int(42), "00042"),
        ("%08d", int(-5), "-0000005"),
        ("%+08d", int(5), "+0000005"),
        ("% 08d", int(5), " 0000005"),
        ("%+d", int(7), "+7"),
        ("%+ d", int(7), "+7"),
        ("% d", int(9), " 9"),
        ("%-6d", int(3), "3     "),
        ("%6d", int(3), "     3"),
        ("%.3d", int(5), "005"),
        ("%8.3d", int(5), "     005"),
        ("%08.3d", int(5), "     005"),
        ("%-08d", int(5), "00000005"),
        ("%.0d", int(0), "0"),
        ("%'d", int(1_234_567), "1234567"),
        ("%+x", int(5), "5"),
        ("%#08x", int(255), "0x0000ff"),
        ("%#8x", int(255), "    0xff"),
        ("%-#8x", int(255), "0xff    "),
        ("%#.4x", int(255), "0x00ff"),
        ("%05p", int(255), "000ff"),
        ("%x", int(-1), "ffffffff"),
        ("%x", i(-1, Int::I16), "ffff"),
        ("%x", i(-1, Int::I8), "ff"),
        ("%u", int(-1), "4294967295"),
        ("%u", i(-1, Int::I8), "255"),
        ("%u", i(-1, Int::I64), "18446744073709551615"),
        ("%d", i(-1, Int::U64), "18446744073709551615"),
        ("%+d", i(5, Int::U64), "5"),
        ("%x", i(-1, Int::I64), "ffffffffffffffff"),
        ("%o", i(-1, Int::I8), "377"),
        ("%d", i(i64::MIN, Int::I64), "-9223372036854775808"),
        ("%a", i(4096, Int::U64), "0x1000"),
        ("%10s", string("r"), "         r"),
        ("%-10s", string("l"), "l         "),
        ("%.3s", string("abcdef"), "abc"),
        ("%10.3s", string("abcdef"), "       abc"),
        ("%-10.3s|", string("abcdef"), "abc       |"),
        ("%010s", string("z"), "         z"),
        ("%-010s", string("ab"), "        ab"),
        ("%.0s", string("abc"), "abc"),
        (
            "%S",
            string("a\tb\n\"\\\u{1}z"),
            "a\\tb\\n\\\"\\\\\\001z\\0",
        ),
        (
            "%S",
            string("\u{7}\u{8}\u{c}\u{b}\r?x"),
            "\\a\\b\\f\\v\\r?x\\0",
        ),
        ("%10S", string("ab"), "      ab\\0"),
        ("%-10S|", string("ab"), "ab\\0      |"),
        ("%.3S", string("abcdef"), "abc"),
    ];
    for (format, datum, expected) in cases {
        assert_eq!(
            formatted(format, &[*datum]),
            *expected,
            "{format} of {datum:?}"
        );
    }
}

#[test]
fn widths_and_precisions_come_from_arguments() {
    let cases: &[(&str, &[Datum], &str)] = &[
        ("%*d", &[int(6), int(3)], "     3"),
        ("%*d", &[int(-6), int(3)], "3     "),
        ("%-*d", &[int(-6), int(3)], "3     "),
        ("%0*d", &[int(5), int(3)], "00003"),
        ("%.*d", &[int(4), int(3)], "0003"),
        ("%.*d", &[int(-4), int(3)], "3"),
        ("%.*s", &[int(0), string("abc")], "abc"),
        ("%*.*s", &[int(6), int(2), string("abcdef")], "    ab"),
    ];
    for (format, data, expected) in cases {
        assert_eq!(formatted(format, data), *expected, "{format} of {data:?}");
    }
}

#[test]
fn dates_are_local_time() {
    let date = |n: i64, format| formatted(format, &[i(n, Int::U64)]);
    let shown = date(1_700_000_000_000_000_000, "%Y");
    assert!(
        shown.starts_with("2023 Nov 1") && shown.ends_with(":20"),
        "{shown}"
    );
    assert_eq!(shown.len(), 20);
    assert_eq!(date(1_709_500_000_000_000_000, "%.4Y"), "2024");
    assert_eq!(
        date(1_700_000_000_000_000_000, "%22Y"),
        format!("  {shown}")
    );
}

#[test]
fn what_never_changes_is_text_from_the_start() {
    let width = constant(15);
    let out = show(
        quiet(),
        &[],
        vec![printf("%*s:%d", vec![width, probename(), constant(7)])],
    );
    assert_eq!(out, "          BEGIN:7");
}

#[test]
fn functions_of_recorded_data_are_computed() {
    let path = string("/usr/lib/a.py");
    let basename = ExprKind::Call(Subroutine::Basename, vec![recorded(0, path)]);
    let out = show(
        quiet(),
        &[path],
        vec![printf("%s", vec![expr(basename, Type::String)])],
    );
    assert_eq!(out, "a.py");
}

const HEADER: &str = "CPU     ID                    FUNCTION:NAME\n";

fn traced(options: OutputOptions, data: &[Datum]) -> String {
    let traces = data
        .iter()
        .enumerate()
        .map(|(i, d)| OutputKind::Trace(recorded(i, *d)));
    show(options, data, traces.collect())
}

#[test]
fn trace_shows_by_type() {
    let data = [
        i(-5, Int::I8),
        i(250, Int::U8),
        i(-5, Int::I16),
        i(5, Int::U16),
        i(-7, Int::I32),
        i(7, Int::U32),
        i(-8, Int::I64),
        i(-8, Int::U64),
        string("str"),
        i(4096, Int::U64),
    ];
    assert_eq!(
        traced(OutputOptions::default(), &data),
        [
            HEADER,
            "  0      1                           :BEGIN   -5 250    -5     5         -7          7",
            "                  -8 18446744073709551608  str                              ",
            "                 4096\n",
        ]
        .concat()
    );
    assert_eq!(
        traced(quiet(), &data),
        "-5250-55-77-818446744073709551608str4096"
    );
}

#[test]
fn strings_that_are_no_text_are_dumped() {
    let options = OutputOptions {
        strsize: 20,
        ..quiet()
    };
    let dump = "\n             0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f  0123456789abcdef\n         \
                0: 61 62 01 00 00 00 00 00 00 00 00 00 00 00 00 00  ab..............\n        \
                10: 00 00 00 00                                      ....\n";
    assert_eq!(traced(options.clone(), &[string("ab\u{1}")]), dump);
    assert_eq!(traced(options.clone(), &[string("a\tb\n")]), "a\tb\n");
    assert!(traced(options.clone(), &[string("Zoë")]).contains("0: 5a 6f c3 ab 00"));
    assert_eq!(traced(options.clone(), &[string("")]), "");
    let raw = OutputOptions {
        raw_bytes: true,
        ..options
    };
    assert!(traced(raw, &[string("abc")]).contains("0: 61 62 63 00"));
}

#[test]
fn a_record_without_data_ends_with_a_blank() {
    let line = "  0      1                           :BEGIN \n";
    assert_eq!(
        show(OutputOptions::default(), &[], vec![]),
        format!("{HEADER}{line}")
    );
    assert_eq!(show(quiet(), &[], vec![]), "");
}

#[test]
fn the_newline_comes_whatever_was_printed() {
    let outputs = vec![printf("[%d]", vec![constant(5)]), printf("abc\n", vec![])];
    assert_eq!(
        show(OutputOptions::default(), &[], outputs),
        format!("{HEADER}  0      1                           :BEGIN [5]abc\n\n")
    );
}

#[test]
fn guards_leave_out_actions() {
    let mut ecb = ecb(
        1,
        &[int(0), int(1)],
        vec![printf("no", vec![]), printf("yes", vec![])],
    );
    ecb.layout.outputs[0].guard = Some(0);
    ecb.layout.outputs[1].guard = Some(1);
    let mut consumer = consumer(quiet());
    consumer.add_ecbs([ecb]);
    let mut out = Vec::new();
    consumer.record(&lay_out(1, 0, &[int(0), int(1)]).2, &mut out);
    assert_eq!(out, b"yes");
}

#[test]
fn exit_shows_nothing_and_the_end_a_newline() {
    let mut consumer = consumer(quiet());
    consumer.add_ecbs([ecb(1, &[], vec![OutputKind::Exit])]);
    let mut out = Vec::new();
    let outcome = consumer.record(&lay_out(1, 0, &[]).2, &mut out);
    assert_eq!(outcome, Outcome::Continue);
    consumer.finish(&mut out);
    assert_eq!(out, b"\n");
}

#[test]
fn flow_indents_by_thread() {
    let data = |thread| [i(thread, Int::I32)];
    let flow = |epid, id, name: &str, flow| {
        let mut ecb = ecb(epid, &data(0), vec![]);
        ecb.probe = probe(id, "f", name);
        ecb.layout.flow = flow;
        ecb.layout.thread = Some(0);
        ecb
    };
    let mut consumer = consumer(OutputOptions {
        flow_indent: true,
        ..OutputOptions::default()
    });
    let mut named = flow(3, 12, "line", Flow::None);
    named.layout.flow_name = Some(expr(ExprKind::Str("a.py:f:3".into()), Type::String));
    consumer.add_ecbs([
        flow(1, 10, "entry", Flow::Entry),
        flow(2, 10, "entry", Flow::Entry),
        named,
        flow(4, 11, "return", Flow::Return),
    ]);
    for (id, name, flow_of) in [(5, "entry", Flow::Entry), (6, "return", Flow::Return)] {
        let mut call = flow(id, 20 + id, name, flow_of);
        let mut of_call = Probe::clone(&call.probe);
        of_call.kind = ProbeKind::SystemCall(SystemCall {
            number: 0,
            way: Way::Entry,
        });
        call.probe = Arc::new(of_call);
        consumer.add_ecbs([call]);
    }
    let mut out = Vec::new();
    for (epid, thread) in [
        (5, 9),
        (6, 9),
        (1, 7),
        (2, 7),
        (1, 8),
        (1, 7),
        (3, 7),
        (4, 7),
        (4, 7),
        (4, 7),
    ] {
        consumer.record(&lay_out(epid, 0, &data(thread)).2, &mut out);
    }
    let out = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "CPU FUNCTION",
            "  0  => f",
            "  0  <= f",
            "  0  -> f",
            "  0   | f:entry",
            "  0  -> f",
            "  0    -> f",
            "  0     | a.py:f:3:line",
            "  0    <- f",
            "  0  <- f",
            "  0  <- f",
        ]
    );
    assert!(out.starts_with("CPU FUNCTION                                 \n"));
    assert_eq!(out.lines().nth(1).unwrap().len(), "  0 ".len() + 41 + 1);
}

#[test]
fn quiet_flow_keeps_the_columns_and_loses_the_newline() {
    let options = OutputOptions {
        flow_indent: true,
        ..quiet()
    };
    assert_eq!(
        show(options, &[], vec![printf("hi\n", vec![])]),
        "CPU FUNCTION                                 \n  0 | :BEGIN                                  hi\n"
    );
}

#[test]
fn faults_are_told_in_dtraces_words_and_place() {
    let fault = |kind: u32, address: u64| {
        let words = [FAULT_EPID, 0, 1, kind].map(u32::to_ne_bytes).concat();
        [
            words,
            167_u64.to_ne_bytes().to_vec(),
            address.to_ne_bytes().to_vec(),
        ]
        .concat()
    };
    let mut consumer = consumer(quiet());
    consumer.add_ecbs([ecb(1, &[], vec![printf("abc", vec![])])]);
    let mut out = Vec::new();
    consumer.record(&lay_out(1, 0, &[]).2, &mut out);
    consumer.record(&fault(Fault::DivideByZero as u32, 0), &mut out);
    consumer.record(&fault(Fault::BadAddress as u32, 0), &mut out);
    let place = "error in dt_clause_0 for probe ID 1 (dtrace:::BEGIN):";
    assert_eq!(
        consumer.take_effects(&mut out),
        [
            message(3, &format!("{place} divide-by-zero at BPF pc 167")),
            message(3, &format!("{place} invalid address (0x0) at BPF pc 167")),
        ]
    );
}

fn message(at: usize, text: &str) -> Effect {
    let kind = EffectKind::Message(text.to_owned());
    Effect { at, kind }
}

#[test]
fn what_is_done_beside_the_output_has_its_place_in_it() {
    let mut consumer = consumer(quiet());
    let format = |text: &str| Arc::new(dlang::check::parse_format(text.as_bytes()).unwrap());
    consumer.add_ecbs([ecb(
        1,
        &[],
        vec![
            printf("abc", vec![]),
            OutputKind::System(format("echo hi"), vec![]),
            OutputKind::Freopen(Some(format("file")), vec![]),
            printf("de", vec![]),
            OutputKind::Ftruncate,
        ],
    )]);
    let mut out = Vec::new();
    consumer.record(&lay_out(1, 0, &[]).2, &mut out);
    assert!(consumer.has_urgent_effects());
    let place = "error in dt_clause_0 for probe ID 1 (dtrace:::BEGIN)".to_owned();
    let path = Some(b"file".to_vec());
    let done = [
        (3, EffectKind::System(b"echo hi".to_vec())),
        (3, EffectKind::Freopen { path, place }),
        (5, EffectKind::Ftruncate),
    ];
    let done = done.map(|(at, kind)| Effect { at, kind });
    assert_eq!(consumer.take_effects(&mut out), done);
    assert!(!consumer.has_urgent_effects());
}

#[test]
fn an_option_that_the_program_sets_holds_from_there_on() {
    let mut consumer = consumer(OutputOptions::default());
    consumer.on_setopt(Box::new(|name, value, options| match (name, value) {
        ("quiet", None) => {
            options.quiet = true;
            Ok(())
        }
        _ => Err("Invalid option name".into()),
    }));
    let text = |text: &str| expr(ExprKind::Str(text.into()), Type::String);
    let one = || OutputKind::Trace(expr(ExprKind::Int(1), Type::INT));
    consumer.add_ecbs([ecb(
        1,
        &[],
        vec![
            one(),
            OutputKind::Setopt(text("quiet"), None),
            one(),
            OutputKind::Setopt(text("nosuch"), Some(text("5"))),
        ],
    )]);
    let mut out = Vec::new();
    consumer.record(&lay_out(1, 0, &[]).2, &mut out);
    consumer.record(&lay_out(1, 0, &[]).2, &mut out);
    let (_, record) = out.split_at(default::HEADER.len());
    // Values keep the columns that the run began with, as in libdtrace.
    let values = b"          1          1          1          1";
    assert!(record.ends_with(values), "{record:?}");
    let place = "error in dt_clause_0 for probe ID 1 (dtrace:::BEGIN)";
    let why = format!("{place}: couldn't set option \"nosuch\" to \"5\": Invalid option name");
    let told = consumer.take_effects(&mut out);
    assert_eq!(told[0].kind, EffectKind::Message(why));
}

#[test]
fn drops_are_told_as_they_grow() {
    let mut reporter = DropReporter::default();
    let mut report = |counts: &DropCounts, tags| {
        let drops = reporter.report(counts).into_iter();
        drops.map(|drop| drop.message(tags)).collect::<Vec<_>>()
    };
    let mut counts = DropCounts {
        principal: vec![1, 17],
        ..DropCounts::default()
    };
    assert_eq!(
        report(&counts, false),
        ["1 drop on CPU 0", "17 drops on CPU 1"]
    );
    assert!(report(&counts, false).is_empty());
    counts.principal[1] = 18;
    counts.aggregation = vec![2];
    counts.dynamic = 96;
    assert_eq!(
        report(&counts, false),
        [
            "1 drop on CPU 1",
            "2 aggregation drops on CPU 0",
            "96 dynamic variable drops"
        ]
    );
    counts.dynamic = 97;
    counts.forks = 2;
    assert_eq!(
        report(&counts, true),
        [
            "[DTRACEDROP_DYNAMIC] 1 dynamic variable drop",
            "[RDTRACEDROP_FORK] 2 forks not followed: too many processes are followed"
        ]
    );
}

#[test]
fn drops_are_told_behind_the_last_record() {
    let data = [int(5)];
    let mut consumer = consumer(quiet());
    consumer.add_ecbs([ecb(
        1,
        &data,
        vec![printf("%d", vec![recorded(0, data[0])])],
    )]);
    let (record, mut out) = (lay_out(1, 0, &data).2, Vec::new());
    consumer.record(&record, &mut out);
    consumer.drops(&DropCounts {
        dynamic: 1,
        ..DropCounts::default()
    });
    consumer.record(&record, &mut out);
    assert_eq!(out, b"55");
    let told = consumer.take_effects(&mut out);
    assert_eq!((told.len(), told[0].at), (1, 1));
}

/// What the records of `data` and `outputs` show as JSON, without the first and the last line.
fn json(data: &[Datum], outputs: Vec<OutputKind>) -> String {
    let mut consumer = consumer(OutputOptions {
        format: OutputFormat::Json,
        ..OutputOptions::default()
    });
    let mut ecb = ecb(1, data, outputs);
    ecb.clause = 2;
    consumer.add_ecbs([ecb]);
    let mut out = Vec::new();
    consumer.record(&lay_out(1, 3, data).2, &mut out);
    consumer.finish(&mut out);
    let out = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    lines[1..lines.len() - 1].join("\n")
}

const JSON_PROBE: &str = r#"{"event":"probe","cpu":3,"clause":2,"id":1,"provider":"dtrace","module":"","function":"","name":"BEGIN","output":["#;

#[test]
fn json_has_values_with_their_types() {
    let data = [int(-1), i(-1, Int::U64), Datum::S(b"a\"\xe9\n")];
    let fields = || data.iter().enumerate().map(|(i, d)| recorded(i, *d));
    let traces = fields().map(OutputKind::Trace).collect();
    let values = r#"{"value":-1,"type":"int"},{"value":18446744073709551615,"type":"uint64_t"},{"value":"a\"\\xe9\n","type":"string","bytes":"6122e90a"}"#;
    let traced = values.replace(r#"{"value""#, r#"{"action":"trace","value""#);
    assert_eq!(json(&data, traces), format!("{JSON_PROBE}{traced}]}}"));
    let printed = json(&data, vec![printf("%d %u %s", fields().collect())]);
    let message = r#""-1 18446744073709551615 a\"\\xe9\n","bytes":"2d312031383434363734343037333730393535313631352061""#;
    let start = format!(
        r#"{JSON_PROBE}{{"action":"printf","message":{}"#,
        &message[..message.len() - 1]
    );
    assert!(printed.starts_with(&start), "{printed}");
    assert!(
        printed.ends_with(&format!(r#","values":[{values}]}}]}}"#)),
        "{printed}"
    );
    assert_eq!(
        json(&[int(0)], vec![OutputKind::Exit]),
        format!("{JSON_PROBE}]}}")
    );
}

#[test]
fn json_tells_of_faults_and_drops() {
    let divide = expr(
        ExprKind::Binary(
            dlang::program::BinaryOp::Divide,
            Box::new(constant(1)),
            Box::new(recorded(0, int(0))),
        ),
        Type::INT,
    );
    let told = json(&[int(0)], vec![OutputKind::Trace(divide)]);
    let expected = r#"{"event":"fault","fault":"divide-by-zero","pc":0,"clause":2,"id":1,"provider":"dtrace","module":"","function":"","name":"BEGIN","message":"error in dt_clause_2 for probe ID 1 (dtrace:::BEGIN): divide-by-zero at BPF pc 0"}"#;
    assert_eq!(told, expected, "and nothing is left of the record");
    let mut consumer = consumer(OutputOptions {
        format: OutputFormat::Json,
        ..OutputOptions::default()
    });
    consumer.drops(&DropCounts {
        principal: vec![0, 2],
        ..DropCounts::default()
    });
    let mut out = Vec::new();
    consumer.finish(&mut out);
    let drop = r#"{"event":"drop","tag":"DTRACEDROP_PRINCIPAL","count":2,"cpu":1,"message":"2 drops on CPU 1"}"#;
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out.lines().nth(1), Some(drop));
}

/// A consumer with a clause that speculates, 1, and one that commits or discards, 2; and the record
/// of a clause.
fn speculating(
    end: fn(Speculation) -> OutputKind,
) -> (Consumer, impl Fn(u32, i64, i64) -> Vec<u8>) {
    let data = [int(0), int(0), int(0)];
    let fields = Speculation {
        number: 0,
        state: 1,
    };
    let mut consumer = consumer(OutputOptions {
        specsize: 44,
        ..quiet()
    });
    let print = printf("%d ", vec![recorded(2, data[2])]);
    consumer.add_ecbs([
        ecb(1, &data, vec![OutputKind::Speculate(fields), print]),
        ecb(2, &data, vec![end(fields)]),
    ]);
    (consumer, |epid, state, n| {
        let number = i64::from(state != 0);
        lay_out(epid, 0, &[int(number), int(state), int(n)]).2
    })
}

#[test]
fn speculations_show_where_they_are_committed() {
    let (mut consumer, record) = speculating(OutputKind::Commit);
    let mut out = Vec::new();
    for (epid, state, n) in [
        (1, 1, 1),
        (1, 0, 2),
        (1, 1, 3),
        (2, 0, 0),
        (1, 3, 4),
        (2, 1, 0),
        // Written while the commit was.
        (1, 1, 5),
        (1, 3, 6),
        (2, 3, 0),
    ] {
        consumer.record(&record(epid, state, n), &mut out);
    }
    assert_eq!(out, b"2 1 3 5 4 6 ");
}

#[test]
fn speculations_that_are_discarded_do_not_show() {
    let (mut consumer, record) = speculating(OutputKind::Discard);
    let mut out = Vec::new();
    for (epid, state, n) in [(1, 1, 1), (2, 1, 0), (1, 1, 2), (1, 3, 3)] {
        consumer.record(&record(epid, state, n), &mut out);
    }
    assert_eq!(out, b"");
}

#[test]
fn speculations_have_a_size() {
    let (mut consumer, record) = speculating(OutputKind::Commit);
    let mut out = Vec::new();
    for n in 1..5 {
        consumer.record(&record(1, 1, n), &mut out);
    }
    consumer.drops(&DropCounts::default());
    consumer.record(&record(2, 1, 0), &mut out);
    assert_eq!(out, b"1 2 ");
    let told = consumer.take_effects(&mut out);
    assert_eq!(told[0], message(told[0].at, "2 speculative drops"));
}

#[test]
fn cut_off_and_unknown_records_are_counted_and_left_out() {
    let data = [int(5), string("abc")];
    let mut consumer = consumer(quiet());
    let args = vec![recorded(0, data[0]), recorded(1, data[1])];
    consumer.add_ecbs([ecb(1, &data, vec![printf("%d %s", args)])]);
    let whole = lay_out(1, 0, &data).2;
    let mut out = Vec::new();
    for len in 0..whole.len() - 1 {
        consumer.record(&whole[..len], &mut out);
    }
    consumer.record(&lay_out(9, 0, &data).2, &mut out);
    assert_eq!(out, b"");
    assert_eq!(consumer.stats().corrupt, whole.len() as u64);
    consumer.record(&whole, &mut out);
    assert_eq!(out, b"5 abc");
    consumer.finish(&mut out);
    let told = consumer.take_effects(&mut out);
    let text = format!("{} corrupt records were left out", whole.len());
    assert_eq!(told[0], message(told[0].at, &text));
}

proptest! {
    #[test]
    fn no_record_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..80), epid in 0..4_u32) {
        let data = [int(5), string("abc"), i(1, Int::U64), int(0)];
        let mut consumer = consumer(OutputOptions { flow_indent: true, ..OutputOptions::default() });
        let args = || vec![recorded(0, data[0]), recorded(1, data[1]), recorded(3, data[3])];
        let mut ecb = ecb(1, &data, vec![
            printf("%d %S %Y", vec![recorded(0, data[0]), recorded(1, data[1]), recorded(2, data[2])]),
            printf("%*s%x", args()),
            OutputKind::Trace(recorded(1, data[1])),
            OutputKind::Exit,
        ]);
        ecb.layout.thread = Some(3);
        ecb.layout.outputs.push(Output { guard: Some(9), kind: OutputKind::Trace(recorded(9, data[0])) });
        consumer.add_ecbs([ecb]);
        if let Some(start) = bytes.get_mut(..4) {
            let epid = if epid == 3 { FAULT_EPID } else { epid };
            start.copy_from_slice(&epid.to_ne_bytes());
        }
        consumer.record(&bytes, &mut Vec::new());
    }
}
