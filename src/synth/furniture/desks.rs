//! Desks and what stands on and under them.

use super::clutter::desk_things;
use crate::synth::class::{CABINET, DESK, OTHER};
use crate::synth::dice::Dice;
use crate::synth::material::Material;
use crate::synth::piece::Piece;

/// A desk, its back to the wall: legs, panels or feet, drawers, screens, a keyboard and the things of work.
pub(crate) fn desk(dice: &mut Dice) -> Piece {
    let (w, d, height) = (dice.between(1.0, 1.8), dice.between(0.55, 0.8), dice.between(0.70, 0.78));
    let top = Material::board(dice);
    let frame = if dice.chance(0.4) { top } else { Material::metal(dice) };
    let thick = dice.between(0.02, 0.04);
    let mut piece = Piece::new(w, d, height + 0.45);
    piece.cuboid(DESK, [0.0, 0.0, height - thick / 2.0], [w, d, thick], &top);
    match dice.below(4) {
        0 => piece.legs(DESK, [w - 0.04, d - 0.04], height - thick, 0.05, dice.chance(0.3), &frame),
        // A column and a foot on either side.
        1 => {
            for side in [-1.0, 1.0] {
                let x = side * (w / 2.0 - 0.14);
                piece.cuboid(DESK, [x, 0.0, 0.02], [0.07, d - 0.06, 0.04], &frame);
                piece.cuboid(DESK, [x, -0.06, height / 2.0], [0.08, 0.06, height - thick], &frame);
            }
            piece.cuboid(DESK, [0.0, -0.06, height * 0.78], [w - 0.28, 0.03, 0.12], &frame);
        }
        _ => {
            for side in [-1.0, 1.0] {
                piece.cuboid(DESK, [side * (w / 2.0 - 0.015), 0.0, height / 2.0], [0.03, d, height - thick], &top);
            }
            piece.cuboid(DESK, [0.0, -d / 2.0 + 0.02, height * 0.66], [w - 0.06, 0.02, height * 0.6], &top);
        }
    }
    let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
    let has_drawers = dice.chance(0.65);
    if has_drawers {
        drawers(&mut piece, side, [w, d, height - thick], &top, dice);
        if w > 1.5 && dice.chance(0.3) {
            drawers(&mut piece, -side, [w, d, height - thick], &top, dice);
        }
    } else if dice.chance(0.4) {
        let unit = rolling_drawers(dice);
        piece.put(&unit, [side * (w / 2.0 - 0.26), 0.0, 0.0], dice.between(-0.1, 0.1));
    }
    let dark = Material::dark(dice);
    if dice.chance(0.35) {
        let tower = if dice.chance(0.6) { dark } else { Material::metal(dice) };
        piece.cuboid(OTHER, [-side * (w / 2.0 - 0.2), -0.05, 0.22], [0.19, 0.42, 0.42], &tower);
    }
    // A desk without a trace of work would be a table.
    let screens = dice.pick(&[0, 1, 1, 1, 2, 2]);
    for screen in 0..screens {
        let x = (screen as f32 - (screens - 1) as f32 / 2.0) * 0.58 + dice.between(-0.05, 0.05);
        let monitor = monitor(dice);
        piece.put(&monitor, [x, -d / 2.0 + 0.18, height], dice.between(-0.25, 0.25));
    }
    if screens > 0 {
        let keys = if dice.chance(0.7) { dark } else { Material::varied([0.75, 0.75, 0.74], 0.1, 0.1, dice) };
        piece.cuboid(OTHER, [0.0, d / 2.0 - 0.2, height + 0.012], [0.44, 0.14, 0.022], &keys);
        piece.ball(OTHER, [0.32, d / 2.0 - 0.2, height + 0.015], [0.032, 0.055, 0.02], &keys);
    }
    if screens == 0 || dice.chance(0.2) {
        let laptop = laptop(dice);
        let x = if screens == 0 { 0.0 } else { side * w * 0.3 };
        piece.put(&laptop, [x, 0.02, height], dice.between(-0.4, 0.4));
    }
    desk_things(&mut piece, [w / 2.0 - 0.14, d / 2.0 - 0.14], height, dice);
    piece
}

