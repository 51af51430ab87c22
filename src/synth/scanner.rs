//! A depth camera in a room.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::parallel::prelude::*;
use glam::Vec3;

use super::Domain;
use super::dice::Dice;
use super::furnish::TURN;
use super::light::{exposure, radiance};
use super::picture::{Sample, take_picture};
use super::room::Room;
use super::shape::Frame;
use super::tree::Tree;
use super::walk::{Pose, glance, walk};
use crate::PointCloud;

/// How a camera goes about a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Path {
    /// All through the room, looking around; the cloud is in the room's axes, its floor at z = 0.
    #[default]
    Walk,
    /// From one place in one direction: most of the room is out of sight or hidden. The cloud is in the camera's
    /// axes, x to the right, y forwards and z up, as a depth picture is before anyone levels it.
    Glance,
    /// As [`Path::Glance`], and levelled by a sensor of gravity, to within a few degrees.
    LevelledGlance,
}

/// The camera and its path.
#[derive(Debug, Clone, PartialEq)]
pub struct ScannerOptions {
    /// How it goes about the room.
    pub path: Path,
    /// Pictures taken along the way.
    pub poses: usize,
    /// Depth pixels across.
    pub width: usize,
    /// Depth pixels down.
    pub height: usize,
    /// Whether rays go through a random point of each pixel, as the fusion of many pictures amounts to, or through
    /// its middle.
    pub jitter: bool,
    /// Half the picture's width at a distance of 1, the tangent of half the horizontal view.
    pub half_width: f32,
    /// Nearest and farthest depth that is measured, metres.
    pub range: [f32; 2],
    /// Standard deviation of depth at 1 m, metres; grows with the square of the distance.
    pub noise: f32,
    /// Step of the inverse depth, 1/m, that depths are rounded to; steps grow with the square of the distance. 0 for
    /// none.
    pub disparity_step: f32,
    /// Share of the pixels at edges of depth that lie between the two sides.
    pub flying: f32,
    /// How readily patches are lost, most of all on what is dark and glossy: 0 for none, 0.3 for many.
    pub holes: f32,
    /// From the lens to the projector of the pattern, metres; what the projector does not reach has no depth. 0 for
    /// none.
    pub baseline: f32,
    /// Standard deviation of what the estimate of the camera's place drifts by from pose to pose, metres.
    pub drift: f32,
    /// Standard deviation of the direction of normals, as the tangent of an angle; `None` gives a cloud without
    /// normals, as a bare depth picture is.
    pub normal_noise: Option<f32>,
    /// Standard deviation of colour, on the scale of 255.
    pub color_noise: f32,
    /// Largest deviation of the balance of red, green and blue.
    pub color_cast: f32,
    /// How much darker pictures are in their corners, as a factor of the squared sine of the angle from the middle.
    pub vignette: f32,
    /// Side of the cells of which each keeps its first point, metres.
    pub cell: f32,
}

impl ScannerOptions {
    /// The camera that a domain is seen by, on a walk.
    pub const fn of(domain: Domain) -> Self {
        let (noise, drift, color_noise, range, holes) = match domain {
            Domain::Home => (0.0012, 0.0015, 4.0, [0.4, 6.0], 0.03),
            Domain::Office => (0.0016, 0.002, 5.0, [0.5, 7.0], 0.04),
            Domain::Basement => (0.003, 0.003, 9.0, [0.3, 5.0], 0.1),
        };
        Self {
            path: Path::Walk,
            poses: 36,
            width: 160,
            height: 120,
            jitter: true,
            half_width: 0.64,
            range,
            noise,
            disparity_step: 0.0,
            flying: 0.04,
            holes,
            baseline: 0.0,
            drift,
            normal_noise: Some(0.08),
            color_noise,
            color_cast: 0.08,
            vignette: 0.15,
            cell: 0.01,
        }
    }

    /// The same camera held still for one to three pictures, its habits chosen by the seed: a structured-light
    /// camera with finer pixels, stepped depths, flying pixels, and the shadow of its projector.
    pub fn glance(domain: Domain, seed: u64) -> Self {
        let mut dice = Dice::new(seed, 4000);
        let walk = Self::of(domain);
        let width = dice.count(260, 460);
        Self {
            path: if dice.chance(0.55) { Path::Glance } else { Path::LevelledGlance },
            poses: dice.pick(&[1, 1, 1, 2, 3]),
            width,
            height: width * 3 / 4,
            jitter: false,
            half_width: dice.between(0.5, 0.66),
            noise: walk.noise * dice.between(0.7, 1.5),
            disparity_step: if dice.chance(0.8) { dice.between(0.0015, 0.0035) } else { 0.0 },
            flying: dice.between(0.1, 0.5),
            holes: walk.holes + dice.between(0.0, 0.12),
            baseline: if dice.chance(0.8) { dice.between(0.05, 0.08) } else { 0.0 },
            normal_noise: None,
            color_cast: 0.14,
            vignette: dice.between(0.0, 0.8),
            ..walk
        }
    }
}

