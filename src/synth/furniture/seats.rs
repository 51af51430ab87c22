//! Chairs, sofas and beds.

use glam::Vec3;

use crate::synth::class::{BED, CHAIR, SOFA};
use crate::synth::dice::{Dice, sin_cos};
use crate::synth::material::{Material, Pattern};
use crate::synth::piece::Piece;
use crate::synth::shape::{Frame, Shape};

/// A chair of one look per `dice`: most with four legs and a back of slats or cloth, some moulded.
pub(crate) fn chair(dice: &mut Dice) -> Piece {
    if dice.chance(0.25) {
        return shell_chair(dice);
    }
    let (w, d) = (dice.between(0.40, 0.50), dice.between(0.40, 0.50));
    let (seat, top) = (dice.between(0.43, 0.48), dice.between(0.78, 1.02));
    let frame = if dice.chance(0.6) { Material::wood(dice) } else { Material::metal(dice) };
    let cover = if dice.chance(0.5) { frame } else { Material::fabric(dice) };
    let mut piece = Piece::new(w, d, top);
    let thick = dice.between(0.025, 0.045);
    piece.legs(CHAIR, [w - 0.02, d - 0.02], seat - 0.03, thick, dice.chance(0.4), &frame);
    if dice.chance(0.5) {
        piece.cushion(CHAIR, [0.0, 0.0, seat - 0.01], [w, d, 0.06], 0.02, &cover);
    } else {
        piece.cuboid(CHAIR, [0.0, 0.0, seat - 0.015], [w, d, 0.03], &cover);
    }
    let lean = dice.between(0.05, 0.2);
    let back = top - seat;
    let middle = Vec3::new(0.0, -d / 2.0 + 0.02 - lean * back / 2.0, seat + back / 2.0);
    let tilted = Frame::tilted(middle, lean);
    for side in [-1.0, 1.0] {
        let at = Frame::at(Vec3::new(side * (w - thick) / 2.0, 0.0, 0.0));
        let half = Vec3::new(thick, thick, back) / 2.0;
        piece.add(CHAIR, Shape::Cuboid { half }, tilted.then(&at), &frame);
    }
    if dice.chance(0.5) {
        let slats = dice.count(2, 4);
        for slat in 0..slats {
            let z = back * ((slat as f32 + 0.7) / slats as f32 - 0.5);
            let half = Vec3::new(w / 2.0, 0.009, back / slats as f32 * 0.28);
            piece.add(CHAIR, Shape::Cuboid { half }, tilted.then(&Frame::at(Vec3::Z * z)), &cover);
        }
    } else {
        let half = Vec3::new(w / 2.0 - 0.01, 0.02, back * 0.36);
        let at = Frame::at(Vec3::Z * back * 0.12);
        piece.add(CHAIR, Shape::Rounded { half, radius: 0.018 }, tilted.then(&at), &cover);
    }
    piece
}

/// A stool without a back.
pub(crate) fn stool(dice: &mut Dice) -> Piece {
    let (w, seat) = (dice.between(0.3, 0.42), dice.between(0.42, 0.72));
    let frame = if dice.chance(0.5) { Material::wood(dice) } else { Material::metal(dice) };
    let cover = if dice.chance(0.5) { frame } else { Material::fabric(dice) };
    let mut piece = Piece::new(w, w, seat);
    piece.legs(CHAIR, [w * 0.85, w * 0.85], seat - 0.03, 0.035, true, &frame);
    piece.cuboid(CHAIR, [0.0, 0.0, seat * 0.4], [w * 0.8, 0.02, 0.02], &frame);
    piece.column(CHAIR, [0.0, 0.0, seat - 0.05], w / 2.0, 0.05, &cover);
    piece
}

/// A moulded shell on four spread legs, or on the runners of a cantilever.
pub(crate) fn shell_chair(dice: &mut Dice) -> Piece {
    let (w, seat, top) = (dice.between(0.44, 0.52), dice.between(0.43, 0.47), dice.between(0.76, 0.88));
    let shell = if dice.chance(0.6) { Material::any(dice).with(Pattern::Plain) } else { Material::dark(dice) };
    let frame = if dice.chance(0.5) { Material::metal(dice) } else { Material::wood(dice) };
    let mut piece = Piece::new(w, w, top);
    if dice.chance(0.5) {
        for side in [-1.0, 1.0] {
            let x = side * (w / 2.0 - 0.02);
            piece.cuboid(CHAIR, [x, 0.0, 0.014], [0.026, w, 0.026], &frame);
            piece.cuboid(CHAIR, [x, w / 2.0 - 0.014, seat / 2.0], [0.026, 0.026, seat], &frame);
            piece.cuboid(CHAIR, [x, 0.0, seat - 0.03], [0.026, w, 0.026], &frame);
            if dice.chance(0.4) {
                piece.cuboid(CHAIR, [x, 0.02, seat + 0.2], [0.04, w * 0.8, 0.03], &frame);
            }
        }
    } else {
        piece.legs(CHAIR, [w - 0.02, w - 0.02], seat - 0.02, 0.03, true, &frame);
    }
    piece.cushion(CHAIR, [0.0, 0.02, seat - 0.01], [w, w - 0.03, 0.04], 0.02, &shell);
    let back = top - seat;
    let tilted = Frame::tilted(Vec3::new(0.0, -w / 2.0 - 0.01, seat + back / 2.0), dice.between(0.1, 0.28));
    let half = Vec3::new(w * 0.47, 0.018, back / 2.0);
    piece.add(CHAIR, Shape::Rounded { half, radius: 0.018 }, tilted, &shell);
    piece
}