/// A pedestal of drawers under the top on one side of a desk of that width, depth and height.
fn drawers(piece: &mut Piece, side: f32, size: [f32; 3], front: &Material, dice: &mut Dice) {
    let [w, d, height] = size;
    let x = side * (w / 2.0 - 0.25);
    let (low, high) = (dice.between(0.04, 0.14), height - 0.01);
    piece.cuboid(DESK, [x, 0.0, f32::midpoint(low, high)], [0.4, d - 0.1, high - low], front);
    let metal = Material::metal(dice);
    let count = dice.count(2, 4);
    let step = (high - low) / count as f32;
    for drawer in 0..count {
        let z = low + step * (drawer as f32 + 0.5);
        piece.cuboid(DESK, [x, d / 2.0 - 0.045, z], [0.37, 0.015, step - 0.02], front);
        piece.bar(DESK, [x, d / 2.0 - 0.025, z + step * 0.25], 0.007, 0.14, &metal);
    }
}

/// A low cabinet of drawers on castors.
fn rolling_drawers(dice: &mut Dice) -> Piece {
    let paint =
        if dice.chance(0.6) { Material::varied([0.70, 0.70, 0.68], 0.12, 0.3, dice) } else { Material::board(dice) };
    let dark = Material::dark(dice);
    let (w, d, h) = (0.42, 0.5, dice.between(0.5, 0.6));
    let mut piece = Piece::new(w, d, h);
    piece.legs(CABINET, [w - 0.04, d - 0.04], 0.06, 0.05, true, &dark);
    piece.cuboid(CABINET, [0.0, 0.0, f32::midpoint(0.06, h)], [w, d, h - 0.06], &paint);
    for drawer in 0..3 {
        let z = 0.06 + (h - 0.06) / 3.0 * (drawer as f32 + 0.5);
        piece.cuboid(CABINET, [0.0, d / 2.0 + 0.008, z], [w - 0.02, 0.016, (h - 0.06) / 3.0 - 0.015], &paint);
        piece.cuboid(CABINET, [0.0, d / 2.0 + 0.02, z + 0.05], [w * 0.5, 0.02, 0.016], &dark);
    }
    piece
}

fn monitor(dice: &mut Dice) -> Piece {
    let dark = Material::dark(dice);
    let body = if dice.chance(0.75) { dark } else { Material::varied([0.72, 0.71, 0.68], 0.08, 0.2, dice) };
    let (w, h) = (dice.between(0.4, 0.62), dice.between(0.27, 0.36));
    let lift = dice.between(0.08, 0.16);
    let mut piece = Piece::new(w, 0.2, 0.5);
    piece.cuboid(OTHER, [0.0, 0.0, 0.01], [0.24, 0.18, 0.02], &body);
    piece.column(OTHER, [0.0, -0.03, 0.02], 0.02, lift + 0.06, &body);
    piece.cuboid(OTHER, [0.0, 0.0, lift + h / 2.0], [w, 0.035, h], &body);
    let screen = if dice.chance(0.4) { Material::varied([0.45, 0.55, 0.7], 0.25, 0.4, dice) } else { dark };
    piece.cuboid(OTHER, [0.0, 0.018, lift + h / 2.0], [w - 0.03, 0.004, h - 0.03], &screen);
    piece
}

/// An open laptop.
pub(super) fn laptop(dice: &mut Dice) -> Piece {
    let body = if dice.chance(0.5) { Material::dark(dice) } else { Material::metal(dice) };
    let screen = Material::varied([0.35, 0.45, 0.6], 0.25, 0.4, dice);
    let mut piece = Piece::new(0.34, 0.24, 0.25);
    piece.cuboid(OTHER, [0.0, 0.0, 0.01], [0.34, 0.23, 0.02], &body);
    let lid = crate::synth::shape::Frame::tilted(glam::Vec3::new(0.0, -0.15, 0.12), dice.between(0.15, 0.5));
    let half = glam::Vec3::new(0.17, 0.005, 0.11);
    piece.add(OTHER, crate::synth::shape::Shape::Cuboid { half }, lid, &screen);
    piece
}
