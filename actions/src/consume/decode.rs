//! Records as fields: checked reads of the bytes that the kernel side wrote.
//!
//! Whatever the bytes are, reading gives a value or `None`; a record with a field that is not
//! within it is corrupt, and is counted and left out.

use std::borrow::Cow;
use std::cell::Cell;

use dlang::eval::{Env, Value};
use dlang::program::Builtin;
use dlang::types::Int;

use super::python;
use crate::record::{Ecb, Field};

/// EPID and CPU of a record; `None` when it is too short to have them.
pub(super) fn header(bytes: &[u8]) -> Option<(u32, u32)> {
    Some((word(bytes, 0)?, word(bytes, 4)?))
}

/// The `u32` at `offset`.
pub(super) fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let end = offset.checked_add(4)?;
    Some(u32::from_ne_bytes(bytes.get(offset..end)?.try_into().ok()?))
}

/// The `u64` at `offset`.
pub(super) fn long(bytes: &[u8], offset: usize) -> Option<u64> {
    let end = offset.checked_add(8)?;
    Some(u64::from_ne_bytes(bytes.get(offset..end)?.try_into().ok()?))
}

/// The integer at `offset`, extended to 64 bits by its type.
#[inline]
pub(super) fn int(bytes: &[u8], offset: u32, int: Int) -> Option<i64> {
    let rest = bytes.get(offset as usize..)?;
    Some(match (int.size, int.signed) {
        (1, true) => i64::from(i8::from_le_bytes(*rest.first_chunk()?)),
        (1, false) => i64::from(u8::from_le_bytes(*rest.first_chunk()?)),
        (2, true) => i64::from(i16::from_le_bytes(*rest.first_chunk()?)),
        (2, false) => i64::from(u16::from_le_bytes(*rest.first_chunk()?)),
        (4, true) => i64::from(i32::from_le_bytes(*rest.first_chunk()?)),
        (4, false) => i64::from(u32::from_le_bytes(*rest.first_chunk()?)),
        _ => i64::from_le_bytes(*rest.first_chunk()?),
    })
}

/// The string whose offset and length stand at `offset`.
#[inline]
pub(super) fn string(bytes: &[u8], offset: u32) -> Option<&[u8]> {
    let start = word(bytes, offset as usize)? as usize;
    let len = word(bytes, offset as usize + 4)? as usize;
    bytes.get(start..start.checked_add(len)?)
}

/// The value of `field`.
#[inline]
pub(super) fn field(bytes: &[u8], field: Field) -> Option<Value<'_>> {
    Some(match field {
        Field::Int { offset, int: ty } => Value::Int(int(bytes, offset, ty)?),
        Field::Str { offset } => Value::Str(Cow::Borrowed(string(bytes, offset)?)),
        Field::Object { offset } => {
            let text = python::repr(string(bytes, offset)?);
            Value::Str(Cow::Owned(text.into_bytes()))
        }
        Field::Bytes { offset, len } => {
            let start = offset as usize;
            let bytes = bytes.get(start..start.checked_add(len as usize)?)?;
            Value::Str(Cow::Borrowed(bytes))
        }
    })
}

/// One record of one ECB, as the expressions of its outputs see it.
#[derive(Debug)]
pub(super) struct Record<'a> {
    /// All of its bytes, the header included.
    pub(super) bytes: &'a [u8],
    /// Whose it is.
    pub(super) ecb: &'a Ecb,
    /// The CPU that wrote it.
    pub(super) cpu: u32,
    /// The run's `strsize`.
    pub(super) strsize: u32,
    /// Set when a field was not within the record.
    pub(super) corrupt: Cell<bool>,
}

impl Record<'_> {
    /// When the firing was, in nanoseconds of the monotonic clock, if the record says.
    pub(super) fn time(&self) -> Option<u64> {
        self.number(self.ecb.layout.time).map(i64::cast_unsigned)
    }

    /// The process that the probe fired in, if the record says.
    pub(super) fn process(&self) -> Option<u32> {
        let number = self.number(self.ecb.layout.process)?;
        u32::try_from(number).ok()
    }

    /// The thread that the probe fired in, if the record says.
    pub(super) fn thread(&self) -> Option<u32> {
        let number = self.number(self.ecb.layout.thread)?;
        u32::try_from(number).ok()
    }

    fn number(&self, field: Option<u16>) -> Option<i64> {
        match self.ecb.layout.fields.get(usize::from(field?))? {
            Field::Int { offset, int: ty } => int(self.bytes, *offset, *ty),
            Field::Str { .. } | Field::Object { .. } | Field::Bytes { .. } => None,
        }
    }
}

impl<'a> Env<'a> for Record<'a> {
    fn recorded(&self, index: u16) -> Value<'a> {
        let layout = self.ecb.layout.fields.get(usize::from(index));
        layout
            .and_then(|layout| field(self.bytes, *layout))
            .unwrap_or_else(|| {
                self.corrupt.set(true);
                match layout {
                    Some(Field::Str { .. } | Field::Object { .. } | Field::Bytes { .. }) => {
                        Value::Str(Cow::Borrowed(b""))
                    }
                    Some(Field::Int { .. }) | None => Value::Int(0),
                }
            })
    }

    fn builtin(&self, builtin: Builtin) -> Option<Value<'a>> {
        if builtin == Builtin::Cpu {
            return Some(Value::Int(i64::from(self.cpu)));
        }
        known(self.ecb, builtin)
    }

    fn strsize(&self) -> usize {
        self.strsize as usize
    }
}

/// The built-in variables that are the same in every record of an ECB.
pub(super) fn known(ecb: &Ecb, builtin: Builtin) -> Option<Value<'_>> {
    let desc = &ecb.probe.desc;
    let text = |s| Some(Value::Str(Cow::Borrowed(str::as_bytes(s))));
    match builtin {
        Builtin::Probeprov => text(&desc.provider),
        Builtin::Probemod => text(&desc.module),
        Builtin::Probefunc => text(&desc.function),
        Builtin::Probename => text(&desc.name),
        Builtin::Id => Some(Value::Int(i64::from(ecb.probe.id.0))),
        Builtin::Epid => Some(Value::Int(i64::from(ecb.epid.0))),
        // As on the kernel side: where it may be another, it is in the record.
        Builtin::Errno => Some(Value::Int(0)),
        Builtin::Pid
        | Builtin::Tid
        | Builtin::Ppid
        | Builtin::Uid
        | Builtin::Gid
        | Builtin::Execname
        | Builtin::Timestamp
        | Builtin::Walltimestamp
        | Builtin::Vtimestamp
        | Builtin::Cpu
        | Builtin::Caller
        | Builtin::Stackdepth
        | Builtin::Ucaller
        | Builtin::Ustackdepth
        | Builtin::Pyfile
        | Builtin::Pyfunc
        | Builtin::Pyline
        | Builtin::Pymodule
        | Builtin::Pyexception
        | Builtin::Pytraceback
        | Builtin::Pyreturn
        | Builtin::Pyresumed
        | Builtin::Pythread
        | Builtin::Pytask
        | Builtin::Pygreenlet
        | Builtin::Pyqualname
        | Builtin::Pydepth
        | Builtin::Pyframe
        | Builtin::Curthread => None,
    }
}
