//! What stands in bathrooms.

use super::kitchen::basin;
use crate::synth::class::{BATHTUB, CABINET, OTHER, SHOWER_CURTAIN, SINK, TOILET};
use crate::synth::dice::Dice;
use crate::synth::material::{Material, Pattern};
use crate::synth::piece::Piece;

/// A toilet with its cistern at the wall, the lid up on some.
pub(crate) fn toilet(dice: &mut Dice) -> Piece {
    let ceramic = Material::ceramic(dice);
    let (w, d, seat) = (dice.between(0.36, 0.42), dice.between(0.62, 0.72), dice.between(0.39, 0.44));
    let mut piece = Piece::new(w + 0.1, d, 0.8);
    let y = d * 0.14;
    piece.cone(TOILET, [0.0, y - 0.06, 0.0], 0.12, 0.15, seat * 0.6, &ceramic);
    piece.ball(TOILET, [0.0, y, seat - 0.1], [w / 2.0, d * 0.34, 0.19], &ceramic);
    piece.ball(TOILET, [0.0, y, seat], [w / 2.0 + 0.005, d * 0.35, 0.028], &ceramic);
    piece.cuboid(TOILET, [0.0, -d * 0.22, seat - 0.1], [w * 0.7, d * 0.3, 0.2], &ceramic);
    let top = dice.between(0.72, 0.82);
    piece.cushion(TOILET, [0.0, -d / 2.0 + 0.1, f32::midpoint(seat, top)], [w, 0.19, top - seat], 0.03, &ceramic);
    piece.cushion(TOILET, [0.0, -d / 2.0 + 0.1, top + 0.015], [w + 0.03, 0.21, 0.035], 0.012, &ceramic);
    if dice.chance(0.35) {
        piece.ball(TOILET, [0.0, -d / 2.0 + 0.23, seat + 0.2], [w / 2.0, 0.02, 0.22], &ceramic);
    }
    piece
}

/// A washbasin on a pedestal or on a cabinet.
pub(crate) fn washbasin(dice: &mut Dice) -> Piece {
    let ceramic = Material::ceramic(dice);
    let steel = Material::metal(dice);
    let (w, d, h) = (dice.between(0.48, 0.75), dice.between(0.4, 0.5), dice.between(0.8, 0.9));
    let mut piece = Piece::new(w, d, h);
    basin(&mut piece, [0.0, 0.03, h], [w - 0.1, d - 0.14, 0.12], &ceramic);
    for side in [-1.0, 1.0] {
        piece.cushion(SINK, [side * (w / 2.0 - 0.025), 0.0, h - 0.06], [0.05, d, 0.13], 0.015, &ceramic);
    }
    piece.cushion(SINK, [0.0, -d / 2.0 + 0.035, h - 0.06], [w, 0.07, 0.13], 0.015, &ceramic);
    piece.cushion(SINK, [0.0, d / 2.0 - 0.02, h - 0.06], [w, 0.05, 0.13], 0.015, &ceramic);
    if dice.chance(0.5) {
        piece.cone(SINK, [0.0, -0.08, 0.0], 0.1, 0.08, h - 0.12, &ceramic);
    } else {
        let board = Material::board(dice);
        piece.cuboid(CABINET, [0.0, -0.02, f32::midpoint(0.12, h - 0.14)], [w - 0.04, d - 0.06, h - 0.26], &board);
        for side in [-1.0, 1.0] {
            let at = [side * w * 0.24, d / 2.0 - 0.045, f32::midpoint(0.12, h - 0.14)];
            piece.cuboid(CABINET, at, [w * 0.46, 0.02, h - 0.28], &board);
        }
    }
    piece.column(SINK, [0.0, -d / 2.0 + 0.04, h], 0.014, 0.14, &steel);
    piece.cuboid(SINK, [0.0, -d / 2.0 + 0.09, h + 0.14], [0.025, 0.12, 0.02], &steel);
    piece
}

/// A washbasin let into a counter on a cabinet, under 1.7 m wide.
pub(crate) fn vanity(dice: &mut Dice) -> Piece {
    let (w, d, h) = (dice.between(0.9, 1.6), dice.between(0.46, 0.56), dice.between(0.8, 0.88));
    let ceramic = Material::ceramic(dice);
    let steel = Material::metal(dice);
    let board = Material::board(dice);
    let stone = super::kitchen::worktop(dice);
    let mut piece = Piece::new(w, d, h);
    let (bw, bd) = (0.46, d - 0.2);
    piece.cuboid(CABINET, [0.0, -0.02, f32::midpoint(0.08, h - 0.19)], [w - 0.02, d - 0.06, h - 0.27], &board);
    let doors = dice.count(2, 4);
    let unit = w / doors as f32;
    for door in 0..doors {
        let x = -w / 2.0 + unit * (door as f32 + 0.5);
        piece.cuboid(CABINET, [x, d / 2.0 - 0.04, f32::midpoint(0.1, h - 0.04)], [unit - 0.01, 0.02, h - 0.16], &board);
        piece.ball(CABINET, [x + unit * 0.35, d / 2.0 - 0.02, h - 0.2], [0.014, 0.014, 0.014], &steel);
    }
    super::kitchen::top_around(&mut piece, 0.0, [bw, bd], [w, d, h], &stone);
    basin(&mut piece, [0.0, 0.0, h], [bw, bd, 0.13], &ceramic);
    piece.column(SINK, [0.0, -bd / 2.0 - 0.04, h], 0.014, 0.14, &steel);
    piece.cuboid(SINK, [0.0, -bd / 2.0 + 0.01, h + 0.14], [0.025, 0.12, 0.02], &steel);
    for side in [-1.0, 1.0] {
        piece.cuboid(CABINET, [side * (w / 2.0 - 0.01), -0.02, h / 2.0], [0.02, d - 0.06, h - 0.08], &board);
        if dice.chance(0.5) {
            let thing = Material::any(dice);
            let at = [side * w * 0.38, -d * 0.25, h];
            piece.column(OTHER, at, dice.between(0.03, 0.05), dice.between(0.1, 0.2), &thing);
        }
    }
    piece
}