/// An office chair: star foot on castors, gas spring, upholstered seat and back, arms on most, a headrest on few.
pub(crate) fn swivel_chair(dice: &mut Dice) -> Piece {
    let (seat, top) = (dice.between(0.43, 0.56), dice.between(0.85, 1.22));
    let w = dice.between(0.44, 0.54);
    let cover = if dice.chance(0.55) { Material::dark(dice) } else { Material::fabric(dice) };
    let dark = Material::dark(dice);
    let foot = if dice.chance(0.5) { dark } else { Material::metal(dice) };
    let mut piece = Piece::new(0.62, 0.62, top);
    let (reach, turn) = (dice.between(0.27, 0.33), dice.between(0.0, 1.25));
    for arm in 0..5 {
        let angle = turn + arm as f32 * 1.256_637;
        let (sin, cos) = sin_cos(angle);
        // Along its x axis, and falling outwards.
        let out = Vec3::new(cos, sin, -0.16).normalize();
        let side = Vec3::new(-sin, cos, 0.0);
        let origin = Vec3::new(cos * reach / 2.0, sin * reach / 2.0, 0.095);
        let bar = Frame { origin, axes: [out, side, out.cross(side)] };
        piece.add(CHAIR, Shape::Cuboid { half: Vec3::new(reach / 2.0, 0.022, 0.016) }, bar, &foot);
        piece.ball(CHAIR, [cos * reach, sin * reach, 0.03], [0.028, 0.028, 0.03], &dark);
    }
    piece.column(CHAIR, [0.0, 0.0, 0.07], 0.045, 0.1, &foot);
    piece.column(CHAIR, [0.0, 0.0, 0.08], 0.027, seat - 0.12, &foot);
    piece.cuboid(CHAIR, [0.0, 0.0, seat - 0.1], [0.22, 0.26, 0.05], &dark);
    piece.cushion(CHAIR, [0.0, 0.02, seat - 0.04], [w, w, 0.09], 0.04, &cover);
    let lean = dice.between(0.05, 0.22);
    let back = top - seat - 0.08;
    let tilted = Frame::tilted(Vec3::new(0.0, -w / 2.0 - lean * back / 2.0, seat + 0.08 + back / 2.0), lean);
    if dice.chance(0.3) {
        // A back of round outline.
        let radii = Vec3::new(w * 0.5, 0.05, back * 0.55);
        piece.add(CHAIR, Shape::Ellipsoid { radii }, tilted, &cover);
    } else {
        let half = Vec3::new(w * dice.between(0.4, 0.5), 0.035, back / 2.0);
        piece.add(CHAIR, Shape::Rounded { half, radius: 0.034 }, tilted, &cover);
    }
    if dice.chance(0.2) {
        let half = Vec3::new(0.14, 0.03, 0.07);
        let at = tilted.then(&Frame::at(Vec3::Z * (back / 2.0 + 0.1)));
        piece.add(CHAIR, Shape::Rounded { half, radius: 0.03 }, at, &cover);
    }
    piece.cuboid(CHAIR, [0.0, -w / 2.0 - 0.03, seat + 0.02], [0.06, 0.03, 0.22], &dark);
    if dice.chance(0.65) {
        let is_loop = dice.chance(0.4);
        for side in [-1.0, 1.0] {
            let x = side * (w / 2.0 + 0.03);
            if is_loop {
                piece.cuboid(CHAIR, [x, 0.12, seat + 0.08], [0.035, 0.04, 0.24], &dark);
            }
            piece.cuboid(CHAIR, [x, -0.06, seat + 0.08], [0.03, 0.05, 0.26], &dark);
            piece.cushion(CHAIR, [x, 0.02, seat + 0.2], [0.065, 0.28, 0.035], 0.015, &dark);
        }
    }
    piece
}

