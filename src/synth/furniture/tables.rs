//! Tables and desks.

use super::clutter::table_things;
use crate::synth::class::{DESK, OTHER, TABLE};
use crate::synth::dice::Dice;
use crate::synth::material::Material;
use crate::synth::piece::Piece;

/// A dining or meeting table: four legs, or one foot under a round top.
pub(crate) fn table(long: bool, dice: &mut Dice) -> Piece {
    let top = Material::board(dice);
    let height = dice.between(0.71, 0.77);
    let thick = dice.between(0.02, 0.05);
    if !long && dice.chance(0.35) {
        let radius = dice.between(0.4, 0.62);
        let mut piece = Piece::new(2.0 * radius, 2.0 * radius, height);
        let foot = Material::metal(dice);
        piece.column(TABLE, [0.0, 0.0, height - thick], radius, thick, &top);
        piece.cone(TABLE, [0.0, 0.0, 0.03], 0.06, 0.04, height - thick - 0.03, &foot);
        piece.cone(TABLE, [0.0; 3], radius * 0.6, radius * 0.5, 0.03, &foot);
        table_things(&mut piece, [radius * 0.6, radius * 0.6], height, 3, dice);
        return piece;
    }
    let w = if long { dice.between(1.6, 2.6) } else { dice.between(0.9, 1.7) };
    let d = dice.between(0.7, 1.0);
    let mut piece = Piece::new(w, d, height);
    let frame = if dice.chance(0.5) { top } else { Material::metal(dice) };
    piece.cuboid(TABLE, [0.0, 0.0, height - thick / 2.0], [w, d, thick], &top);
    piece.legs(TABLE, [w - 0.06, d - 0.06], height - thick, dice.between(0.04, 0.08), dice.chance(0.3), &frame);
    for side in [-1.0, 1.0] {
        piece.cuboid(TABLE, [0.0, side * (d / 2.0 - 0.07), height - thick - 0.04], [w - 0.16, 0.02, 0.08], &frame);
        piece.cuboid(TABLE, [side * (w / 2.0 - 0.07), 0.0, height - thick - 0.04], [0.02, d - 0.16, 0.08], &frame);
    }
    table_things(&mut piece, [w / 2.0 - 0.15, d / 2.0 - 0.15], height, 4, dice);
    piece
}

/// A coffee table.
pub(crate) fn low_table(dice: &mut Dice) -> Piece {
    let (w, d, height) = (dice.between(0.7, 1.2), dice.between(0.45, 0.7), dice.between(0.34, 0.5));
    let top = Material::board(dice);
    let mut piece = Piece::new(w, d, height);
    piece.cuboid(TABLE, [0.0, 0.0, height - 0.02], [w, d, 0.04], &top);
    piece.legs(TABLE, [w - 0.04, d - 0.04], height - 0.04, 0.05, dice.chance(0.4), &top);
    if dice.chance(0.5) {
        piece.cuboid(TABLE, [0.0, 0.0, 0.14], [w - 0.1, d - 0.1, 0.02], &top);
    }
    table_things(&mut piece, [w / 2.0 - 0.12, d / 2.0 - 0.12], height, 3, dice);
    piece
}

/// A desk, its back to the wall, with drawers and what stands on desks.
pub(crate) fn desk(dice: &mut Dice) -> Piece {
    let (w, d, height) = (dice.between(1.1, 1.8), dice.between(0.6, 0.8), dice.between(0.71, 0.77));
    let top = Material::board(dice);
    let frame = if dice.chance(0.5) { top } else { Material::metal(dice) };
    let mut piece = Piece::new(w, d, height + 0.45);
    piece.cuboid(DESK, [0.0, 0.0, height - 0.015], [w, d, 0.03], &top);
    if dice.chance(0.5) {
        piece.legs(DESK, [w - 0.04, d - 0.04], height - 0.03, 0.05, dice.chance(0.3), &frame);
    } else {
        for side in [-1.0, 1.0] {
            piece.cuboid(DESK, [side * (w / 2.0 - 0.015), 0.0, height / 2.0], [0.03, d, height - 0.03], &top);
        }
        piece.cuboid(DESK, [0.0, -d / 2.0 + 0.02, height * 0.66], [w - 0.06, 0.02, height * 0.6], &top);
    }
    if dice.chance(0.65) {
        let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
        let x = side * (w / 2.0 - 0.25);
        piece.cuboid(DESK, [x, 0.0, f32::midpoint(0.06, height - 0.05)], [0.4, d - 0.1, height - 0.11], &top);
        let metal = Material::metal(dice);
        for drawer in 0..3 {
            let z = 0.16 + (height - 0.2) / 3.0 * drawer as f32;
            piece.cuboid(DESK, [x, d / 2.0 - 0.045, z], [0.37, 0.015, (height - 0.2) / 3.0 - 0.02], &top);
            piece.bar(DESK, [x, d / 2.0 - 0.025, z + 0.04], 0.007, 0.14, &metal);
        }
    }
    let dark = Material::dark(dice);
    let screens = dice.count(0, 2);
    for screen in 0..screens {
        let x = (screen as f32 - (screens - 1) as f32 / 2.0) * 0.58 + dice.between(-0.05, 0.05);
        let (sw, sh) = (dice.between(0.46, 0.56), dice.between(0.28, 0.34));
        let mut monitor = Piece::new(sw, 0.2, 0.5);
        monitor.cuboid(OTHER, [0.0, 0.0, 0.01], [0.24, 0.18, 0.02], &dark);
        monitor.column(OTHER, [0.0, -0.03, 0.02], 0.02, 0.16, &dark);
        monitor.cuboid(OTHER, [0.0, 0.0, 0.12 + sh / 2.0], [sw, 0.035, sh], &dark);
        piece.put(&monitor, [x, -d / 2.0 + 0.18, height], dice.between(-0.25, 0.25));
    }
    if screens > 0 {
        piece.cuboid(OTHER, [0.0, d / 2.0 - 0.2, height + 0.012], [0.44, 0.14, 0.022], &dark);
    }
    table_things(&mut piece, [w / 2.0 - 0.12, d / 2.0 - 0.15], height, 5, dice);
    piece
}
