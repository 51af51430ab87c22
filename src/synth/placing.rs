//! Where furniture may stand: against walls, in the open, drawn up to tables.

use glam::{Vec2, Vec3};

use super::dice::{Dice, sin_cos};
use super::furniture as f;
use super::piece::Piece;
use super::plan::{Area, Span};
use super::room::Room;
use super::shape::Frame;

/// Makes another piece of its kind.
pub(super) type Make = fn(&mut Dice) -> Piece;

/// Where a piece came to stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) at: Vec2,
    /// Where its front faces.
    pub(super) front: Vec2,
    pub(super) half: Vec2,
}

/// Carries furniture into a room.
pub(super) struct Mover<'a> {
    pub(super) room: &'a mut Room,
    pub(super) dice: &'a mut Dice,
}

impl Mover<'_> {
    /// Tries each kind with its probability.
    pub(super) fn some_against_wall(&mut self, kinds: &[(Make, f32)]) {
        for (make, probability) in kinds {
            if self.dice.chance(*probability) {
                let piece = make(self.dice);
                self.against_wall(&piece, 0.02);
            }
        }
    }

    pub(super) fn desk_with_chair(&mut self, make: Make) {
        let desk = f::desk(self.dice);
        let Some(placed) = self.against_wall(&desk, 0.02) else { return };
        let chair = make(self.dice);
        // Who has left has pushed the chair back, and turned it.
        let (away, spread) = if self.dice.chance(0.35) { (0.7, 3.1) } else { (0.2, 0.5) };
        let reach = placed.half.y + chair.half.y + self.dice.between(-0.09, away);
        let sideways = placed.front.perp() * self.dice.between(-0.2, 0.2);
        self.pull_up(&chair, placed.at + placed.front * reach + sideways, -placed.front, spread);
    }

    pub(super) fn table_with_chairs(&mut self, table: &Piece, make: Make) {
        let Some(placed) = self.somewhere(table, 0.45) else { return };
        // All chairs at a table are alike: the same choices are made for each.
        let model = self.dice.clone();
        let seats = ((placed.half.x * 2.0 - 0.1) / 0.62).max(1.0) as usize;
        for side in [-1.0, 1.0] {
            for seat in 0..seats {
                let chair = make(&mut model.clone());
                let x = (seat as f32 - (seats - 1) as f32 / 2.0) * placed.half.x * 2.0 / seats as f32;
                let y = side * (placed.half.y + chair.half.y + self.dice.between(-0.09, 0.12));
                if self.dice.chance(0.85) {
                    let at = placed.at - placed.front.perp() * x + placed.front * y;
                    self.pull_up(&chair, at, placed.front * -side, 0.2);
                }
            }
        }
        make(self.dice);
    }

    /// Puts a chair at a place, facing `front` but for a turn of up to `spread`; it may reach under what it is at.
    /// Whether there was space.
    pub(super) fn pull_up(&mut self, chair: &Piece, at: Vec2, front: Vec2, spread: f32) -> bool {
        let occupied = Area::around(at, chair.half * 0.55);
        if !self.room.plan.holds(&Area::around(at, chair.half)) || !self.room.plan.is_free(&occupied) {
            return false;
        }
        let (sin, cos) = sin_cos(self.dice.between(-spread, spread));
        let front = Vec2::new(front.x * cos - front.y * sin, front.x * sin + front.y * cos);
        self.room.plan.occupied.push(Area::around(at, chair.half));
        self.stand(chair, at, front);
        true
    }

    /// Puts a piece with its back to some wall.
    pub(super) fn against_wall(&mut self, piece: &Piece, gap: f32) -> Option<Placed> {
        let count = self.room.plan.walls.len();
        for _ in 0..80 {
            let index = self.dice.below(count);
            let wall = &self.room.plan.walls[index];
            let slack = wall.length - 2.0 * piece.half.x;
            if slack < 0.0 {
                continue;
            }
            // Furniture likes corners.
            let from = match self.dice.below(4) {
                0 => (0.03_f32).min(slack),
                1 => (slack - 0.03).max(0.0),
                _ => self.dice.unit() * slack,
            };
            let span = Span { from, to: from + 2.0 * piece.half.x, bottom: 0.0, top: piece.height };
            if !wall.is_free(&span) {
                continue;
            }
            let front = wall.inward();
            let at = wall.start + wall.along * (from + piece.half.x) + front * (piece.half.y + gap);
            if let Some(placed) = self.place(piece, Placed { at, front, half: piece.half }, 0.02) {
                self.room.plan.walls[index].taken.push(span);
                return Some(placed);
            }
        }
        None
    }

    /// Puts a piece somewhere free, along either axis, with `clearance` all around.
    pub(super) fn somewhere(&mut self, piece: &Piece, clearance: f32) -> Option<Placed> {
        for _ in 0..60 {
            let at = self.room.plan.somewhere(self.dice);
            let front = self.dice.pick(&[Vec2::X, Vec2::Y, Vec2::NEG_X, Vec2::NEG_Y]);
            let placed = Placed { at, front, half: piece.half };
            if self.room.plan.is_free(&area(&placed).grown(clearance)) {
                return self.place(piece, placed, 0.0);
            }
        }
        None
    }

    /// Puts a piece there if the place is free; nothing may come nearer than `clearance`.
    pub(super) fn place(&mut self, piece: &Piece, placed: Placed, clearance: f32) -> Option<Placed> {
        let area = area(&placed);
        if !self.room.plan.is_free(&area) {
            return None;
        }
        self.room.plan.occupied.push(area.grown(clearance));
        self.stand(piece, placed.at, placed.front);
        Some(placed)
    }

    /// Puts small things on the floor wherever nothing stands, turned at will.
    pub(super) fn scatter(&mut self, kinds: &[Make], most: usize) {
        for _ in 0..self.dice.count(0, most) {
            let piece = kinds[self.dice.below(kinds.len())](self.dice);
            let reach = piece.half.max_element() * 1.2;
            for _ in 0..10 {
                let at = self.room.plan.somewhere(self.dice);
                let area = Area::around(at, Vec2::splat(reach));
                if self.room.plan.is_free(&area) {
                    let (sin, cos) = sin_cos(self.dice.between(0.0, super::furnish::TURN));
                    self.room.plan.occupied.push(area);
                    self.stand(&piece, at, Vec2::new(cos, sin));
                    break;
                }
            }
        }
    }

    fn stand(&mut self, piece: &Piece, at: Vec2, front: Vec2) {
        let y = front.extend(0.0);
        let frame = Frame { origin: at.extend(0.0), axes: [y.cross(Vec3::Z), y, Vec3::Z] };
        self.room.surfaces.extend(piece.placed(&frame));
    }
}

/// The footprint of a piece that faces along an axis.
fn area(placed: &Placed) -> Area {
    let across = placed.front.x.abs() > placed.front.y.abs();
    Area::around(placed.at, if across { Vec2::new(placed.half.y, placed.half.x) } else { placed.half })
}
