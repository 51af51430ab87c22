//! Labelled points as LAS 1.4, after the ASPRS specification, revision 15.

use std::io::Write;

use las::point::{Classification, Format};
use las::{Builder, Color, Header, Point, Transform, Vector, Version, Vlr};
use serde_json::json;

use super::dimension::{Dimension, SPECIFICATION, names, put, record};
use crate::scan::columns::{COLOR, POSITION};
use crate::scan::file::check_labels;
use crate::scan::kept::{Kept, LABELS};
use crate::scan::ply::Labels;
use crate::scan::scalar::Scalar;
use crate::scan::values::Value;
use crate::scan::{LabelSet, PointCloud};
use crate::{Error, Result};

/// The codes that the specification leaves to users start here.
const FIRST_OWN_CODE: u8 = 64;
const UNCLASSIFIED: u8 = 1;
const GROUND: u8 = 2;
/// The bit of a point format's number that says that the points are compressed.
const COMPRESSED: u8 = 0x80;
/// Values of a scan that every point of LAS has a field for.
const INTENSITY: &str = "intensity";
const GPS_TIME: &str = "gps_time";
/// The finest steps of coordinates, metres: a tenth of what depth cameras resolve.
const FINEST_STEP: f64 = 1e-4;

/// The code of a class in LAS: the one it has of its own, else floors are ground, others have codes from 64 in the order of
/// their ids, and what has no class or no room there is unclassified.
fn las_code(label: i32, set: &LabelSet) -> u8 {
    let Some(class) = set.class(label) else { return UNCLASSIFIED };
    if let Some(own) = class.las {
        return own;
    }
    if ["floor", "ground"].contains(&class.name.as_str()) {
        return GROUND;
    }
    u8::try_from(class.id).ok().and_then(|id| FIRST_OWN_CODE.checked_add(id)).unwrap_or(UNCLASSIFIED)
}

/// The codes of the classes in LAS, a list of `{"code", "id", "name", "color"}`: those that the classes have of their own, else
/// floors are ground (2), and others have codes from 64 in the order of their ids.
pub fn las_codes(set: &LabelSet) -> serde_json::Value {
    let rows = set.classes.iter().map(|class| {
        let code = las_code(i32::try_from(class.id).unwrap_or(-1), set);
        json!({"code": code, "id": class.id, "name": class.name, "color": class.color})
    });
    rows.collect()
}

/// Writes labelled points as LAS: point format 7 with colours, 6 without; the class as the point's classification, and as the extra
/// dimensions `label` (`[n]`, int, the id in `set`) and `confidence` (`[n]`, float). The file itself tells what its codes mean.
/// With `recolor` the colours are those of the classes, for points that have one.
///
/// Returns how many points it left out, because their coordinates are not finite: LAS has no number for them.
///
/// # Errors
///
/// [`Error::Argument`] when a column has not one row per point, [`Error::Io`] of the stream.
pub fn write_las(
    out: &mut dyn Write,
    cloud: &PointCloud,
    labels: &[i32],
    confidence: &[f32],
    set: &LabelSet,
    recolor: bool,
) -> Result<usize> {
    check_labels(cloud.len(), labels, confidence)?;
    let labels = Labels { ids: labels, confidence, set };
    write_las_with(out, &Points { cloud, values: &[], labels, recolor })
}

/// As [`write_las`], of points that have other values as well.
pub(crate) fn write_las_with(out: &mut dyn Write, points: &Points) -> Result<usize> {
    let labelled = Labelled::new(points)?;
    write_header(&labelled.header, None, out).map_err(failed)?;
    labelled.records(&mut |record| out.write_all(record))?;
    Ok(labelled.left_out())
}

/// What is written.
pub(crate) struct Points<'a> {
    pub(crate) cloud: &'a PointCloud,
    /// What the scan's file says of its points: intensities and times have fields in LAS, what is neither place nor colour
    /// becomes an extra dimension.
    pub(crate) values: &'a [Value<'a>],
    /// One for every point.
    pub(crate) labels: Labels<'a>,
    /// Whether colours become those of the classes.
    pub(crate) recolor: bool,
}

