//! Lamps, plants, boxes and the things that lie about.

use glam::Vec3;

use crate::synth::class::OTHER;
use crate::synth::dice::{Dice, sin_cos};
use crate::synth::material::Material;
use crate::synth::piece::Piece;
use crate::synth::shape::{Frame, Shape};

/// Puts up to `most` small things on a top of half sides `half` at that height.
pub(crate) fn table_things(piece: &mut Piece, half: [f32; 2], height: f32, most: usize, dice: &mut Dice) {
    if half[0] < 0.05 || half[1] < 0.03 {
        return;
    }
    for _ in 0..dice.count(0, most) {
        let (x, y) = (dice.between(-half[0], half[0]), dice.between(-half[1], half[1]));
        let thing = Material::any(dice);
        match dice.below(5) {
            0 => piece.column(OTHER, [x, y, height], dice.between(0.03, 0.05), dice.between(0.08, 0.12), &thing),
            1 => piece.cone(OTHER, [x, y, height], 0.05, 0.11, 0.07, &thing),
            2 => piece.cone(OTHER, [x, y, height], 0.05, 0.03, dice.between(0.18, 0.3), &thing),
            _ => {
                let half = Vec3::new(dice.between(0.07, 0.15), dice.between(0.06, 0.11), dice.between(0.01, 0.05));
                let frame = Frame::turned(Vec3::new(x, y, height + half.z), dice.between(0.0, 3.1));
                piece.add(OTHER, Shape::Cuboid { half }, frame, &thing);
            }
        }
    }
}

/// Puts papers, books, a cup, a lamp or a telephone on a desk's top of half sides `half` at that height.
pub(crate) fn desk_things(piece: &mut Piece, half: [f32; 2], height: f32, dice: &mut Dice) {
    for _ in 0..dice.count(1, 6) {
        let (x, y) = (dice.between(-half[0], half[0]), dice.between(-half[1], half[1]));
        let thing = Material::any(dice);
        let yaw = dice.between(-0.5, 0.5);
        match dice.below(6) {
            0 | 1 => {
                let paper = Material::varied([0.90, 0.89, 0.86], 0.08, 0.0, dice);
                let half = Vec3::new(0.105, 0.148, dice.between(0.003, 0.03));
                let frame = Frame::turned(Vec3::new(x, y, height + half.z), yaw);
                piece.add(OTHER, Shape::Cuboid { half }, frame, &paper);
            }
            2 => piece.column(OTHER, [x, y, height], 0.042, 0.1, &thing),
            3 => {
                let half = Vec3::new(dice.between(0.08, 0.14), dice.between(0.1, 0.15), dice.between(0.015, 0.09));
                piece.add(OTHER, Shape::Cuboid { half }, Frame::turned(Vec3::new(x, y, height + half.z), yaw), &thing);
            }
            4 => {
                let metal = Material::metal(dice);
                piece.cone(OTHER, [x, y, height], 0.08, 0.07, 0.02, &metal);
                piece.column(OTHER, [x, y, height], 0.012, 0.38, &metal);
                piece.cone(OTHER, [x, y + 0.06, height + 0.36], 0.09, 0.04, 0.1, &thing);
            }
            _ => {
                let folder = Shape::Cuboid { half: Vec3::new(dice.between(0.04, 0.15), 0.14, 0.15) };
                let frame = Frame::at(Vec3::new(x, -half[1], height + 0.15));
                piece.add(OTHER, folder, frame, &thing);
            }
        }
    }
}

/// A pack of bottles, two by three, of which some stand alone.
pub(crate) fn bottles(dice: &mut Dice) -> Piece {
    let color = dice.pick(&[[0.25, 0.55, 0.25], [0.55, 0.75, 0.60], [0.75, 0.80, 0.85], [0.45, 0.28, 0.15]]);
    let plastic = Material::varied(color, 0.1, 0.3, dice);
    let label = Material::any(dice);
    let (columns, rows) = dice.pick(&[(3, 2), (3, 2), (2, 1), (1, 1)]);
    let (radius, tall) = (dice.between(0.032, 0.045), dice.between(0.24, 0.33));
    let pitch = 2.0 * radius + 0.004;
    let mut piece = Piece::new(columns as f32 * pitch, rows as f32 * pitch, tall);
    for column in 0..columns {
        for row in 0..rows {
            let x = (column as f32 - (columns - 1) as f32 / 2.0) * pitch;
            let y = (row as f32 - (rows - 1) as f32 / 2.0) * pitch;
            piece.column(OTHER, [x, y, 0.0], radius, tall * 0.68, &plastic);
            piece.column(OTHER, [x, y, tall * 0.3], radius + 0.001, tall * 0.25, &label);
            piece.cone(OTHER, [x, y, tall * 0.68], radius, 0.014, tall * 0.26, &plastic);
            piece.column(OTHER, [x, y, tall * 0.92], 0.016, tall * 0.08, &label);
        }
    }
    piece
}

