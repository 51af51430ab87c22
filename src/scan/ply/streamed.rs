//! PLY files that are read block by block, and labelled, without ever being in memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::fixed::FixedRows;
use super::header::Header;
use super::labelled::{Given, Labels, Writer};
use super::roles::Roles;
use super::{contents, is_faces, is_ply, point_element};
use crate::scan::columns::{Columns, Measure};
use crate::scan::description::{NormalSource, Totals};
use crate::scan::file::check_labels;
use crate::scan::point_cloud::widen;
use crate::scan::source::Source;
use crate::scan::warning::Warning;
use crate::scan::{Blocks, Description, LabelSet, PointCloud};
use crate::{Error, Result};

/// Points per block, and their bytes, at most.
const BLOCK: usize = 1 << 18;
const BLOCK_BYTES: usize = 1 << 24;
/// Headers are not longer.
const LONGEST_HEADER: usize = 1 << 24;
/// Points that a description looks at, and their bytes, at most.
const SAMPLED: usize = 1 << 20;
const SAMPLED_BYTES: usize = 1 << 26;

/// A binary PLY file whose points all have one size, which is read again whenever its points are asked for.
#[derive(Debug, Clone)]
pub struct Streamed {
    path: PathBuf,
    /// The file up to its payload.
    head: Vec<u8>,
    header: Header,
    vertex: usize,
    roles: Roles,
    layout: FixedRows,
    /// The first byte of the points, and their number.
    start: u64,
    count: usize,
    /// The file's length and the time of its last change: all passes over it must see the same.
    version: (u64, Option<SystemTime>),
    measure: Measure,
    description: Description,
}

impl Streamed {
    /// Opens a file and goes over it once; `None` if it has to be in memory to be read: no PLY, ascii, or points with lists.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be read, [`Error::Scan`] where its header makes no sense or promises more than is there.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed)?;
        let version = version_of(&file).map_err(failed)?;
        let size = version.0;
        let mut head = vec![0; 4];
        if file.read(&mut head).map_err(failed)? < 4 || !is_ply(&head) {
            return Ok(None);
        }
        // As long as the header is: it is read twice as far until it parses, and its own error stands once all is there.
        let mut length = 1 << 16;
        let header = loop {
            head.clear();
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
            Read::by_ref(&mut file).take(length as u64).read_to_end(&mut head).map_err(failed)?;
            match Header::parse(&Source { path, bytes: &head }) {
                // A header that ends with what was read may go on with the rest of its line end.
                Ok(header) if header.body < head.len() || head.len() < length => break header,
                Err(error) if head.len() < length || length >= LONGEST_HEADER => return Err(error),
                _ => length *= 2,
            }
        };
        head.truncate(header.body);
        let source = Source { path, bytes: &head };
        let (vertex, roles) = point_element(&source, &header)?;
        let element = &header.elements[vertex];
        let layout = FixedRows::of(element, &roles.slots(element), header.encoding);
        let (before, after) = (&header.elements[..vertex], &header.elements[vertex + 1..]);
        let (Some(layout), true) = (layout, before.iter().all(super::header::Element::is_fixed)) else {
            return Ok(None);
        };

        let bytes = |count: u64, stride: usize| count.checked_mul(stride as u64);
        let start = before.iter().try_fold(header.body as u64, |at, element| {
            at.checked_add(bytes(element.count, element.least_row_bytes())?)
        });
        let end = start.and_then(|start| start.checked_add(bytes(element.count, layout.stride)?));
        // Of lists at least their lengths are there.
        let least = end.and_then(|end| {
            after.iter().try_fold(end, |at, element| at.checked_add(bytes(element.count, element.least_row_bytes())?))
        });
        let count = usize::try_from(element.count).ok();
        let (Some(start), Some(count), Some(_)) = (start, count, least.filter(|least| *least <= size)) else {
            let problem = format!(
                "the header promises {} `{}` rows of {} bytes, and the file has {size} bytes in all",
                element.count, element.name, layout.stride
            );
            return Err(source.error(&format!("byte {}", header.body), &problem, super::rows::ADVICE));
        };
        let kinds = contents(&header, element, 0, NormalSource::None, Vec::new());
        let mut streamed = Self {
            path: path.to_owned(),
            head,
            header,
            vertex,
            roles,
            layout,
            start,
            count,
            version,
            measure: Measure::default(),
            description: Description::new(path, &PointCloud::default(), &kinds),
        };
        streamed.description = streamed.look()?;
        Ok(Some(streamed))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file holds, by its header, its bounds and a sample of its points.
    pub fn describe(&self) -> Description {
        self.description.clone()
    }

