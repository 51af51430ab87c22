//! Making metres of the coordinates of a scan that has another unit.

use super::PointCloud;

impl PointCloud {
    /// The cloud with every coordinate times `factor`: 0.001 makes metres of millimetres. The rest is as it was.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let whole = |p: &[f32; 3]| std::array::from_fn(|axis| (f64::from(p[axis]) + self.origin[axis]) * factor);
        let coordinates: Vec<[f64; 3]> = self.positions.iter().map(whole).collect();
        let (positions, origin) = Self::positions_from_f64(&coordinates);
        Self { positions, origin, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_scaled_with_their_origin_and_nothing_else_is() {
        let cloud = PointCloud {
            positions: vec![[500.0, -250.0, 0.0], [f32::NAN, 1.0, 2.0]],
            origin: [10_000.0, 0.0, 0.0],
            normals: Some(vec![[0.0, 0.0, 1.0]; 2]),
            labels: Some(vec![4, 5]),
            ..PointCloud::default()
        };
        let scaled = cloud.scaled(0.001);
        // 10.5 m is near: it needs no origin.
        assert_eq!((scaled.positions[0], scaled.origin), ([10.5, -0.25, 0.0], [0.0; 3]));
        assert!(scaled.positions[1][0].is_nan());
        assert_eq!((&scaled.normals, &scaled.labels), (&cloud.normals, &cloud.labels));
        let far = cloud.scaled(1000.0);
        assert_eq!(f64::from(far.positions[0][0]) + far.origin[0], 10_500_000.0);
    }
}
