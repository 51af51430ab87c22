//! A depth camera that is carried through a room.

use std::collections::HashSet;

use glam::{Vec2, Vec3};
use rayon::prelude::*;

use super::Domain;
use super::dice::{Dice, sin_cos};
use super::furnish::TURN;
use super::light::{Seen, exposure, radiance};
use super::plan::Area;
use super::room::Room;
use super::shape::{Frame, Ray};
use super::tree::Tree;
use crate::PointCloud;

/// The camera and its walk.
#[derive(Debug, Clone, PartialEq)]
pub struct ScannerOptions {
    /// Pictures taken along the way.
    pub poses: usize,
    /// Depth pixels across.
    pub width: usize,
    /// Depth pixels down.
    pub height: usize,
    /// Half the picture's width at a distance of 1, the tangent of half the horizontal view.
    pub half_width: f32,
    /// Nearest and farthest depth that is measured, metres.
    pub range: [f32; 2],
    /// Standard deviation of depth at 1 m, metres; grows with the square of the distance.
    pub noise: f32,
    /// Standard deviation of what the estimate of the camera's place drifts by from pose to pose, metres.
    pub drift: f32,
    /// Standard deviation of the direction of normals, as the tangent of an angle.
    pub normal_noise: f32,
    /// Standard deviation of colour, on the scale of 255.
    pub color_noise: f32,
    /// Side of the cells of which each keeps its first point, metres.
    pub cell: f32,
}

impl ScannerOptions {
    /// The camera that a domain is seen by.
    pub const fn of(domain: Domain) -> Self {
        let (noise, drift, color_noise, range) = match domain {
            Domain::Home => (0.0012, 0.0015, 4.0, [0.4, 6.0]),
            Domain::Office => (0.0016, 0.002, 5.0, [0.5, 7.0]),
            Domain::Basement => (0.003, 0.003, 9.0, [0.3, 5.0]),
        };
        Self {
            poses: 36,
            width: 160,
            height: 120,
            half_width: 0.64,
            range,
            noise,
            drift,
            normal_noise: 0.08,
            color_noise,
            cell: 0.01,
        }
    }
}

impl Default for ScannerOptions {
    fn default() -> Self {
        Self::of(Domain::Home)
    }
}

/// Where the camera is, and where it believes to be.
struct Pose {
    /// Axes: right, up, backwards.
    frame: Frame,
    shift: Vec3,
}

/// A measured point.
struct Sample {
    position: Vec3,
    seen: Seen,
}

