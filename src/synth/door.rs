//! Doors: frame, leaf and handle, shut or open.

use glam::{Vec2, Vec3};

use super::class::{DOOR, FLOOR, WALL};
use super::dice::Dice;
use super::material::{Material, Pattern};
use super::piece::Piece;
use super::plan::{Area, Span};
use super::room::Room;
use super::shape::Frame;
use super::shell::{Style, find_span};

/// What the doors of one room have in common.
struct Look {
    leaf: Material,
    frame: Material,
    metal: Material,
    /// Sides of the frame's section: along the wall, and out of it into the room.
    casing: Vec2,
    /// How far the leaf stands back from the wall's face.
    recess: f32,
    panels: usize,
}

impl Look {
    fn of(style: &Style, dice: &mut Dice) -> Self {
        let leaf = match dice.below(6) {
            0 | 1 => Material::wood(dice),
            2 | 3 => Material::varied([0.85, 0.85, 0.83], 0.1, 0.2, dice),
            // Painted over with the wall: told by its frame and its handle alone.
            4 => Material::varied(style.wall.color, 0.05, 0.1, dice).with(Pattern::Plain),
            _ => Material::any(dice).with(Pattern::Plain),
        };
        let frame = match dice.below(6) {
            0 | 1 => style.trim,
            2 | 3 => Material::varied([0.66, 0.43, 0.20], 0.12, 0.2, dice).with(Pattern::Wood { board: 0.3 }),
            4 => Material::metal(dice),
            _ => leaf,
        };
        let recess = if dice.chance(0.5) { dice.between(0.0, 0.03) } else { dice.between(0.04, 0.14) };
        let casing = Vec2::new(dice.between(0.05, 0.12), dice.between(0.012, 0.05));
        Self { leaf, frame, metal: Material::metal(dice), casing, recess, panels: dice.pick(&[0, 1, 1, 1, 2, 2, 3, 3]) }
    }
}

/// Sets one to three doors into walls.
pub(super) fn doors(room: &mut Room, style: &Style, dice: &mut Dice) {
    let look = Look::of(style, dice);
    for _ in 0..dice.pick(&[1, 1, 1, 2, 2, 3]) {
        let is_double = dice.chance(0.08);
        let width = if is_double { dice.between(1.4, 1.7) } else { dice.between(0.78, 1.0) };
        let size = Vec2::new(width, dice.between(1.96, 2.14_f32.min(room.plan.height - 0.08)));
        let Some((index, span)) = find_span(room, size, 0.0, 0.16, dice) else { continue };
        let wall = &mut room.plan.walls[index];
        wall.openings.push(span);
        wall.taken.push(Span { from: span.from - 0.14, to: span.to + 0.14, bottom: 0.0, top: span.top + 0.14 });
        let frame = wall.frame();
        // Nothing may stand before the door.
        let middle = wall.start + wall.along * f32::midpoint(span.from, span.to) + wall.inward() * 0.5;
        room.plan.kept_clear.push(Area::around(middle, Vec2::splat(size.x.max(1.0) * 0.52)));
        let mut piece = Piece::new(size.x, 0.2, size.y);
        casing(&mut piece, size, &look);
        let angle = if dice.chance(0.35) { dice.between(0.3, 1.7) } else { 0.0 };
        let at = if angle > 0.0 { -0.03 } else { -look.recess - 0.02 };
        let first = if dice.chance(0.5) { 1.0 } else { -1.0 };
        let hinges: &[f32] = if is_double { &[1.0, -1.0] } else { &[first] };
        for &hinge in hinges {
            let width = size.x / hinges.len() as f32;
            let door = leaf(Vec2::new(width, size.y), hinge, &look);
            let yaw = if hinge == first { hinge * -angle } else { 0.0 };
            piece.put(&door, [hinge * (size.x / 2.0 - 0.01), at, 0.005], yaw);
        }
        if angle > 0.0 {
            // A piece of the hallway behind.
            let height = room.plan.height;
            piece.cuboid(WALL, [0.0, -1.5, height / 2.0], [2.6, 0.02, height], &style.wall);
            piece.cuboid(FLOOR, [0.0, -0.8, -0.011], [2.6, 1.6, 0.02], &style.floor);
        }
        let at = frame.then(&Frame::at(Vec3::new(f32::midpoint(span.from, span.to), 0.0, 0.0)));
        room.surfaces.extend(piece.placed(&at));
    }
}

/// The frame around an opening of that size, and its lining through the wall.
fn casing(piece: &mut Piece, size: Vec2, look: &Look) {
    let (w, h) = (size.x, size.y);
    let (wide, out) = (look.casing.x, look.casing.y);
    let deep = look.recess.max(0.03) + 0.06;
    for side in [-1.0, 1.0] {
        piece.cuboid(DOOR, [side * (w + wide) / 2.0, out / 2.0, h / 2.0], [wide, out, h], &look.frame);
        piece.cuboid(DOOR, [side * (w / 2.0 - 0.005), -deep / 2.0, h / 2.0], [0.02, deep, h], &look.frame);
    }
    piece.cuboid(DOOR, [0.0, out / 2.0, h + wide / 2.0], [w + 2.0 * wide, out, wide], &look.frame);
    piece.cuboid(DOOR, [0.0, -deep / 2.0, h - 0.005], [w, deep, 0.02], &look.frame);
}

/// A leaf about its hinge, which is on the right for a `hinge` of 1 and on the left for one of -1.
fn leaf(size: Vec2, hinge: f32, look: &Look) -> Piece {
    let (w, h) = (size.x, size.y);
    let mut door = Piece::new(w, 0.04, h);
    let x = -hinge * (w / 2.0 - 0.01);
    match look.panels {
        // A pane in a broad frame.
        0 => {
            let glass = Material { is_glass: true, ..look.metal };
            for side in [-1.0, 1.0] {
                door.cuboid(DOOR, [x + side * (w / 2.0 - 0.085), 0.0, h / 2.0], [0.14, 0.04, h - 0.02], &look.leaf);
            }
            door.cuboid(DOOR, [x, 0.0, h * 0.22], [w - 0.2, 0.04, h * 0.42], &look.leaf);
            door.cuboid(DOOR, [x, 0.0, h - 0.09], [w - 0.2, 0.04, 0.15], &look.leaf);
            door.cuboid(DOOR, [x, 0.0, h * 0.68], [w - 0.2, 0.01, h * 0.5], &glass);
        }
        panels => {
            door.cuboid(DOOR, [x, 0.0, h / 2.0], [w - 0.03, 0.04, h - 0.02], &look.leaf);
            for panel in 1..panels {
                let z = h * (panel as f32 - 0.5) / (panels - 1) as f32;
                let tall = h / (panels - 1) as f32 * 0.8;
                door.cuboid(DOOR, [x, 0.0, z], [w * 0.62, 0.056, tall], &look.leaf);
            }
        }
    }
    let knob = -hinge * (w - 0.09);
    for y in [-0.05, 0.05] {
        door.bar(DOOR, [knob + hinge * 0.05, y, 1.02], 0.011, 0.12, &look.metal);
        door.cuboid(DOOR, [knob, y * 0.5, 1.0], [0.04, 0.02, 0.2], &look.metal);
    }
    door
}
