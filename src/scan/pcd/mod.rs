//! PCD files, the Point Cloud Library's format: reading them into columns.
//!
//! The one crate for it, `pcd-rs`, makes a vector of vectors of every point and allocates what a header promises, so the
//! format, which is a text header and plain rows, is read here.

mod header;
mod lzf;
mod payload;
#[cfg(test)]
mod tests;

use std::path::Path;

use self::header::{Encoding, Field, Header};
use super::PointCloud;
use super::columns::{COLOR, ColorKind, Columns, NORMAL, POSITION, SLOTS, slots_of};
use super::description::{Contents, NormalSource};
use super::kept::{Kept, keep};
use super::scalar::Scalar;
use super::source::Source;
use super::warning::Warning;
use crate::Result;

/// Values of a point that are kept besides position, normal, colour and label; descriptors may have a thousand.
const MOST_KEPT: usize = 2048;

/// Whether a file starts like PCD: with its comment, or with one of the lines that come first.
pub(crate) fn is_pcd(start: &[u8]) -> bool {
    let mut lines = start.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty() && (!line.starts_with(b"#") || line.starts_with(b"# .PCD")));
    first.is_some_and(|line| {
        let beginnings: [&[u8]; 4] = [b"# .PCD", b"VERSION ", b"FIELDS ", b"COLUMNS "];
        beginnings.iter().any(|beginning| line.starts_with(beginning))
    })
}

/// Reads a PCD file; `source` names it in errors.
///
/// The fields `rgb` and `rgba` are taken apart, whatever type they are said to have: their four bytes are blue, green, red and
/// alpha.
pub(crate) fn read(path: &Path, bytes: &[u8]) -> Result<(PointCloud, Contents, Vec<Kept>)> {
    let source = Source { path, bytes };
    let header = Header::parse(&source)?;
    let mut warnings = Vec::new();
    let fields = Fields::of(&source, &header)?;
    let mut columns = fields.columns(&header);
    // Of every kept column the place of its value in a row. A payload without points proves no field's size.
    let mut kept = if header.points == 0 { Vec::new() } else { fields.kept(&source, &header, &mut warnings)? };
    let mut values = [0.0; SLOTS];
    let mut sink = |row: &[f64]| {
        for (value, slot) in values.iter_mut().zip(&fields.slots) {
            if let Some(place) = slot {
                *value = row[*place];
            }
        }
        if let Some((_, place)) = fields.packed {
            let [blue, green, red, _] = (row[place] as u32).to_le_bytes();
            values[COLOR..COLOR + 3].copy_from_slice(&[red, green, blue].map(f64::from));
        }
        columns.push(&values);
        for (column, place) in &mut kept {
            column.push(row[*place]);
        }
    };
    let trailing = payload::read(source, &header, fields.packed.map(|(field, _)| field), &mut sink)?;
    // What is written after the last point of a binary file is often the rest of a page.
    if trailing > 0 && header.encoding == Encoding::Ascii {
        let message = format!("{trailing} bytes follow the last of {} points", header.points);
        warnings.push(Warning::new("trailing-bytes", message, "They are left out"));
    }
    let cloud = columns.finish(&mut warnings)?;
    let contents = contents(&header, fields.slots[NORMAL].is_some(), warnings);
    Ok((cloud, contents, kept.into_iter().map(|(column, _)| column).collect()))
}

/// What the fields mean.
struct Fields {
    /// The field of every slot, and the place of its value in a row.
    of_slot: [Option<usize>; SLOTS],
    slots: [Option<usize>; SLOTS],
    /// The field with a packed colour, and its place in a row.
    packed: Option<(usize, usize)>,
}

