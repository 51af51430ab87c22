//! Why a checkpoint cannot be read, before it is known which file it is.

use std::io;
use std::path::Path;

use crate::Error;

/// Advice for a file that is damaged.
pub(super) const COMPLETE: &str = "Give the complete file, as `torch.save` wrote it";
/// Advice for a file that holds more than data.
pub(super) const STATE_DICT_ALONE: &str =
    "Save the weights alone, `torch.save(model.state_dict(), FILE)`, with the program that made it, and give that";

/// A name from a file as a message shows it: not too long, and nothing in it that a terminal would obey.
pub(super) fn shown(name: &str) -> String {
    const SHOWN: usize = 100;
    name.chars().take(SHOWN).collect::<String>().escape_debug().to_string()
}

/// Why a checkpoint cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// The operating system's reason.
    Io(io::Error),
    /// The pickle goes on behind the bytes at hand.
    Ended {
        /// Where they end.
        at: usize,
    },
    /// What was found, and what can be done.
    Refused {
        /// The problem, with its place.
        problem: String,
        /// What the user can do.
        advice: &'static str,
    },
}

impl Fault {
    /// Something that is damaged.
    pub(super) fn damaged(problem: impl Into<String>) -> Self {
        Self::Refused { problem: problem.into(), advice: COMPLETE }
    }

    /// Something at a byte of the pickle that is damaged.
    pub(super) fn damaged_at(at: usize, problem: &str) -> Self {
        Self::damaged(format!("byte {at} of the pickle: {problem}"))
    }

    /// Something that this program does not read, and how to do without.
    pub(super) fn refused(problem: impl Into<String>, advice: &'static str) -> Self {
        Self::Refused { problem: problem.into(), advice }
    }

    /// The error for a file.
    pub(super) fn in_file(self, path: &Path) -> Error {
        let path = path.to_owned();
        match self {
            Self::Io(source) => Error::Io { action: "read", path, source },
            Self::Ended { at } => {
                let problem = format!("the pickle ends in the middle, at byte {at}");
                Error::Model { path, problem, advice: COMPLETE.to_owned() }
            }
            Self::Refused { problem, advice } => Error::Model { path, problem, advice: advice.to_owned() },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
