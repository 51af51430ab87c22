//! The solids a room is made of, and where a ray meets them.

use glam::{Vec2, Vec3};

use super::dice::sin_cos;

/// Hits closer than this, in metres, are the surface a ray starts on.
const NEAREST: f32 = 1e-4;

/// A ray; `direction` has length 1, so that distances along it are metres.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ray {
    pub(crate) origin: Vec3,
    pub(crate) direction: Vec3,
}

/// A right-handed orthonormal frame in the room.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    pub(crate) origin: Vec3,
    pub(crate) axes: [Vec3; 3],
}

impl Frame {
    /// At `origin`, with the room's axes.
    pub(crate) fn at(origin: Vec3) -> Self {
        Self { origin, axes: [Vec3::X, Vec3::Y, Vec3::Z] }
    }

    /// Turned about the vertical, in radians counter-clockwise.
    pub(crate) fn turned(origin: Vec3, yaw: f32) -> Self {
        let (sin, cos) = sin_cos(yaw);
        Self { origin, axes: [Vec3::new(cos, sin, 0.0), Vec3::new(-sin, cos, 0.0), Vec3::Z] }
    }

    /// Tilted about the x axis, in radians: positive leans the top towards -y.
    pub(crate) fn tilted(origin: Vec3, angle: f32) -> Self {
        let (sin, cos) = sin_cos(angle);
        Self { origin, axes: [Vec3::X, Vec3::new(0.0, cos, sin), Vec3::new(0.0, -sin, cos)] }
    }

    /// With its z axis along the x axis of the outer frame.
    pub(crate) fn along_x(origin: Vec3) -> Self {
        Self { origin, axes: [Vec3::Y, Vec3::Z, Vec3::X] }
    }

    /// With its z axis along the y axis of the outer frame.
    pub(crate) fn along_y(origin: Vec3) -> Self {
        Self { origin, axes: [Vec3::Z, Vec3::X, Vec3::Y] }
    }

    /// A vector of this frame in the outer one.
    pub(crate) fn outward(&self, local: Vec3) -> Vec3 {
        self.axes[0] * local.x + self.axes[1] * local.y + self.axes[2] * local.z
    }

    /// A point of this frame in the outer one.
    pub(crate) fn point(&self, local: Vec3) -> Vec3 {
        self.origin + self.outward(local)
    }

    /// A vector of the outer frame in this one.
    pub(crate) fn inward(&self, outer: Vec3) -> Vec3 {
        Vec3::new(self.axes[0].dot(outer), self.axes[1].dot(outer), self.axes[2].dot(outer))
    }

    /// A frame given in this one, in the outer one.
    pub(crate) fn then(&self, inner: &Frame) -> Self {
        Self { origin: self.point(inner.origin), axes: inner.axes.map(|axis| self.outward(axis)) }
    }
}

/// A solid about the origin of its own frame; lengths in metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// Half its sides.
    Cuboid { half: Vec3 },
    /// Half its sides, and the radius of its edges.
    Rounded { half: Vec3, radius: f32 },
    /// A cylinder along z, or a cone cut off, with lids.
    Cone { bottom: f32, top: f32, half_height: f32 },
    /// Its three radii.
    Ellipsoid { radii: Vec3 },
    /// In the x-y plane.
    Rectangle { half: Vec2 },
}

impl Shape {
    /// Half the sides of the box that bounds the shape in its frame.
    pub(crate) fn half_extent(&self) -> Vec3 {
        match *self {
            Shape::Cuboid { half } | Shape::Rounded { half, .. } => half,
            Shape::Cone { bottom, top, half_height } => Vec3::new(bottom.max(top), bottom.max(top), half_height),
            Shape::Ellipsoid { radii } => radii,
            Shape::Rectangle { half } => half.extend(0.0),
        }
    }

