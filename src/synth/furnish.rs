//! What furniture goes into which room.

use std::f32::consts::PI;

use glam::Vec2;

use super::class::{FLOOR, OTHER};
use super::dice::Dice;
use super::furniture as f;
use super::material::{Material, Pattern, vary};
use super::piece::Piece;
use super::placing::{Make, Mover, Placed};
use super::plan::Span;
use super::room::Room;
use super::shape::Frame;
use super::{Domain, RoomKind};

/// A whole turn, for those who look around.
pub(crate) const TURN: f32 = 2.0 * PI;

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
    mover.strays();
    if mover.room.domain() == Domain::Basement {
        mover.pipes();
    } else if mover.room.kind() != RoomKind::Bathroom && mover.dice.chance(0.25) {
        mover.rug();
    }
    mover.scatter(&[f::bottles, f::bag, f::shoes, f::box_pile, f::case, f::basket], 4);
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
        if self.dice.chance(0.25) {
            // An open kitchen.
            let width = self.dice.between(1.4, 2.2);
            let upper = self.dice.chance(0.6);
            let line = f::kitchen_line(width, upper, self.dice);
            self.against_wall(&line, 0.0);
            self.some_against_wall(&[(f::refrigerator, 0.7)]);
        }
        self.some_against_wall(&[
            (f::cabinet, 0.9),
            (f::bookshelf, 0.8),
            (f::bookshelf, 0.4),
            (f::armchair, 0.6),
            (f::sofa, 0.2),
        ]);
        if self.dice.chance(0.5) {
            let table = f::table(false, self.dice);
            self.table_with_chairs(&table, f::chair);
        } else if self.dice.chance(0.4) {
            self.desk_with_chair(f::chair);
        }
        self.some_against_wall(&[
            (f::side_table, 0.5),
            (f::floor_lamp, 0.6),
            (f::plant, 0.6),
            (f::plant, 0.3),
            (f::box_pile, 0.3),
            (f::stool, 0.3),
        ]);
    }

    fn bedroom(&mut self) {
        let bed = f::bed(self.dice);
        if let Some(placed) = self.against_wall(&bed, 0.01) {
            let stand = if self.dice.chance(0.7) { f::nightstand(self.dice) } else { f::side_table(self.dice) };
            for side in [-1.0, 1.0] {
                if self.dice.chance(0.75) {
                    let sideways = placed.front.perp() * side * (placed.half.x + stand.half.x + 0.05);
                    let back = placed.front * (placed.half.y - stand.half.y);
                    self.place(&stand, Placed { at: placed.at + sideways - back, half: stand.half, ..placed }, 0.0);
                }
            }
        }
        self.built_in(0.25);
        self.some_against_wall(&[(f::wardrobe, 0.7), (f::sofa, 0.15), (f::cabinet, 0.6)]);
        if self.dice.chance(0.4) {
            self.desk_with_chair(f::swivel_chair);
        }
        self.some_against_wall(&[
            (f::bookshelf, 0.45),
            (f::chair, 0.5),
            (f::armchair, 0.15),
            (f::plant, 0.3),
            (f::basket, 0.5),
            (f::coat_stand, 0.15),
            (f::floor_lamp, 0.3),
        ]);
    }

    fn office(&mut self) {
        self.built_in(0.3);
        for _ in 0..self.dice.count(1, 4) {
            self.desk_with_chair(f::swivel_chair);
        }
        self.some_against_wall(&[
            (f::bookshelf, 0.7),
            (f::wardrobe, 0.45),
            (f::filing_cabinet, 0.6),
            (f::cabinet, 0.4),
            (f::filing_cabinet, 0.3),
            (f::bookshelf, 0.3),
        ]);
        if self.dice.chance(0.3) {
            let table = f::table(false, self.dice);
            self.table_with_chairs(&table, f::chair);
        }
        for _ in 0..self.dice.count(0, 2) {
            self.stray_chair();
        }
        self.some_against_wall(&[
            (f::sofa, 0.25),
            (f::plant, 0.5),
            (f::basket, 0.8),
            (f::box_pile, 0.5),
            (f::case, 0.3),
            (f::coat_stand, 0.25),
            (f::floor_lamp, 0.2),
        ]);
    }

    fn meeting(&mut self) {
        let table = f::table(true, self.dice);
        let kind: Make = if self.dice.chance(0.5) { f::swivel_chair } else { f::chair };
        self.table_with_chairs(&table, kind);
        self.built_in(0.15);
        self.some_against_wall(&[
            (f::cabinet, 0.6),
            (f::filing_cabinet, 0.25),
            (f::bookshelf, 0.4),
            (f::sofa, 0.35),
            (f::plant, 0.5),
            (f::armchair, 0.3),
            (f::basket, 0.5),
            (f::coat_stand, 0.3),
        ]);
        for _ in 0..self.dice.count(0, 2) {
            self.stray_chair();
        }
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
        if self.dice.chance(0.3) {
            let island = f::island(self.dice);
            self.table_with_chairs(&island, f::stool);
        }
        let table = f::table(false, self.dice);
        self.table_with_chairs(&table, f::chair);
        self.some_against_wall(&[
            (f::cabinet, 0.4),
            (f::wardrobe, 0.2),
            (f::basket, 0.5),
            (f::plant, 0.2),
            (f::appliance, 0.3),
        ]);
    }

    fn bathroom(&mut self) {
        let tub = if self.dice.chance(0.9) { f::bathtub(self.dice) } else { f::shower(self.dice) };
        if self.against_wall(&tub, 0.0).is_none() || self.dice.chance(0.25) {
            let shower = f::shower(self.dice);
            self.against_wall(&shower, 0.0);
        }
        let sink: Make = if self.dice.chance(0.35) { f::vanity } else { f::washbasin };
        self.some_against_wall(&[(f::toilet, 1.0), (sink, 1.0), (f::washbasin, 0.15)]);
        self.some_against_wall(&[(f::appliance, 0.3), (f::cabinet, 0.3), (f::basket, 0.5), (f::stool, 0.2)]);
    }

    fn storage(&mut self) {
        self.some_against_wall(&[
            (f::rack, 0.9),
            (f::boiler, 0.6),
            (f::appliance, 0.7),
            (f::workbench, 0.6),
            (f::wardrobe, 0.4),
            (f::chest_freezer, 0.3),
            (f::refrigerator, 0.2),
            (f::utility_sink, 0.5),
            (f::rack, 0.6),
            (f::bookshelf, 0.4),
            (f::sofa, 0.15),
            (f::bed, 0.12),
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
        self.some_against_wall(&[(f::chair, 0.6), (f::stool, 0.4), (f::basket, 0.5)]);
    }

    /// Cupboards up to the ceiling.
    fn built_in(&mut self, probability: f32) {
        if self.dice.chance(probability) {
            let piece = f::built_in(self.room.plan.height, self.dice);
            self.against_wall(&piece, 0.0);
        }
    }

    /// Furniture that one would not look for in this kind of room: rooms are not kept as pure as their names.
    fn strays(&mut self) {
        self.some_against_wall(&[
            (f::refrigerator, 0.05),
            (f::bookshelf, 0.08),
            (f::cabinet, 0.08),
            (f::chair, 0.1),
            (f::side_table, 0.06),
        ]);
        if self.dice.chance(0.05) && self.room.kind() != RoomKind::Bathroom {
            self.desk_with_chair(f::chair);
        }
    }

    /// A chair in the middle of nowhere.
    fn stray_chair(&mut self) {
        let chair = if self.dice.chance(0.6) { f::swivel_chair(self.dice) } else { f::chair(self.dice) };
        for _ in 0..10 {
            let at = self.room.plan.somewhere(self.dice);
            if self.pull_up(&chair, at, Vec2::X, PI) {
                break;
            }
        }
    }

    /// A rug, which counts as floor.
    fn rug(&mut self) {
        let color = vary([0.5, 0.4, 0.36], 0.25, self.dice);
        let pattern = match self.dice.below(3) {
            0 => Pattern::Patches { size: self.dice.between(0.1, 0.4), variety: 0.15 },
            1 => Pattern::Stripes { width: self.dice.between(0.05, 0.2), other: vary(color, 0.2, self.dice) },
            _ => Pattern::Speckled { size: 0.012, depth: 0.3 },
        };
        let wool = Material::new(color, pattern, 0.0, self.dice);
        let Some(part) = self.room.plan.floor.first().copied() else { return };
        let size = (part.high - part.low) * self.dice.between(0.35, 0.7);
        let mut rug = Piece::new(size.x, size.y, 0.01);
        rug.cuboid(FLOOR, [0.0, 0.0, 0.005], [size.x, size.y, 0.01], &wool);
        let at = Frame::at(part.center().extend(0.0));
        self.room.surfaces.extend(rug.placed(&at));
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
}
