//! Records per second of the consumer, on records like those of `call_stack.d`: three `printf`s
//! with a timestamp, an indentation, two strings of which one is cut to its base name, and a
//! line number. Run with `cargo bench -p actions`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::hint::black_box;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actions::consume::{AggregationMaps, Consumer, OutputOptions};
use actions::record::{Ecb, Epid, EpochPlace, Field, Output, OutputKind, RecordLayout};
use dlang::diag::Span;
use dlang::format::{Amount, Conversion, Flags, Format, Length, Piece, Spec};
use dlang::program::{Builtin, Expr, ExprKind, ProbeDesc, Subroutine};
use dlang::types::{Int, Type};
use provider::object::MapId;
use provider::probe::{Probe, ProbeId, ProbeKind};

const RECORDS: u32 = 100_000;

fn main() {
    let options = OutputOptions {
        quiet: true,
        ..OutputOptions::default()
    };
    let mut consumer = Consumer::new(options, Box::new(NoMaps));
    consumer.add_ecbs([ecb()]);
    let record = record();
    let mut out = Vec::with_capacity(1 << 20);
    consumer.record(&record, &mut out);
    print!("{}", String::from_utf8_lossy(&out));

    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        for _ in 0..RECORDS {
            consumer.record(black_box(&record), &mut out);
            if out.len() > 256 << 10 {
                black_box(&out);
                out.clear();
            }
        }
        best = best.min(start.elapsed());
    }
    let rate = f64::from(RECORDS) / best.as_secs_f64();
    println!("{rate:.0} records/s, {:.0} ns each", 1e9 / rate);
}

/// No aggregations.
struct NoMaps;

impl AggregationMaps for NoMaps {
    fn entries(
        &mut self,
        _map: MapId,
        _only: Option<Range<u32>>,
        _each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<()> {
        Ok(())
    }

    fn reset(&mut self, _map: MapId, _key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn set_epoch(&mut self, _place: EpochPlace, _epoch: u64) -> io::Result<()> {
        Ok(())
    }

    fn remove(&mut self, _map: MapId, _key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }
}

fn ecb() -> Ecb {
    let field = |index, ty| expr(ExprKind::Recorded(index), ty);
    let path = field(2, Type::String);
    let basename = expr(
        ExprKind::Call(Subroutine::Basename, vec![path]),
        Type::String,
    );
    let probename = expr(ExprKind::Builtin(Builtin::Probename), Type::String);
    let width = expr(ExprKind::Int(15), Type::INT);
    let empty = expr(ExprKind::Str(Vec::new()), Type::String);
    let printf = |pieces, args| Output {
        guard: None,
        kind: OutputKind::Printf(Arc::new(Format { pieces }), args),
    };
    let outputs = vec![
        printf(
            vec![
                plain(Spec::Decimal),
                text("\t"),
                starred(Spec::String),
                text(":"),
            ],
            vec![field(0, Type::U64), width, probename],
        ),
        printf(
            vec![starred(Spec::String)],
            vec![field(1, Type::INT), empty],
        ),
        printf(
            vec![
                plain(Spec::String),
                text(":"),
                plain(Spec::String),
                text(":"),
                plain(Spec::Decimal),
                text("\n"),
            ],
            vec![basename, field(3, Type::String), field(4, Type::I64)],
        ),
    ];
    let fields = vec![
        Field::Int {
            offset: 8,
            int: Int::U64,
        },
        Field::Int {
            offset: 16,
            int: Int::I32,
        },
        Field::Str { offset: 20 },
        Field::Str { offset: 24 },
        Field::Int {
            offset: 32,
            int: Int::I64,
        },
    ];
    let desc = ProbeDesc {
        provider: "python1234".into(),
        module: "python3.11".into(),
        function: "_PyEval_EvalFrameDefault".into(),
        name: "function-entry".into(),
    };
    Ecb {
        epid: Epid(1),
        probe: Arc::new(Probe {
            id: ProbeId(4),
            desc,
            place: 0,
            dependent: None,
            args: Vec::new().into(),
            kind: ProbeKind::Begin,
            source: None,
            python: None,
        }),
        clause: 0,
        layout: RecordLayout {
            fixed: 40,
            fields,
            outputs,
            ..RecordLayout::default()
        },
    }
}

fn record() -> Vec<u8> {
    let (path, function) = ("/usr/lib/python3.11/json/decoder.py", "raw_decode");
    let pair = |start: usize, s: &str| {
        let half = |n: usize| u32::try_from(n).unwrap_or(0);
        (half(start) | half(s.len()) << 16).to_le_bytes()
    };
    [
        &1_u32.to_le_bytes()[..],
        &0_u32.to_le_bytes(),
        &123_456_789_012_345_u64.to_le_bytes(),
        &12_u32.to_le_bytes(),
        &pair(40, path),
        &pair(40 + path.len() + 1, function),
        &[0; 4],
        &355_u64.to_le_bytes(),
        path.as_bytes(),
        &[0],
        function.as_bytes(),
        &[0],
    ]
    .concat()
}

fn expr(kind: ExprKind, ty: Type) -> Expr {
    Expr {
        kind,
        ty,
        span: Span::default(),
    }
}

fn text(text: &str) -> Piece {
    Piece::Literal(text.into())
}

fn plain(spec: Spec) -> Piece {
    conversion(spec, None)
}

fn starred(spec: Spec) -> Piece {
    conversion(spec, Some(Amount::Argument))
}

fn conversion(spec: Spec, width: Option<Amount>) -> Piece {
    Piece::Conversion(Conversion {
        flags: Flags::default(),
        width,
        precision: None,
        spec,
        length: Length::Any,
        aggregation: false,
        text: String::new(),
    })
}