/// A backpack, a handbag or a heap of cloth.
pub(crate) fn bag(dice: &mut Dice) -> Piece {
    let cloth = if dice.chance(0.5) { Material::fabric(dice) } else { Material::any(dice) };
    let (w, d, h) = (dice.between(0.26, 0.45), dice.between(0.16, 0.32), dice.between(0.18, 0.5));
    let mut piece = Piece::new(w, d, h);
    piece.ball(OTHER, [0.0, 0.0, h * 0.45], [w / 2.0, d / 2.0, h * 0.55], &cloth);
    piece.cushion(OTHER, [0.0, 0.0, h * 0.3], [w * 0.9, d * 0.85, h * 0.6], 0.06, &cloth);
    if dice.chance(0.5) {
        piece.ball(OTHER, [0.0, d * 0.4, h * 0.3], [w * 0.33, d * 0.3, h * 0.24], &cloth);
    }
    piece
}

/// A pair of shoes.
pub(crate) fn shoes(dice: &mut Dice) -> Piece {
    let leather = if dice.chance(0.5) { Material::dark(dice) } else { Material::any(dice) };
    let mut piece = Piece::new(0.26, 0.3, 0.1);
    for x in [-0.07, 0.07] {
        let yaw = dice.between(-0.3, 0.3);
        let frame = Frame::turned(Vec3::new(x, 0.0, 0.035), yaw);
        piece.add(OTHER, Shape::Ellipsoid { radii: Vec3::new(0.05, 0.145, 0.045) }, frame, &leather);
        piece.ball(OTHER, [x, -0.07, 0.06], [0.04, 0.06, 0.05], &leather);
    }
    piece
}

/// A suitcase on its castors, or a printer, or another upright box of no name.
pub(crate) fn case(dice: &mut Dice) -> Piece {
    let shell = Material::any(dice);
    let metal = Material::metal(dice);
    let (w, d, h) = (dice.between(0.36, 0.55), dice.between(0.24, 0.45), dice.between(0.3, 0.72));
    let mut piece = Piece::new(w, d, h);
    piece.legs(OTHER, [w - 0.06, d - 0.06], 0.05, 0.04, true, &metal);
    piece.cushion(OTHER, [0.0, 0.0, f32::midpoint(0.04, h)], [w, d, h - 0.04], 0.04, &shell);
    if dice.chance(0.5) {
        for x in [-0.1, 0.1] {
            piece.column(OTHER, [x, -d / 2.0 + 0.03, h - 0.02], 0.008, 0.3, &metal);
        }
        piece.bar(OTHER, [0.0, -d / 2.0 + 0.03, h + 0.28], 0.012, 0.22, &metal);
    }
    piece
}

/// A coat stand with coats on it.
pub(crate) fn coat_stand(dice: &mut Dice) -> Piece {
    let wood = if dice.chance(0.5) { Material::wood(dice) } else { Material::metal(dice) };
    let h = dice.between(1.6, 1.85);
    let mut piece = Piece::new(0.5, 0.5, h);
    piece.cone(OTHER, [0.0; 3], 0.2, 0.16, 0.03, &wood);
    piece.column(OTHER, [0.0; 3], 0.02, h, &wood);
    for hook in 0..dice.count(1, 4) {
        let (sin, cos) = sin_cos(hook as f32 * 1.6 + 0.3);
        let coat = Material::fabric(dice);
        let long = dice.between(0.35, 0.5);
        piece.ball(OTHER, [cos * 0.12, sin * 0.12, h - 0.1 - long], [0.13, 0.13, long], &coat);
    }
    piece
}

/// A standing lamp.
pub(crate) fn floor_lamp(dice: &mut Dice) -> Piece {
    let metal = Material::metal(dice);
    let shade = Material::varied([0.92, 0.88, 0.78], 0.08, 0.0, dice);
    let h = dice.between(1.4, 1.75);
    let radius = dice.between(0.15, 0.24);
    let mut piece = Piece::new(0.4, 0.4, h);
    piece.cone(OTHER, [0.0; 3], 0.15, 0.13, 0.025, &metal);
    piece.column(OTHER, [0.0, 0.0, 0.02], 0.013, h - 0.1, &metal);
    piece.cone(OTHER, [0.0, 0.0, h - 0.28], radius, radius * 0.7, 0.28, &shade);
    piece
}

