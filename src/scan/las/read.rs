//! Reading LAS and LAZ into columns.

use std::path::Path;

use las::{PointData, PointDataBuilder, Transform, Vector};

use super::chunks;
use super::header::{Extra, Head};
use crate::scan::PointCloud;
use crate::scan::columns::{COLOR, ColorKind, Columns, LABEL, NORMAL, POSITION, SLOTS, slots_of};
use crate::scan::description::{Contents, NormalSource};
use crate::scan::kept::{Kept, keep};
use crate::scan::scalar::Scalar;
use crate::scan::source::Source;
use crate::scan::warning::Warning;
use crate::{Error, Result};

/// The extra dimension that [`crate::scan::write_las`] gives class ids in.
const LABEL_NAME: &str = "label";

/// Reads a LAS or LAZ file; `path` names it in errors.
///
/// The class of a point is kept as `classification` and is no label: the specification's codes are no ids of a label set.
/// Labels come from an extra dimension `label`, normals from `nx`, `ny` and `nz`.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<(PointCloud, Contents, Vec<Kept>)> {
    let source = Source { path, bytes };
    let head = Head::parse(&source)?;
    let records = if head.format.is_compressed { chunks::unpack(&source, &head)? } else { plain(&source, &head)? };
    let transform = |scale, offset| Transform { scale, offset };
    let raw = &head.raw;
    let transforms = Vector {
        x: transform(raw.x_scale_factor, raw.x_offset),
        y: transform(raw.y_scale_factor, raw.y_offset),
        z: transform(raw.z_scale_factor, raw.z_offset),
    };
    let builder = PointDataBuilder::new().with_format(head.format).with_transforms(transforms);
    let points = builder.build_from_bytes(records).map_err(|error| refused(&source, &error))?;
    let mut warnings = Vec::new();
    let cloud = cloud(&points, &head, &mut warnings)?;
    let kept = kept(&points, &head);
    let contents = contents(&head, &kept, warnings);
    Ok((cloud, contents, kept))
}

fn refused(source: &Source, error: &las::Error) -> Error {
    source.error("byte 0", &error.to_string(), "Export the scan again as LAS")
}

/// The records of a file that is not compressed.
fn plain(source: &Source, head: &Head) -> Result<Vec<u8>> {
    let left = &source.bytes[head.start..];
    let size = usize::try_from(head.points).ok().and_then(|points| points.checked_mul(head.record));
    let Some(records) = size.and_then(|size| left.get(..size)) else {
        let problem = format!(
            "the header promises {} points of {} bytes, and {} bytes are left in the file",
            head.points,
            head.record,
            left.len()
        );
        let advice = "The file is damaged or was cut short; copy or export it again";
        return Err(source.error(&format!("byte {}", head.start), &problem, advice));
    };
    Ok(records.to_vec())
}

/// The label of every point, if it has one.
fn labels(head: &Head) -> Option<&Extra> {
    head.extras.iter().find(|extra| extra.name == LABEL_NAME && !extra.scalar.is_float())
}

/// The normal of every point, if it has one: extra dimensions with the usual names.
fn normals(head: &Head) -> Option<[&Extra; 3]> {
    let slots = slots_of(&head.extras.iter().map(|extra| extra.name.as_str()).collect::<Vec<_>>());
    let of = |slot: usize| slots[slot].map(|place| &head.extras[place]).filter(|extra| extra.scalar.is_float());
    Some([of(NORMAL)?, of(NORMAL + 1)?, of(NORMAL + 2)?])
}

/// The extra dimensions that a cloud has no column for.
fn others(head: &Head) -> impl Iterator<Item = &Extra> {
    let normals = normals(head).map(|normals| normals.map(|extra| extra.offset));
    head.extras.iter().filter(move |extra| !normals.is_some_and(|offsets| offsets.contains(&extra.offset)))
}

/// The value of an extra dimension for every point.
fn values<'a>(points: &'a PointData, extra: &Extra) -> impl Iterator<Item = f64> + use<'a> {
    let (scalar, offset) = (extra.scalar, extra.offset);
    points.raw_bytes().chunks_exact(points.record_len().max(1)).map(move |record| scalar.read(&record[offset..]))
}

