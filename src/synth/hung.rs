//! What hangs on walls: pictures, posters, whiteboards, shelves, screens, radiators and pipes.

use glam::{Vec2, Vec3};

use super::class::{OTHER, PICTURE};
use super::dice::Dice;
use super::furniture::wall_shelf;
use super::material::{Material, Pattern};
use super::piece::Piece;
use super::room::Room;
use super::shape::Frame;
use super::shell::{Style, find_span};
use super::{Domain, RoomKind};

/// Hangs up what suits the room.
pub(super) fn hang(room: &mut Room, style: &Style, dice: &mut Dice) {
    let is_work = matches!(room.kind(), RoomKind::Office | RoomKind::Meeting);
    let is_wet = room.kind() == RoomKind::Bathroom;
    let is_bare = room.domain() == Domain::Basement || is_wet;
    if is_work && dice.chance(0.5) {
        let size = Vec2::new(dice.between(0.9, 2.2), dice.between(0.8, 1.2));
        put(room, size, 0.95, dice, |_, dice| whiteboard(size, dice));
    }
    // Small rooms need their walls for what stands there.
    for _ in 0..if is_wet { style.pictures / 2 } else { style.pictures } {
        let size = Vec2::new(dice.between(0.3, 1.1), dice.between(0.3, 0.85));
        let bottom = dice.between(1.15, 1.5);
        put(room, size, bottom, dice, |_, dice| picture(size, dice));
    }
    if dice.chance(if is_bare { 0.1 } else { 0.2 }) {
        let size = Vec2::new(dice.between(0.6, 1.2), 0.34);
        let bottom = dice.between(1.3, 1.6);
        put(room, size, bottom, dice, |_, dice| wall_shelf(size.x, dice));
    }
    if !is_bare && dice.chance(0.12) {
        let size = Vec2::new(dice.between(0.8, 1.3), dice.between(0.5, 0.75));
        put(room, size, 1.0, dice, |_, dice| {
            let mut screen = Piece::new(size.x, 0.1, size.y);
            let dark = Material::dark(dice);
            screen.cuboid(OTHER, [0.0, 0.06, 0.0], [size.x, 0.05, size.y], &dark);
            screen
        });
    }
    if dice.chance(if is_wet { 0.15 } else { 0.35 }) {
        let size = Vec2::new(dice.between(0.5, 1.4), dice.between(0.45, 0.62));
        put(room, size, 0.12, dice, |_, dice| {
            let mut piece = Piece::new(size.x, 0.12, size.y);
            radiator(&mut piece, size.x, [-size.y / 2.0, size.y / 2.0], dice);
            piece
        });
    }
    if dice.chance(0.2) {
        // A riser from floor to ceiling.
        let (radius, height) = (dice.between(0.015, 0.06), room.plan.height);
        put(room, Vec2::new(2.0 * radius, height - 0.01), 0.0, dice, |_, dice| {
            let mut pipe = Piece::new(2.0 * radius, 2.0 * radius, height);
            let paint = if dice.chance(0.5) { Material::metal(dice) } else { style.wall.with(Pattern::Plain) };
            pipe.column(OTHER, [0.0, radius + 0.03, -height / 2.0], radius, height, &paint);
            pipe
        });
    }
}

/// Puts a thing of that size, made about its middle, somewhere on a wall at that height.
fn put(room: &mut Room, size: Vec2, bottom: f32, dice: &mut Dice, make: impl Fn(&Room, &mut Dice) -> Piece) {
    let bottom = bottom.min(room.plan.height - size.y - 0.005).max(0.0);
    let Some((index, span)) = find_span(room, size, bottom, 0.06, dice) else { return };
    let piece = make(room, dice);
    let wall = &mut room.plan.walls[index];
    wall.taken.push(span);
    let middle = Vec3::new(f32::midpoint(span.from, span.to), 0.0, f32::midpoint(span.bottom, span.top));
    let at = wall.frame().then(&Frame::at(middle));
    room.surfaces.extend(piece.placed(&at));
}

