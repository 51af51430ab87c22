//! Floor, ceiling, walls, and what is set into or hung onto them.

use glam::{Vec2, Vec3};

use super::class::{CEILING, CURTAIN, FLOOR, OTHER, WALL, WINDOW};
use super::dice::Dice;
use super::door::doors;
use super::hung::{hang, radiator};
use super::material::{Color, Material, Pattern, vary};
use super::piece::Piece;
use super::plan::{Span, Wall};
use super::room::{Light, Room, Surface};
use super::shape::{Frame, Shape};
use super::{Domain, RoomKind};

/// The materials and habits of a room's shell.
#[derive(Debug)]
pub(crate) struct Style {
    pub(super) wall: Material,
    pub(super) floor: Material,
    ceiling: Material,
    pub(super) trim: Material,
    windows: usize,
    pub(super) pictures: usize,
    curtains: f32,
}

impl Style {
    pub(crate) fn of(domain: Domain, kind: RoomKind, dice: &mut Dice) -> Self {
        const PAINTS: [Color; 9] = [
            [0.86, 0.85, 0.85],
            [0.92, 0.92, 0.91],
            [0.88, 0.86, 0.81],
            [0.80, 0.80, 0.80],
            [0.78, 0.70, 0.58],
            [0.62, 0.72, 0.78],
            [0.66, 0.74, 0.62],
            [0.84, 0.74, 0.72],
            [0.90, 0.84, 0.66],
        ];
        let paint = vary(dice.pick(&PAINTS), 0.05, dice);
        let is_wet = matches!(kind, RoomKind::Bathroom | RoomKind::Kitchen);
        let plaster = Pattern::Mottled { size: 0.5, depth: 0.06 };
        let tiles = |dice: &mut Dice| Pattern::Tiles { size: dice.between(0.1, 0.4), joint: 0.008, shade: 0.6 };
        let concrete = Pattern::Speckled { size: 0.02, depth: 0.16 };
        let wall = match (domain, dice.below(4)) {
            (Domain::Basement, 0..2) => {
                let brick = vary([0.58, 0.46, 0.40], 0.08, dice);
                Material::new(brick, Pattern::Tiles { size: 0.16, joint: 0.015, shade: 0.8 }, 0.0, dice)
            }
            (Domain::Basement, _) => Material::new(vary([0.62, 0.61, 0.58], 0.08, dice), concrete, 0.0, dice),
            (_, 0..3) if kind == RoomKind::Bathroom => {
                let pattern = tiles(dice);
                Material::new(vary([0.85, 0.87, 0.86], 0.08, dice), pattern, 0.3, dice)
            }
            (Domain::Home, 0) => {
                let pattern = Pattern::Stripes { width: dice.between(0.06, 0.2), other: vary(paint, 0.08, dice) };
                Material::new(paint, pattern, 0.0, dice)
            }
            _ => Material::new(paint, plaster, 0.0, dice),
        };
        let floor = match domain {
            Domain::Basement => Material::new(vary([0.48, 0.47, 0.46], 0.08, dice), concrete, 0.0, dice),
            _ if is_wet => {
                let pattern = tiles(dice);
                Material::new(vary([0.66, 0.62, 0.56], 0.15, dice), pattern, 0.3, dice)
            }
            Domain::Office if dice.chance(0.7) => {
                let color = vary([0.36, 0.38, 0.42], 0.1, dice);
                Material::new(color, Pattern::Speckled { size: 0.01, depth: 0.4 }, 0.0, dice)
            }
            _ if dice.chance(0.3) => {
                let color = vary(dice.pick(&[[0.60, 0.53, 0.44], [0.55, 0.54, 0.53], [0.40, 0.44, 0.50]]), 0.14, dice);
                Material::new(color, Pattern::Speckled { size: 0.012, depth: dice.between(0.02, 0.3) }, 0.0, dice)
            }
            _ => Material::wood(dice),
        };
        let ceiling = if domain == Domain::Office && dice.chance(0.6) {
            Material::new([0.88, 0.88, 0.87], Pattern::Tiles { size: 0.6, joint: 0.02, shade: 0.7 }, 0.0, dice)
        } else {
            Material::new(vary([0.90, 0.90, 0.88], 0.06, dice), plaster, 0.0, dice)
        };
        let trim =
            if dice.chance(0.6) { Material::varied([0.90, 0.90, 0.88], 0.05, 0.2, dice) } else { Material::wood(dice) };
        Self {
            wall,
            floor,
            ceiling,
            trim,
            windows: match (domain, kind) {
                (Domain::Basement, _) | (_, RoomKind::Bathroom) => dice.count(0, 1),
                _ => dice.count(1, 3),
            },
            pictures: if domain == Domain::Basement { dice.count(0, 1) } else { dice.count(0, 4) },
            curtains: match (domain, kind) {
                (Domain::Home, RoomKind::Bathroom | RoomKind::Kitchen) => 0.25,
                (Domain::Home, _) => 0.75,
                (Domain::Office, _) => 0.3,
                (Domain::Basement, _) => 0.15,
            },
        }
    }
}