/// Labelled points, and the header that fits them.
pub(super) struct Labelled<'a> {
    points: &'a Points<'a>,
    pub(super) header: Header,
    intensity: Option<(&'a Kept, f64)>,
    gps_time: Option<&'a Kept>,
    /// Extra dimensions behind label and confidence.
    others: Vec<&'a Kept>,
}

impl<'a> Labelled<'a> {
    pub(super) fn new(points: &'a Points<'a>) -> Result<Self> {
        let columns = points.values.iter().filter(|value| !has_a_field(value)).map(|value| value.column.as_ref());
        let columns = columns.filter(|column| !LABELS.contains(&column.name.as_str()));
        let (own, others): (Vec<&Kept>, Vec<&Kept>) =
            columns.partition(|column| [INTENSITY, GPS_TIME].contains(&column.name.as_str()));
        let named = |name: &str| own.iter().copied().find(|column| column.name == name);
        let n = points.cloud.len();
        let mut labelled = Self {
            header: header(points, &others).map_err(failed)?,
            points,
            intensity: named(INTENSITY).map(|column| (column, intensity_scale(column, n))),
            gps_time: named(GPS_TIME),
            others,
        };
        for index in labelled.finite() {
            let point = labelled.point(index);
            labelled.header.add_point(&point);
        }
        Ok(labelled)
    }

    /// Hands over the record of every point that has a place.
    pub(super) fn records(&self, sink: &mut dyn FnMut(&[u8]) -> std::io::Result<()>) -> Result<()> {
        let format = self.header.point_format();
        let mut record = Vec::new();
        for index in self.finite() {
            let mut point = self.point(index);
            let (label, confidence) = self.points.labels.of(index);
            point.extra_bytes = [label.to_le_bytes(), confidence.to_le_bytes()].concat();
            self.others.iter().for_each(|column| point.extra_bytes.extend_from_slice(column.bytes(index)));
            record.clear();
            point
                .into_raw(self.header.transforms())
                .and_then(|raw| raw.write_to(&mut record, format))
                .map_err(failed)?;
            sink(&record).map_err(|error| failed(las::Error::Io(error)))?;
        }
        Ok(())
    }

    /// Points without a place.
    pub(super) fn left_out(&self) -> usize {
        self.points.cloud.len() - self.header.number_of_points() as usize
    }

    fn finite(&self) -> impl Iterator<Item = usize> + use<'a> {
        let cloud = self.points.cloud;
        (0..cloud.len()).filter(|&index| cloud.is_finite(index))
    }

    /// A point without its extra dimensions.
    fn point(&self, index: usize) -> Point {
        let Points { cloud, labels, recolor, .. } = self.points;
        let at = |axis: usize| cloud.origin[axis] + f64::from(cloud.positions[index][axis]);
        let (label, _) = labels.of(index);
        let own = cloud.colors.as_ref().map(|colors| colors[index].map(|value| value.round() as u8));
        let class = labels.set.class(label).map(|class| class.color).filter(|_| *recolor);
        let color = class.or(own).or(recolor.then_some([0; 3]));
        // 8 bits to 16, so that white stays white.
        let color = color.map(|color| color.map(|value| u16::from(value) * 257)).map(|[r, g, b]| Color::new(r, g, b));
        Point {
            x: at(0),
            y: at(1),
            z: at(2),
            intensity: self.intensity.map_or(0, |(column, scale)| (column.value(index) * scale).round() as u16),
            gps_time: Some(self.gps_time.map_or(0.0, |column| column.value(index))),
            return_number: 1,
            number_of_returns: 1,
            // The one code that is refused is no class's.
            classification: Classification::new(las_code(label, labels.set)).unwrap_or_default(),
            color,
            ..Point::default()
        }
    }
}

/// Whether a value is the place or the colour of a point.
fn has_a_field(value: &Value) -> bool {
    let fields = [POSITION..POSITION + 3, COLOR..COLOR + 3];
    value.slot.is_some_and(|slot| fields.iter().any(|slots| slots.contains(&slot)))
}