/// A framed picture, or a bare poster.
fn picture(size: Vec2, dice: &mut Dice) -> Piece {
    let color = [dice.between(0.2, 0.9), dice.between(0.2, 0.9), dice.between(0.2, 0.9)];
    let pattern = match dice.below(4) {
        0 => Pattern::Stripes { width: dice.between(0.04, 0.2), other: color.map(|value| 1.0 - value) },
        1 => Pattern::Mottled { size: dice.between(0.06, 0.2), depth: dice.between(0.6, 1.4) },
        _ => Pattern::Patches { size: dice.between(0.03, 0.2), variety: dice.between(0.1, 0.4) },
    };
    let canvas = Material::new(color, pattern, 0.1, dice);
    let mut piece = Piece::new(size.x, 0.04, size.y);
    if dice.chance(0.3) {
        piece.cuboid(PICTURE, [0.0, 0.004, 0.0], [size.x, 0.008, size.y], &canvas);
        return piece;
    }
    let edge = if dice.chance(0.5) { Material::wood(dice) } else { Material::dark(dice) };
    let (wide, out) = (dice.between(0.02, 0.06), dice.between(0.015, 0.04));
    let border = 2.0 * wide + if dice.chance(0.4) { dice.between(0.04, 0.12) } else { 0.0 };
    let paper = Material::varied([0.92, 0.91, 0.88], 0.05, 0.0, dice);
    piece.cuboid(PICTURE, [0.0, out * 0.3, 0.0], [size.x - wide, out * 0.6, size.y - wide], &paper);
    piece.cuboid(PICTURE, [0.0, out * 0.33, 0.0], [size.x - border, out * 0.66, size.y - border], &canvas);
    for side in [-1.0, 1.0] {
        piece.cuboid(PICTURE, [side * (size.x - wide) / 2.0, out / 2.0, 0.0], [wide, out, size.y], &edge);
        piece.cuboid(PICTURE, [0.0, out / 2.0, side * (size.y - wide) / 2.0], [size.x, out, wide], &edge);
    }
    piece
}

/// A whiteboard with its tray, some with writing, magnets and sheets on it.
fn whiteboard(size: Vec2, dice: &mut Dice) -> Piece {
    let board = Material::varied([0.93, 0.94, 0.94], 0.04, 0.5, dice);
    let edge = Material::metal(dice);
    let mut piece = Piece::new(size.x, 0.06, size.y);
    piece.cuboid(OTHER, [0.0, 0.012, 0.0], [size.x, 0.024, size.y], &board);
    for side in [-1.0, 1.0] {
        piece.cuboid(OTHER, [side * (size.x / 2.0 - 0.012), 0.016, 0.0], [0.024, 0.034, size.y], &edge);
        piece.cuboid(OTHER, [0.0, 0.016, side * (size.y / 2.0 - 0.012)], [size.x, 0.034, 0.024], &edge);
    }
    piece.cuboid(OTHER, [0.0, 0.045, -size.y / 2.0 + 0.01], [size.x * 0.6, 0.09, 0.02], &edge);
    for _ in 0..dice.count(0, 6) {
        let note = Material::any(dice);
        let side = Vec2::new(dice.between(0.06, 0.25), dice.between(0.03, 0.25));
        let reach = (size - side) / 2.0 - Vec2::splat(0.04);
        let at = [dice.between(-reach.x, reach.x), 0.025, dice.between(-reach.y, reach.y)];
        piece.cuboid(OTHER, at, [side.x, 0.004, side.y], &note);
    }
    piece
}

/// A ribbed radiator between two heights.
pub(super) fn radiator(piece: &mut Piece, width: f32, between: [f32; 2], dice: &mut Dice) {
    let paint = Material::varied([0.90, 0.90, 0.88], 0.03, 0.3, dice);
    let [low, high] = between;
    let (z, tall) = (f32::midpoint(low, high), high - low);
    piece.cuboid(OTHER, [0.0, 0.07, z], [width, 0.05, tall], &paint);
    let pitch = dice.between(0.05, 0.1);
    let ribs = (width / pitch) as usize;
    for rib in 0..ribs {
        let x = (rib as f32 + 0.5) / ribs as f32 * width - width / 2.0;
        piece.cuboid(OTHER, [x, 0.07, z], [pitch * 0.45, 0.09, tall + 0.01], &paint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::{Options, plan::Span};

    #[test]
    fn nothing_hangs_over_a_door_or_a_window() {
        for seed in 0..40 {
            let room = Room::generate(&Options { domain: Domain::Office, kind: None }, seed);
            for wall in &room.plan.walls {
                let is_hung = |span: &&Span| span.bottom > 0.9 && span.top < room.plan.height - 0.2;
                for span in wall.taken.iter().filter(is_hung).filter(|span| !wall.openings.contains(span)) {
                    assert!(!wall.openings.iter().any(|opening| opening.meets(span)), "seed {seed}");
                }
            }
        }
    }
}
