//! What colour a camera sees at a point.

use glam::Vec3;

use super::dice::lattice;
use super::material::Color;
use super::room::{Light, Room};
use super::tree::Tree;

/// A point of a surface that a camera saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) surface: usize,
    /// In the surface's frame.
    pub(crate) local: Vec3,
    pub(crate) local_normal: Vec3,
    /// In the room, facing the camera.
    pub(crate) at: Vec3,
    pub(crate) normal: Vec3,
}

/// The linear light that a point sends out: albedo × (ambient + Σ light × cos / distance), lamps shadowed.
pub(crate) fn radiance(room: &Room, tree: &Tree, seen: &Seen) -> Color {
    let material = &room.surfaces[seen.surface].material;
    // Pictures store the root of light, near enough; the exact curve needs a power, which differs between systems.
    let albedo = material.color_at(seen.local, seen.local_normal).map(|value| value * value);
    // Light from the floor is weaker than from above.
    let mut light = room.ambient.map(|value| value * (1.0 + 0.25 * seen.normal.z));
    for lamp in &room.lights {
        let strength = falloff(lamp, seen);
        if strength > 0.004 && tree.sees(seen.at + seen.normal * 0.004, place_on(lamp, seen.at)) {
            for (sum, color) in light.iter_mut().zip(lamp.color) {
                *sum += color * strength;
            }
        }
    }
    std::array::from_fn(|channel| albedo[channel] * light[channel])
}

/// Some place of a lamp or a window, another for every point: both are wide, so that their shadows are soft.
fn place_on(light: &Light, seen: Vec3) -> Vec3 {
    let cell = (seen * 2000.0).as_ivec3();
    let spread = |salt: u32| lattice(cell.x, cell.y, cell.z as u32 ^ salt) - 0.5;
    let (aside, along) = (spread(0x51ed_270b), spread(0x2545_f491));
    match light.facing {
        Some(facing) => light.at + Vec3::Z.cross(facing) * aside + Vec3::Z * (0.7 * along),
        None => light.at + Vec3::new(aside, along, 0.0) * 0.7,
    }
}

/// The share of a light that reaches a point unshadowed.
fn falloff(light: &Light, seen: &Seen) -> f32 {
    let way = light.at - seen.at;
    let distance = way.length().max(0.1);
    let direction = way / distance;
    let facing = light.facing.map_or(1.0, |facing| (-direction.dot(facing)).max(0.0));
    // Lamps and windows are wide, so their light fades slower than a point's.
    seen.normal.dot(direction).max(0.0) * facing / (0.4 + 0.35 * distance * distance)
}

/// The factor that brings the mean brightness of a picture to `target`, in `0..1` of the stored scale.
pub(crate) fn exposure(colors: &[Color], target: f32) -> f32 {
    let total: f64 = colors.iter().flatten().map(|value| f64::from(value.sqrt())).sum();
    let mean = total / (3 * colors.len()).max(1) as f64;
    if mean > 0.0 { (f64::from(target) / mean) as f32 } else { 1.0 }
}