/// A plant in a pot.
pub(crate) fn plant(dice: &mut Dice) -> Piece {
    let pot = Material::any(dice);
    let leaf = Material::varied([0.16, 0.38, 0.14], 0.1, 0.1, dice);
    let stem = Material::varied([0.35, 0.26, 0.15], 0.05, 0.0, dice);
    let (h, radius) = (dice.between(0.6, 1.6), dice.between(0.12, 0.2));
    let mut piece = Piece::new(2.2 * radius, 2.2 * radius, h);
    let pot_h = radius * 1.8;
    piece.cone(OTHER, [0.0; 3], radius * 0.75, radius, pot_h, &pot);
    piece.column(OTHER, [0.0, 0.0, pot_h], 0.015, h * 0.55, &stem);
    for index in 0..dice.count(12, 26) {
        let (sin, cos) = sin_cos(index as f32 * 2.4);
        let z = pot_h + (h - pot_h) * dice.between(0.15, 1.0);
        let out = radius * dice.between(0.3, 1.3);
        let frame = Frame::turned(Vec3::new(cos * out, sin * out, z), index as f32 * 2.4)
            .then(&Frame::tilted(Vec3::ZERO, dice.between(-0.9, 0.9)));
        let radii = Vec3::new(dice.between(0.07, 0.15), dice.between(0.03, 0.07), 0.008);
        piece.add(OTHER, Shape::Ellipsoid { radii }, frame, &leaf);
    }
    piece
}

/// A few boxes on top of each other.
pub(crate) fn box_pile(dice: &mut Dice) -> Piece {
    let (w, d) = (dice.between(0.3, 0.6), dice.between(0.3, 0.5));
    let mut piece = Piece::new(w, d, 0.0);
    for _ in 0..dice.count(1, 3) {
        let card =
            if dice.chance(0.7) { Material::varied([0.62, 0.48, 0.32], 0.08, 0.0, dice) } else { Material::any(dice) };
        let h = dice.between(0.18, 0.42);
        let shrink = dice.between(0.7, 0.95);
        let half = Vec3::new(w * shrink, d * shrink, h) / 2.0;
        let frame = Frame::turned(Vec3::Z * (piece.height + h / 2.0), dice.between(-0.15, 0.15));
        piece.add(OTHER, Shape::Cuboid { half }, frame, &card);
        piece.height += h;
    }
    piece
}

/// A waste-paper or laundry basket.
pub(crate) fn basket(dice: &mut Dice) -> Piece {
    let material = if dice.chance(0.5) { Material::dark(dice) } else { Material::any(dice) };
    let (radius, h) = (dice.between(0.12, 0.24), dice.between(0.28, 0.6));
    let mut piece = Piece::new(2.0 * radius, 2.0 * radius, h);
    piece.cone(OTHER, [0.0; 3], radius * 0.8, radius, h, &material);
    piece
}

/// A washing machine or dryer.
pub(crate) fn appliance(dice: &mut Dice) -> Piece {
    let paint = Material::varied([0.91, 0.91, 0.90], 0.04, 0.3, dice);
    let dark = Material::dark(dice);
    let mut piece = Piece::new(0.6, 0.6, 0.85);
    piece.cuboid(OTHER, [0.0, -0.01, 0.425], [0.6, 0.58, 0.85], &paint);
    let door = Shape::Cone { bottom: 0.17, top: 0.15, half_height: 0.02 };
    piece.add(OTHER, door, Frame::along_y(Vec3::new(0.0, 0.3, 0.42)), &dark);
    piece.cuboid(OTHER, [0.0, 0.285, 0.78], [0.56, 0.01, 0.1], &dark);
    piece
}

/// A boiler with its pipes.
pub(crate) fn boiler(dice: &mut Dice) -> Piece {
    let paint = Material::varied([0.80, 0.80, 0.78], 0.1, 0.2, dice);
    let pipe = Material::metal(dice);
    let (radius, h) = (dice.between(0.22, 0.34), dice.between(1.1, 1.6));
    let mut piece = Piece::new(2.0 * radius, 2.0 * radius, 2.0);
    piece.column(OTHER, [0.0, 0.0, 0.1], radius, h, &paint);
    piece.ball(OTHER, [0.0, 0.0, h + 0.1], [radius, radius, 0.09], &paint);
    for x in [-0.1, 0.1] {
        piece.column(OTHER, [x, -radius * 0.4, h], 0.02, 2.0 - h, &pipe);
    }
    piece
}
