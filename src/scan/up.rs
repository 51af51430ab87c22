//! Which direction of a scan points up, and turning it so that z does, as models expect.

use std::ops::Neg;

use super::PointCloud;

/// A direction along an axis of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Up {
    /// +x.
    PlusX,
    /// -x.
    MinusX,
    /// +y, as modelling programs and many scanning apps have it.
    PlusY,
    /// -y, as depth cameras have it.
    MinusY,
    /// +z, as models expect it.
    #[default]
    PlusZ,
    /// -z.
    MinusZ,
}

impl Up {
    /// Every direction.
    pub const ALL: [Self; 6] = [Self::PlusX, Self::MinusX, Self::PlusY, Self::MinusY, Self::PlusZ, Self::MinusZ];

    /// Its name, `+z`.
    pub fn name(self) -> &'static str {
        match self {
            Self::PlusX => "+x",
            Self::MinusX => "-x",
            Self::PlusY => "+y",
            Self::MinusY => "-y",
            Self::PlusZ => "+z",
            Self::MinusZ => "-z",
        }
    }

    /// By its name; a plus may be left out.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|up| up.name() == name || up.name().strip_prefix('+') == Some(name))
    }

    /// A vector of the scan, turned so that this direction is +z. It is a rotation of right angles, so it is exact.
    pub fn turned<T: Copy + Neg<Output = T>>(self, [x, y, z]: [T; 3]) -> [T; 3] {
        match self {
            Self::PlusX => [-z, y, x],
            Self::MinusX => [z, y, -x],
            Self::PlusY => [x, -z, y],
            Self::MinusY => [x, z, -y],
            Self::PlusZ => [x, y, z],
            Self::MinusZ => [x, -y, -z],
        }
    }
}

impl PointCloud {
    /// The cloud turned so that `up`, a direction of this one, is +z: positions, origin and normals. The rest is as it was.
    #[must_use]
    pub fn upright(&self, up: Up) -> Self {
        let turned = |rows: &[[f32; 3]]| rows.iter().map(|row| up.turned(*row)).collect();
        Self {
            positions: turned(&self.positions),
            origin: up.turned(self.origin),
            normals: self.normals.as_deref().map(turned),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::Vec3;

    #[test]
    fn every_direction_becomes_up_by_a_rotation() {
        for up in Up::ALL {
            let axes = [Vec3::X, Vec3::Y, Vec3::Z].map(|axis| Vec3::from(up.turned(axis.to_array())));
            assert_eq!(axes[0].cross(axes[1]), axes[2], "{up:?} mirrors");
            let sign = if up.name().starts_with('+') { 1.0 } else { -1.0 };
            let axis = up.name()[1..].bytes().next().unwrap() - b'x';
            assert_eq!(sign * axes[usize::from(axis)], Vec3::Z, "{up:?}");
            assert_eq!(Up::from_name(up.name()), Some(up));
        }
        assert_eq!([Up::from_name("y"), Up::from_name("w"), Up::from_name("")], [Some(Up::PlusY), None, None]);
    }

    #[test]
    fn a_cloud_is_turned_with_its_normals_and_its_origin() {
        let cloud = PointCloud {
            positions: vec![[1.0, 2.0, 3.0]],
            origin: [10.0, 20.0, 30.0],
            normals: Some(vec![[0.0, -1.0, 0.0]]),
            labels: Some(vec![4]),
            ..PointCloud::default()
        };
        let upright = cloud.upright(Up::MinusY);
        assert_eq!((&upright.positions[..], upright.origin), (&[[1.0, 3.0, -2.0]][..], [10.0, 30.0, -20.0]));
        assert_eq!((upright.normals, upright.labels), (Some(vec![[0.0, 0.0, 1.0]]), cloud.labels));
    }
}
