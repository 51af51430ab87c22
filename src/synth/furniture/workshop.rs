//! What stands in basements alone: the same classes in other shapes.

use crate::synth::class::{BOOKSHELF, CABINET, OTHER, REFRIGERATOR, SINK, TABLE};
use crate::synth::dice::Dice;
use crate::synth::material::Material;
use crate::synth::piece::Piece;

/// A rack of metal posts and boards, with boxes and cans on it.
pub(crate) fn rack(dice: &mut Dice) -> Piece {
    let (w, d, h) = (dice.between(0.8, 1.3), dice.between(0.32, 0.5), dice.between(1.5, 2.0));
    let metal = Material::metal(dice);
    let board = if dice.chance(0.5) { metal } else { Material::wood(dice) };
    let mut piece = Piece::new(w, d, h);
    piece.legs(BOOKSHELF, [w, d], h, 0.04, false, &metal);
    let shelves = dice.count(4, 5);
    let step = (h - 0.12) / (shelves - 1) as f32;
    for shelf in 0..shelves {
        let z = 0.1 + step * shelf as f32;
        piece.cuboid(BOOKSHELF, [0.0, 0.0, z], [w, d, 0.03], &board);
        if shelf + 1 == shelves {
            break;
        }
        let mut x = -w / 2.0 + 0.06;
        loop {
            let (wide, tall) = (dice.between(0.1, 0.4), step * dice.between(0.3, 0.85));
            if x + wide > w / 2.0 - 0.05 {
                break;
            }
            let thing = if dice.chance(0.5) {
                Material::varied([0.60, 0.47, 0.32], 0.1, 0.0, dice)
            } else {
                Material::any(dice)
            };
            let at = [x + wide / 2.0, 0.0, z + 0.015];
            if wide < 0.2 {
                piece.column(BOOKSHELF, at, wide / 2.0, tall, &thing);
            } else {
                piece.cuboid(BOOKSHELF, [at[0], 0.0, at[2] + tall / 2.0], [wide, d * 0.8, tall], &thing);
            }
            x += wide + dice.between(0.02, 0.2);
        }
    }
    piece
}

/// A bench of thick planks with a vice and tools.
pub(crate) fn workbench(dice: &mut Dice) -> Piece {
    let (w, d, h) = (dice.between(1.2, 2.0), dice.between(0.55, 0.75), dice.between(0.82, 0.92));
    let wood = Material::wood(dice);
    let metal = Material::metal(dice);
    let mut piece = Piece::new(w, d, h);
    piece.cuboid(TABLE, [0.0, 0.0, h - 0.04], [w, d, 0.08], &wood);
    piece.legs(TABLE, [w - 0.08, d - 0.08], h - 0.08, 0.1, false, &wood);
    piece.cuboid(TABLE, [0.0, 0.0, 0.22], [w - 0.12, d - 0.12, 0.03], &wood);
    let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
    piece.cuboid(OTHER, [side * (w / 2.0 - 0.2), d / 2.0 - 0.12, h + 0.07], [0.14, 0.22, 0.14], &metal);
    super::table_things(&mut piece, [w / 2.0 - 0.3, d / 2.0 - 0.15], h, 6, dice);
    piece
}

/// A freezer that opens at the top.
pub(crate) fn chest_freezer(dice: &mut Dice) -> Piece {
    let (w, d, h) = (dice.between(0.75, 1.3), dice.between(0.56, 0.7), dice.between(0.82, 0.92));
    let paint = Material::varied([0.88, 0.88, 0.86], 0.06, 0.35, dice);
    let dark = Material::dark(dice);
    let mut piece = Piece::new(w, d, h);
    piece.cushion(REFRIGERATOR, [0.0, 0.0, (h - 0.1) / 2.0], [w - 0.02, d - 0.02, h - 0.1], 0.02, &paint);
    piece.cushion(REFRIGERATOR, [0.0, 0.0, h - 0.045], [w, d, 0.09], 0.03, &paint);
    piece.cuboid(REFRIGERATOR, [0.0, d / 2.0 + 0.01, h - 0.06], [0.2, 0.03, 0.04], &paint);
    piece.cuboid(REFRIGERATOR, [w / 2.0 - 0.15, d / 2.0 - 0.008, 0.12], [0.2, 0.01, 0.12], &dark);
    piece
}

/// A deep sink on legs, with a shelf or a cupboard below.
pub(crate) fn utility_sink(dice: &mut Dice) -> Piece {
    let (w, d, h) = (dice.between(0.5, 0.65), dice.between(0.45, 0.6), dice.between(0.8, 0.9));
    let tub = if dice.chance(0.5) { Material::ceramic(dice) } else { Material::metal(dice) };
    let metal = Material::metal(dice);
    let mut piece = Piece::new(w, d, h);
    super::kitchen::basin(&mut piece, [0.0, 0.0, h], [w - 0.02, d - 0.02, 0.32], &tub);
    if dice.chance(0.5) {
        piece.legs(SINK, [w, d], h - 0.3, 0.04, true, &metal);
    } else {
        let board = Material::board(dice);
        piece.cuboid(CABINET, [0.0, 0.0, (h - 0.36) / 2.0], [w, d, h - 0.36], &board);
    }
    piece.column(SINK, [0.0, -d / 2.0 + 0.02, h], 0.016, 0.22, &metal);
    piece.cuboid(SINK, [0.0, -d / 2.0 + 0.1, h + 0.22], [0.025, 0.18, 0.025], &metal);
    piece
}
