//! What the tests build records and ECBs with.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use dlang::diag::Span;
use dlang::format::{Amount, Conversion, Flags, Format, Length, Piece, Spec};
use dlang::program::{Builtin, Expr, ExprKind, ProbeDesc};
use dlang::types::{Int, Type};
use provider::object::MapId;
use provider::probe::{Probe, ProbeId, ProbeKind};

use super::{AggregationMaps, Consumer, OutputOptions};
use crate::record::{Ecb, Epid, EpochPlace, Field, Output, OutputKind, RecordLayout};

/// A recorded value with its type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Datum {
    I(i64, Int),
    S(&'static [u8]),
}

pub(super) fn int(n: i64) -> Datum {
    Datum::I(n, Int::I32)
}

pub(super) fn string(s: &'static str) -> Datum {
    Datum::S(s.as_bytes())
}

/// The fields of a record with `data`, the size of its fixed part, and the record itself.
pub(super) fn lay_out(epid: u32, cpu: u32, data: &[Datum]) -> (Vec<Field>, u32, Vec<u8>) {
    let mut bytes = [epid.to_ne_bytes(), cpu.to_ne_bytes()].concat();
    let mut fields = Vec::new();
    for datum in data {
        let (size, raw) = match datum {
            Datum::I(n, int) => (usize::from(int.size), *n),
            Datum::S(_) => (8, 0),
        };
        bytes.resize(bytes.len().next_multiple_of(size), 0);
        let offset = u32::try_from(bytes.len()).unwrap();
        fields.push(match datum {
            Datum::I(_, int) => Field::Int { offset, int: *int },
            Datum::S(_) => Field::Str { offset },
        });
        bytes.extend_from_slice(&raw.to_le_bytes()[..size]);
    }
    let fixed = u32::try_from(bytes.len()).unwrap();
    for (field, datum) in fields.iter().zip(data) {
        if let (Field::Str { offset }, Datum::S(s)) = (field, datum) {
            let offset = usize::try_from(*offset).unwrap();
            let start = u32::try_from(bytes.len()).unwrap().to_le_bytes();
            let len = u32::try_from(s.len()).unwrap().to_le_bytes();
            bytes[offset..offset + 8].copy_from_slice(&[start, len].concat());
            bytes.extend_from_slice(s);
            bytes.push(0);
        }
    }
    (fields, fixed, bytes)
}

pub(super) fn expr(kind: ExprKind, ty: Type) -> Expr {
    Expr {
        kind,
        ty,
        span: Span::default(),
    }
}

/// Field `index` with the type of its datum.
pub(super) fn recorded(index: usize, datum: Datum) -> Expr {
    let ty = match datum {
        Datum::I(_, int) => Type::Int(int),
        Datum::S(_) => Type::String,
    };
    expr(ExprKind::Recorded(u16::try_from(index).unwrap()), ty)
}

pub(super) fn constant(n: i64) -> Expr {
    expr(ExprKind::Int(n), Type::INT)
}

pub(super) fn probename() -> Expr {
    expr(ExprKind::Builtin(Builtin::Probename), Type::String)
}

pub(super) fn probe(id: u32, function: &str, name: &str) -> Arc<Probe> {
    let desc = ProbeDesc {
        provider: "dtrace".into(),
        module: String::new(),
        function: function.into(),
        name: name.into(),
    };
    Arc::new(Probe {
        id: ProbeId(id),
        desc,
        place: 0,
        dependent: None,
        args: Vec::new().into(),
        kind: ProbeKind::Begin,
        source: None,
        python: None,
    })
}

pub(super) fn probe_of(kind: ProbeKind) -> Arc<Probe> {
    let mut probe = Probe::clone(&probe(3, "", "ERROR"));
    probe.kind = kind;
    Arc::new(probe)
}

/// An ECB on `BEGIN` that records `data` and does `outputs`.
pub(super) fn ecb(epid: u32, data: &[Datum], outputs: Vec<OutputKind>) -> Ecb {
    let (fields, fixed, _) = lay_out(epid, 0, data);
    let outputs = outputs
        .into_iter()
        .map(|kind| Output { guard: None, kind })
        .collect();
    let layout = RecordLayout {
        fixed,
        fields,
        outputs,
        ..RecordLayout::default()
    };
    Ecb {
        epid: Epid(epid),
        probe: probe(1, "", "BEGIN"),
        clause: 0,
        layout,
    }
}

