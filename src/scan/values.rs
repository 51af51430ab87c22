//! Every value that a scan has of its points, as columns, whatever file they came from.

use std::borrow::Cow;

use super::PointCloud;
use super::columns::{COLOR, NORMAL, POSITION};
use super::kept::Kept;
use super::scalar::Scalar;

/// A column, and what it is of a point.
#[derive(Debug, Clone)]
pub(crate) struct Value<'a> {
    /// The slot of [`super::columns`] that it fills, if any.
    pub(crate) slot: Option<usize>,
    pub(crate) column: Cow<'a, Kept>,
}

impl Value<'static> {
    pub(crate) fn new(slot: Option<usize>, column: Kept) -> Self {
        Self { slot, column: Cow::Owned(column) }
    }
}

/// What a cloud and what was kept beside it say: x y z, as there are red green blue as bytes and the file's own `has_normals` nx
/// ny nz, and the others.
pub(crate) fn of_cloud<'a>(cloud: &PointCloud, kept: &'a [Kept], has_normals: bool) -> Vec<Value<'a>> {
    let mut values = Vec::new();
    let mut triple = |first: usize, names: [&str; 3], scalar: Scalar, rows: &mut dyn Iterator<Item = [f64; 3]>| {
        let mut columns = names.map(|name| Kept::new(name.to_owned(), scalar));
        for row in rows {
            columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
        values.extend((first..).zip(columns).map(|(slot, column)| Value::new(Some(slot), column)));
    };
    let far = cloud.origin != [0.0; 3];
    let position = |position: &[f32; 3]| -> [f64; 3] {
        std::array::from_fn(|axis| {
            let place = f64::from(position[axis]);
            // A sum has more digits than the offset was measured with: micrometres are left of them.
            if far { ((cloud.origin[axis] + place) * 1e6).round() / 1e6 } else { place }
        })
    };
    let scalar = if far { Scalar::F64 } else { Scalar::F32 };
    triple(POSITION, ["x", "y", "z"], scalar, &mut cloud.positions.iter().map(position));
    let double = |row: &[f32; 3]| row.map(f64::from);
    if let Some(colors) = &cloud.colors {
        triple(COLOR, ["red", "green", "blue"], Scalar::U8, &mut colors.iter().map(double));
    }
    if let Some(normals) = cloud.normals.as_ref().filter(|_| has_normals) {
        triple(NORMAL, ["nx", "ny", "nz"], Scalar::F32, &mut normals.iter().map(double));
    }
    values.extend(kept.iter().map(|column| Value { slot: None, column: Cow::Borrowed(column) }));
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_coordinates_have_no_more_digits_than_were_measured() {
        let cloud = PointCloud {
            positions: vec![[0.001, 0.1, -1.5], [f32::NAN, 2.0, 1.0]],
            origin: [500_000.0, 0.0, 0.0],
            colors: Some(vec![[254.6, 0.0, 1.0]; 2]),
            normals: Some(vec![[0.0, 0.0, 1.0]; 2]),
            labels: None,
        };
        let kept = [Kept::new("time".to_owned(), Scalar::F64)];
        let names = |has_normals| {
            let values = of_cloud(&cloud, &kept, has_normals);
            values.into_iter().map(|value| value.column.name.clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(true), "x y z red green blue nx ny nz time");
        assert_eq!(names(false), "x y z red green blue time");
        let values = of_cloud(&cloud, &kept, false);
        assert_eq!([values[0].column.value(0), values[1].column.value(0)], [500_000.001, 0.1]);
        assert!(values[0].column.value(1).is_nan());
        assert_eq!(values[3].column.value(0), 255.0);
    }
}