impl Fields {
    fn of(source: &Source, header: &Header) -> Result<Self> {
        let single = |field: &Field| field.count == 1 && !field.is_padding();
        let names = header.fields.iter().map(|field| if single(field) { field.name.as_str() } else { "" });
        let of_fields = slots_of(&names.collect::<Vec<_>>());
        if of_fields[POSITION].is_none() {
            let names: Vec<&str> = header.fields.iter().map(|field| field.name.as_str()).collect();
            let problem = format!("the fields lack x, y or z (they are: {})", names.join(", "));
            let at = format!("line {}", header.lines);
            return Err(source.error(&at, &problem, "Export the scan with its coordinates"));
        }
        let is_packed = |field: &Field| {
            ["rgb", "rgba"].contains(&field.name.as_str()) && single(field) && field.scalar.size() == size_of::<u32>()
        };
        let packed = header.fields.iter().position(is_packed).filter(|_| of_fields[COLOR].is_none());
        Ok(Self {
            of_slot: of_fields,
            slots: of_fields.map(|field| field.map(|field| place(&header.fields, field))),
            packed: packed.map(|field| (field, place(&header.fields, field))),
        })
    }

    fn columns(&self, header: &Header) -> Columns {
        let mut has = self.slots.map(|slot| slot.is_some());
        let scalar = |slot: usize| self.of_slot[slot].map(|field| header.fields[field].scalar);
        let color_kind = match scalar(COLOR) {
            None | Some(Scalar::U8) => ColorKind::Byte,
            Some(scalar) if scalar.is_float() => ColorKind::Float,
            Some(_) => ColorKind::Integer,
        };
        if self.packed.is_some() {
            has[COLOR..COLOR + 3].fill(true);
        }
        // Floats and short integers are whole in f32.
        let fits = |slot| scalar(slot).is_none_or(|scalar| scalar == Scalar::F32 || scalar.size() < 4);
        Columns::new(has, !(POSITION..POSITION + 3).all(fits), color_kind)
    }

    /// Columns for the other fields, with the places of their values.
    fn kept(&self, source: &Source, header: &Header, warnings: &mut Vec<Warning>) -> Result<Vec<(Kept, usize)>> {
        let mut names = Vec::new();
        let (mut first, mut left_out) = (0usize, 0);
        for field in &header.fields {
            let place = first;
            first = first.checked_add(field.count).ok_or_else(|| {
                let at = format!("line {}", header.lines);
                source.error(&at, "the fields have more values than a point can have", "Export the scan again")
            })?;
            let is_used = self.slots.contains(&Some(place)) || self.packed.is_some_and(|(_, packed)| packed == place);
            if field.is_padding() || field.count == 0 || (is_used && field.count == 1) {
                continue;
            }
            if names.len().saturating_add(field.count) > MOST_KEPT {
                left_out += 1;
                continue;
            }
            for number in 0..field.count {
                let name = if field.count == 1 { field.name.clone() } else { format!("{}_{number}", field.name) };
                names.push((name, field.scalar, place + number));
            }
        }
        if left_out > 0 {
            let message = format!("{left_out} fields have so many values that they are not kept");
            warnings.push(Warning::new("fields-left-out", message, ""));
        }
        let columns = keep(names.iter().map(|(name, scalar, _)| (name.as_str(), *scalar)));
        Ok(columns.into_iter().zip(&names).filter_map(|(column, (.., place))| Some((column?, *place))).collect())
    }
}

/// The place of a field's first value in a row.
fn place(fields: &[Field], field: usize) -> usize {
    fields[..field].iter().fold(0, |place, field| place.saturating_add(field.count))
}

fn contents(header: &Header, has_normals: bool, warnings: Vec<Warning>) -> Contents {
    let (width, height) = (header.width, header.height);
    let organised = if height > 1 { format!(", organised as {width} x {height}") } else { String::new() };
    let property = |field: &Field| {
        let count = if field.count == 1 { String::new() } else { format!("[{}]", field.count) };
        format!("{}:{}{count}", field.name, field.scalar.ply_name())
    };
    Contents {
        format: format!("pcd {}{organised}", header.encoding.name()),
        properties: header.fields.iter().map(property).collect(),
        elements: vec![("point".to_owned(), header.points)],
        comments: header.comments.clone(),
        faces: 0,
        normals: if has_normals { NormalSource::File } else { NormalSource::None },
        warnings,
    }
}
