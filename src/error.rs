//! The library's one error type.
//!
//! Every variant says what was wrong, where, and what to do about it; the `pointtpa` program maps variants to
//! its exit codes in `cli/`.

use std::{fmt::Write as _, path::PathBuf};

/// What can go wrong in this library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be opened, read, created or renamed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done: `open`, `read`, `write`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },

    /// A scan file is malformed, or holds something this program cannot use.
    #[error("{}: {at}: {problem}. {advice}", path.display())]
    Scan {
        /// The file, or `-` for standard input.
        path: PathBuf,
        /// Line or byte, for example `line 4` or `byte 1042`.
        at: String,
        /// What was found, against what was expected.
        problem: String,
        /// What the user can do.
        advice: String,
    },

    /// A model file is malformed, or its header does not describe a model this program can run.
    #[error("{}: {problem}. {advice}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What was found, against what was expected.
        problem: String,
        /// What the user can do.
        advice: String,
    },

    /// A model's weights do not match its configuration.
    #[error("{}: the weights do not fit the configuration: {}. Take the file this model came from, or `--allow-missing` to start what is missing at random", path.display(), describe_mismatch(missing, unexpected, wrong_shape))]
    Weights {
        /// The file.
        path: PathBuf,
        /// Names the configuration needs and the file lacks.
        missing: Vec<String>,
        /// Names in the file that the configuration does not use.
        unexpected: Vec<String>,
        /// Names whose shape differs, as `name: file [..], model [..]`.
        wrong_shape: Vec<String>,
    },

    /// An argument of a library call is out of its range.
    #[error("{what}: {problem}. {advice}")]
    Argument {
        /// The argument or option.
        what: String,
        /// The value found, against what is allowed.
        problem: String,
        /// What the user can do.
        advice: String,
    },

    /// A kernel was called with tensors whose shapes, types or devices do not fit together.
    #[error("kernel {kernel}: {problem}")]
    Shape {
        /// The kernel.
        kernel: &'static str,
        /// Expected against actual, in brackets.
        problem: String,
    },

    /// Training cannot go on from here.
    #[error("training step {}: {problem}. {advice}", step + 1)]
    Diverged {
        /// The step, from 0; the message counts from 1.
        step: u64,
        /// What is not a finite number.
        problem: String,
        /// What the user can do.
        advice: String,
    },

    /// No adapter fits the request.
    #[error("no GPU adapter matches '{wanted}'. {found}. Choose one of these names, or `cpu`")]
    NoAdapter {
        /// What was asked for.
        wanted: String,
        /// The adapters that are there.
        found: String,
    },

    /// An adapter was found but would not open, or lacks what every WebGPU device must have.
    #[error("adapter '{adapter}' cannot be used: {problem}. Try `--device cpu`")]
    Adapter {
        /// Its name.
        adapter: String,
        /// The driver's reason, or required against actual.
        problem: String,
    },

    /// A buffer would pass the memory budget, or the device has no room for it.
    #[error("out of memory on {device}: {problem}. {advice}")]
    OutOfMemory {
        /// The device.
        device: String,
        /// Bytes asked for and in use.
        problem: String,
        /// What the user can do.
        advice: String,
    },

    /// The GPU refused a command that this program should not have given.
    #[error(
        "the GPU refused a command: {problem}. This is a fault of the program: please report it; `--device cpu` goes around it"
    )]
    Refused {
        /// The driver's message.
        problem: String,
    },

    /// The GPU stopped answering.
    #[error("the GPU was lost: {reason}. Run again, or use `--device cpu`")]
    DeviceLost {
        /// The driver's reason.
        reason: String,
    },

    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// This library's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn describe_mismatch(missing: &[String], unexpected: &[String], wrong_shape: &[String]) -> String {
    const SHOWN: usize = 100;
    let mut parts = Vec::new();
    for (title, names) in [("missing", missing), ("unexpected", unexpected), ("of the wrong shape", wrong_shape)] {
        if names.is_empty() {
            continue;
        }
        let mut text = format!("{} {title}: {}", names.len(), names[..names.len().min(SHOWN)].join(", "));
        if names.len() > SHOWN {
            let _ = write!(text, " and {} more", names.len() - SHOWN);
        }
        parts.push(text);
    }
    parts.join("; ")
}