/// What brings an intensity to 16 bits: nothing for integers, fractions of 1 to all of them.
fn intensity_scale(column: &Kept, points: usize) -> f64 {
    let is_fraction = (0..points).all(|index| (0.0..=1.0).contains(&column.value(index)));
    if column.scalar.is_float() && is_fraction { f64::from(u16::MAX) } else { 1.0 }
}

/// The header, before its counts and bounds.
fn header(points: &Points, others: &[&Kept]) -> las::Result<Header> {
    let Points { cloud, labels, recolor, .. } = points;
    let mut dimensions = vec![
        Dimension::new("label", Scalar::I32, "class id"),
        Dimension::new("confidence", Scalar::F32, "softmax of the class"),
    ];
    let names = names(others.iter().map(|column| column.name.as_str()));
    dimensions.extend(names.iter().zip(others).map(|(name, column)| Dimension::new(name, column.scalar, "")));
    let mut builder = Builder::default();
    // The same points give the same file on any day.
    builder.date = None;
    builder.version = Version::new(1, 4);
    builder.generating_software = concat!("pointtpa ", env!("CARGO_PKG_VERSION")).into();
    builder.system_identifier = "MODIFICATION".into();
    builder.point_format = Format::new(if *recolor || cloud.colors.is_some() { 7 } else { 6 })?;
    builder.point_format.extra_bytes = dimensions.iter().map(|dimension| dimension.scalar.size() as u16).sum();
    let (low, high) = cloud.bounds().unwrap_or_default();
    let transform = |axis: usize| {
        let (low, high) = (f64::from(low[axis]), f64::from(high[axis]));
        // A step that lets the halves of the extent fit 31 bits with room to spare.
        let mut scale = FINEST_STEP;
        while (high - low) / scale > f64::from(i32::MAX) {
            scale *= 10.0;
        }
        Transform { scale, offset: cloud.origin[axis] + f64::midpoint(low, high).round() }
    };
    builder.transforms = Vector { x: transform(0), y: transform(1), z: transform(2) };
    builder.vlrs = vec![class_names(labels.set), record(&dimensions)];
    builder.into_header()
}

/// As the specification wants it of these point formats: the counts of LAS 1.2 are zero, and the box of no points is, too. With
/// the record of a `compression` the points are those of LAZ.
pub(super) fn write_header(header: &Header, compression: Option<Vlr>, out: &mut dyn Write) -> las::Result<()> {
    let mut raw = header.clone().into_raw()?;
    raw.number_of_point_records = 0;
    raw.number_of_points_by_return = [0; 5];
    if header.number_of_points() == 0 {
        [raw.min_x, raw.min_y, raw.min_z, raw.max_x, raw.max_y, raw.max_z] = [0.0; 6];
    }
    let compression = compression.map(|record| record.into_raw(false)).transpose()?;
    let mut records = Vec::new();
    for record in header.vlrs() {
        record.clone().into_raw(false)?.write_to(&mut records)?;
    }
    if let Some(compression) = compression {
        let before = records.len();
        compression.write_to(&mut records)?;
        raw.number_of_variable_length_records += 1;
        raw.offset_to_point_data += (records.len() - before) as u32;
        raw.point_data_record_format |= COMPRESSED;
    }
    raw.write_to(&mut *out)?;
    out.write_all(&records)?;
    Ok(())
}

/// The specification's record of what classes are called: 256 times a code and 15 bytes of text. Of classes that share a code
/// the first is named.
fn class_names(set: &LabelSet) -> Vlr {
    let mut data = vec![0; 256 * 16];
    let mut named = [false; 256];
    let mut rows = data.chunks_exact_mut(16);
    for class in &set.classes {
        let code = las_code(i32::try_from(class.id).unwrap_or(-1), set);
        if code == UNCLASSIFIED || std::mem::replace(&mut named[usize::from(code)], true) {
            continue;
        }
        if let Some(row) = rows.next() {
            row[0] = code;
            put(&mut row[1..], &class.name);
        }
    }
    Vlr { user_id: SPECIFICATION.into(), record_id: 0, description: "classification lookup".into(), data }
}

