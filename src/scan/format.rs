//! Which format a file has: by its content first, and by its name where the content leaves it open.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::{gzip, npy, pcd, ply, text};
use crate::{Error, Result};

/// How much of a file's beginning tells its format.
const SIGNATURE_BYTES: usize = 1 << 16;

/// A format that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Ply,
    Pcd,
    Las,
    E57,
    /// `NumPy`'s: one array.
    Npy,
    /// `NumPy`'s: an archive of arrays.
    Npz,
    Text,
}

/// Whether this build reads more than PLY.
pub(super) const HAS_FORMATS: bool = cfg!(feature = "formats");

/// Ends of the names of the files that are read, in lower case; each with `.gz` after it, too, if gzip is read.
pub const ENDINGS: &[&str] = if HAS_FORMATS {
    &["ply", "pcd", "las", "laz", "e57", "npy", "npz", "xyz", "txt", "csv", "asc", "pts"]
} else {
    &["ply"]
};

/// The formats in words.
pub(crate) const READABLE: &str = if HAS_FORMATS {
    "PLY, PCD, LAS, LAZ, E57, NPY, NPZ and text (XYZ, CSV) can be read, gzip'd too"
} else {
    "this build reads PLY"
};

impl Format {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ply => "PLY",
            Self::Pcd => "PCD",
            Self::Las => "LAS",
            Self::E57 => "E57",
            Self::Npy => "NPY",
            Self::Npz => "NPZ",
            Self::Text => "text",
        }
    }

    /// By the end of a name, whether gzip'd or not.
    pub(crate) fn of_name(path: &Path) -> Option<Self> {
        Some(match ending(path)? {
            "ply" => Self::Ply,
            "pcd" => Self::Pcd,
            "las" | "laz" => Self::Las,
            "e57" => Self::E57,
            "npy" => Self::Npy,
            "npz" => Self::Npz,
            _ => Self::Text,
        })
    }

    /// By the beginning of the content alone.
    pub(crate) fn of_content(start: &[u8]) -> Option<Self> {
        if ply::is_ply(start) {
            Some(Self::Ply)
        } else if HAS_FORMATS && start.starts_with(b"LASF") {
            Some(Self::Las)
        } else if HAS_FORMATS && pcd::is_pcd(start) {
            Some(Self::Pcd)
        } else {
            Self::of_signature(start)
        }
    }

    /// By the first bytes of the formats that this build may lack.
    #[cfg(feature = "formats")]
    fn of_signature(start: &[u8]) -> Option<Self> {
        if super::e57::is_e57(start) {
            Some(Self::E57)
        } else if npy::is_npy(start) {
            Some(Self::Npy)
        } else {
            npy::is_npz(start).then_some(Self::Npz)
        }
    }

    #[cfg(not(feature = "formats"))]
    fn of_signature(_: &[u8]) -> Option<Self> {
        None
    }

    /// By the content, else by the name: only PCD and text can be without their first bytes,
    /// and are best described by their readers.
    pub(crate) fn of(path: &Path, bytes: &[u8]) -> Option<Self> {
        let start = &bytes[..bytes.len().min(SIGNATURE_BYTES)];
        Self::of_content(start).or_else(|| match Self::of_name(path) {
            Some(Self::Pcd) if text::is_text(start) => Some(Self::Pcd),
            Some(Self::Text) if text::is_text(start) => Some(Self::Text),
            _ => (HAS_FORMATS && text::has_points(start)).then_some(Self::Text),
        })
    }
}

/// The end of a name that tells a format, one of [`ENDINGS`]; the `.gz` of a gzip'd file is passed over. `None` for names
/// that tell none.
pub fn ending(path: &Path) -> Option<&'static str> {
    let known = |path: &Path| {
        let own = path.extension()?;
        ENDINGS.iter().copied().find(|end| own.eq_ignore_ascii_case(end))
    };
    let is_gzip = HAS_FORMATS && path.extension().is_some_and(|own| own.eq_ignore_ascii_case("gz"));
    if is_gzip { path.file_stem().and_then(|stem| known(Path::new(stem))) } else { known(path) }
}

/// Whether [`super::read`] would try a file or folder: by its content, or by the name of a format that it knows. Names that are
/// not for points alone, as `.txt`, `.csv` and `.npy`, count only with rows of coordinates behind them.
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be read.
pub fn is_scan(path: &Path) -> Result<bool> {
    if path.is_dir() {
        return Ok(npy::is_folder(path));
    }
    let ending = ending(path);
    if ending.is_some_and(|ending| !["txt", "csv", "asc", "npy"].contains(&ending)) {
        return Ok(true);
    }
    let mut start = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(SIGNATURE_BYTES as u64).read_to_end(&mut start));
    read.map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })?;
    let start = gzip::start(start, SIGNATURE_BYTES);
    Ok(match Format::of_content(&start) {
        Some(Format::Npy) => has_points(path, &start),
        Some(_) => true,
        None => ending.is_some() && text::has_points(&start),
    })
}

/// Whether a `.npy` file has points of its own: normals and colours of a folder's points have as many columns.
#[cfg(feature = "formats")]
fn has_points(path: &Path, start: &[u8]) -> bool {
    let stem = path.file_stem().unwrap_or_default();
    npy::has_points(start) && !["color", "normal"].iter().any(|name| stem == *name)
}

#[cfg(not(feature = "formats"))]
fn has_points(_: &Path, _: &[u8]) -> bool {
    false
}

/// Whether content that starts with these bytes is a scan's beyond doubt; texts are not.
pub fn starts_like_a_scan(start: &[u8]) -> bool {
    Format::of_content(&gzip::start(start.to_vec(), SIGNATURE_BYTES)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_a_format_in_capitals_and_gzipped() {
        let of = |name: &str| Format::of_name(Path::new(name));
        assert_eq!(
            [of("a.PCD"), of("b/a.xyz"), of("a.md"), of("gz")],
            [Some(Format::Pcd), Some(Format::Text), None, None]
        );
        let gzipped = HAS_FORMATS.then_some(Format::Ply);
        assert_eq!([of("a.ply.gz"), of("a.gz"), of("a.tar.gz")], [gzipped, None, None]);
    }

    #[test]
    fn content_goes_before_the_name() {
        assert_eq!(Format::of(Path::new("a.txt"), b"ply\nformat"), Some(Format::Ply));
        assert_eq!(Format::of(Path::new("a.ply"), b"# .PCD v0.7\n"), Some(Format::Pcd));
        assert_eq!(Format::of(Path::new("-"), b"1 2 3\n4 5 6\n"), Some(Format::Text));
        assert_eq!(Format::of(Path::new("a.ply"), b"not a scan"), None);
        assert_eq!(Format::of(Path::new("a.xyz"), b"not a scan"), Some(Format::Text));
        assert_eq!(Format::of(Path::new("a.xyz"), b"\0\0\0\0"), None);
    }

    #[test]
    fn texts_are_scans_by_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let is = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            is_scan(&path).unwrap()
        };
        assert!(is("a.csv", "x,y,z\n1,2,3\n") && is("a.txt", "1 2 3\n") && is("a.xyz", "nothing"));
        assert!(!is("b.csv", "class,iou\nwall,0.5\n") && !is("b.txt", "") && !is("b.md", "1 2 3\n"));
    }
}
