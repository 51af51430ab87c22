//! Standard output: what a command was asked for.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use pointtpa::Error;
use serde_json::Value;

use super::exit::Outcome;
use super::{output, screen};

/// Prints a result and a line end. A reader that has seen enough is no error.
pub(crate) fn print(text: &str) -> Outcome {
    let print = || {
        let mut out = Stdout;
        // At once, so that a program that is stopped leaves whole lines.
        out.write_all(format!("{text}\n").as_bytes())?;
        out.flush()
    };
    print().map_err(|source| Error::Io { action: "write", path: "standard output".into(), source }.into())
}

/// Prints a result as JSON.
pub(crate) fn print_json(value: &Value) -> Outcome {
    // The alternate form of a JSON value is the indented one, and writing it cannot fail.
    print(&format!("{value:#}"))
}

/// A result as one line of JSON Lines.
pub(crate) fn json_line(value: &Value) -> String {
    value.to_string()
}

/// Prints what there is to say of a file that was written, as text or as JSON. Where the file itself went to standard output, it
/// is said on standard error.
pub(crate) fn print_of(written: &Path, json: bool, text: &str, value: &Value) -> Outcome {
    if output::is_stdout(written) {
        screen::say(&if json { format!("{value:#}") } else { text.to_owned() });
        return Ok(());
    }
    if json { print_json(value) } else { print(text) }
}

/// Standard output that swallows what is written after its reader has gone.
pub(crate) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match io::stdout().write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            result => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match io::stdout().flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }
}