    /// The distance along a ray to the shape, and the outward normal there; both in the shape's frame.
    pub(crate) fn hit(&self, ray: &Ray) -> Option<(f32, Vec3)> {
        match *self {
            Shape::Cuboid { half } => {
                let (near, _, axis) = slabs(ray, half)?;
                (near > NEAREST).then(|| (near, axis_normal(axis, ray)))
            }
            Shape::Rounded { half, radius } => hit_rounded(ray, half, radius),
            Shape::Cone { bottom, top, half_height } => hit_cone(ray, bottom, top, half_height),
            Shape::Ellipsoid { radii } => hit_ellipsoid(ray, radii),
            Shape::Rectangle { half } => {
                let distance = -ray.origin.z / ray.direction.z;
                let at = ray.origin + ray.direction * distance;
                (distance > NEAREST && at.x.abs() <= half.x && at.y.abs() <= half.y).then_some((distance, Vec3::Z))
            }
        }
    }
}

/// Where a ray enters and leaves a box about the origin, and the axis of the face it enters by.
fn slabs(ray: &Ray, half: Vec3) -> Option<(f32, f32, usize)> {
    let (mut near, mut far, mut entered) = (f32::NEG_INFINITY, f32::INFINITY, 0);
    for axis in 0..3 {
        let (origin, direction) = (ray.origin[axis], ray.direction[axis]);
        if direction == 0.0 {
            if origin.abs() > half[axis] {
                return None;
            }
            continue;
        }
        let (a, b) = ((-half[axis] - origin) / direction, (half[axis] - origin) / direction);
        if a.min(b) > near {
            near = a.min(b);
            entered = axis;
        }
        far = far.min(a.max(b));
    }
    (near <= far && far > NEAREST).then_some((near, far, entered))
}

fn axis_normal(axis: usize, ray: &Ray) -> Vec3 {
    let mut normal = Vec3::ZERO;
    normal[axis] = -ray.direction[axis].signum();
    normal
}

/// Steps along the ray by the distance to the surface, which never passes through it.
fn hit_rounded(ray: &Ray, half: Vec3, radius: f32) -> Option<(f32, Vec3)> {
    const STEPS: usize = 48;
    const TOUCHING: f32 = 2e-4;
    let (near, far, _) = slabs(ray, half)?;
    let radius = radius.min(half.min_element());
    let mut distance = near.max(NEAREST);
    for _ in 0..STEPS {
        let at = ray.origin + ray.direction * distance;
        let corner = at.abs() - (half - Vec3::splat(radius));
        let gap = corner.max(Vec3::ZERO).length() + corner.max_element().min(0.0) - radius;
        if gap < TOUCHING {
            let outside = corner.max(Vec3::ZERO) * at.signum();
            return (distance > NEAREST && outside != Vec3::ZERO).then(|| (distance, outside.normalize()));
        }
        distance += gap;
        if distance > far {
            return None;
        }
    }
    None
}

fn hit_cone(ray: &Ray, bottom: f32, top: f32, half_height: f32) -> Option<(f32, Vec3)> {
    let (o, d) = (ray.origin, ray.direction);
    let (middle, slope) = (f32::midpoint(bottom, top), (top - bottom) / (2.0 * half_height));
    let mut best: Option<(f32, Vec3)> = None;
    let mut offer = |distance: f32, normal: Vec3| {
        if distance > NEAREST && best.is_none_or(|(nearest, _)| distance < nearest) {
            best = Some((distance, normal));
        }
    };
    let width = middle + slope * o.z;
    let a = d.x * d.x + d.y * d.y - slope * slope * d.z * d.z;
    let b = o.x * d.x + o.y * d.y - slope * d.z * width;
    let c = o.x * o.x + o.y * o.y - width * width;
    let root = b * b - a * c;
    if root >= 0.0 && a != 0.0 {
        for distance in [(-b - root.sqrt()) / a, (-b + root.sqrt()) / a] {
            let at = o + d * distance;
            if at.z.abs() <= half_height {
                let radius = middle + slope * at.z;
                offer(distance, Vec3::new(at.x, at.y, -slope * radius).normalize_or_zero());
            }
        }
    }
    for (z, radius) in [(-half_height, bottom), (half_height, top)] {
        let distance = (z - o.z) / d.z;
        let at = o + d * distance;
        if at.x * at.x + at.y * at.y <= radius * radius {
            offer(distance, Vec3::Z * z.signum());
        }
    }
    best
}

