//! The floor plan of a room: its outline, its walls, and what stands where.

use glam::{Vec2, Vec3};

use super::dice::Dice;
use super::shape::Frame;

/// A rectangle along the room's axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Area {
    pub(crate) low: Vec2,
    pub(crate) high: Vec2,
}

impl Area {
    pub(crate) fn around(center: Vec2, half: Vec2) -> Self {
        Self { low: center - half, high: center + half }
    }

    pub(crate) fn grown(self, by: f32) -> Self {
        Self { low: self.low - Vec2::splat(by), high: self.high + Vec2::splat(by) }
    }

    pub(crate) fn meets(&self, other: &Area) -> bool {
        self.low.cmplt(other.high).all() && other.low.cmplt(self.high).all()
    }

    pub(crate) fn holds(&self, point: Vec2) -> bool {
        self.low.cmple(point).all() && point.cmple(self.high).all()
    }

    pub(crate) fn center(&self) -> Vec2 {
        (self.low + self.high) / 2.0
    }
}

/// A hole in a wall, or a piece of wall that something covers; metres along the wall and above the floor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: f32,
    pub(crate) to: f32,
    pub(crate) bottom: f32,
    pub(crate) top: f32,
}

impl Span {
    pub(crate) fn meets(&self, other: &Span) -> bool {
        self.from < other.to && other.from < self.to && self.bottom < other.top && other.bottom < self.top
    }
}

/// One straight wall.
#[derive(Debug, Clone)]
pub(crate) struct Wall {
    pub(crate) start: Vec2,
    /// Along the wall, the room on the left.
    pub(crate) along: Vec2,
    pub(crate) length: f32,
    /// Doors and windows.
    pub(crate) openings: Vec<Span>,
    /// All that nothing else may cover: openings, pictures, tall furniture.
    pub(crate) taken: Vec<Span>,
}

impl Wall {
    /// x along the wall, y into the room, z up.
    pub(crate) fn frame(&self) -> Frame {
        let along = self.along.extend(0.0);
        Frame { origin: self.start.extend(0.0), axes: [along, Vec3::Z.cross(along), Vec3::Z] }
    }

    pub(crate) fn inward(&self) -> Vec2 {
        self.along.perp()
    }

    /// Whether nothing covers that part of the wall yet.
    pub(crate) fn is_free(&self, span: &Span) -> bool {
        span.from >= 0.0 && span.to <= self.length && !self.taken.iter().any(|taken| taken.meets(span))
    }
}

/// The outline of a room and what stands in it.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) walls: Vec<Wall>,
    pub(crate) height: f32,
    /// The floor, cut into rectangles.
    pub(crate) floor: Vec<Area>,
    /// Where furniture stands.
    pub(crate) occupied: Vec<Area>,
    /// Where none may stand: before doors.
    pub(crate) kept_clear: Vec<Area>,
}

impl Plan {
    /// A rectangle of about `width` × `depth` metres, of which a corner may be missing, or with an alcove.
    pub(crate) fn generate(width: f32, depth: f32, height: f32, dice: &mut Dice) -> Self {
        let (w, d) = (width, depth);
        let corners: Vec<[f32; 2]> = match dice.below(10) {
            0..3 if w > 3.2 && d > 3.2 => {
                let (a, b) = (w * dice.between(0.28, 0.45), d * dice.between(0.28, 0.45));
                match dice.below(4) {
                    0 => vec![[a, 0.0], [w, 0.0], [w, d], [0.0, d], [0.0, b], [a, b]],
                    1 => vec![[0.0, 0.0], [w - a, 0.0], [w - a, b], [w, b], [w, d], [0.0, d]],
                    2 => vec![[0.0, 0.0], [w, 0.0], [w, d - b], [w - a, d - b], [w - a, d], [0.0, d]],
                    _ => vec![[0.0, 0.0], [w, 0.0], [w, d], [a, d], [a, d - b], [0.0, d - b]],
                }
            }
            3..5 if w > 2.8 => {
                let (wide, deep) = (dice.between(1.1, (w - 1.0).min(2.2)), dice.between(0.4, 1.1));
                let from = dice.between(0.4, w - wide - 0.4);
                let to = from + wide;
                if dice.chance(0.5) {
                    vec![[0.0, 0.0], [w, 0.0], [w, d], [to, d], [to, d + deep], [from, d + deep], [from, d], [0.0, d]]
                } else {
                    vec![[0.0, 0.0], [from, 0.0], [from, -deep], [to, -deep], [to, 0.0], [w, 0.0], [w, d], [0.0, d]]
                }
            }
            _ => vec![[0.0, 0.0], [w, 0.0], [w, d], [0.0, d]],
        };
        let corners: Vec<Vec2> = corners.into_iter().map(Vec2::from).collect();
        let next = corners.iter().cycle().skip(1);
        let wall = |(&start, &end): (&Vec2, &Vec2)| {
            let length = (end - start).length();
            Wall { start, along: (end - start) / length, length, openings: Vec::new(), taken: Vec::new() }
        };
        let walls = corners.iter().zip(next).map(wall).collect();
        Self { walls, height, floor: rectangles(&corners), occupied: Vec::new(), kept_clear: Vec::new() }
    }