pub(super) fn failed(error: las::Error) -> Error {
    let source = match error {
        las::Error::Io(source) => source,
        other => std::io::Error::other(other),
    };
    Error::Io { action: "write", path: "stream".into(), source }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn labels_come_back_from_a_file_far_from_zero() {
        let cloud = PointCloud {
            positions: vec![[0.0, 0.25, -1.5], [f32::NAN; 3], [3.125, 2.0, 1.0]],
            origin: [500_000.0, 4_000_000.0, 0.0],
            colors: Some(vec![[255.0, 0.0, 1.0]; 3]),
            ..PointCloud::default()
        };
        let set = LabelSet::rooms();
        let mut bytes = Vec::new();
        let left_out = write_las(&mut bytes, &cloud, &[1, 0, 20], &[0.5, 0.1, 0.75], &set, false).unwrap();
        assert_eq!(left_out, 1);
        // The counts of LAS 1.2, which the format's points must not have.
        assert_eq!(bytes[107..131], [0; 24]);
        let mut reader = las::Reader::new(Cursor::new(bytes)).unwrap();
        assert_eq!(reader.header().number_of_points(), 2);
        let points: Vec<Point> = reader.read_all().unwrap().points().map(Result::unwrap).collect();
        let codes: Vec<u8> = points.iter().map(|point| point.classification.into()).collect();
        assert_eq!(codes, [GROUND, 84]);
        for (point, expected) in points.iter().zip([[500_000.0, 4_000_000.25, -1.5], [500_003.125, 4_000_002.0, 1.0]]) {
            for (found, expected) in [point.x, point.y, point.z].into_iter().zip(expected) {
                assert!((found - expected).abs() <= FINEST_STEP / 2.0 + 1e-9, "{found} instead of {expected}");
            }
        }
        assert_eq!(points[0].color, Some(Color::new(65_535, 0, 257)));
        assert_eq!(points[1].extra_bytes, [20i32.to_le_bytes(), 0.75f32.to_le_bytes()].concat());
        let names = reader.header().vlrs().iter().find(|vlr| vlr.record_id == 0).unwrap();
        assert!(names.data.windows(8).any(|bytes| bytes == b"\x54ceiling"));
    }

    #[test]
    fn columns_of_another_length_are_refused() {
        let cloud = PointCloud { positions: vec![[0.0; 3]; 2], ..PointCloud::default() };
        let error = write_las(&mut Vec::new(), &cloud, &[0], &[0.0; 2], &LabelSet::rooms(), false).unwrap_err();
        assert!(error.to_string().contains("labels: it has 1 rows, and the scan has 2 points"), "{error}");
    }

    #[test]
    fn points_can_take_the_colours_of_their_classes() {
        let cloud = PointCloud { positions: vec![[0.0; 3]; 2], ..PointCloud::default() };
        let set = LabelSet::rooms();
        let mut bytes = Vec::new();
        write_las(&mut bytes, &cloud, &[20, -1], &[1.0; 2], &set, true).unwrap();
        let mut reader = las::Reader::new(Cursor::new(bytes)).unwrap();
        let colors: Vec<_> = reader.read_all().unwrap().points().map(|point| point.unwrap().color).collect();
        let [r, g, b] = set.classes[20].color.map(|value| u16::from(value) * 257);
        assert_eq!(colors, [Some(Color::new(r, g, b)), Some(Color::new(0, 0, 0))]);
    }

    #[test]
    fn an_empty_cloud_is_an_empty_file() {
        let mut bytes = Vec::new();
        write_las(&mut bytes, &PointCloud::default(), &[], &[], &LabelSet::rooms(), false).unwrap();
        assert_eq!(bytes[179..227], [0; 48], "the box");
        assert_eq!(las::Reader::new(Cursor::new(bytes)).unwrap().header().number_of_points(), 0);
    }

    #[test]
    fn classes_beyond_the_codes_are_unclassified() {
        let set = LabelSet::new("many", (0..300).map(|id| (format!("class {id}"), [0; 3])));
        assert_eq!([las_code(-1, &set), las_code(191, &set), las_code(192, &set)], [1, 255, 1]);
    }
}
