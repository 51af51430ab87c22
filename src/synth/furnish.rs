//! What furniture goes into which room, and where it may stand.

use std::f32::consts::PI;

use glam::{Vec2, Vec3};

use super::class::OTHER;
use super::dice::{Dice, sin_cos};
use super::furniture as f;
use super::material::Material;
use super::piece::Piece;
use super::plan::{Area, Span};
use super::room::Room;
use super::shape::Frame;
use super::{Domain, RoomKind};

/// Makes another piece of its kind.
type Make = fn(&mut Dice) -> Piece;

/// Where a piece came to stand.
#[derive(Debug, Clone, Copy)]
struct Placed {
    at: Vec2,
    /// Where its front faces.
    front: Vec2,
    half: Vec2,
}

/// Furnishes a room as its kind asks for, as far as there is space.
pub(crate) fn furnish(room: &mut Room, dice: &mut Dice) {
    let mut mover = Mover { room, dice };
    match mover.room.kind() {
        RoomKind::Living => mover.living(),
        RoomKind::Bedroom => mover.bedroom(),
        RoomKind::Office => mover.office(),
        RoomKind::Meeting => mover.meeting(),
        RoomKind::Kitchen => mover.kitchen(),
        RoomKind::Bathroom => mover.bathroom(),
        RoomKind::Storage => mover.storage(),
    }
    if mover.room.domain() == Domain::Basement {
        mover.pipes();
    }
}

struct Mover<'a> {
    room: &'a mut Room,
    dice: &'a mut Dice,
}

