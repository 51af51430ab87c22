//! Kitchen lines and refrigerators.

use crate::synth::class::{CABINET, COUNTER, OTHER, REFRIGERATOR, SINK};
use crate::synth::dice::Dice;
use crate::synth::material::{Material, Pattern};
use crate::synth::piece::Piece;

/// A counter on base cabinets with a sink let in, a hob, and wall cabinets above if `upper`.
pub(crate) fn kitchen_line(width: f32, upper: bool, dice: &mut Dice) -> Piece {
    let (w, d, h) = (width, 0.62, dice.between(0.86, 0.93));
    let board = Material::board(dice);
    let metal = Material::metal(dice);
    let stone = worktop(dice);
    let mut piece = Piece::new(w, d, h);
    // The body leaves room for the basin; the sides and the fronts hide that.
    piece.cuboid(CABINET, [0.0, -0.02, f32::midpoint(0.1, h - 0.19)], [w - 0.01, d - 0.06, h - 0.29], &board);
    for side in [-1.0, 1.0] {
        let at = [side * (w / 2.0 - 0.01), -0.02, f32::midpoint(0.1, h - 0.04)];
        piece.cuboid(CABINET, at, [0.018, d - 0.06, h - 0.14], &board);
    }
    piece.cuboid(CABINET, [0.0, -0.05, 0.05], [w - 0.01, d - 0.14, 0.1], &board);
    let units = (w / 0.55).max(1.0) as usize;
    let unit = w / units as f32;
    for index in 0..units {
        let x = -w / 2.0 + unit * (index as f32 + 0.5);
        piece.cuboid(CABINET, [x, d / 2.0 - 0.045, 0.1 + (h - 0.15) / 2.0], [unit - 0.012, 0.02, h - 0.16], &board);
        piece.bar(CABINET, [x, d / 2.0 - 0.02, h - 0.14], 0.008, unit * 0.5, &metal);
    }
    // The top goes round the basin.
    let (bw, bd) = (0.46_f32.min(w * 0.5), 0.36);
    let x = dice.between(-w / 2.0 + bw / 2.0 + 0.08, w / 2.0 - bw / 2.0 - 0.08);
    top_around(&mut piece, x, [bw, bd], [w, d, h], &stone);
    let steel = Material::varied([0.66, 0.67, 0.69], 0.04, 0.5, dice);
    basin(&mut piece, [x, 0.0, h], [bw, bd, 0.17], &steel);
    piece.column(SINK, [x, -bd / 2.0 - 0.05, h], 0.014, 0.26, &steel);
    piece.cuboid(SINK, [x, -bd / 2.0 + 0.03, h + 0.26], [0.022, 0.18, 0.022], &steel);
    let hob = if x > 0.0 { -w / 2.0 + 0.32 } else { w / 2.0 - 0.32 };
    if w > 1.5 {
        let dark = Material::dark(dice);
        piece.cuboid(OTHER, [hob, 0.0, h + 0.004], [0.56, 0.48, 0.008], &dark);
    }
    for _ in 0..dice.count(0, 3) {
        let thing = Material::any(dice);
        let at = dice.between(-w / 2.0 + 0.12, w / 2.0 - 0.12);
        if (at - x).abs() > bw / 2.0 + 0.1 {
            piece.column(OTHER, [at, -d / 2.0 + 0.14, h], dice.between(0.04, 0.09), dice.between(0.1, 0.3), &thing);
        }
    }
    if upper {
        let (low, high, deep) = (1.42, 2.1, 0.34);
        let back = -d / 2.0 + deep / 2.0;
        piece.cuboid(CABINET, [0.0, back, f32::midpoint(low, high)], [w, deep - 0.02, high - low], &board);
        for index in 0..units {
            let x = -w / 2.0 + unit * (index as f32 + 0.5);
            let at = [x, back + deep / 2.0, f32::midpoint(low, high)];
            piece.cuboid(CABINET, at, [unit - 0.012, 0.02, high - low - 0.012], &board);
            piece.bar(CABINET, [x, back + deep / 2.0 + 0.02, low + 0.06], 0.008, unit * 0.4, &metal);
        }
        piece.height = high;
    }
    piece
}

/// The material of a counter's top: stone, laminate or wood.
pub(super) fn worktop(dice: &mut Dice) -> Material {
    match dice.below(3) {
        0 => Material::wood(dice),
        1 => Material::varied([0.78, 0.77, 0.74], 0.15, 0.3, dice).with(Pattern::Speckled { size: 0.008, depth: 0.2 }),
        _ => Material::varied([0.35, 0.34, 0.33], 0.2, 0.3, dice).with(Pattern::Speckled { size: 0.006, depth: 0.4 }),
    }
}

