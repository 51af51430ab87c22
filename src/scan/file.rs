//! Reading and writing scan files of any format.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::description::{Contents, Description};
use super::format::{Format, HAS_FORMATS, READABLE};
use super::kept::Kept;
use super::las::{Points, write_las_with};
use super::output::write_whole;
use super::source::Source;
use super::values::{self, Value};
use super::{LabelSet, NormalSource, PointCloud, gzip, npy, pcd, ply, text};
use crate::{Error, Result};

/// A scan in memory: its points, and what is to be written back of the file they came from: a PLY file whole, of others what
/// is known of their points.
#[derive(Debug, Clone)]
pub struct Scan {
    /// One row per point of the file, in file order.
    pub cloud: PointCloud,
    path: PathBuf,
    contents: Contents,
    original: Original,
}

/// What is kept of the file, by format.
#[derive(Debug, Clone)]
enum Original {
    Ply(Box<ply::Original>),
    /// What the cloud has no column for.
    Other(Vec<Kept>),
}

impl Scan {
    /// The file the scan was read from, `-` for standard input.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file holds, in words and numbers.
    pub fn describe(&self) -> Description {
        Description::new(&self.path, &self.cloud, &self.contents)
    }

    /// Whether its points have a property `confidence`, which [`write_labelled`] writes beside their labels: these may then be
    /// a model's.
    pub fn has_confidence(&self) -> bool {
        self.contents.properties.iter().any(|property| property.split(':').next() == Some("confidence"))
    }

    /// The classes that an earlier labelling wrote into the file's comments.
    pub fn classes(&self) -> Option<LabelSet> {
        ply::classes_of(&self.contents.comments)
    }

    /// Writes what [`write_labelled`] writes, to any stream.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when a column has not one row per point, [`Error::Io`] of the stream.
    pub fn labelled_to(
        &self,
        out: &mut dyn Write,
        labels: &[i32],
        confidence: &[f32],
        set: &LabelSet,
        recolor: bool,
    ) -> Result<()> {
        let labels = self.checked(labels, confidence, set)?;
        let written = self.write_labelled(labels, recolor, out);
        written.map_err(|source| Error::Io { action: "write", path: "stream".into(), source })
    }

    /// Writes the scan as PLY with other colours, `[n, 3]`, and no labels but those that it had, to any stream.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when there is not one colour per point, [`Error::Io`] of the stream.
    pub fn painted_to(&self, out: &mut dyn Write, colors: &[[u8; 3]]) -> Result<()> {
        check_rows(self.cloud.len(), &[("colors", colors.len())])?;
        let given = ply::Given { colors: Some(colors), labels: None };
        self.write(None, given, out).map_err(|source| Error::Io { action: "write", path: "stream".into(), source })
    }

    /// Writes what [`super::write_las`] writes, with the intensities and times of a scan that has them, and what else its file
    /// said of the points as extra dimensions, to any stream.
    ///
    /// Returns how many points it left out, because their coordinates are not finite: LAS has no number for them.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when a column has not one row per point, [`Error::Io`] of the stream.
    pub fn labelled_las_to(
        &self,
        out: &mut dyn Write,
        labels: &[i32],
        confidence: &[f32],
        set: &LabelSet,
        recolor: bool,
    ) -> Result<usize> {
        let labels = self.checked(labels, confidence, set)?;
        write_las_with(out, &Points { cloud: &self.cloud, values: &self.values(), labels, recolor })
    }

    /// Every value that the file has of its points: of a PLY file its properties, in order, of others what is known of them.
    pub(super) fn values(&self) -> Vec<Value<'_>> {
        match &self.original {
            Original::Ply(original) => original.values(),
            Original::Other(kept) => {
                values::of_cloud(&self.cloud, kept, matches!(self.contents.normals, NormalSource::File))
            }
        }
    }

    /// Labels that fit the scan.
    pub(super) fn checked<'a>(
        &self,
        labels: &'a [i32],
        confidence: &'a [f32],
        set: &'a LabelSet,
    ) -> Result<ply::Labels<'a>> {
        check_labels(self.cloud.len(), labels, confidence)?;
        Ok(ply::Labels { ids: labels, confidence, set })
    }

    /// Writes PLY with labels, and with the colours of their classes if `recolor`.
    pub(super) fn write_labelled(&self, labels: ply::Labels, recolor: bool, out: &mut dyn Write) -> io::Result<()> {
        let colors = recolor.then(|| labels.set.colors_of(labels.ids));
        let given = ply::Given { labels: Some(labels), colors: colors.as_deref() };
        self.write(Some(labels.set), given, out)
    }

    fn write(&self, set: Option<&LabelSet>, given: ply::Given, out: &mut dyn Write) -> io::Result<()> {
        match &self.original {
            Original::Ply(original) => ply::write_with(original, &given, out),
            Original::Other(kept) => ply::write_fresh(&ply::Fresh { cloud: &self.cloud, kept, set, given }, out),
        }
    }
}

/// An error unless there is a label and a confidence for every point.
pub(super) fn check_labels(points: usize, labels: &[i32], confidence: &[f32]) -> Result<()> {
    check_rows(points, &[("labels", labels.len()), ("confidence", confidence.len())])
}

/// An error unless columns have a row for every one of so many points.
fn check_rows(points: usize, columns: &[(&str, usize)]) -> Result<()> {
    for &(what, length) in columns {
        if length != points {
            return Err(Error::Argument {
                what: what.into(),
                problem: format!("it has {length} rows, and the scan has {points} points"),
                advice: "Give one row per point of the file, in its order".into(),
            });
        }
    }
    Ok(())
}