/// Builds everything that does not stand on the floor.
pub(crate) fn build_shell(room: &mut Room, style: &Style, dice: &mut Dice) {
    let height = room.plan.height;
    doors(room, style, dice);
    windows(room, style, dice);
    hang(room, style, dice);
    for index in 0..room.plan.walls.len() {
        let wall = room.plan.walls[index].clone();
        build_wall(room, &wall, style);
    }
    for (z, label, material) in [(0.0, FLOOR, style.floor), (height, CEILING, style.ceiling)] {
        for part in room.plan.floor.clone() {
            let shape = Shape::Rectangle { half: (part.high - part.low) / 2.0 };
            room.surfaces.push(Surface { shape, frame: Frame::at(part.center().extend(z)), material, label });
        }
    }
    lamps(room, dice);
}

/// The wall around its openings, and its skirting.
fn build_wall(room: &mut Room, wall: &Wall, style: &Style) {
    let height = room.plan.height;
    let mut piece = Piece::new(0.0, 0.0, 0.0);
    let mut panel = |from: f32, to: f32, bottom: f32, top: f32| {
        if to - from > 1e-3 && top - bottom > 1e-3 {
            let center = Vec3::new(f32::midpoint(from, to), 0.0, f32::midpoint(bottom, top));
            // x along the wall and y up, so that stripes and tiles run as they should.
            let frame = Frame { origin: center, axes: [Vec3::X, Vec3::Z, Vec3::NEG_Y] };
            let half = Vec2::new(to - from, top - bottom) / 2.0;
            piece.add(WALL, Shape::Rectangle { half }, frame, &style.wall);
        }
    };
    let mut openings = wall.openings.clone();
    openings.sort_by(|a, b| a.from.total_cmp(&b.from));
    let mut at = 0.0;
    for opening in &openings {
        panel(at, opening.from, 0.0, height);
        panel(opening.from, opening.to, 0.0, opening.bottom);
        panel(opening.from, opening.to, opening.top, height);
        at = opening.to;
    }
    panel(at, wall.length, 0.0, height);
    let mut skirt = |from: f32, to: f32| {
        if to - from > 0.05 {
            piece.cuboid(WALL, [f32::midpoint(from, to), 0.006, 0.04], [to - from, 0.012, 0.08], &style.trim);
        }
    };
    let mut at = 0.0;
    for opening in openings.iter().filter(|opening| opening.bottom < 0.08) {
        skirt(at, opening.from);
        at = opening.to;
    }
    skirt(at, wall.length);
    room.surfaces.extend(piece.placed(&wall.frame()));
}

/// A free span of that size on some wall, its walls tried in random order.
pub(super) fn find_span(room: &Room, size: Vec2, bottom: f32, margin: f32, dice: &mut Dice) -> Option<(usize, Span)> {
    let walls = &room.plan.walls;
    let first = dice.below(walls.len());
    for step in 0..walls.len() {
        let index = (first + step) % walls.len();
        let room_for_it = walls[index].length - size.x - 2.0 * margin;
        for _ in 0..6 {
            let from = margin + dice.unit() * room_for_it.max(0.0);
            let span = Span { from, to: from + size.x, bottom, top: bottom + size.y };
            let wide = Span { from: from - margin, to: span.to + margin, ..span };
            if room_for_it > 0.0 && walls[index].is_free(&wide) {
                return Some((index, span));
            }
        }
    }
    None
}

