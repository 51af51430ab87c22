//! Tables.

use super::clutter::table_things;
use crate::synth::class::TABLE;
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
    if long && dice.chance(0.35) {
        for side in [-1.0, 1.0] {
            let x = side * w * 0.32;
            piece.cuboid(TABLE, [x, 0.0, 0.025], [0.09, d * 0.8, 0.05], &frame);
            piece.column(TABLE, [x, 0.0, 0.05], 0.045, height - thick - 0.05, &frame);
        }
        table_things(&mut piece, [w / 2.0 - 0.15, d / 2.0 - 0.15], height, 6, dice);
        return piece;
    }
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

/// A small table beside a sofa, a bed or a chair.
pub(crate) fn side_table(dice: &mut Dice) -> Piece {
    let (w, height) = (dice.between(0.36, 0.55), dice.between(0.42, 0.62));
    let top = Material::board(dice);
    let mut piece = Piece::new(w, w, height);
    if dice.chance(0.5) {
        let foot = Material::metal(dice);
        piece.column(TABLE, [0.0, 0.0, height - 0.025], w / 2.0, 0.025, &top);
        piece.column(TABLE, [0.0, 0.0, 0.02], 0.022, height - 0.045, &foot);
        piece.cone(TABLE, [0.0; 3], w * 0.32, w * 0.28, 0.02, &foot);
    } else {
        piece.cuboid(TABLE, [0.0, 0.0, height - 0.015], [w, w, 0.03], &top);
        piece.legs(TABLE, [w - 0.02, w - 0.02], height - 0.03, 0.035, dice.chance(0.4), &top);
    }
    table_things(&mut piece, [w / 2.0 - 0.12, w / 2.0 - 0.12], height, 2, dice);
    piece
}