fn cloud(points: &PointData, head: &Head, warnings: &mut Vec<Warning>) -> Result<PointCloud> {
    let mut has = [false; SLOTS];
    has[POSITION..POSITION + 3].fill(true);
    // Many writers choose a format with colours and have none.
    let colors = points.rgb().filter(|_| points.rgb().is_some_and(|mut colors| colors.any(|color| color != (0, 0, 0))));
    has[COLOR..COLOR + 3].fill(colors.is_some());
    if colors.is_none() && head.format.has_color && !points.is_empty() {
        warnings.push(Warning::new("colors-zero", "all colours are zero: they are taken as missing", ""));
    }
    has[LABEL] = labels(head).is_some();
    has[NORMAL..NORMAL + 3].fill(normals(head).is_some());
    let mut columns = Columns::new(has, true, ColorKind::Wide);
    let mut row = [0.0; SLOTS];
    let mut colors = colors;
    let mut labels = labels(head).map(|extra| values(points, extra));
    let mut normals = normals(head).map(|extras| extras.map(|extra| values(points, extra)));
    for ((x, y), z) in points.x().zip(points.y()).zip(points.z()) {
        row[POSITION..POSITION + 3].copy_from_slice(&[x, y, z]);
        if let Some((red, green, blue)) = colors.as_mut().and_then(Iterator::next) {
            row[COLOR..COLOR + 3].copy_from_slice(&[red, green, blue].map(f64::from));
        }
        if let Some(label) = labels.as_mut().and_then(Iterator::next) {
            row[LABEL] = label;
        }
        for (axis, values) in normals.iter_mut().flatten().enumerate() {
            row[NORMAL + axis] = values.next().unwrap_or(f64::NAN);
        }
        columns.push(&row);
    }
    columns.finish(warnings)
}

/// What else is known of the points: those of these values that are not zero throughout, and the extra dimensions.
fn kept(points: &PointData, head: &Head) -> Vec<Kept> {
    let own = [("intensity", Scalar::U16), ("classification", Scalar::U8), ("gps_time", Scalar::F64)];
    let extras = others(head).map(|extra| (extra.name.as_str(), extra.scalar));
    let mut columns = keep(own.into_iter().chain(extras));
    let mut fill = |place: usize, values: &mut dyn Iterator<Item = f64>| {
        if let Some(column) = &mut columns[place] {
            values.for_each(|value| column.push(value));
        }
    };
    fill(0, &mut points.intensity().map(f64::from));
    fill(1, &mut points.classification().map(f64::from));
    if let Some(mut times) = points.gps_time() {
        fill(2, &mut times);
    }
    for (place, extra) in (own.len()..).zip(others(head)) {
        fill(place, &mut values(points, extra));
    }
    let is_own = |place| place < own.len();
    columns
        .into_iter()
        .enumerate()
        .filter_map(|(place, column)| column.filter(|c| !is_own(place) || !c.is_blank()))
        .collect()
}

fn contents(head: &Head, kept: &[Kept], warnings: Vec<Warning>) -> Contents {
    let name = if head.format.is_compressed { "laz" } else { "las" };
    let version = head.raw.version;
    let position = ["x", "y", "z"].map(|name| format!("{name}:int")).into_iter();
    let colors = ["red", "green", "blue"].map(|name| format!("{name}:ushort")).into_iter();
    let label = labels(head).map(|extra| format!("{}:{}", extra.name, extra.scalar.ply_name()));
    let normals = normals(head);
    let normal = normals.into_iter().flatten().map(|extra| format!("{}:{}", extra.name, extra.scalar.ply_name()));
    let others = kept.iter().map(|column| format!("{}:{}", column.name, column.scalar.ply_name()));
    Contents {
        format: format!("{name} {}.{}, point format {}", version.major, version.minor, head.format_id),
        properties: position
            .chain(colors.filter(|_| head.format.has_color))
            .chain(normal)
            .chain(label)
            .chain(others)
            .collect(),
        elements: vec![("point".to_owned(), head.points)],
        comments: Vec::new(),
        faces: 0,
        normals: if normals.is_some() { NormalSource::File } else { NormalSource::None },
        warnings,
    }
}
