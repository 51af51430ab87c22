//! E57 files (ASTM E2807), an archive of laser scans: reading them into columns, by the crate `e57`.

mod packets;
#[cfg(test)]
pub(crate) mod tests;

use std::error::Error as _;
use std::io::Cursor;
use std::path::Path;

use e57::{CartesianCoordinate, E57Reader, PointCloud as Described, Record, RecordDataType, RecordName};

use super::PointCloud;
use super::columns::{COLOR, ColorKind, Columns, POSITION, SLOTS};
use super::description::{Contents, NormalSource};
use super::expansion;
use super::kept::{Kept, keep};
use super::scalar::Scalar;
use super::source::Source;
use super::warning::Warning;
use crate::{Error, Result};

const SIGNATURE: &[u8] = b"ASTM-E57";
const ADVICE: &str = "The file is damaged or was cut short; copy or export it again";
/// Where the header says how long the text is that describes the scans.
const TEXT_LENGTH: usize = 32;
/// About what a point takes in memory.
const POINT_BYTES: u64 = 64;

/// Whether a file starts like E57.
pub(crate) fn is_e57(start: &[u8]) -> bool {
    start.starts_with(SIGNATURE)
}

/// Reads an E57 file; `path` names it in errors.
///
/// The scans of the file are joined in their order, each in its pose. Spherical coordinates become Cartesian ones. Points whose
/// state says that their coordinates are invalid, or a direction alone, are left out and counted. Colours are brought to
/// `0..=255` by the limits that the scan declares. Intensities are kept as they are, NaN where a point has none.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<(PointCloud, Contents, Vec<Kept>)> {
    let source = Source { path, bytes };
    check_header(&source)?;
    let mut reader = E57Reader::new(Cursor::new(bytes)).map_err(|error| refused(&source, 0, &error))?;
    let scans: Vec<Described> = reader.pointclouds().into_iter().map(with_sound_limits).collect();
    check_scans(&source, &scans)?;
    let has_intensity = scans.iter().any(Described::has_intensity);
    let mut kept = keep(has_intensity.then_some(("intensity", Scalar::F32)));
    let intensity = kept.first_mut().and_then(Option::as_mut);
    let mut rows = Rows::new(&scans, intensity);
    for scan in &scans {
        let wrong = |error| refused(&source, scan.file_offset, &error);
        let mut points = reader.pointcloud_simple(scan).map_err(wrong)?;
        points.intensity_to_color(false);
        points.normalize_intensity(false);
        for point in &mut points {
            match point {
                Ok(point) => rows.push(&point),
                // A packet in which no point ends: the next one goes on.
                Err(e57::Error::Internal { .. }) => {}
                Err(error) => return Err(wrong(error)),
            }
        }
    }
    let mut warnings = rows.warnings();
    let cloud = rows.columns.finish(&mut warnings)?;
    let contents = contents(&reader, &scans, warnings);
    Ok((cloud, contents, kept.into_iter().flatten().collect()))
}

fn refused(source: &Source, at: u64, error: &e57::Error) -> Error {
    let problem = match error.source() {
        Some(reason) => format!("{error}: {reason}"),
        None => error.to_string(),
    };
    source.error(&format!("byte {at}"), &problem, ADVICE)
}

/// The crate makes room for the text before it reads it.
fn check_header(source: &Source) -> Result<()> {
    let length = source.bytes.get(TEXT_LENGTH..).and_then(|rest| rest.first_chunk()).map(|b| u64::from_le_bytes(*b));
    match length {
        Some(length) if length <= source.bytes.len() as u64 => Ok(()),
        Some(length) => {
            let problem =
                format!("the header promises a text of {length} bytes, and the file has {}", source.bytes.len());
            Err(source.error(&format!("byte {TEXT_LENGTH}"), &problem, ADVICE))
        }
        None => Err(source.error(&format!("byte {}", source.bytes.len()), "the file ends inside its header", ADVICE)),
    }
}

/// The scan without limits that are no numbers; the range of the type stands for them.
fn with_sound_limits(mut scan: Described) -> Described {
    let is_number = |limit: &Option<e57::RecordValue>| match limit {
        Some(e57::RecordValue::Single(value)) => value.is_finite(),
        Some(e57::RecordValue::Double(value)) => value.is_finite(),
        _ => true,
    };
    let are_numbers = |limits: &e57::ColorLimits| {
        let e57::ColorLimits { red_min, red_max, green_min, green_max, blue_min, blue_max } = limits;
        [red_min, red_max, green_min, green_max, blue_min, blue_max].into_iter().all(is_number)
    };
    scan.color_limits = scan.color_limits.filter(are_numbers);
    // Intensities are kept as they are.
    scan.intensity_limits = None;
    scan
}

