//! Output files that are either whole or not there.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::{Error, Result};

/// Writes `path` through a temporary file in the same folder, renamed once `write` is done; `-` is standard output.
///
/// What is there already and is no plain file (a pipe, `/dev/null`) is written to directly.
///
/// # Errors
///
/// [`Error::Io`]; `path` is then as it was before.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let failed = |action| move |source| Error::Io { action, path: path.to_owned(), source };
    if path == Path::new("-") {
        let mut out = BufWriter::new(io::stdout().lock());
        return write(&mut out).and_then(|()| out.flush()).map_err(failed("write"));
    }
    if path.exists() && !path.is_file() {
        let mut out = OpenOptions::new().write(true).open(path).map(BufWriter::new).map_err(failed("write"))?;
        return write(&mut out).and_then(|()| out.flush()).map_err(failed("write"));
    }
    // A link keeps pointing at the file it names.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".pointtpa-");
    #[cfg(unix)]
    let builder = {
        use std::os::unix::fs::PermissionsExt;
        // Temporary files are private by default; an output file is as open as the user's umask says.
        builder.permissions(std::fs::Permissions::from_mode(0o666))
    };
    let temporary = builder.tempfile_in(folder).map_err(failed("create"))?;
    let mut out = BufWriter::new(temporary);
    write(&mut out).map_err(failed("write"))?;
    let temporary = out.into_inner().map_err(|error| failed("write")(error.into_error()))?;
    if let Ok(existing) = target.metadata() {
        temporary.as_file().set_permissions(existing.permissions()).map_err(failed("write"))?;
    }
    let _: File = temporary.persist(&target).map_err(|error| failed("rename")(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ply");
        write_whole(&path, |out| out.write_all(b"old")).unwrap();
        let error = write_whole(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("disk on fire"))
        });
        assert!(error.unwrap_err().to_string().contains("disk on fire"));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = write_whole(Path::new("no/such/folder/out.ply"), |_| Ok(())).unwrap_err().to_string();
        assert!(error.starts_with("cannot create no/such/folder/out.ply"), "{error}");
    }
}
