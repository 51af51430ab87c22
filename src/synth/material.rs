//! What surfaces look like: colours, patterns, and how well a depth camera sees them.

use glam::Vec3;

use super::dice::{Dice, lattice};

/// Red, green and blue in `0..=1`, as a picture has them.
pub(crate) type Color = [f32; 3];

/// A pattern in metres on a surface.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pattern {
    Plain,
    /// Soft blotches: plaster, fabric.
    Mottled {
        size: f32,
        depth: f32,
    },
    /// Fine noise: carpet, terrazzo, concrete.
    Speckled {
        size: f32,
        depth: f32,
    },
    /// Boards with grain along the longer side.
    Wood {
        board: f32,
    },
    /// Square tiles and their joints.
    Tiles {
        size: f32,
        joint: f32,
        shade: f32,
    },
    /// Vertical stripes of a second colour.
    Stripes {
        width: f32,
        other: Color,
    },
    /// Patches of many colours: pictures, rugs, book covers, bedspreads.
    Patches {
        size: f32,
        variety: f32,
    },
}

/// How a surface looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Material {
    pub(crate) color: Color,
    pub(crate) pattern: Pattern,
    /// From 0, matt, to 1, a mirror.
    pub(crate) gloss: f32,
    /// Glass sends hardly any depth back.
    pub(crate) is_glass: bool,
    /// Makes the pattern this surface's own.
    pub(crate) salt: u32,
}

impl Material {
    pub(crate) fn new(color: Color, pattern: Pattern, gloss: f32, dice: &mut Dice) -> Self {
        Self { color, pattern, gloss, is_glass: false, salt: dice.below(1 << 24) as u32 }
    }

    /// Plain, of a colour varied by up to `spread`.
    pub(crate) fn varied(color: Color, spread: f32, gloss: f32, dice: &mut Dice) -> Self {
        let color = vary(color, spread, dice);
        Self::new(color, Pattern::Plain, gloss, dice)
    }

    /// Fabric of any colour that sofas, chairs and beds come in.
    pub(crate) fn fabric(dice: &mut Dice) -> Self {
        const FABRICS: [Color; 10] = [
            [0.55, 0.52, 0.48],
            [0.30, 0.32, 0.36],
            [0.62, 0.50, 0.38],
            [0.22, 0.30, 0.45],
            [0.50, 0.22, 0.20],
            [0.28, 0.40, 0.30],
            [0.75, 0.70, 0.62],
            [0.16, 0.16, 0.17],
            [0.60, 0.42, 0.20],
            [0.45, 0.40, 0.52],
        ];
        let color = vary(dice.pick(&FABRICS), 0.08, dice);
        let pattern = match dice.below(4) {
            0 => Pattern::Speckled { size: 0.008, depth: 0.15 },
            1 => Pattern::Stripes { width: dice.between(0.02, 0.08), other: vary(color, 0.25, dice) },
            _ => Pattern::Mottled { size: 0.12, depth: 0.12 },
        };
        Self::new(color, pattern, 0.05, dice)
    }

    /// Wood from birch to wenge.
    pub(crate) fn wood(dice: &mut Dice) -> Self {
        const WOODS: [Color; 6] = [
            [0.80, 0.66, 0.46],
            [0.66, 0.46, 0.28],
            [0.52, 0.33, 0.19],
            [0.36, 0.22, 0.13],
            [0.86, 0.76, 0.60],
            [0.58, 0.50, 0.42],
        ];
        let color = vary(dice.pick(&WOODS), 0.06, dice);
        Self::new(color, Pattern::Wood { board: dice.between(0.08, 0.25) }, 0.2, dice)
    }

    /// What cabinets, desks and shelves are made of: wood, or board in white, grey or a colour.
    pub(crate) fn board(dice: &mut Dice) -> Self {
        const BOARDS: [Color; 5] =
            [[0.90, 0.89, 0.86], [0.62, 0.62, 0.62], [0.24, 0.24, 0.25], [0.80, 0.78, 0.70], [0.42, 0.52, 0.56]];
        if dice.chance(0.55) {
            return Self::wood(dice);
        }
        Self::varied(dice.pick(&BOARDS), 0.06, 0.25, dice)
    }

