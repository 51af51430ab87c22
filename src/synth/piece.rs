//! A piece of furniture while it is put together.

use glam::{Vec2, Vec3};

use super::material::Material;
use super::room::Surface;
use super::shape::{Frame, Shape};

/// Solids about the middle of a footprint on the floor: x to the right, y to the front, z up, the back towards -y.
#[derive(Debug, Clone, Default)]
pub(crate) struct Piece {
    pub(crate) parts: Vec<Surface>,
    /// Half the sides of the footprint.
    pub(crate) half: Vec2,
    pub(crate) height: f32,
}

impl Piece {
    /// An empty piece of that width, depth and height.
    pub(crate) fn new(width: f32, depth: f32, height: f32) -> Self {
        Self { parts: Vec::new(), half: Vec2::new(width, depth) / 2.0, height }
    }

    pub(crate) fn add(&mut self, label: i32, shape: Shape, frame: Frame, material: &Material) {
        self.parts.push(Surface { shape, frame, material: *material, label });
    }

    /// A box by its middle and sides.
    pub(crate) fn cuboid(&mut self, label: i32, center: [f32; 3], size: [f32; 3], material: &Material) {
        let half = Vec3::from(size) / 2.0;
        self.add(label, Shape::Cuboid { half }, Frame::at(center.into()), material);
    }

    /// A box with rounded edges, as upholstery has.
    pub(crate) fn cushion(&mut self, label: i32, center: [f32; 3], size: [f32; 3], radius: f32, material: &Material) {
        let half = Vec3::from(size) / 2.0;
        self.add(label, Shape::Rounded { half, radius }, Frame::at(center.into()), material);
    }

    /// An upright cylinder by the middle of its foot.
    pub(crate) fn column(&mut self, label: i32, foot: [f32; 3], radius: f32, height: f32, material: &Material) {
        self.cone(label, foot, radius, radius, height, material);
    }

    /// An upright cone, cut off, by the middle of its foot and its lower and upper radius.
    pub(crate) fn cone(&mut self, label: i32, foot: [f32; 3], bottom: f32, top: f32, height: f32, material: &Material) {
        let center = Vec3::from(foot) + Vec3::Z * height / 2.0;
        self.add(label, Shape::Cone { bottom, top, half_height: height / 2.0 }, Frame::at(center), material);
    }

    /// A lying cylinder along x by its middle.
    pub(crate) fn bar(&mut self, label: i32, center: [f32; 3], radius: f32, length: f32, material: &Material) {
        let shape = Shape::Cone { bottom: radius, top: radius, half_height: length / 2.0 };
        self.add(label, shape, Frame::along_x(center.into()), material);
    }

    /// An ellipsoid by its middle and radii.
    pub(crate) fn ball(&mut self, label: i32, center: [f32; 3], radii: [f32; 3], material: &Material) {
        self.add(label, Shape::Ellipsoid { radii: radii.into() }, Frame::at(center.into()), material);
    }

    /// Four legs under the corners of a box of that size.
    pub(crate) fn legs(
        &mut self,
        label: i32,
        size: [f32; 2],
        height: f32,
        thickness: f32,
        is_round: bool,
        material: &Material,
    ) {
        for (sx, sy) in [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)] {
            let (x, y) = (sx * (size[0] - thickness) / 2.0, sy * (size[1] - thickness) / 2.0);
            if is_round {
                self.column(label, [x, y, 0.0], thickness / 2.0, height, material);
            } else {
                self.cuboid(label, [x, y, height / 2.0], [thickness, thickness, height], material);
            }
        }
    }

    /// Another piece standing in this one, at a place, turned.
    pub(crate) fn put(&mut self, other: &Piece, at: [f32; 3], yaw: f32) {
        let frame = Frame::turned(at.into(), yaw);
        self.parts.extend(other.placed(&frame));
    }

    /// The parts with this piece's frame at `frame`.
    pub(crate) fn placed<'a>(&'a self, frame: &'a Frame) -> impl Iterator<Item = Surface> + 'a {
        self.parts.iter().map(|part| Surface { frame: frame.then(&part.frame), ..*part })
    }
}
