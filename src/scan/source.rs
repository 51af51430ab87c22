//! The bytes of a scan file with the name that errors call them by.

use std::path::Path;

use crate::Error;

/// A file in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    /// The file, or `-` for standard input.
    pub(crate) path: &'a Path,
    pub(crate) bytes: &'a [u8],
}

impl Source<'_> {
    /// An error in this file at a line or byte.
    pub(crate) fn error(&self, at: &str, problem: &str, advice: &str) -> Error {
        Error::Scan { path: self.path.to_owned(), at: at.into(), problem: problem.into(), advice: advice.into() }
    }
}
