//! The points of one scan, as columns.

use crate::{Error, Result, extent::extent};

/// Coordinates beyond this many metres lose more than half a millimetre in `f32`, so they get an origin.
pub(super) const LARGE_COORDINATE: f64 = 8192.0;

/// The points of one scan: one row per point of the file, in file order.
///
/// Every column that is there has `n` rows. Positions may hold NaN or infinity, as depth cameras write them for
/// pixels without a return; such points keep their row so that labels can be written back in input order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PointCloud {
    /// `[n, 3]`, metres, relative to `origin`.
    pub positions: Vec<[f32; 3]>,
    /// Metres to add to every position to get the file's coordinates. Whole metres; zero unless the file holds
    /// double coordinates too large for `f32`.
    pub origin: [f64; 3],
    /// `[n, 3]`, red, green and blue in `0..=255`.
    pub colors: Option<Vec<[f32; 3]>>,
    /// `[n, 3]`, as the file has them (not normalised), or area-weighted unit normals of its faces.
    pub normals: Option<Vec<[f32; 3]>>,
    /// `[n]`, class ids, -1 where the file has none.
    pub labels: Option<Vec<i32>>,
}

impl PointCloud {
    /// The colour that stands for a missing one.
    pub const NEUTRAL_GREY: [f32; 3] = [127.5; 3];

    /// Makes a cloud of columns of equal length.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] when a column's length differs from that of `positions`.
    pub fn new(
        positions: Vec<[f32; 3]>,
        origin: [f64; 3],
        colors: Option<Vec<[f32; 3]>>,
        normals: Option<Vec<[f32; 3]>>,
        labels: Option<Vec<i32>>,
    ) -> Result<Self> {
        let lengths = [
            ("colors", colors.as_ref().map(Vec::len)),
            ("normals", normals.as_ref().map(Vec::len)),
            ("labels", labels.as_ref().map(Vec::len)),
        ];
        for (column, length) in lengths {
            if let Some(length) = length.filter(|&length| length != positions.len()) {
                return Err(Error::Argument {
                    what: format!("point cloud column `{column}`"),
                    problem: format!("it has {length} rows, and there are {} positions", positions.len()),
                    advice: "Give every column one row per point".into(),
                });
            }
        }
        Ok(Self { positions, origin, colors, normals, labels })
    }

    /// Makes positions and their origin from double coordinates in metres, `[n, 3]`.
    ///
    /// An axis whose finite coordinates stay within 8192 m is cast straight to `f32`, as the reference does; a
    /// farther one is taken relative to a whole-metre origin at the middle of its range.
    pub fn positions_from_f64(coordinates: &[[f64; 3]]) -> (Vec<[f32; 3]>, [f64; 3]) {
        let mut corners = [[f64::INFINITY; 3], [f64::NEG_INFINITY; 3]];
        for point in coordinates {
            widen(&mut corners, *point);
        }
        let origin = origin_of(corners);
        (coordinates.iter().map(|point| relative_to(origin, *point)).collect(), origin)
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Whether there is no point.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// Whether point `index` has a finite position; out of range is not.
    pub fn is_finite(&self, index: usize) -> bool {
        self.positions.get(index).is_some_and(|position| position.iter().all(|value| value.is_finite()))
    }

    /// The lowest and highest corner of the finite points, metres relative to `origin`; `None` without any.
    pub fn bounds(&self) -> Option<([f32; 3], [f32; 3])> {
        extent(self.positions.iter().copied().filter(|position| position.iter().all(|value| value.is_finite())))
    }
}

/// Widens a box, from infinity to minus infinity at first, by the coordinates of a point that are finite.
pub(super) fn widen([low, high]: &mut [[f64; 3]; 2], point: [f64; 3]) {
    for axis in 0..3 {
        if point[axis].is_finite() {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
}

/// The origin of doubles in a box, in whole metres.
pub(super) fn origin_of([low, high]: [[f64; 3]; 2]) -> [f64; 3] {
    std::array::from_fn(|axis| {
        let (low, high) = (low[axis], high[axis]);
        let is_far = low <= high && low.abs().max(high.abs()) > LARGE_COORDINATE;
        // Halved first, because the sum of two huge coordinates overflows.
        if is_far { (low / 2.0 + high / 2.0).round() } else { 0.0 }
    })
}

pub(super) fn relative_to(origin: [f64; 3], point: [f64; 3]) -> [f32; 3] {
    std::array::from_fn(|axis| (point[axis] - origin[axis]) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_different_length_are_refused_by_name() {
        let error = PointCloud::new(vec![[0.0; 3]; 2], [0.0; 3], None, Some(vec![[0.0; 3]]), None).unwrap_err();
        assert!(error.to_string().contains("`normals`: it has 1 rows, and there are 2 positions"), "{error}");
    }

    #[test]
    fn coordinates_of_a_room_are_cast_straight() {
        let (positions, origin) = PointCloud::positions_from_f64(&[[0.1, -8192.0, 3.0], [f64::NAN, 1.0, 2.0]]);
        assert_eq!(origin, [0.0; 3]);
        assert_eq!(positions[0], [0.1f32, -8192.0, 3.0]);
        assert!(positions[1][0].is_nan());
    }

    #[test]
    fn only_the_far_axes_get_a_whole_metre_origin() {
        let (positions, origin) = PointCloud::positions_from_f64(&[
            [500_000.125, 5_000_000.5, 1.25],
            [500_010.0, 5_000_020.0, f64::INFINITY],
        ]);
        assert_eq!(origin, [500_005.0, 5_000_010.0, 0.0]);
        assert_eq!(positions[0], [-4.875, -9.5, 1.25]);
        assert_eq!(positions[1], [5.0, 10.0, f32::INFINITY]);
    }

    #[test]
    fn the_largest_doubles_do_not_overflow_the_origin() {
        let (_, origin) = PointCloud::positions_from_f64(&[[f64::MAX, f64::MAX, f64::MIN]]);
        assert!(origin.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn bounds_skip_points_that_are_not_finite() {
        let cloud = PointCloud::new(
            vec![[f32::NAN, 9.0, 9.0], [1.0, 2.0, 3.0], [-1.0, 5.0, 0.0], [f32::INFINITY, 0.0, 0.0]],
            [0.0; 3],
            None,
            None,
            None,
        )
        .unwrap();
        assert_eq!(cloud.bounds(), Some(([-1.0, 2.0, 0.0], [1.0, 5.0, 3.0])));
        assert_eq!(PointCloud::default().bounds(), None);
        assert!(!cloud.is_finite(0) && cloud.is_finite(1) && !cloud.is_finite(4));
    }
}
