//! Cabinets, wardrobes and bookshelves.

use crate::synth::class::{BOOKSHELF, CABINET, OTHER};
use crate::synth::dice::Dice;
use crate::synth::material::Material;
use crate::synth::piece::Piece;

/// A body with doors or drawers in front: `columns` × `rows` of them.
fn body(size: [f32; 3], columns: usize, rows: usize, dice: &mut Dice) -> Piece {
    let [w, d, h] = size;
    let board = Material::board(dice);
    let front = if dice.chance(0.75) { board } else { Material::board(dice) };
    let metal = Material::metal(dice);
    let foot = dice.between(0.03, 0.1);
    let mut piece = Piece::new(w, d, h);
    piece.cuboid(CABINET, [0.0, -0.01, f32::midpoint(foot, h)], [w, d - 0.02, h - foot], &board);
    piece.cuboid(CABINET, [0.0, -0.03, foot / 2.0], [w - 0.04, d - 0.08, foot], &board);
    let (cell_w, cell_h) = (w / columns as f32, (h - foot) / rows as f32);
    let has_knobs = dice.chance(0.4);
    for column in 0..columns {
        for row in 0..rows {
            let (x, z) = (-w / 2.0 + cell_w * (column as f32 + 0.5), foot + cell_h * (row as f32 + 0.5));
            piece.cuboid(CABINET, [x, d / 2.0 - 0.01, z], [cell_w - 0.012, 0.02, cell_h - 0.012], &front);
            if has_knobs {
                piece.ball(CABINET, [x, d / 2.0 + 0.012, z], [0.016, 0.016, 0.016], &metal);
            } else if cell_h > 0.5 {
                let side = if column % 2 == 0 { 1.0 } else { -1.0 };
                let at = [x + side * (cell_w / 2.0 - 0.05), d / 2.0 + 0.012, z];
                piece.cuboid(CABINET, at, [0.014, 0.024, 0.18], &metal);
            } else {
                piece.bar(CABINET, [x, d / 2.0 + 0.012, z + cell_h * 0.25], 0.007, 0.14, &metal);
            }
        }
    }
    piece
}

/// A sideboard or chest of drawers, up to chest height, with things on top.
pub(crate) fn cabinet(dice: &mut Dice) -> Piece {
    let (columns, rows) = (dice.count(1, 4), dice.count(1, 4));
    let w = columns as f32 * dice.between(0.4, 0.6);
    let size = [w, dice.between(0.36, 0.5), dice.between(0.45, 1.2)];
    let mut piece = body(size, columns, rows, dice);
    super::table_things(&mut piece, [w / 2.0 - 0.12, size[1] / 2.0 - 0.12], size[2], 4, dice);
    if dice.chance(0.3) && w > 0.9 {
        let dark = Material::dark(dice);
        let (tw, th) = ((w * 0.8).min(1.2), (w * 0.45).min(0.68));
        piece.cuboid(OTHER, [0.0, -0.06, size[2] + th / 2.0 + 0.06], [tw, 0.05, th], &dark);
        piece.cuboid(OTHER, [0.0, -0.06, size[2] + 0.03], [tw * 0.4, 0.2, 0.06], &dark);
    }
    piece
}

/// A wardrobe or tall cupboard.
pub(crate) fn wardrobe(dice: &mut Dice) -> Piece {
    let columns = dice.count(1, 4);
    let size = [columns as f32 * dice.between(0.45, 0.55), dice.between(0.45, 0.62), dice.between(1.75, 2.2)];
    let rows = dice.count(1, 2);
    let mut piece = body(size, columns, rows, dice);
    if size[2] < 2.0 && dice.chance(0.5) {
        let pile = super::box_pile(dice);
        piece.put(&pile, [dice.between(-0.2, 0.2) * size[0], 0.0, size[2]], dice.between(-0.2, 0.2));
    }
    piece
}

/// Cupboards built in from wall to wall and up to the ceiling, with a second row of doors above.
pub(crate) fn built_in(height: f32, dice: &mut Dice) -> Piece {
    let columns = dice.count(2, 5);
    let unit = dice.between(0.45, 0.6);
    let (w, d, h) = (unit * columns as f32, dice.between(0.4, 0.65), height - 0.02);
    let paint =
        if dice.chance(0.65) { Material::varied([0.86, 0.85, 0.83], 0.08, 0.2, dice) } else { Material::board(dice) };
    let metal = Material::metal(dice);
    let split = dice.between(1.9, 2.05).min(h - 0.3);
    let mut piece = Piece::new(w, d, h);
    piece.cuboid(CABINET, [0.0, -0.01, h / 2.0], [w, d - 0.02, h], &paint);
    for column in 0..columns {
        let x = -w / 2.0 + unit * (column as f32 + 0.5);
        let side = if column % 2 == 0 { 1.0 } else { -1.0 };
        for (low, high) in [(0.08, split), (split, h - 0.01)] {
            let z = f32::midpoint(low, high);
            piece.cuboid(CABINET, [x, d / 2.0 - 0.01, z], [unit - 0.01, 0.02, high - low - 0.01], &paint);
            let handle = if low < 1.0 { 1.05 } else { low + 0.15 };
            let at = [x + side * (unit / 2.0 - 0.06), d / 2.0 + 0.015, handle];
            piece.cuboid(CABINET, at, [0.02, 0.03, 0.14], &metal);
        }
    }
    piece
}