impl Mover<'_> {
    fn living(&mut self) {
        let sofa = f::sofa(self.dice);
        if let Some(placed) = self.against_wall(&sofa, 0.02) {
            let table = f::low_table(self.dice);
            let reach = placed.half.y + table.half.y + self.dice.between(0.3, 0.5);
            let place = Placed { at: placed.at + placed.front * reach, half: table.half, ..placed };
            self.place(&table, place, 0.05);
        }
        self.some_against_wall(&[(f::cabinet, 0.9), (f::bookshelf, 0.8), (f::bookshelf, 0.3), (f::armchair, 0.6)]);
        if self.dice.chance(0.5) {
            let table = f::table(false, self.dice);
            self.table_with_chairs(&table, f::chair);
        }
        self.some_against_wall(&[(f::floor_lamp, 0.6), (f::plant, 0.6), (f::plant, 0.3), (f::box_pile, 0.3)]);
    }

    fn bedroom(&mut self) {
        let bed = f::bed(self.dice);
        if let Some(placed) = self.against_wall(&bed, 0.01) {
            let stand = f::nightstand(self.dice);
            for side in [-1.0, 1.0] {
                if self.dice.chance(0.75) {
                    let sideways = placed.front.perp() * side * (placed.half.x + stand.half.x + 0.05);
                    let back = placed.front * (placed.half.y - stand.half.y);
                    self.place(&stand, Placed { at: placed.at + sideways - back, half: stand.half, ..placed }, 0.0);
                }
            }
        }
        self.some_against_wall(&[(f::wardrobe, 0.9), (f::cabinet, 0.6)]);
        if self.dice.chance(0.4) {
            self.desk_with_chair(f::chair);
        }
        self.some_against_wall(&[
            (f::bookshelf, 0.35),
            (f::chair, 0.4),
            (f::plant, 0.3),
            (f::basket, 0.5),
            (f::floor_lamp, 0.3),
        ]);
    }

    fn office(&mut self) {
        for _ in 0..self.dice.count(1, 4) {
            self.desk_with_chair(f::swivel_chair);
        }
        self.some_against_wall(&[(f::bookshelf, 0.7), (f::wardrobe, 0.5), (f::cabinet, 0.5), (f::bookshelf, 0.3)]);
        if self.dice.chance(0.25) {
            let table = f::table(false, self.dice);
            self.table_with_chairs(&table, f::chair);
        }
        self.some_against_wall(&[(f::plant, 0.5), (f::basket, 0.8), (f::box_pile, 0.5), (f::floor_lamp, 0.2)]);
    }

    fn meeting(&mut self) {
        let table = f::table(true, self.dice);
        let kind: Make = if self.dice.chance(0.5) { f::swivel_chair } else { f::chair };
        self.table_with_chairs(&table, kind);
        self.some_against_wall(&[
            (f::cabinet, 0.7),
            (f::bookshelf, 0.3),
            (f::plant, 0.5),
            (f::sofa, 0.2),
            (f::basket, 0.4),
        ]);
    }

    fn kitchen(&mut self) {
        let fridge = f::refrigerator(self.dice);
        for width in [2.8, 2.2, 1.6, 1.2] {
            let width = width + self.dice.between(-0.2, 0.2);
            let upper = self.dice.chance(0.7);
            let line = f::kitchen_line(width, upper, self.dice);
            if self.against_wall(&line, 0.0).is_some() {
                break;
            }
        }
        self.against_wall(&fridge, 0.03);
        if self.dice.chance(0.4) {
            let line = f::kitchen_line(1.3, false, self.dice);
            self.against_wall(&line, 0.0);
        }
        let table = f::table(false, self.dice);
        self.table_with_chairs(&table, f::chair);
        self.some_against_wall(&[(f::cabinet, 0.4), (f::basket, 0.5), (f::plant, 0.2), (f::appliance, 0.3)]);
    }

    fn bathroom(&mut self) {
        let tub = if self.dice.chance(0.7) { f::bathtub(self.dice) } else { f::shower(self.dice) };
        if self.against_wall(&tub, 0.0).is_none() {
            let shower = f::shower(self.dice);
            self.against_wall(&shower, 0.0);
        }
        self.some_against_wall(&[
            (f::toilet, 1.0),
            (f::washbasin, 1.0),
            (f::appliance, 0.3),
            (f::cabinet, 0.3),
            (f::basket, 0.5),
        ]);
    }

    fn storage(&mut self) {
        self.some_against_wall(&[(f::bookshelf, 0.9), (f::boiler, 0.6), (f::appliance, 0.7), (f::wardrobe, 0.4)]);
        if self.dice.chance(0.6) {
            let bench = f::table(true, self.dice);
            self.against_wall(&bench, 0.02);
        }
        self.some_against_wall(&[
            (f::refrigerator, 0.35),
            (f::washbasin, 0.35),
            (f::bookshelf, 0.6),
            (f::sofa, 0.15),
            (f::cabinet, 0.4),
        ]);
        for _ in 0..self.dice.count(2, 7) {
            let pile = f::box_pile(self.dice);
            if self.dice.chance(0.6) {
                self.against_wall(&pile, 0.05);
            } else {
                self.somewhere(&pile, 0.1);
            }
        }
        self.some_against_wall(&[(f::chair, 0.6), (f::chair, 0.3), (f::basket, 0.5)]);
    }

    /// Pipes under the ceiling and down a wall.
    fn pipes(&mut self) {
        let metal = Material::metal(self.dice);
        let height = self.room.plan.height;
        for _ in 0..self.dice.count(1, 3) {
            let index = self.dice.below(self.room.plan.walls.len());
            let wall = self.room.plan.walls[index].clone();
            let (radius, drop) = (self.dice.between(0.02, 0.07), self.dice.between(0.08, 0.22));
            let mut pipe = Piece::new(0.0, 0.0, 0.0);
            let (y, z) = (radius + 0.04, height - drop);
            pipe.bar(OTHER, [wall.length / 2.0, y, z], radius, wall.length, &metal);
            let at = self.dice.between(0.1, wall.length - 0.1);
            let down = Span { from: at - radius, to: at + radius, bottom: 0.0, top: z };
            if wall.is_free(&down) {
                pipe.column(OTHER, [at, y, 0.0], radius, z, &metal);
            }
            self.room.surfaces.extend(pipe.placed(&wall.frame()));
        }
    }

    /// Tries each kind with its probability.
    fn some_against_wall(&mut self, kinds: &[(Make, f32)]) {
        for (make, probability) in kinds {
            if self.dice.chance(*probability) {
                let piece = make(self.dice);
                self.against_wall(&piece, 0.02);
            }
        }
    }

    fn desk_with_chair(&mut self, make: Make) {
        let desk = f::desk(self.dice);
        let Some(placed) = self.against_wall(&desk, 0.02) else { return };
        let chair = make(self.dice);
        let reach = placed.half.y + chair.half.y + self.dice.between(-0.09, 0.2);
        let sideways = placed.front.perp() * self.dice.between(-0.2, 0.2);
        self.pull_up(&chair, placed.at + placed.front * reach + sideways, -placed.front, 0.35);
    }

    fn table_with_chairs(&mut self, table: &Piece, make: Make) {
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
    fn pull_up(&mut self, chair: &Piece, at: Vec2, front: Vec2, spread: f32) {
        let occupied = Area::around(at, chair.half * 0.55);
        if !self.room.plan.holds(&Area::around(at, chair.half)) || !self.room.plan.is_free(&occupied) {
            return;
        }
        let (sin, cos) = sin_cos(self.dice.between(-spread, spread));
        let front = Vec2::new(front.x * cos - front.y * sin, front.x * sin + front.y * cos);
        self.room.plan.occupied.push(Area::around(at, chair.half));
        self.stand(chair, at, front);
    }

    /// Puts a piece with its back to some wall.
    fn against_wall(&mut self, piece: &Piece, gap: f32) -> Option<Placed> {
        let count = self.room.plan.walls.len();
        for _ in 0..40 {
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
    fn somewhere(&mut self, piece: &Piece, clearance: f32) -> Option<Placed> {
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
    fn place(&mut self, piece: &Piece, placed: Placed, clearance: f32) -> Option<Placed> {
        let area = area(&placed);
        if !self.room.plan.is_free(&area) {
            return None;
        }
        self.room.plan.occupied.push(area.grown(clearance));
        self.stand(piece, placed.at, placed.front);
        Some(placed)
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

/// A whole turn, for those who look around.
pub(crate) const TURN: f32 = 2.0 * PI;
