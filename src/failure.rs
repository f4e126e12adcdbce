//! How an error that ends rdtrace is told: in words, or with `--format json` as one JSON object a line, on
//! standard error too.

use std::io::{self, Write as _};

use serde_json::{Map, Value, json};

use crate::compile::{ProgramError, ProgramErrors};
use crate::message::Messages;

/// Tells an error; `false` if it is that nobody reads the output, which is told nobody.
pub(crate) fn tell(error: &anyhow::Error, as_json: bool, messages: &Messages) -> bool {
    if let Some(ProgramErrors(all)) = error.downcast_ref() {
        for error in all {
            if as_json {
                put(object(error));
            } else {
                messages.say(&error.text);
            }
        }
        return true;
    }
    if is_closed_pipe(error) {
        return false;
    }
    // The provider's errors name their cause themselves.
    let text = if error.is::<provider::error::Error>() {
        error.to_string()
    } else {
        format!("{error:#}")
    };
    if as_json {
        put(message(&text));
    } else {
        messages.say(&text);
    }
    true
}

/// An error of the program with its place. docs/output.md has the fields.
fn object(error: &ProgramError) -> Map<String, Value> {
    let mut object = message(&error.text);
    object.insert("tag".into(), error.tag.to_string().into());
    if let Some(location) = &error.location {
        if let Some(file) = &location.file {
            object.insert("file".into(), file.as_str().into());
        }
        object.insert("line".into(), location.line.into());
        object.insert("column".into(), location.column.into());
    }
    object
}

fn message(text: &str) -> Map<String, Value> {
    let event = ("event".to_owned(), json!("error"));
    let message = ("message".to_owned(), json!(text));
    [event, message].into_iter().collect()
}

fn put(object: Map<String, Value>) {
    // As with messages, a standard error that is closed is no reason to do anything else.
    let _ = writeln!(io::stderr().lock(), "{}", Value::Object(object));
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