    /// Steel, brass or black metal.
    pub(crate) fn metal(dice: &mut Dice) -> Self {
        const METALS: [Color; 4] = [[0.70, 0.71, 0.73], [0.12, 0.12, 0.13], [0.45, 0.46, 0.48], [0.62, 0.52, 0.32]];
        Self::varied(dice.pick(&METALS), 0.04, 0.6, dice)
    }

    /// Glazed ceramic.
    pub(crate) fn ceramic(dice: &mut Dice) -> Self {
        Self::varied([0.93, 0.93, 0.91], 0.03, 0.5, dice)
    }

    /// Black plastic or a dark screen.
    pub(crate) fn dark(dice: &mut Dice) -> Self {
        Self::varied([0.08, 0.08, 0.09], 0.03, 0.5, dice)
    }

    /// Anything a box, book or toy may be.
    pub(crate) fn any(dice: &mut Dice) -> Self {
        let color = [dice.between(0.1, 0.95), dice.between(0.1, 0.9), dice.between(0.1, 0.9)];
        let pattern = if dice.chance(0.3) { Pattern::Patches { size: 0.07, variety: 0.4 } } else { Pattern::Plain };
        Self::new(color, pattern, 0.15, dice)
    }

    /// The same look with another pattern.
    pub(crate) fn with(self, pattern: Pattern) -> Self {
        Self { pattern, ..self }
    }

    /// The colour at a point of the surface's frame whose normal there is `normal`.
    pub(crate) fn color_at(&self, at: Vec3, normal: Vec3) -> Color {
        // The two axes that lie in the surface.
        let (u, v) = match normal.abs().max_position() {
            0 => (at.y, at.z),
            1 => (at.x, at.z),
            _ => (at.x, at.y),
        };
        let cell = |value: f32, size: f32| (value / size).floor() as i32;
        match self.pattern {
            Pattern::Plain => self.color,
            Pattern::Mottled { size, depth } => self.lit(1.0 + depth * (self.smooth(u / size, v / size) - 0.5)),
            Pattern::Speckled { size, depth } => {
                self.lit(1.0 + depth * (lattice(cell(u, size), cell(v, size), self.salt) - 0.5))
            }
            Pattern::Wood { board } => {
                let plank = lattice(cell(v, board), 7, self.salt);
                let grain = self.smooth(u * 3.0 + plank * 40.0, v * 90.0);
                self.lit(0.82 + 0.22 * plank + 0.2 * (grain - 0.5))
            }
            Pattern::Tiles { size, joint, shade } => {
                let inside = |value: f32| (value / size - (value / size).floor()) * size > joint;
                let tile = lattice(cell(u, size), cell(v, size), self.salt);
                self.lit(if inside(u) && inside(v) { 0.95 + 0.1 * tile } else { shade })
            }
            Pattern::Stripes { width, other } => {
                if cell(u, width) % 2 == 0 {
                    self.color
                } else {
                    other
                }
            }
            Pattern::Patches { size, variety } => {
                let (column, row) = (cell(u, size), cell(v, size));
                let channel = |c: usize| lattice(column, row, self.salt.wrapping_add(c as u32 * 977)) - 0.5;
                std::array::from_fn(|c| (self.color[c] + 2.0 * variety * channel(c)).clamp(0.02, 0.98))
            }
        }
    }

    fn lit(&self, factor: f32) -> Color {
        self.color.map(|value| (value * factor).clamp(0.0, 1.0))
    }

    /// Noise in `0..1` that changes smoothly over a unit.
    fn smooth(&self, u: f32, v: f32) -> f32 {
        let (i, j) = (u.floor(), v.floor());
        let ease = |x: f32| x * x * (3.0 - 2.0 * x);
        let (s, t) = (ease(u - i), ease(v - j));
        let corner = |di: i32, dj: i32| lattice((i as i32).wrapping_add(di), (j as i32).wrapping_add(dj), self.salt);
        let low = corner(0, 0) * (1.0 - s) + corner(1, 0) * s;
        let high = corner(0, 1) * (1.0 - s) + corner(1, 1) * s;
        low * (1.0 - t) + high * t
    }
}

/// A colour moved by up to `spread` as a whole and a third of that in each channel.
pub(crate) fn vary(color: Color, spread: f32, dice: &mut Dice) -> Color {
    let all = dice.between(-spread, spread);
    color.map(|value| (value + all + dice.between(-spread, spread) / 3.0).clamp(0.02, 0.98))
}
