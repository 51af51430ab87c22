//! The manual pages, for whoever packs the program.

use std::path::Path;

use clap::CommandFactory;
use pointtpa::Error;

use super::arguments::Arguments;
use super::exit::Outcome;
use super::output;

/// Writes a page for the program and one for each of its commands into a folder.
pub(crate) fn run(folder: &Path) -> Outcome {
    output::create_folder(folder)?;
    clap_mangen::generate_to(Arguments::command(), folder)
        .map_err(|source| Error::Io { action: "write manual pages to", path: folder.to_owned(), source }.into())
}
