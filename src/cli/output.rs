//! Output files that appear whole or not at all, even when the user stops the program.

use std::io::{self, Write};
use std::path::Path;

use pointtpa::{Error, scan};

use super::exit::Outcome;
use super::{interrupt, results};

/// Whether the result goes to standard output.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Writes `path` with what `write` gives, under a temporary name until it is complete; `-` is standard output.
pub(crate) fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<(), Error>) -> Result<(), Error> {
    // Only a reason of the operating system can pass through the library's writer.
    let mut failure = None;
    let checked = |out: &mut dyn Write| match write(&mut Stoppable(out)) {
        Ok(()) => Ok(()),
        Err(Error::Io { source, .. }) if interrupt::check().is_ok() => Err(source),
        Err(error) => {
            failure = Some(if interrupt::check().is_ok() { error } else { Error::Cancelled });
            Err(io::Error::other("stopped"))
        }
    };
    let written = if is_stdout(path) {
        let mut out = io::BufWriter::new(results::Stdout);
        checked(&mut out).and_then(|()| out.flush()).map_err(|source| Error::Io {
            action: "write",
            path: path.to_owned(),
            source,
        })
    } else {
        // A pipe may block for as long as its reader likes, and holds no half file.
        let _whole = (!path.exists() || path.is_file()).then(interrupt::writing);
        scan::write_whole(path, |out| checked(out))
    };
    match failure {
        Some(error) => Err(error),
        None => written,
    }
}

/// Writes `path` with these bytes, as [`write_whole`].
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Outcome {
    let write = |out: &mut dyn Write| {
        // In pieces, so that Ctrl-C is heard between them.
        let mut pieces = bytes.chunks(1 << 16);
        pieces.try_for_each(|piece| out.write_all(piece)).map_err(|source| Error::Io {
            action: "write",
            path: path.to_owned(),
            source,
        })
    };
    Ok(write_whole(path, write)?)
}

/// Fails now rather than after the work if `path` cannot be written.
pub(crate) fn check_writable(path: &Path) -> Result<(), Error> {
    if is_stdout(path) {
        return Ok(());
    }
    let failed = |source| Error::Io { action: "write", path: path.to_owned(), source };
    if path.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    if path.exists() && !path.is_file() {
        return Ok(());
    }
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        let problem = format!("there is no folder {}", folder.display());
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, problem)));
    }
    let _whole = interrupt::writing();
    tempfile::Builder::new().prefix(".pointtpa-").tempfile_in(folder).map(drop).map_err(failed)
}

/// Makes a folder, and those above it.
pub(crate) fn create_folder(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(|source| Error::Io { action: "create", path: path.to_owned(), source })
}

/// A stream that fails once the user asked to stop.
struct Stoppable<'a>(&'a mut dyn Write);

impl Write for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        interrupt::check().map_err(io::Error::other)?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