/// Reads a scan file; `-` is standard input.
///
/// The format is known by the file's content, and only where that leaves it open by its name:
///
/// - PLY: ascii and binary of either byte order, points and meshes, properties of any type in any order.
/// - With the feature `formats` PCD: ascii, binary and compressed, fields of any type in any order.
/// - With it text: a line per point, separated by blanks, commas or semicolons. A first line may name the columns; without one,
///   three are x y z, four x y z intensity, six x y z and colours (or normals, if some are negative), seven x y z, intensity and
///   colours, nine x y z, colours and normals.
/// - With it LAS, LAZ and E57, whose scans are joined in their order.
/// - With it `NumPy`'s: an array `[n, 3]` to `[n, 9]` with the columns of a text, or x y z, colours and a label of seven; an
///   archive of arrays `coord`, `color`, `normal` and `segment`.
/// - Each of these within gzip.
/// - A folder of such arrays, as Pointcept's preprocessing writes it, given as such or by its `coord.npy`.
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be read, [`Error::Scan`] with the line or byte where it stops making sense.
pub fn read(path: &Path) -> Result<Scan> {
    if let Some(folder) = npy::folder_of(path) {
        let (cloud, contents) = npy::read_folder(folder)?;
        return Ok(Scan { cloud, path: path.to_owned(), contents, original: Original::Other(Vec::new()) });
    }
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })?;
    read_bytes(path, bytes)
}

/// Reads a scan file that is in memory; `path` is what errors call it.
///
/// # Errors
///
/// As [`read`].
pub fn read_bytes(path: &Path, bytes: Vec<u8>) -> Result<Scan> {
    if gzip::is_gzip(&bytes) {
        let mut scan = read_plain(path, gzip::unpack(&Source { path, bytes: &bytes })?)?;
        scan.contents.format += ", gzip'd";
        return Ok(scan);
    }
    read_plain(path, bytes)
}

/// Reads a scan file that is not within another.
fn read_plain(path: &Path, bytes: Vec<u8>) -> Result<Scan> {
    let (cloud, contents, kept) = match Format::of(path, &bytes) {
        Some(Format::Ply) => {
            let (cloud, contents, original) = ply::read(path, bytes)?;
            return Ok(Scan { cloud, path: path.to_owned(), contents, original: Original::Ply(Box::new(original)) });
        }
        Some(Format::Pcd) if HAS_FORMATS => pcd::read(path, &bytes)?,
        #[cfg(feature = "formats")]
        Some(Format::Las) => super::las::read(path, &bytes)?,
        #[cfg(feature = "formats")]
        Some(Format::E57) => super::e57::read(path, &bytes)?,
        #[cfg(feature = "formats")]
        Some(Format::Npy) => npy::read_table(path, &bytes)?,
        #[cfg(feature = "formats")]
        Some(Format::Npz) => npy::read_archive(path, &bytes)?,
        Some(Format::Text) if HAS_FORMATS => text::read(path, &bytes)?,
        _ => return Err(unknown(path, &bytes)),
    };
    Ok(Scan { cloud, path: path.to_owned(), contents, original: Original::Other(kept) })
}

fn unknown(path: &Path, bytes: &[u8]) -> Error {
    let problem = match bytes {
        [] => "the file is empty".to_owned(),
        bytes if bytes.starts_with(b"LASF") => "this is a LAS or LAZ file, which this build does not read".to_owned(),
        bytes if bytes.starts_with(b"ASTM-E57") => "this is an E57 file, which this build does not read".to_owned(),
        bytes => format!(
            "the content is no scan format known here (it starts `{}`)",
            bytes[..bytes.len().min(8)].escape_ascii()
        ),
    };
    let advice = format!("{READABLE}: convert it, for example with CloudCompare");
    Source { path, bytes }.error("byte 0", &problem, &advice)
}

/// Writes the scan back as PLY, every property untouched and in order, with three more of its vertices: `int label`,
/// `float scalar_Classification` (the same value) and `float confidence`; and one comment per class,
/// `comment class 0 wall 174 199 232`. Properties of these names that are there already keep their place and take
/// the new values. The file appears whole or not at all; `-` is standard output.
///
/// A scan that was no PLY file becomes a binary one with coordinates, colours as bytes, normals, and what else was known of its
/// points as properties of the same name.
///
/// `labels`, `[n]`, are ids of `set`, -1 for points without a class; `confidence`, `[n]`, is in `0..=1`. With `recolor` the
/// colours become those of the classes, black for points without.
///
/// # Errors
///
/// [`Error::Argument`] when a column has not one row per point, [`Error::Io`] when the file cannot be written.
pub fn write_labelled(
    path: &Path,
    scan: &Scan,
    labels: &[i32],
    confidence: &[f32],
    set: &LabelSet,
    recolor: bool,
) -> Result<()> {
    let labels = scan.checked(labels, confidence, set)?;
    write_whole(path, |out| scan.write_labelled(labels, recolor, out))
}

/// Writes a cloud as a fresh binary PLY file with the columns it has and one comment per class of `set`. The file
/// appears whole or not at all; `-` is standard output.
///
/// # Errors
///
/// [`Error::Io`] when the file cannot be written.
pub fn write_cloud(path: &Path, cloud: &PointCloud, set: &LabelSet) -> Result<()> {
    write_whole(path, |out| ply::write_cloud(cloud, set, out))
}
