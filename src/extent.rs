//! The box about a set of points, or of any triples.

/// The smallest and the largest value of each axis; `None` of no points. A NaN counts nowhere but in the first point.
pub(crate) fn extent(points: impl IntoIterator<Item = [f32; 3]>) -> Option<([f32; 3], [f32; 3])> {
    let mut points = points.into_iter();
    let first = points.next()?;
    Some(points.fold((first, first), |(low, high), p| {
        (std::array::from_fn(|a| low[a].min(p[a])), std::array::from_fn(|a| high[a].max(p[a])))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_axis_has_its_own_extremes() {
        let points = [[1.0, 5.0, -2.0], [3.0, -4.0, 0.0], [2.0, 0.0, -7.0]];
        assert_eq!(extent(points), Some(([1.0, -4.0, -7.0], [3.0, 5.0, 0.0])));
        assert_eq!(extent(points[..1].iter().copied()), Some((points[0], points[0])));
        assert_eq!(extent([]), None);
    }
}
