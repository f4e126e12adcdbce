//! `-c` command lines.

/// Splits a command line into words as a shell would: at blanks, with `'...'`, `"..."` and
/// `\` to quote. Nothing is expanded: no variables, globs or comments. DTrace splits at blanks only.
///
/// # Errors
///
/// A message if a quote is not closed or there is no word.
pub fn split_command(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err(format!("no closing ' in the command `{line}`")),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        // Inside double quotes, a backslash quotes only what would be special.
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                            Some(c) => word.extend(['\\', c]),
                            None => return Err(format!("no closing \" in the command `{line}`")),
                        },
                        Some(c) => word.push(c),
                        None => return Err(format!("no closing \" in the command `{line}`")),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if words.is_empty() {
        return Err("the command is empty".into());
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::split_command;

    #[test]
    fn words_and_quotes() {
        for (line, words) in [
            ("python3 script.py", &["python3", "script.py"][..]),
            ("  a\tb  ", &["a", "b"]),
            (
                "python3 -c 'print(1); print(2)'",
                &["python3", "-c", "print(1); print(2)"],
            ),
            (
                r#"sh -c "echo \"$HOME\" \n""#,
                &["sh", "-c", r#"echo "$HOME" \n"#],
            ),
            (r"a\ b c\'d", &["a b", "c'd"]),
            ("a'b'\"c\"d", &["abcd"]),
            ("'' \"\"", &["", ""]),
            ("a # b", &["a", "#", "b"]),
        ] {
            assert_eq!(split_command(line).unwrap(), words, "for {line}");
        }
    }

    #[test]
    fn open_quotes_and_nothing_are_refused() {
        for line in ["a 'b", "a \"b", "\"\\", "", "  "] {
            assert!(split_command(line).is_err(), "for {line}");
        }
    }
}