/// Refuses scans without coordinates, and promises that the file does not keep.
fn check_scans(source: &Source, scans: &[Described]) -> Result<()> {
    if scans.is_empty() {
        return Err(source.error("byte 0", "the file holds no scans", "Choose a file with points"));
    }
    let (mut bits, mut points) = (0u64, 0u64);
    for scan in scans {
        let wrong = |problem: &str, advice: &str| {
            Err(source.error(&format!("byte {}", scan.file_offset), &format!("{}: {problem}", name(scan)), advice))
        };
        if !scan.has_cartesian() && !scan.has_spherical() {
            return wrong("its points have no coordinates", "Export the scan with its coordinates");
        }
        if !scan.prototype.iter().all(is_sound) {
            return wrong("its values have ranges that are no numbers", ADVICE);
        }
        let width: u64 = scan.prototype.iter().map(|record| packets::bits(&record.data_type)).sum();
        bits = bits.saturating_add(scan.records.saturating_mul(width));
        points = points.saturating_add(scan.records);
        let limit = expansion::limit(source.bytes.len()) as u64;
        // Several scans may say that they lie in the same place.
        if bits / 8 > source.bytes.len() as u64 || points.saturating_mul(POINT_BYTES) > limit {
            let problem = format!(
                "with {} points of {width} bits the file's {} bytes are too few",
                scan.records,
                source.bytes.len()
            );
            return wrong(&problem, ADVICE);
        }
        if let Err((at, problem)) = packets::check(source.bytes, scan) {
            return Err(source.error(&format!("byte {at}"), &format!("{}: {problem}", name(scan)), ADVICE));
        }
    }
    Ok(())
}

/// Whether the range of a value can be computed with.
fn is_sound(record: &Record) -> bool {
    match record.data_type {
        RecordDataType::Single { min, max } => [min, max].iter().flatten().all(|value| value.is_finite()),
        RecordDataType::Double { min, max } => [min, max].iter().flatten().all(|value| value.is_finite()),
        RecordDataType::ScaledInteger { scale, offset, .. } => scale.is_finite() && offset.is_finite(),
        RecordDataType::Integer { .. } => true,
    }
}

fn name(scan: &Described) -> String {
    let name = scan.name.as_deref().unwrap_or_default().trim();
    if name.is_empty() { "scan".to_owned() } else { super::numbers::shown(name.as_bytes()) }
}

/// The points as they come in.
struct Rows<'a> {
    columns: Columns,
    intensity: Option<&'a mut Kept>,
    has_color: bool,
    /// Points without coordinates, and points with coordinates and no colour where others have one.
    invalid: u64,
    uncolored: u64,
}

impl<'a> Rows<'a> {
    fn new(scans: &[Described], intensity: Option<&'a mut Kept>) -> Self {
        let has_color = scans.iter().any(Described::has_color);
        let mut has = [false; SLOTS];
        has[POSITION..POSITION + 3].fill(true);
        has[COLOR..COLOR + 3].fill(has_color);
        // A pose makes doubles of everything. Colours are in range, but a limit of no extent makes them NaN.
        let columns = Columns::new(has, true, ColorKind::Integer);
        Self { columns, intensity, has_color, invalid: 0, uncolored: 0 }
    }

    fn push(&mut self, point: &e57::Point) {
        let CartesianCoordinate::Valid { x, y, z } = point.cartesian else {
            self.invalid += 1;
            return;
        };
        let mut row = [0.0; SLOTS];
        row[POSITION..POSITION + 3].copy_from_slice(&[x, y, z]);
        self.uncolored += u64::from(self.has_color && point.color.is_none());
        let whole = |color: &e57::Color| [color.red, color.green, color.blue].map(|value| 255.0 * f64::from(value));
        let color = point.color.as_ref().map_or(PointCloud::NEUTRAL_GREY.map(f64::from), whole);
        row[COLOR..COLOR + 3].copy_from_slice(&color);
        self.columns.push(&row);
        if let Some(kept) = &mut self.intensity {
            kept.push(point.intensity.map_or(f64::NAN, f64::from));
        }
    }

    fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.invalid > 0 {
            let message = format!("{} points are marked as invalid: they are left out", self.invalid);
            warnings.push(Warning::new("invalid-points", message, ""));
        }
        if self.uncolored > 0 {
            let message = format!("{} points have no colour, and others do: they are taken as grey", self.uncolored);
            warnings.push(Warning::new("some-without-color", message, ""));
        }
        warnings
    }
}

fn contents(reader: &E57Reader<Cursor<&[u8]>>, scans: &[Described], warnings: Vec<Warning>) -> Contents {
    let property = |record: &Record| {
        let kind = match record.data_type {
            RecordDataType::Single { .. } => "float",
            RecordDataType::Double { .. } => "double",
            RecordDataType::ScaledInteger { .. } => "scaled integer",
            RecordDataType::Integer { .. } => "integer",
        };
        format!("{}:{kind}", property_name(&record.name))
    };
    let mut properties: Vec<String> = Vec::new();
    for property in scans.iter().flat_map(|scan| scan.prototype.iter().map(property)) {
        if !properties.contains(&property) {
            properties.push(property);
        }
    }
    let count = if scans.len() == 1 { "1 scan".to_owned() } else { format!("{} scans", scans.len()) };
    Contents {
        format: format!("e57 of {count}"),
        properties,
        elements: scans.iter().map(|scan| (name(scan), scan.records)).collect(),
        comments: reader.coordinate_metadata().map(str::to_owned).into_iter().collect(),
        faces: 0,
        normals: NormalSource::None,
        warnings,
    }
}

/// The name of a value as the file has it.
fn property_name(name: &RecordName) -> String {
    if let RecordName::Unknown { namespace, name } = name {
        return if namespace.is_empty() { name.clone() } else { format!("{namespace}:{name}") };
    }
    let camel = format!("{name:?}");
    let mut letters = camel.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + letters.as_str())
}