/// A counter's top of that width, depth and height, with an opening `[width, depth]` at `x`.
pub(super) fn top_around(piece: &mut Piece, x: f32, opening: [f32; 2], size: [f32; 3], stone: &Material) {
    let ([bw, bd], [w, d, h]) = (opening, size);
    let (left, right, z) = (x - bw / 2.0, x + bw / 2.0, h - 0.02);
    piece.cuboid(COUNTER, [f32::midpoint(-w / 2.0, left), 0.0, z], [left + w / 2.0, d, 0.04], stone);
    piece.cuboid(COUNTER, [f32::midpoint(w / 2.0, right), 0.0, z], [w / 2.0 - right, d, 0.04], stone);
    let rest = (d - bd) / 2.0;
    for side in [-1.0, 1.0] {
        piece.cuboid(COUNTER, [x, side * (bd + rest) / 2.0, z], [bw, rest, 0.04], stone);
    }
}

/// A counter that stands free: a kitchen's island, or a bar to lean on.
pub(crate) fn island(dice: &mut Dice) -> Piece {
    let (w, d, h) = (dice.between(1.1, 1.9), dice.between(0.6, 0.95), dice.between(0.88, 1.08));
    let board = Material::board(dice);
    let stone = worktop(dice);
    let mut piece = Piece::new(w, d, h);
    piece.cuboid(CABINET, [0.0, -0.06, f32::midpoint(0.08, h - 0.05)], [w - 0.08, d - 0.2, h - 0.13], &board);
    piece.cuboid(CABINET, [0.0, -0.06, 0.04], [w - 0.16, d - 0.28, 0.08], &board);
    piece.cuboid(COUNTER, [0.0, 0.0, h - 0.025], [w, d, 0.05], &stone);
    for _ in 0..dice.count(0, 4) {
        let thing = Material::any(dice);
        let at = [dice.between(-0.4, 0.4) * w, dice.between(-0.3, 0.3) * d, h];
        piece.column(OTHER, at, dice.between(0.04, 0.1), dice.between(0.06, 0.28), &thing);
    }
    piece
}

/// A basin hanging down from `top`: its inner width, depth and how deep it goes, with a rim.
pub(super) fn basin(piece: &mut Piece, top: [f32; 3], size: [f32; 3], material: &Material) {
    let [x, y, z] = top;
    let [w, d, deep] = size;
    piece.cuboid(SINK, [x, y, z - deep], [w, d, 0.01], material);
    for side in [-1.0, 1.0] {
        piece.cuboid(SINK, [x + side * w / 2.0, y, z - deep / 2.0 + 0.003], [0.02, d + 0.02, deep + 0.006], material);
        piece.cuboid(SINK, [x, y + side * d / 2.0, z - deep / 2.0 + 0.003], [w + 0.02, 0.02, deep + 0.006], material);
    }
}

/// A refrigerator, with a freezer door above or below on some.
pub(crate) fn refrigerator(dice: &mut Dice) -> Piece {
    let (w, d, h) = (dice.between(0.55, 0.85), dice.between(0.58, 0.72), dice.between(1.4, 1.95));
    let paint = if dice.chance(0.55) {
        Material::varied([0.92, 0.92, 0.91], 0.04, 0.35, dice)
    } else {
        Material::varied([0.60, 0.61, 0.63], 0.08, 0.5, dice)
    };
    let metal = Material::metal(dice);
    let mut piece = Piece::new(w, d, h);
    piece.cuboid(REFRIGERATOR, [0.0, -0.03, h / 2.0], [w, d - 0.06, h], &paint);
    let split = h * if dice.chance(0.5) { dice.between(0.3, 0.42) } else { dice.between(0.62, 0.74) };
    let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
    for (low, high) in [(0.05, split - 0.006), (split + 0.006, h)] {
        let z = f32::midpoint(low, high);
        piece.cushion(REFRIGERATOR, [0.0, d / 2.0 - 0.03, z], [w, 0.06, high - low], 0.012, &paint);
        let handle = (high - low) * 0.5;
        piece.cuboid(REFRIGERATOR, [side * (w / 2.0 - 0.06), d / 2.0 + 0.02, z], [0.02, 0.04, handle], &metal);
    }
    if dice.chance(0.3) {
        let thing = Material::any(dice);
        piece.cuboid(OTHER, [0.0, -0.05, h + 0.1], [w * 0.6, d * 0.5, 0.2], &thing);
    }
    piece
}