/// A filing cabinet of sheet metal.
pub(crate) fn filing_cabinet(dice: &mut Dice) -> Piece {
    let color = dice.pick(&[[0.66, 0.67, 0.66], [0.48, 0.49, 0.50], [0.80, 0.79, 0.74], [0.25, 0.26, 0.28]]);
    let paint = Material::varied(color, 0.06, 0.3, dice);
    let metal = Material::metal(dice);
    let rows = dice.count(2, 4);
    let (w, d, h) = (dice.between(0.4, 0.8), dice.between(0.42, 0.62), 0.06 + 0.33 * rows as f32);
    let mut piece = Piece::new(w, d, h);
    piece.cuboid(CABINET, [0.0, -0.01, h / 2.0], [w, d - 0.02, h], &paint);
    for row in 0..rows {
        let z = 0.06 + 0.33 * (row as f32 + 0.48);
        piece.cuboid(CABINET, [0.0, d / 2.0 - 0.008, z], [w - 0.03, 0.018, 0.305], &paint);
        piece.cuboid(CABINET, [0.0, d / 2.0 + 0.012, z + 0.08], [0.14, 0.024, 0.025], &metal);
    }
    super::table_things(&mut piece, [w / 2.0 - 0.13, d / 2.0 - 0.13], h, 3, dice);
    piece
}

/// A board with books that hangs on a wall, about its middle: 0.34 m high, its back at y = 0.
pub(crate) fn wall_shelf(width: f32, dice: &mut Dice) -> Piece {
    let board = Material::board(dice);
    let deep = dice.between(0.18, 0.26);
    let mut shelf = Piece::new(width, deep, 0.34);
    shelf.cuboid(BOOKSHELF, [0.0, 0.0, 0.012], [width, deep, 0.024], &board);
    fill(&mut shelf, -width / 2.0 + 0.02, width - 0.04, 0.024, 0.3, deep, dice.between(0.5, 1.0), dice);
    let mut piece = Piece::new(width, deep, 0.34);
    piece.put(&shelf, [0.0, deep / 2.0, -0.17], 0.0);
    piece
}

/// A bedside table.
pub(crate) fn nightstand(dice: &mut Dice) -> Piece {
    let size = [dice.between(0.38, 0.5), dice.between(0.34, 0.42), dice.between(0.42, 0.6)];
    let rows = dice.count(1, 3);
    let mut piece = body(size, 1, rows, dice);
    let metal = Material::metal(dice);
    let shade = Material::varied([0.92, 0.88, 0.78], 0.06, 0.0, dice);
    piece.cone(OTHER, [0.0, -0.05, size[2]], 0.06, 0.02, 0.2, &metal);
    piece.cone(OTHER, [0.0, -0.05, size[2] + 0.18], 0.13, 0.08, 0.17, &shade);
    piece
}

/// Shelves with rows of books, some of them lying or leaning, and a few gaps.
pub(crate) fn bookshelf(dice: &mut Dice) -> Piece {
    let bays = dice.count(1, 3);
    let bay = dice.between(0.5, 0.85);
    let (w, d, h) = (bay * bays as f32, dice.between(0.24, 0.36), dice.between(1.1, 2.15));
    let board = Material::board(dice);
    let mut piece = Piece::new(w, d, h);
    let shelves = ((h - 0.1) / dice.between(0.28, 0.38)) as usize;
    let step = (h - 0.08) / shelves as f32;
    for bar in 0..=bays {
        let x = -w / 2.0 + bay * bar as f32;
        piece.cuboid(BOOKSHELF, [x.clamp(-w / 2.0 + 0.01, w / 2.0 - 0.01), 0.0, h / 2.0], [0.022, d, h], &board);
    }
    for shelf in 0..=shelves {
        piece.cuboid(BOOKSHELF, [0.0, 0.0, 0.06 + step * shelf as f32], [w - 0.02, d, 0.022], &board);
    }
    if dice.chance(0.7) {
        piece.cuboid(BOOKSHELF, [0.0, -d / 2.0 + 0.004, h / 2.0], [w, 0.008, h], &board);
    }
    let full = dice.between(0.45, 1.0);
    for index in 0..bays * shelves {
        let from = -w / 2.0 + bay * (index % bays) as f32 + 0.02;
        let floor = 0.072 + step * (index / bays) as f32;
        fill(&mut piece, from, bay - 0.04, floor, step - 0.03, d, full, dice);
    }
    piece
}

/// Fills one compartment.
fn fill(piece: &mut Piece, from: f32, width: f32, floor: f32, room: f32, depth: f32, full: f32, dice: &mut Dice) {
    if dice.chance(0.1) {
        let thing = Material::any(dice);
        let size = dice.between(0.1, 0.2).min(room);
        piece.cuboid(
            BOOKSHELF,
            [from + width / 2.0, 0.0, floor + size / 2.0],
            [width * 0.6, depth * 0.7, size],
            &thing,
        );
        return;
    }
    let end = from + width * (full + dice.between(-0.2, 0.2)).clamp(0.1, 1.0);
    let mut x = from;
    while x < end {
        // A block is a few books of one series.
        let block = dice.between(0.02, 0.12).min(from + width - x);
        if block < 0.015 {
            break;
        }
        let (tall, deep) = (room * dice.between(0.55, 0.95), depth * dice.between(0.55, 0.85));
        let cover = Material::any(dice);
        let at = [x + block / 2.0, -depth / 2.0 + deep / 2.0 + 0.02, floor + tall / 2.0];
        piece.cuboid(BOOKSHELF, at, [block - 0.002, deep, tall], &cover);
        x += block;
    }
}