/// A small parser of formats, for tests only: flags, width, precision, letter.
pub(super) fn format(text: &str) -> Format {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('%') {
        pieces.push(Piece::Literal(rest[..start].into()));
        let mut chars = rest[start + 1..].chars().peekable();
        let mut flags = Flags::default();
        while let Some(flag) = chars.next_if(|c| "#0-+ '".contains(*c)) {
            match flag {
                '#' => flags.alternate = true,
                '0' => flags.zero = true,
                '-' => flags.left = true,
                '+' => flags.plus = true,
                ' ' => flags.space = true,
                _ => flags.group = true,
            }
        }
        let amount = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            if chars.next_if_eq(&'*').is_some() {
                return Some(Amount::Argument);
            }
            let mut digits = String::new();
            while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            digits.parse().ok().map(Amount::Fixed)
        };
        let width = amount(&mut chars);
        let precision = chars.next_if_eq(&'.').and_then(|_| amount(&mut chars));
        let aggregation = chars.next_if_eq(&'@').is_some();
        let spec = match chars.next().unwrap() {
            'd' | 'i' => Spec::Decimal,
            'u' => Spec::Unsigned,
            'o' => Spec::Octal,
            'x' => Spec::Hex,
            'X' => Spec::HexUpper,
            'c' => Spec::Char,
            's' => Spec::String,
            'S' | 'C' => Spec::Escaped,
            'p' => Spec::Pointer,
            'Y' => Spec::Date,
            'T' => Spec::LongDate,
            'a' => Spec::Address,
            other => panic!("no such conversion: {other}"),
        };
        let after = chars.collect::<String>().len();
        let text = rest[start..rest.len() - after].into();
        let conversion = Conversion {
            flags,
            width,
            precision,
            spec,
            length: Length::Any,
            aggregation,
            text,
        };
        pieces.push(Piece::Conversion(conversion));
        rest = &rest[rest.len() - after..];
    }
    pieces.push(Piece::Literal(rest.into()));
    Format { pieces }
}

pub(super) fn printf(text: &str, args: Vec<Expr>) -> OutputKind {
    OutputKind::Printf(Arc::new(format(text)), args)
}

/// Maps in memory, shared with the test that changes them. Epochs are under the key `[]`.
#[derive(Clone, Debug, Default)]
pub(super) struct FakeMaps(pub(super) Arc<Mutex<BTreeMap<Vec<u8>, Vec<u64>>>>);

impl AggregationMaps for FakeMaps {
    fn entries(
        &mut self,
        map: MapId,
        _only: Option<Range<u32>>,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> io::Result<()> {
        let maps = self.0.lock().unwrap();
        let id = u8::try_from(map.0).unwrap();
        for (key, words) in maps.iter().filter(|(key, _)| key.first() == Some(&id)) {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
            each(&key[1..], &bytes);
        }
        Ok(())
    }

    fn remove(&mut self, map: MapId, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let id = u8::try_from(map.0).unwrap();
        let removed = self.0.lock().unwrap().remove(&[&[id], key].concat());
        Ok(removed.map(|words| words.iter().flat_map(|word| word.to_ne_bytes()).collect()))
    }

    fn reset(&mut self, map: MapId, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let last = self.remove(map, key)?;
        if let Some(last) = &last {
            let id = u8::try_from(map.0).unwrap();
            let zeros = vec![0; last.len() / 8];
            self.0.lock().unwrap().insert([&[id], key].concat(), zeros);
        }
        Ok(last)
    }

    fn set_epoch(&mut self, _place: EpochPlace, epoch: u64) -> io::Result<()> {
        self.0.lock().unwrap().insert(Vec::new(), vec![epoch]);
        Ok(())
    }
}

pub(super) fn consumer(options: OutputOptions) -> Consumer {
    Consumer::new(options, Box::new(FakeMaps::default()))
}

pub(super) fn quiet() -> OutputOptions {
    OutputOptions {
        quiet: true,
        ..OutputOptions::default()
    }
}

/// What one record of `data` prints.
pub(super) fn show(options: OutputOptions, data: &[Datum], outputs: Vec<OutputKind>) -> String {
    let mut consumer = consumer(options);
    consumer.add_ecbs([ecb(1, data, outputs)]);
    let mut out = Vec::new();
    consumer.record(&lay_out(1, 0, data).2, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