    /// Writes what [`super::super::write_labelled`] writes, to any stream.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when a column has not one row per point, [`Error::Io`] of the file and of the stream.
    pub fn labelled_to(
        &self,
        out: &mut dyn Write,
        labels: &[i32],
        confidence: &[f32],
        set: &LabelSet,
        recolor: bool,
    ) -> Result<()> {
        check_labels(self.count, labels, confidence)?;
        let colors = recolor.then(|| set.colors_of(labels));
        let given = Given { labels: Some(Labels { ids: labels, confidence, set }), colors: colors.as_deref() };
        let mut writer = Writer::new(&self.header, self.vertex, &self.roles, &given);
        let to_stream = |source| Error::Io { action: "write", path: "stream".into(), source };
        writer.header(&self.head, out).map_err(to_stream)?;
        let mut file = self.file_at(self.head.len() as u64)?;
        let copy = |part: &mut dyn Read, out: &mut dyn Write| -> Result<()> {
            let mut bytes = vec![0; 1 << 16];
            loop {
                let read = part.read(&mut bytes).map_err(|source| self.failed(source))?;
                if read == 0 {
                    return Ok(());
                }
                out.write_all(&bytes[..read]).map_err(to_stream)?;
            }
        };
        copy(&mut file.by_ref().take(self.start - self.head.len() as u64), out)?;
        self.rows(&mut |_, rows| {
            rows.chunks_exact(self.layout.stride).try_for_each(|row| writer.row(row, out)).map_err(to_stream)
        })?;
        copy(&mut self.file_at(self.start + self.count as u64 * self.layout.stride as u64)?, out)
    }

    /// Goes over the points for what has to be known of all of them.
    fn look(&mut self) -> Result<Description> {
        let stride = self.layout.stride;
        let step = self.count.div_ceil((SAMPLED_BYTES / stride).clamp(1, SAMPLED)).max(1);
        let mut measure = Measure::default();
        let mut sample = Vec::new();
        let (mut non_finite_points, mut corners) = (0, Measure::default().corners);
        self.rows(&mut |first, rows| {
            let columns = self.columns(rows);
            measure.add(&columns);
            for point in columns.coordinates() {
                if point.iter().all(|value| value.is_finite()) {
                    widen(&mut corners, point);
                } else {
                    non_finite_points += 1;
                }
            }
            let skip = first.next_multiple_of(step) - first;
            rows.chunks_exact(stride).skip(skip).step_by(step).for_each(|row| sample.extend_from_slice(row));
            Ok(())
        })?;
        self.measure = measure;
        let mut warnings = Vec::new();
        let cloud = self.columns(&sample).finish_as(&self.measure, &mut warnings)?;
        let element = &self.header.elements[self.vertex];
        if step > 1 {
            let message = format!("the file is large: what is said of its points is said of one in {step} of them");
            warnings.push(Warning::new("sampled", message, ""));
        }
        let normals = if self.roles.has_normals() { NormalSource::File } else { NormalSource::None };
        let faces: u64 = self.header.elements.iter().filter(|element| is_faces(element)).map(|faces| faces.count).sum();
        if normals == NormalSource::None && faces > 0 {
            let message = "the file is read in parts: its faces are kept, and give no normals";
            warnings.push(Warning::new("faces-unread", message, "Give more `--memory` to have them read"));
        }
        let contents = contents(&self.header, element, faces as usize, normals, warnings);
        let [low, high] = corners;
        let bounds = (low[0] <= high[0]).then_some((low, high));
        let totals = Totals { points: self.count, non_finite_points, bounds };
        Ok(Description::with_totals(&self.path, &cloud, &contents, &totals))
    }

    /// The columns of whole rows.
    fn columns(&self, rows: &[u8]) -> Columns {
        let mut columns = self.roles.columns(&self.header.elements[self.vertex]);
        columns.extend(&self.layout.rows(rows));
        columns
    }

    /// Hands out the bytes of all points, block by block, with the number of each block's first.
    fn rows(&self, each: &mut dyn FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
        let mut file = self.file_at(self.start)?;
        let block = (BLOCK_BYTES / self.layout.stride).clamp(1, BLOCK).min(self.count.max(1));
        let mut bytes = vec![0; block * self.layout.stride];
        for first in (0..self.count).step_by(block) {
            let rows = &mut bytes[..block.min(self.count - first) * self.layout.stride];
            file.read_exact(rows).map_err(|source| self.failed(source))?;
            each(first, rows)?;
        }
        Ok(())
    }

    fn file_at(&self, byte: u64) -> Result<BufReader<File>> {
        let mut file = File::open(&self.path).map_err(|source| self.failed(source))?;
        if version_of(&file).map_err(|source| self.failed(source))? != self.version {
            let source = Source { path: &self.path, bytes: &self.head };
            let problem = "the file was changed while it was being read";
            return Err(source.error("byte 0", problem, "Begin again once nothing writes to it"));
        }
        file.seek(SeekFrom::Start(byte)).map_err(|source| self.failed(source))?;
        Ok(BufReader::with_capacity(1 << 20, file))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { action: "read", path: self.path.clone(), source }
    }
}

/// What tells one state of a file from another: its length, and when it was changed, where the system says.
fn version_of(file: &File) -> io::Result<(u64, Option<SystemTime>)> {
    let metadata = file.metadata()?;
    Ok((metadata.len(), metadata.modified().ok()))
}

impl Blocks for Streamed {
    fn len(&self) -> usize {
        self.count
    }

    fn visit(&self, each: &mut dyn FnMut(usize, &PointCloud) -> Result<()>) -> Result<()> {
        self.rows(&mut |first, rows| {
            // What is assumed has been said of the whole.
            each(first, &self.columns(rows).finish_as(&self.measure, &mut Vec::new())?)
        })
    }
}