/// A sofa for `seats` people.
fn upholstered(label: i32, seats: usize, dice: &mut Dice) -> Piece {
    let cloth = Material::fabric(dice);
    let pillow = Material::fabric(dice);
    let (seat_w, depth) = (dice.between(0.55, 0.75), dice.between(0.78, 0.98));
    let (arm, arm_top) = (dice.between(0.10, 0.24), dice.between(0.52, 0.68));
    let (base, back_top) = (dice.between(0.24, 0.32), dice.between(0.72, 0.92));
    let inner = seat_w * seats as f32;
    let w = inner + 2.0 * arm;
    let back = dice.between(0.16, 0.26);
    let lift = dice.between(0.03, 0.14);
    let mut piece = Piece::new(w, depth, back_top);
    let legs = Material::wood(dice);
    piece.legs(label, [w - 0.1, depth - 0.1], lift, 0.05, dice.chance(0.5), &legs);
    piece.cushion(label, [0.0, 0.0, f32::midpoint(lift, base)], [w - 0.02, depth - 0.02, base - lift], 0.02, &cloth);
    let back_z = f32::midpoint(lift, back_top);
    piece.cushion(label, [0.0, -depth / 2.0 + back / 2.0, back_z], [w, back, back_top - lift], 0.05, &cloth);
    for side in [-1.0, 1.0] {
        let x = side * (w - arm) / 2.0;
        piece.cushion(label, [x, 0.0, f32::midpoint(lift, arm_top)], [arm, depth, arm_top - lift], 0.045, &cloth);
    }
    for seat in 0..seats {
        let x = -inner / 2.0 + seat_w * (seat as f32 + 0.5);
        let thick = dice.between(0.14, 0.18);
        let front = depth - back;
        piece.cushion(label, [x, back / 2.0, base + thick / 2.0], [seat_w - 0.015, front, thick], 0.045, &cloth);
        let lean = Frame::tilted(Vec3::new(x, -depth / 2.0 + back + 0.08, base + thick + 0.17), 0.2);
        let half = Vec3::new(seat_w / 2.0 - 0.01, 0.075, 0.2);
        piece.add(label, Shape::Rounded { half, radius: 0.06 }, lean, &cloth);
        if dice.chance(0.4) {
            let lean = Frame::tilted(Vec3::new(x, -depth / 2.0 + back + 0.24, base + thick + 0.16), 0.45);
            let half = Vec3::new(0.2, 0.06, 0.19);
            piece.add(label, Shape::Ellipsoid { radii: half * 1.15 }, lean, &pillow);
        }
    }
    piece
}

/// A sofa of two to four seats, on some with a footrest before one end.
pub(crate) fn sofa(dice: &mut Dice) -> Piece {
    let seats = dice.count(2, 4);
    upholstered(SOFA, seats, dice)
}

/// An upholstered chair: what `ScanNet` calls a chair when one person fits.
pub(crate) fn armchair(dice: &mut Dice) -> Piece {
    upholstered(CHAIR, 1, dice)
}

/// A bed, its head at the wall.
pub(crate) fn bed(dice: &mut Dice) -> Piece {
    let w = dice.pick(&[0.9, 1.0, 1.4, 1.6, 1.8]) + dice.between(-0.04, 0.04);
    let length = dice.between(1.95, 2.15);
    let (rail, mattress) = (dice.between(0.22, 0.36), dice.between(0.16, 0.26));
    let top = dice.between(0.75, 1.2);
    let wood = Material::board(dice);
    let sheet = Material::varied([0.88, 0.87, 0.84], 0.06, 0.0, dice);
    let blanket = if dice.chance(0.4) {
        Material::fabric(dice).with(Pattern::Patches { size: dice.between(0.08, 0.3), variety: 0.12 })
    } else {
        Material::fabric(dice)
    };
    let mut piece = Piece::new(w + 0.08, length + 0.08, rail + mattress + 0.1);
    let z = rail / 2.0 + 0.06;
    piece.legs(BED, [w, length], 0.12, 0.07, false, &wood);
    piece.cuboid(BED, [0.0, 0.0, z], [w + 0.06, length + 0.04, rail - 0.12], &wood);
    piece.cuboid(BED, [0.0, -length / 2.0 - 0.01, top / 2.0], [w + 0.08, 0.06, top], &wood);
    if dice.chance(0.4) {
        piece.cuboid(BED, [0.0, length / 2.0 + 0.01, rail * 0.75], [w + 0.08, 0.05, rail * 1.5], &wood);
    }
    piece.cushion(BED, [0.0, 0.0, rail + mattress / 2.0 - 0.02], [w, length - 0.04, mattress], 0.05, &sheet);
    let cover = length * dice.between(0.6, 0.74);
    let bulge = dice.between(0.05, 0.09);
    let y = (length - cover) / 2.0 - 0.01;
    piece.cushion(BED, [0.0, y, rail + mattress * 0.8], [w + 0.1, cover, mattress * 0.75 + bulge], 0.06, &blanket);
    let pillows = if w > 1.2 { 2 } else { 1 };
    for pillow in 0..pillows {
        let x = (pillow as f32 - (pillows - 1) as f32 / 2.0) * w * 0.48;
        let radii = [(w / pillows as f32 * 0.42).min(0.36), 0.21, 0.085];
        piece.ball(BED, [x, -length / 2.0 + 0.3, rail + mattress + 0.03], radii, &sheet);
    }
    piece
}