    /// Whether a rectangle lies within the outline.
    pub(crate) fn holds(&self, area: &Area) -> bool {
        // The outline is rectilinear: an area is inside when the floor's rectangles cover as much as it has.
        let covered: f32 = self
            .floor
            .iter()
            .map(|part| (part.high.min(area.high) - part.low.max(area.low)).max(Vec2::ZERO).element_product())
            .sum();
        covered > (area.high - area.low).element_product() - 1e-3
    }

    /// Whether furniture could stand there.
    pub(crate) fn is_free(&self, area: &Area) -> bool {
        self.holds(area) && !self.occupied.iter().chain(&self.kept_clear).any(|other| other.meets(area))
    }

    /// A random point of the floor.
    pub(crate) fn somewhere(&self, dice: &mut Dice) -> Vec2 {
        let sizes = self.floor.iter().map(|part| (part.high - part.low).element_product());
        let mut left = dice.unit() * sizes.clone().sum::<f32>();
        for (part, size) in self.floor.iter().zip(sizes) {
            if left < size {
                return part.low + (part.high - part.low) * Vec2::new(dice.unit(), dice.unit());
            }
            left -= size;
        }
        self.floor.first().map_or(Vec2::ZERO, Area::center)
    }

    /// The rectangle about the whole outline.
    pub(crate) fn extent(&self) -> Area {
        let corners = self.walls.iter().map(|wall| wall.start);
        let low = corners.clone().fold(Vec2::INFINITY, Vec2::min);
        Area { low, high: corners.fold(Vec2::NEG_INFINITY, Vec2::max) }
    }
}

/// Cuts a rectilinear outline into rectangles along the lines of its corners.
fn rectangles(corners: &[Vec2]) -> Vec<Area> {
    let lines = |axis: usize| {
        let mut values: Vec<f32> = corners.iter().map(|corner| corner[axis]).collect();
        values.sort_by(f32::total_cmp);
        values.dedup();
        values
    };
    let (xs, ys) = (lines(0), lines(1));
    let mut parts = Vec::new();
    for x in xs.windows(2) {
        for y in ys.windows(2) {
            let part = Area { low: Vec2::new(x[0], y[0]), high: Vec2::new(x[1], y[1]) };
            if is_inside(corners, part.center()) {
                parts.push(part);
            }
        }
    }
    parts
}

/// Whether a ray to the right crosses the outline an odd number of times.
fn is_inside(corners: &[Vec2], point: Vec2) -> bool {
    let next = corners.iter().cycle().skip(1);
    let crossed = corners.iter().zip(next).filter(|(a, b)| {
        // All edges are horizontal or vertical; only vertical ones are crossed.
        (a.y > point.y) != (b.y > point.y) && a.x > point.x
    });
    crossed.count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outline_is_cut_into_rectangles_of_its_whole_area() {
        for seed in 0..200 {
            let mut dice = Dice::new(seed, 0);
            let (w, d) = (dice.between(2.0, 7.0), dice.between(2.0, 7.0));
            let plan = Plan::generate(w, d, 2.5, &mut dice);
            let covered: f32 = plan.floor.iter().map(|part| (part.high - part.low).element_product()).sum();
            // The shoelace formula over the walls.
            let outline: f32 =
                plan.walls.iter().map(|wall| wall.start.perp_dot(wall.start + wall.along * wall.length)).sum();
            assert!((covered - outline / 2.0).abs() < 1e-3, "seed {seed}: {covered} {outline}");
            assert!(plan.walls.iter().all(|wall| wall.length > 0.3));
        }
    }

    #[test]
    fn the_inward_side_of_every_wall_is_in_the_room() {
        for seed in 0..50 {
            let plan = Plan::generate(5.0, 4.0, 2.5, &mut Dice::new(seed, 0));
            for wall in &plan.walls {
                let inside = wall.start + wall.along * wall.length / 2.0 + wall.inward() * 0.1;
                assert!(plan.holds(&Area::around(inside, Vec2::splat(0.05))), "seed {seed}");
                assert!((wall.frame().axes[1].truncate() - wall.inward()).length() < 1e-6);
            }
        }
    }
}