/// A bathtub along the wall; its long side is its width.
pub(crate) fn bathtub(dice: &mut Dice) -> Piece {
    let ceramic = Material::ceramic(dice);
    let (w, d, h) = (dice.between(1.5, 1.75), dice.between(0.68, 0.8), dice.between(0.5, 0.62));
    let mut piece = Piece::new(w, d, h);
    let rim = 0.07;
    for side in [-1.0, 1.0] {
        piece.cushion(BATHTUB, [0.0, side * (d - rim) / 2.0, h / 2.0], [w, rim, h], 0.02, &ceramic);
        piece.cushion(BATHTUB, [side * (w - rim) / 2.0, 0.0, h / 2.0], [rim, d, h], 0.02, &ceramic);
        piece.cone(BATHTUB, [side * (w / 2.0 - 0.12), 0.0, 0.1], 0.02, 0.1, h - 0.14, &ceramic);
    }
    piece.cushion(BATHTUB, [0.0, 0.0, 0.12], [w - 0.1, d - 0.1, 0.08], 0.03, &ceramic);
    let steel = Material::metal(dice);
    piece.column(BATHTUB, [w / 2.0 - 0.1, -d / 2.0 + 0.06, h], 0.015, 0.12, &steel);
    piece.cuboid(BATHTUB, [w / 2.0 - 0.16, -d / 2.0 + 0.08, h + 0.11], [0.14, 0.03, 0.03], &steel);
    if dice.chance(0.85) {
        curtain(&mut piece, w, d / 2.0 - 0.03, 0.35, dice);
    }
    piece
}

/// A shower in a corner: tray, pipe and curtain.
pub(crate) fn shower(dice: &mut Dice) -> Piece {
    let ceramic = Material::ceramic(dice);
    let side = dice.between(0.8, 0.95);
    let mut piece = Piece::new(side, side, 0.4);
    piece.cuboid(OTHER, [0.0, 0.0, 0.04], [side, side, 0.08], &ceramic);
    let steel = Material::metal(dice);
    piece.column(OTHER, [0.0, -side / 2.0 + 0.04, 1.0], 0.012, 1.0, &steel);
    piece.cone(OTHER, [0.0, -side / 2.0 + 0.14, 1.97], 0.09, 0.03, 0.04, &steel);
    curtain(&mut piece, side, side / 2.0 - 0.03, 0.14, dice);
    piece
}

/// A curtain in folds on a rod along x, drawn part of the way.
fn curtain(piece: &mut Piece, width: f32, y: f32, low: f32, dice: &mut Dice) {
    let color = [dice.between(0.5, 0.95), dice.between(0.55, 0.95), dice.between(0.6, 0.95)];
    let pattern = match dice.below(3) {
        0 => Pattern::Plain,
        1 => Pattern::Patches { size: 0.12, variety: 0.15 },
        _ => Pattern::Stripes { width: 0.1, other: [0.92, 0.92, 0.92] },
    };
    let cloth = Material::new(color, pattern, 0.15, dice);
    let steel = Material::metal(dice);
    let high = dice.between(1.92, 2.02);
    piece.bar(SHOWER_CURTAIN, [0.0, y, high], 0.012, width, &steel);
    let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
    let drawn = width * dice.between(0.25, 0.85);
    let mut from = 0.03;
    while from < drawn {
        let fold = dice.between(0.025, 0.04);
        let at = [side * (width / 2.0 - from - fold), y + dice.between(-0.015, 0.015), low];
        piece.cone(SHOWER_CURTAIN, at, fold * 1.2, fold, high - low, &cloth);
        from += fold * 1.7;
    }
}

#[cfg(test)]
mod tests {
    use glam::Vec3;

    use super::*;
    use crate::synth::shape::Ray;
    use crate::synth::tree::Tree;

    #[test]
    fn the_bottoms_of_tub_and_basin_can_be_seen_from_above() {
        let mut bottoms = 0;
        for seed in 0..20 {
            let mut dice = Dice::new(seed, 0);
            for (piece, label) in [(bathtub(&mut dice), BATHTUB), (washbasin(&mut dice), SINK)] {
                let tree = Tree::new(&piece.parts);
                let from = Vec3::new(0.0, 0.6, 1.6);
                let direction = (Vec3::new(0.0, 0.05, piece.height - 0.15) - from).normalize();
                let hit = tree.hit(&Ray { origin: from, direction }, 5.0).unwrap();
                let is_deep = (from + direction * hit.distance).z < piece.height - 0.08;
                bottoms += usize::from(is_deep && piece.parts[hit.surface].label == label);
            }
        }
        // About half of the tubs have their curtain drawn past the middle, 10 ± 2 of 20: three deviations less.
        assert!(bottoms >= 24, "{bottoms} of 40");
    }
}