impl Default for ScannerOptions {
    fn default() -> Self {
        Self::of(Domain::Home)
    }
}

/// Scans a room: positions in metres, colours, normals facing the camera, and labels of the `rooms` label set.
///
/// Rays go through a grid of pixels of every pose, so what stands before hides what is behind, and near surfaces are
/// denser than far ones. The pictures are fused, and each cell keeps its first point, as a reconstruction does. Equal
/// arguments give equal clouds on every platform.
pub fn scan(room: &Room, options: &ScannerOptions, seed: u64) -> PointCloud {
    let tree = Tree::new(&room.surfaces);
    let mut dice = Dice::new(seed, 1000);
    let poses = match options.path {
        Path::Walk => walk(room, options, &mut dice),
        Path::Glance | Path::LevelledGlance => glance(room, &tree, options, &mut dice),
    };
    let pictures: Vec<Vec<Sample>> = poses
        .par_iter()
        .enumerate()
        .map(|(index, pose)| take_picture(room, &tree, pose, options, &mut Dice::new(seed, 2000 + index as u64)))
        .collect();
    let samples = thin(pictures, options.cell);
    let mut dice = Dice::new(seed, 3000);
    let frame = reference(options.path, poses.first(), &mut dice);
    let mut cloud = PointCloud::default();
    let place = |sample: &Sample| frame.inward(sample.position - frame.origin).to_array();
    cloud.positions = samples.iter().map(place).collect();
    cloud.colors = Some(develop(room, &tree, &samples, options, &mut dice));
    cloud.normals = options.normal_noise.map(|noise| {
        let normal = |sample: &Sample| {
            let jitter = Vec3::new(dice.normal(), dice.normal(), dice.normal()) * noise;
            frame.inward((sample.seen.normal + jitter).normalize_or(sample.seen.normal)).to_array()
        };
        samples.iter().map(normal).collect()
    });
    cloud.labels = Some(samples.iter().map(|sample| room.surfaces[sample.seen.surface].label).collect());
    cloud
}

/// The frame that a cloud's numbers are in.
fn reference(path: Path, first: Option<&Pose>, dice: &mut Dice) -> Frame {
    let room = Frame::at(Vec3::ZERO);
    let Some(camera) = first.map(|pose| pose.frame) else { return room };
    match path {
        Path::Walk => room,
        Path::Glance => Frame { origin: camera.origin, axes: [camera.axes[0], -camera.axes[2], camera.axes[1]] },
        Path::LevelledGlance => {
            let level = Frame::turned(camera.origin, dice.between(0.0, TURN));
            level.then(&Frame::tilted(Vec3::ZERO, 0.025 * dice.normal()))
        }
    }
}

/// What the camera's pictures show of the samples: exposed, in a cast of its own, more or less grey, with noise.
fn develop(room: &Room, tree: &Tree, samples: &[Sample], options: &ScannerOptions, dice: &mut Dice) -> Vec<[f32; 3]> {
    let light: Vec<[f32; 3]> = samples
        .par_iter()
        .map(|sample| radiance(room, tree, &sample.seen).map(|value| value * sample.vignette))
        .collect();
    let gain = exposure(&light, dice.between(0.36, 0.62));
    let balance: [f32; 3] = std::array::from_fn(|_| 1.0 + dice.between(-options.color_cast, options.color_cast));
    let saturation = dice.between(0.5, 1.05);
    // Light scattered in the lens lifts what is dark.
    let veil = dice.between(0.0, 0.08);
    let mut shade = |light: &[f32; 3]| {
        let shade = dice.normal() * options.color_noise;
        let seen: [f32; 3] = std::array::from_fn(|channel| gain * balance[channel] * light[channel].sqrt());
        let grey = (seen[0] + seen[1] + seen[2]) / 3.0;
        seen.map(|value| {
            let clean = 255.0 * (veil + (1.0 - veil) * (grey + saturation * (value - grey)));
            (clean + shade + 0.4 * options.color_noise * dice.normal()).round().clamp(0.0, 255.0)
        })
    };
    light.iter().map(&mut shade).collect()
}

/// Keeps the first sample of every cell.
fn thin(pictures: Vec<Vec<Sample>>, cell: f32) -> Vec<Sample> {
    // The set only answers whether a cell was there; its order is never seen.
    let mut taken: HashSet<u64, BuildHasherDefault<CellHasher>> = HashSet::default();
    // Cells are centred on whole multiples, so that a noisy floor at zero fills one layer of cells and not two.
    let key = |position: Vec3| {
        let cell = (position / cell.max(1e-4) + Vec3::splat(0.5)).floor().as_i64vec3();
        // 21 bits an axis hold 200 m in cells of 0.1 mm.
        cell.to_array().into_iter().fold(0, |key, value| key << 21 | (value as u64 & 0x1f_ffff))
    };
    pictures.into_iter().flatten().filter(|sample| taken.insert(key(sample.position))).collect()
}

/// One multiplication: a room's million keys are no attack.
#[derive(Default)]
struct CellHasher(u64);

impl Hasher for CellHasher {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
