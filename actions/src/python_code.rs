//! What is shown of a Python function: what the generated code has copied of its code object
//! (`unwind::python`).

use provider::python::lines::{LineFormat, line_at};
use unwind::python::{HEADER, NUMBER_SHIFT, PIECE, PIECES};

/// A code object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Its file.
    pub file: String,
    /// Its function's name.
    pub function: String,
    first_line: i32,
    format: Option<LineFormat>,
    line_table: Vec<u8>,
}

impl Code {
    /// Puts the code object of a number together from what the maps have of it; `None` if it is not there.
    pub fn read(
        number: u32,
        text: &dyn Fn(u64) -> Option<Vec<u8>>,
        table: &dyn Fn(u64) -> Option<Vec<u8>>,
    ) -> Option<Self> {
        let key = |part: u32| u64::from(number) | u64::from(part) << NUMBER_SHIFT;
        let header = text(key(HEADER))?;
        let word = |at: usize| Some(u32::from_ne_bytes(*header.get(at..)?.first_chunk()?));
        let text = |which: u32| {
            let bytes = text(key(which))?;
            let text = bytes.split(|byte| *byte == 0).next()?;
            Some(String::from_utf8_lossy(text).into_owned())
        };
        let length = word(8)? as usize;
        let mut line_table = Vec::new();
        for piece in 1..=PIECES {
            if line_table.len() >= length {
                break;
            }
            let Some(more) = table(key(piece)) else {
                break;
            };
            line_table.extend(more);
        }
        let whole = line_table.len() >= length && length < (PIECE * PIECES) as usize;
        line_table.truncate(length);
        Some(Self {
            file: text(0)?,
            function: text(1)?,
            first_line: word(0)?.cast_signed(),
            format: LineFormat::of_number(word(4)?).filter(|_| whole),
            line_table,
        })
    }

    /// The line of the instruction so far from the start of the byte code; `None` where it has none. Before its first
    /// instruction a function is at its first line.
    #[must_use]
    pub fn line(&self, offset: i32) -> Option<i32> {
        let Ok(offset) = u32::try_from(offset) else {
            return Some(self.first_line);
        };
        line_at(self.format?, &self.line_table, self.first_line, offset)
    }

    /// `file:line function`, as a stack shows it.
    #[must_use]
    pub fn frame(&self, offset: i32) -> String {
        let Self { file, function, .. } = self;
        match self.line(offset) {
            Some(line) => format!("{file}:{line} {function}"),
            None => format!("{file} {function}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(length: u32, table: &[u8]) -> Option<Code> {
        let mut header = vec![0; 256];
        header[0..4].copy_from_slice(&10_u32.to_ne_bytes());
        header[8..12].copy_from_slice(&length.to_ne_bytes());
        let texts = [
            b"a.py\0..".to_vec(),
            b"f\0".to_vec(),
            b"c.f\0".to_vec(),
            header,
        ];
        let part = |key: u64| {
            assert_eq!(key & 0xffff_ffff, 7);
            usize::try_from(key >> NUMBER_SHIFT).unwrap()
        };
        let mut pieces = table.chunks(PIECE as usize).map(|piece| {
            let mut piece = piece.to_vec();
            piece.resize(PIECE as usize, 0xff);
            piece
        });
        let pieces: Vec<_> = pieces.by_ref().collect();
        Code::read(7, &|key| texts.get(part(key)).cloned(), &|key| {
            pieces.get(part(key) - 1).cloned()
        })
    }

    #[test]
    fn a_frame_is_file_line_and_function() {
        let code = read(4, &[2, 1, 4, 1]).unwrap();
        assert_eq!(code.frame(0), "a.py:10 f");
        assert_eq!(code.frame(2), "a.py:11 f");
        assert_eq!(code.frame(6), "a.py:12 f");
        assert_eq!(code.frame(-1), "a.py:10 f");
    }

    #[test]
    fn a_long_line_table_is_put_together() {
        let code = read(2 * PIECE + 2, &[1, 1].repeat(PIECE as usize + 1)).unwrap();
        let lines = i32::try_from(PIECE).unwrap() + 1;
        assert_eq!(code.line(lines), Some(10 + lines));
    }

    #[test]
    fn a_line_table_that_is_not_all_there_gives_no_line() {
        let code = read(PIECE + 1, &[2, 1]).unwrap();
        assert_eq!(code.frame(2), "a.py f");
        assert_eq!(Code::read(7, &|_| None, &|_| None), None);
    }
}