/// Scans a room: positions in metres, colours, normals facing the camera, and labels of the `rooms` label set.
///
/// Rays go through a grid of pixels of every pose, so what stands before hides what is behind, and near surfaces are
/// denser than far ones. Returns are lost at grazing angles, on dark gloss and on glass. The poses are fused, and each
/// cell keeps its first point, as a reconstruction does. Equal arguments give equal clouds on every platform.
pub fn scan(room: &Room, options: &ScannerOptions, seed: u64) -> PointCloud {
    let tree = Tree::new(&room.surfaces);
    let poses = walk(room, options, &mut Dice::new(seed, 1000));
    let pictures: Vec<Vec<Sample>> = poses
        .par_iter()
        .enumerate()
        .map(|(index, pose)| take_picture(room, &tree, pose, options, &mut Dice::new(seed, 2000 + index as u64)))
        .collect();
    let samples = thin(pictures, options.cell);
    let light: Vec<[f32; 3]> = samples.par_iter().map(|sample| radiance(room, &tree, &sample.seen)).collect();
    let mut dice = Dice::new(seed, 3000);
    let gain = exposure(&light, dice.between(0.36, 0.56));
    let balance: [f32; 3] = std::array::from_fn(|_| dice.between(0.94, 1.06));
    let mut cloud = PointCloud::default();
    let (mut colors, mut normals, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for (sample, light) in samples.iter().zip(light) {
        let shade = dice.normal() * options.color_noise;
        cloud.positions.push(sample.position.to_array());
        colors.push(std::array::from_fn(|channel| {
            let clean = 255.0 * gain * balance[channel] * light[channel].sqrt();
            (clean + shade + 0.4 * options.color_noise * dice.normal()).round().clamp(0.0, 255.0)
        }));
        let jitter = Vec3::new(dice.normal(), dice.normal(), dice.normal()) * options.normal_noise;
        normals.push((sample.seen.normal + jitter).normalize_or(sample.seen.normal).to_array());
        labels.push(room.surfaces[sample.seen.surface].label);
    }
    (cloud.colors, cloud.normals, cloud.labels) = (Some(colors), Some(normals), Some(labels));
    cloud
}

/// A walk through the free parts of a room, looking around at 1.2 to 1.8 m above the floor.
fn walk(room: &Room, options: &ScannerOptions, dice: &mut Dice) -> Vec<Pose> {
    let is_free = |at: Vec2| {
        room.plan.holds(&Area::around(at, Vec2::splat(0.25)))
            && !room.plan.occupied.iter().any(|area| area.grown(0.1).holds(at))
    };
    let center = room.plan.extent().center();
    let mut at = center;
    let mut yaw = dice.between(0.0, TURN);
    let mut shift = Vec3::ZERO;
    (0..options.poses)
        .map(|_| {
            // A step to a near free place; a room too full for that is looked at from where one stands.
            let step = (0..40).map(|_| room.plan.somewhere(dice)).filter(|&place| is_free(place));
            let near = |a: &Vec2, b: &Vec2| (*a - at).length().total_cmp(&(*b - at).length());
            at = step.take(3).max_by(near).unwrap_or(at);
            // Mostly towards the middle of the room, and all around in turn.
            yaw += dice.between(0.5, 1.1);
            let (sin, cos) = sin_cos(yaw);
            let inward = (center - at).normalize_or_zero();
            let looking = (Vec2::new(cos, sin) + inward * dice.between(0.0, 0.9)).normalize_or(Vec2::X);
            let pitch = if dice.chance(0.2) { dice.between(0.1, 0.6) } else { dice.between(-1.05, 0.1) };
            let (rise, level) = sin_cos(pitch);
            let forward = (looking * level).extend(rise);
            let right = forward.cross(Vec3::Z).normalize();
            let height = dice.between(1.2, 1.8).min(room.plan.height - 0.25);
            let frame = Frame { origin: at.extend(height), axes: [right, right.cross(forward), -forward] };
            shift = shift * 0.9 + Vec3::new(dice.normal(), dice.normal(), 0.5 * dice.normal()) * options.drift;
            Pose { frame, shift }
        })
        .collect()
}

fn take_picture(room: &Room, tree: &Tree, pose: &Pose, options: &ScannerOptions, dice: &mut Dice) -> Vec<Sample> {
    let mut samples = Vec::new();
    let pixel = 2.0 * options.half_width / options.width.max(1) as f32;
    for row in 0..options.height {
        for column in 0..options.width {
            let x = (column as f32 + dice.unit() - options.width as f32 / 2.0) * pixel;
            let y = (options.height as f32 / 2.0 - row as f32 - dice.unit()) * pixel;
            let direction = pose.frame.outward(Vec3::new(x, y, -1.0).normalize());
            let ray = Ray { origin: pose.frame.origin, direction };
            // The same number of choices for every pixel, so that one change in a room stays one change in its scan.
            let (noise, luck) = (dice.normal(), dice.unit());
            let Some(hit) = tree.hit(&ray, options.range[1]).filter(|hit| hit.distance > options.range[0]) else {
                continue;
            };
            let surface = &room.surfaces[hit.surface];
            let mut normal = surface.frame.outward(hit.normal);
            let facing = -normal.dot(direction);
            if facing < 0.0 {
                normal = -normal;
            }
            let material = &surface.material;
            let darkness = 1.0 - material.color.iter().sum::<f32>() / 3.0;
            let grazing = 1.0 - (facing.abs() / 0.22).min(1.0);
            let lost = (0.5 * material.gloss * darkness * darkness).max(grazing).max(if material.is_glass {
                0.93
            } else {
                0.01
            });
            if luck < lost {
                continue;
            }
            let deviation = options.noise * (0.4 + 0.6 * hit.distance * hit.distance);
            let at = ray.origin + direction * hit.distance;
            let local = surface.frame.inward(at - surface.frame.origin);
            samples.push(Sample {
                position: at + direction * (noise * deviation) + pose.shift,
                seen: Seen { surface: hit.surface, local, local_normal: hit.normal, at, normal },
            });
        }
    }
    samples
}

/// Keeps the first sample of every cell.
fn thin(pictures: Vec<Vec<Sample>>, cell: f32) -> Vec<Sample> {
    // The set only answers whether a cell was there; its order is never seen.
    let mut taken = HashSet::new();
    // Cells are centred on whole multiples, so that a noisy floor at zero fills one layer of cells and not two.
    let key = |position: Vec3| (position / cell.max(1e-4) + Vec3::splat(0.5)).floor().as_ivec3();
    pictures.into_iter().flatten().filter(|sample| taken.insert(key(sample.position))).collect()
}
