//! `json(text, path)`: a part of a JSON text, as illumos' subroutine finds it.
//!
//! A path names members by `.` and elements of arrays by `[n]`: `ok.ds_state[0].name`. What it leads to
//! is given as it stands in the text: a string without its quotes, but with its escapes; an object
//! or array from bracket to bracket; a number, `true`, `false` or `null` as written. Of two members of
//! one name the first counts. A text is looked at only as far as it takes.

/// The part of `text` that `path` leads to; `None` if there is none, or either makes no sense.
#[must_use]
pub fn find<'t>(text: &'t [u8], path: &[u8]) -> Option<&'t [u8]> {
    let mut at = blanks(text, 0);
    let mut rest = path;
    let mut first = true;
    loop {
        let (step, behind) = next_step(rest, first)?;
        at = enter(text, at, step)?;
        if behind.is_empty() {
            break;
        }
        (rest, first) = (behind, false);
    }
    let end = skip_value(text, at)?;
    let value = text.get(at..end)?;
    let unquoted = value
        .strip_prefix(b"\"")
        .and_then(|v| v.strip_suffix(b"\""));
    Some(unquoted.unwrap_or(value))
}

/// One step of a path.
#[derive(Clone, Copy)]
enum Step<'p> {
    Member(&'p [u8]),
    Element(usize),
}

/// The first step of a path, and what is behind it. Behind another step a member follows a `.`.
fn next_step(path: &[u8], first: bool) -> Option<(Step<'_>, &[u8])> {
    if let Some(index) = path.strip_prefix(b"[") {
        let end = index.iter().position(|&byte| byte == b']')?;
        let digits = &index[..end];
        // A number may have a sign for `parse`.
        digits.first().filter(|byte| byte.is_ascii_digit())?;
        let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        return Some((Step::Element(number), &index[end + 1..]));
    }
    let name = if first {
        path
    } else {
        path.strip_prefix(b".")?
    };
    let ends = |&byte: &u8| byte == b'.' || byte == b'[';
    let end = name.iter().position(ends).unwrap_or(name.len());
    (end > 0).then_some((Step::Member(&name[..end]), &name[end..]))
}

/// Where the value of a step begins, in the object or array at `at`.
fn enter(text: &[u8], at: usize, step: Step<'_>) -> Option<usize> {
    let mut at = match (text.get(at)?, step) {
        (b'{', Step::Member(_)) | (b'[', Step::Element(_)) => blanks(text, at + 1),
        _other => return None,
    };
    let mut passed = 0;
    loop {
        let found = match step {
            Step::Member(name) => {
                let end = skip_string(text, at)?;
                let key = text.get(at + 1..end - 1)?;
                at = blanks(text, end);
                at = blanks(text, behind(text, at, b':')?);
                key == name
            }
            Step::Element(wanted) => passed == wanted,
        };
        if found {
            return text.get(at).filter(|&&byte| byte != b']').map(|_| at);
        }
        passed += 1;
        at = blanks(text, skip_value(text, at)?);
        at = blanks(text, behind(text, at, b',')?);
    }
}

/// The place behind a byte that must be there.
fn behind(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    (text.get(at) == Some(&byte)).then_some(at + 1)
}

fn blanks(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    at + rest.iter().take_while(blank).count()
}

/// The place behind the string at `at`.
fn skip_string(text: &[u8], at: usize) -> Option<usize> {
    let mut at = behind(text, at, b'"')?;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _letter => at += 1,
        }
    }
}

/// The place behind the value at `at`.
fn skip_value(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0u32;
    loop {
        match text.get(at)? {
            b'"' => at = skip_string(text, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' if depth > 0 => at += 1,
            _word => {
                let ends = |byte: &u8| b",:]} \t\r\n".contains(byte);
                let end = text[at..].iter().position(ends).unwrap_or(text.len() - at);
                if end == 0 {
                    return None;
                }
                at += end;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_parts_as_they_stand_in_the_text() {
        let text = br#" { "ok" : { "ds_state":[ { "n": 5 }, "a\"b\u00e9", -1.5e3 , [true,null]], "" : 1 }, "x": "y", "x": "z", "e": [], "o": {} } "#;
        for (path, found) in [
            ("x", Some("y")),
            ("ok.ds_state[0]", Some(r#"{ "n": 5 }"#)),
            ("ok.ds_state[0].n", Some("5")),
            ("ok.ds_state[1]", Some(r#"a\"b\u00e9"#)),
            ("ok.ds_state[2]", Some("-1.5e3")),
            ("ok.ds_state[3]", Some("[true,null]")),
            ("ok.ds_state[3][0]", Some("true")),
            ("ok.ds_state[3][1]", Some("null")),
            ("ok.ds_state[3][2]", None),
            ("ok.ds_state[4]", None),
            ("e", Some("[]")),
            ("o", Some("{}")),
            ("e[0]", None),
            ("o.a", None),
            ("nosuch", None),
            ("x.y", None),
            ("ok[0]", None),
            ("", None),
            (".x", None),
            ("ok..n", None),
            ("ok.ds_state[x]", None),
            ("ok.ds_state[+1]", None),
            ("ok.ds_state[0]n", None),
            ("ok.ds_state[0", None),
        ] {
            let got = find(text, path.as_bytes());
            assert_eq!(got, found.map(str::as_bytes), "{path}");
        }
    }

    #[test]
    fn arrays_and_broken_texts() {
        for (text, path, found) in [
            ("[1, [2, 3]]", "[1][0]", Some("2")),
            ("[1", "[0]", Some("1")),
            ("[1", "[1]", None),
            ("{\"a\": ", "a", None),
            ("{\"a\" 1}", "a", None),
            ("{\"a\": \"b", "a", None),
            ("{a: 1}", "a", None),
            ("5", "a", None),
            ("", "a", None),
            (
                "{\"a\": [1, {\"b\": \"}\"}]}",
                "a",
                Some("[1, {\"b\": \"}\"}]"),
            ),
        ] {
            let got = find(text.as_bytes(), path.as_bytes());
            assert_eq!(got, found.map(str::as_bytes), "{text} {path}");
        }
    }
}