fn hit_ellipsoid(ray: &Ray, radii: Vec3) -> Option<(f32, Vec3)> {
    let (o, d) = (ray.origin / radii, ray.direction / radii);
    let (a, b, c) = (d.dot(d), o.dot(d), o.dot(o) - 1.0);
    let root = b * b - a * c;
    let distance = (-b - root.max(0.0).sqrt()) / a;
    let at = ray.origin + ray.direction * distance;
    (root >= 0.0 && distance > NEAREST).then(|| (distance, (at / (radii * radii)).normalize_or_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_the_side(shape: Shape, height: f32) -> Option<(f32, Vec3)> {
        shape.hit(&Ray { origin: Vec3::new(-5.0, 0.0, height), direction: Vec3::X })
    }

    #[test]
    fn a_ray_meets_every_shape_where_geometry_says() {
        let half = Vec3::new(1.0, 2.0, 0.5);
        for (shape, distance) in [
            (Shape::Cuboid { half }, 4.0),
            (Shape::Rounded { half, radius: 0.2 }, 4.0),
            (Shape::Ellipsoid { radii: half }, 4.0),
            (Shape::Cone { bottom: 1.0, top: 1.0, half_height: 0.5 }, 4.0),
            (Shape::Cone { bottom: 1.0, top: 0.5, half_height: 0.5 }, 4.25),
        ] {
            let (found, normal) = from_the_side(shape, 0.0).unwrap();
            assert!((found - distance).abs() < 1e-3, "{shape:?}: {found}");
            assert!(normal.x < -0.8 && (normal.length() - 1.0).abs() < 1e-5, "{shape:?}: {normal}");
            assert_eq!(from_the_side(shape, 0.6), None, "{shape:?}");
        }
        let down = Ray { origin: Vec3::new(0.3, 0.3, 2.0), direction: Vec3::NEG_Z };
        assert_eq!(Shape::Rectangle { half: Vec2::ONE }.hit(&down), Some((2.0, Vec3::Z)));
        assert_eq!(Shape::Rectangle { half: Vec2::splat(0.2) }.hit(&down), None);
        assert_eq!(Shape::Cone { bottom: 1.0, top: 0.5, half_height: 0.5 }.hit(&down), Some((1.5, Vec3::Z)));
    }

    #[test]
    fn the_edge_of_a_rounded_box_is_cut_back() {
        let shape = Shape::Rounded { half: Vec3::ONE, radius: 0.5 };
        let ray = Ray { origin: Vec3::new(-5.0, 0.0, 0.85), direction: Vec3::X };
        let (distance, normal) = shape.hit(&ray).unwrap();
        // On the circle of radius 0.5 about (-0.5, 0.5), at height 0.35 above its middle.
        let expected = 4.5 - (0.25f32 - 0.35 * 0.35).sqrt();
        assert!((distance - expected).abs() < 2e-3, "{distance} {expected}");
        assert!((normal.z - 0.7).abs() < 0.01, "{normal}");
    }

    #[test]
    fn frames_take_points_out_and_back() {
        let frame = Frame::turned(Vec3::new(1.0, 2.0, 0.0), 0.7).then(&Frame::tilted(Vec3::new(0.0, 1.0, 1.0), 0.3));
        let local = Vec3::new(0.3, -0.2, 0.9);
        assert!((frame.inward(frame.point(local) - frame.origin) - local).length() < 1e-6);
        for frame in [Frame::along_x(Vec3::ZERO), Frame::along_y(Vec3::ZERO), frame] {
            assert!((frame.axes[0].cross(frame.axes[1]) - frame.axes[2]).length() < 1e-6);
        }
    }
}
