//! Points as arrays with names, as Pointcept has them: `coord` `[n, 3]` in metres, `color` `[n, 3]` in 0 to 255, `normal`
//! `[n, 3]`, `segment` (or `segment20`) `[n]` or `[n, 1]`. Only `coord` must be there.

use super::array::Array;
use crate::scan::PointCloud;
use crate::scan::columns::{COLOR, ColorKind, Columns, LABEL, NORMAL, POSITION, SLOTS};
use crate::scan::description::{Contents, NormalSource};
use crate::{Error, Result};

pub(super) const COORD: &str = "coord";
/// The names that labels go by, best first: `ScanNet`'s have two sets.
const SEGMENTS: [&str; 2] = ["segment", "segment20"];

/// What to do about bytes that are no array.
pub(super) const ADVICE: &str = "Write it with numpy.save, as an array of plain numbers";

/// Arrays by name, wherever they lie.
pub(super) trait Named {
    /// What the place is called.
    fn format(&self) -> &'static str;

    /// The bytes of an array as a `.npy` file; `None` where there is none of this name.
    fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// An error of an array, at a byte or row of it.
    fn refused(&self, name: &str, at: &str, problem: &str, advice: &str) -> Error;
}

/// The cloud of these arrays, and what was found.
pub(super) fn read(arrays: &impl Named) -> Result<(PointCloud, Contents)> {
    let missing = || arrays.refused(COORD, "coord", "there is no such array", "Give coordinates: coord, [n, 3]");
    let coord = column(arrays, COORD, 3, None)?.ok_or_else(missing)?;
    let n = Some(coord.rows);
    let color = column(arrays, "color", 3, n)?;
    let normal = column(arrays, "normal", 3, n)?;
    let mut segment = None;
    for name in SEGMENTS {
        if segment.is_none()
            && let Some(found) = column(arrays, name, 1, n)?
        {
            check_classes(arrays, name, &found)?;
            segment = Some((name, found));
        }
    }
    let mut has = [false; SLOTS];
    has[POSITION..POSITION + 3].fill(true);
    has[COLOR..COLOR + 3].fill(color.is_some());
    has[NORMAL..NORMAL + 3].fill(normal.is_some());
    has[LABEL] = segment.is_some();
    let mut columns = Columns::new(has, coord.is_wide(), color.as_ref().map_or(ColorKind::Byte, color_kind));
    let mut row = [0.0; SLOTS];
    let label = segment.as_ref().map(|(_, column)| column);
    for index in 0..coord.rows {
        for (first, column) in
            [(POSITION, Some(&coord)), (COLOR, color.as_ref()), (NORMAL, normal.as_ref()), (LABEL, label)]
        {
            if let Some(Array { columns, values, .. }) = column {
                row[first..first + columns].copy_from_slice(&values[index * columns..(index + 1) * columns]);
            }
        }
        columns.push(&row);
    }
    let mut warnings = Vec::new();
    let cloud = columns.finish(&mut warnings)?;
    let found = [(COORD, Some(&coord)), ("color", color.as_ref()), ("normal", normal.as_ref())];
    let found = found.into_iter().chain([segment.as_ref().map_or(("", None), |(name, array)| (*name, Some(array)))]);
    let contents = Contents {
        format: arrays.format().to_owned(),
        properties: found.filter_map(|(name, array)| Some(format!("{name}:{}", typed(array?)))).collect(),
        elements: vec![("point".to_owned(), coord.rows as u64)],
        comments: Vec::new(),
        faces: 0,
        normals: if normal.is_some() { NormalSource::File } else { NormalSource::None },
        warnings,
    };
    Ok((cloud, contents))
}

/// What the values of a colour are stored as.
pub(super) fn color_kind(array: &Array) -> ColorKind {
    match array {
        array if array.is_float() => ColorKind::Float,
        array if array.descr == "|u1" => ColorKind::Byte,
        _ => ColorKind::Integer,
    }
}

/// `f4[3]`: the type of an array's rows.
fn typed(array: &Array) -> String {
    let kind = array.descr.trim_start_matches(['<', '>', '|']);
    if array.columns == 1 { kind.to_owned() } else { format!("{kind}[{}]", array.columns) }
}

/// An array `[n, columns]`; `None` where there is none of this name.
fn column(arrays: &impl Named, name: &str, columns: usize, n: Option<usize>) -> Result<Option<Array>> {
    let Some(bytes) = arrays.bytes(name)? else { return Ok(None) };
    let array =
        Array::parse(&bytes).map_err(|(at, problem)| arrays.refused(name, &format!("byte {at}"), &problem, ADVICE))?;
    if array.columns != columns || n.is_some_and(|n| n != array.rows) {
        let rows = n.map_or("n".to_owned(), |n| n.to_string());
        let problem =
            format!("the array has {} rows of {}, and [{rows}, {columns}] is needed", array.rows, array.columns);
        return Err(arrays.refused(name, "shape", &problem, "Give every array one row per point of coord"));
    }
    Ok(Some(array))
}

/// Refuses labels that are no integers of 32 bits.
fn check_classes(arrays: &impl Named, name: &str, column: &Array) -> Result<()> {
    let is_class = |value: f64| value.fract() == 0.0 && (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value);
    let Some(row) = column.values.iter().position(|value| !is_class(*value)) else { return Ok(()) };
    let problem = format!("label {} is no whole number of 32 bits", column.values[row]);
    Err(arrays.refused(name, &format!("row {row}"), &problem, "Write class ids, -1 to ignore"))
}