fn windows(room: &mut Room, style: &Style, dice: &mut Dice) {
    let day = dice.between(0.4, 1.6);
    for _ in 0..style.windows {
        let is_high = room.plan.height < 2.42;
        let size = Vec2::new(dice.between(0.7, 2.0), if is_high { 0.45 } else { dice.between(1.0, 1.45) });
        let bottom = if is_high { room.plan.height - 0.75 } else { dice.between(0.55, 0.95) };
        let size = Vec2::new(size.x, size.y.min(room.plan.height - bottom - 0.15));
        let Some((index, span)) = find_span(room, size, bottom, 0.2, dice) else { continue };
        let wall = &mut room.plan.walls[index];
        wall.openings.push(span);
        wall.taken.push(Span {
            from: span.from - 0.1,
            to: span.to + 0.1,
            bottom: bottom - 0.05,
            top: room.plan.height,
        });
        let frame = wall.frame();
        let (w, h) = (size.x, size.y);
        let depth = dice.between(0.1, 0.22);
        let mut piece = Piece::new(w, depth, h);
        let middle = bottom + h / 2.0;
        for x in [-w / 2.0, w / 2.0] {
            piece.cuboid(WALL, [x + 0.005 * x.signum(), -depth / 2.0, middle], [0.01, depth, h], &style.wall);
            piece.cuboid(WINDOW, [x - 0.03 * x.signum(), -depth + 0.03, middle], [0.06, 0.06, h], &style.trim);
        }
        for z in [bottom, bottom + h] {
            let inside = if z > middle { -0.03 } else { 0.03 };
            piece.cuboid(WALL, [0.0, -depth / 2.0, z - inside / 6.0], [w, depth, 0.01], &style.wall);
            piece.cuboid(WINDOW, [0.0, -depth + 0.03, z + inside], [w, 0.06, 0.06], &style.trim);
        }
        let bars = (w / 0.8).ceil() as usize;
        for bar in 1..bars {
            let x = -w / 2.0 + w * bar as f32 / bars as f32;
            piece.cuboid(WINDOW, [x, -depth + 0.03, middle], [0.08, 0.06, h], &style.trim);
        }
        piece.cuboid(WINDOW, [0.0, 0.02 - depth / 2.0, bottom + 0.015], [w + 0.06, depth + 0.1, 0.03], &style.trim);
        let sky = [0.62, 0.72, 0.82];
        let glass = Material { is_glass: true, ..Material::varied(sky, 0.1, 0.9, dice) };
        piece.cuboid(WINDOW, [0.0, -depth + 0.02, middle], [w, 0.01, h], &glass);
        let hung = if dice.chance(style.curtains) {
            curtains(&mut piece, w, bottom, bottom + h, dice)
        } else if bottom > 0.5 && dice.chance(0.5) {
            let width = w * dice.between(0.7, 0.95);
            radiator(&mut piece, width, [0.13, bottom - 0.12], dice);
            0.13
        } else {
            bottom
        };
        // No furniture stands in curtains or radiators.
        let wide = Span { from: span.from - 0.3, to: span.to + 0.3, bottom: hung, top: room.plan.height };
        room.plan.walls[index].taken.push(wide);
        let at = frame.then(&Frame::at(Vec3::new(f32::midpoint(span.from, span.to), 0.0, 0.0)));
        room.surfaces.extend(piece.placed(&at));
        let daylight = [0.95, 1.0, 1.08].map(|value: f32| value * day * (w * h).sqrt());
        room.lights.push(Light {
            at: at.point(Vec3::new(0.0, 0.05, middle)),
            facing: Some(at.outward(Vec3::Y)),
            color: daylight,
        });
    }
}

/// Two wings of folds on a rod above a window of width `w`; returns how far down they hang.
fn curtains(piece: &mut Piece, w: f32, bottom: f32, top: f32, dice: &mut Dice) -> f32 {
    let cloth = Material::fabric(dice);
    let rod = Material::metal(dice);
    let high = top + 0.08;
    let low = if dice.chance(0.65) { 0.04 } else { bottom - 0.12 };
    let width = w + dice.between(0.2, 0.5);
    let y = 0.11;
    piece.bar(CURTAIN, [0.0, y, high], 0.012, width + 0.1, &rod);
    let drawn = dice.between(0.16, 0.5) * width;
    for side in [-1.0, 1.0] {
        let mut from = 0.0;
        while from < drawn {
            let fold = dice.between(0.022, 0.045);
            let x = side * (width / 2.0 - from - fold);
            let offset = y + dice.between(-0.02, 0.02);
            let narrow = dice.between(0.75, 1.0);
            piece.cone(CURTAIN, [x, offset, low], fold * 1.15, fold * 1.15 * narrow, high - low, &cloth);
            from += 1.7 * fold;
        }
    }
    low
}

/// Ceiling lamps, as things to see and as light.
fn lamps(room: &mut Room, dice: &mut Dice) {
    let height = room.plan.height;
    let warm = dice.between(0.0, 0.35);
    let strength = dice.between(0.5, 1.3);
    let shade = Material::varied([0.93, 0.91, 0.86], 0.05, 0.1, dice);
    let metal = Material::metal(dice);
    let look = dice.below(3);
    for part in room.plan.floor.clone() {
        let size = part.high - part.low;
        if size.element_product() < 3.0 {
            continue;
        }
        let center = part.center();
        let mut piece = Piece::new(0.5, 0.5, 0.3);
        let drop = match look {
            0 if height > 2.55 => {
                let drop = dice.between(0.3, 0.6);
                piece.column(OTHER, [0.0, 0.0, -drop], 0.006, drop, &metal);
                piece.cone(OTHER, [0.0, 0.0, -drop - 0.2], dice.between(0.15, 0.25), 0.06, 0.2, &shade);
                drop + 0.22
            }
            1 => {
                piece.ball(OTHER, [0.0, 0.0, -0.04], [0.2, 0.2, 0.1], &shade);
                0.16
            }
            _ => {
                piece.cuboid(OTHER, [0.0, 0.0, -0.03], [1.2, 0.18, 0.06], &shade);
                0.08
            }
        };
        let yaw = if size.x > size.y { 0.0 } else { std::f32::consts::FRAC_PI_2 };
        room.surfaces.extend(piece.placed(&Frame::turned(center.extend(height), yaw)));
        let color = [1.0, 1.0 - 0.4 * warm, 1.0 - warm].map(|value| value * strength);
        room.lights.push(Light { at: center.extend(height - drop - 0.05), facing: None, color });
    }
    let ambient = dice.between(0.18, 0.4);
    room.ambient = [ambient, ambient * (1.0 - 0.1 * warm), ambient * (1.0 - 0.2 * warm)];
}
