//! Where a depth camera stands and looks.

use glam::{Vec2, Vec3};

use super::dice::{Dice, sin_cos};
use super::furnish::TURN;
use super::plan::Area;
use super::room::Room;
use super::scanner::ScannerOptions;
use super::shape::{Frame, Ray};
use super::tree::Tree;

/// Where the camera is, and where it believes to be.
pub(crate) struct Pose {
    /// Axes: right, up, backwards.
    pub(crate) frame: Frame,
    pub(crate) shift: Vec3,
}

/// A walk through the free parts of a room, looking around at 1.2 to 1.8 m above the floor.
pub(crate) fn walk(room: &Room, options: &ScannerOptions, dice: &mut Dice) -> Vec<Pose> {
    let center = room.plan.extent().center();
    let mut at = center;
    let mut yaw = dice.between(0.0, TURN);
    let mut shift = Vec3::ZERO;
    (0..options.poses)
        .map(|_| {
            // A step to a near free place; a room too full for that is looked at from where one stands.
            let step = (0..40).map(|_| room.plan.somewhere(dice)).filter(|&place| is_free(room, place));
            let near = |a: &Vec2, b: &Vec2| (*a - at).length().total_cmp(&(*b - at).length());
            at = step.take(3).max_by(near).unwrap_or(at);
            // Mostly towards the middle of the room, and all around in turn.
            yaw += dice.between(0.5, 1.1);
            let (sin, cos) = sin_cos(yaw);
            let inward = (center - at).normalize_or_zero();
            let looking = (Vec2::new(cos, sin) + inward * dice.between(0.0, 0.9)).normalize_or(Vec2::X);
            let pitch = if dice.chance(0.2) { dice.between(0.1, 0.6) } else { dice.between(-1.05, 0.1) };
            let height = dice.between(1.2, 1.8).min(room.plan.height - 0.25);
            shift = drifted(shift, options.drift, dice);
            Pose { frame: looking_along(at.extend(height), looking, pitch), shift }
        })
        .collect()
}

/// Pictures from one place, all much in one direction: what a camera on a tripod or in a hand sees at a glance.
pub(crate) fn glance(room: &Room, tree: &Tree, options: &ScannerOptions, dice: &mut Dice) -> Vec<Pose> {
    let center = room.plan.extent().center();
    let mut best: Option<(f32, Vec2, Vec2, f32, f32)> = None;
    // The best of many would make all glances alike: some take what comes.
    let wanted = if dice.chance(0.3) { 2.0 } else { 5.0 };
    for _ in 0..12 {
        let at = (0..20).map(|_| room.plan.somewhere(dice)).find(|&place| is_free(room, place)).unwrap_or(center);
        let (sin, cos) = sin_cos(dice.between(0.0, TURN));
        let looking = Vec2::new(cos, sin);
        let pitch = dice.between(-0.75, 0.08);
        let height = dice.between(0.7, 1.75).min(room.plan.height - 0.25);
        let interest = interest(room, tree, &looking_along(at.extend(height), looking, pitch), options);
        if best.is_none_or(|(most, ..)| interest > most) {
            best = Some((interest, at, looking, pitch, height));
        }
        if interest >= wanted {
            break;
        }
    }
    let Some((_, at, looking, pitch, height)) = best else { return Vec::new() };
    let mut shift = Vec3::ZERO;
    (0..options.poses)
        .map(|index| {
            let place = at.extend(height);
            if index == 0 {
                return Pose { frame: looking_along(place, looking, pitch), shift: Vec3::ZERO };
            }
            let (sin, cos) = sin_cos(dice.between(-0.7, 0.7));
            let turned = Vec2::new(looking.x * cos - looking.y * sin, looking.x * sin + looking.y * cos);
            let step = Vec3::new(dice.normal(), dice.normal(), 0.5 * dice.normal()) * 0.06;
            shift = drifted(shift, options.drift, dice);
            Pose { frame: looking_along(place + step, turned, pitch + dice.between(-0.2, 0.2)), shift }
        })
        .collect()
}

/// How many kinds of things a pose sees, less what it sees too near: a face full of wall is nothing to label.
fn interest(room: &Room, tree: &Tree, pose: &Frame, options: &ScannerOptions) -> f32 {
    const SIDE: usize = 9;
    let mut labels = [0u32; 32];
    let mut near = 0;
    for row in 0..SIDE {
        for column in 0..SIDE {
            let along = |step: usize| (step as f32 + 0.5) / SIDE as f32 * 2.0 - 1.0;
            let looking = Vec3::new(along(column), along(row) * 0.75, 0.0) * options.half_width - Vec3::Z;
            let ray = Ray { origin: pose.origin, direction: pose.outward(looking.normalize()) };
            match tree.hit(&ray, options.range[1]) {
                Some(hit) if hit.distance > 0.9 => labels[room.surfaces[hit.surface].label as usize % 32] += 1,
                _ => near += 1,
            }
        }
    }
    let kinds = labels.iter().filter(|&&count| count > 1).count() as f32;
    kinds - 6.0 * near as f32 / (SIDE * SIDE) as f32
}

fn is_free(room: &Room, at: Vec2) -> bool {
    room.plan.holds(&Area::around(at, Vec2::splat(0.25)))
        && !room.plan.occupied.iter().any(|area| area.grown(0.1).holds(at))
}

fn drifted(shift: Vec3, drift: f32, dice: &mut Dice) -> Vec3 {
    shift * 0.9 + Vec3::new(dice.normal(), dice.normal(), 0.5 * dice.normal()) * drift
}

/// Axes right, up and backwards of a camera that looks along a level direction, raised by `pitch`.
fn looking_along(origin: Vec3, looking: Vec2, pitch: f32) -> Frame {
    let (rise, level) = sin_cos(pitch);
    let forward = (looking * level).extend(rise);
    let right = forward.cross(Vec3::Z).normalize();
    Frame { origin, axes: [right, right.cross(forward), -forward] }
}
