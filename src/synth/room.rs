//! A furnished room.

use glam::Vec3;

use super::dice::Dice;
use super::furnish::furnish;
use super::material::{Color, Material};
use super::plan::Plan;
use super::shape::{Frame, Shape};
use super::shell::{Style, build_shell};
use super::{Domain, RoomKind};

/// A labelled solid with its look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Surface {
    pub(crate) shape: Shape,
    pub(crate) frame: Frame,
    pub(crate) material: Material,
    pub(crate) label: i32,
}

/// A source of light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Light {
    pub(crate) at: Vec3,
    /// Where a window faces; lamps shine all round.
    pub(crate) facing: Option<Vec3>,
    pub(crate) color: Color,
}

/// What kind of room to make.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The building it is in.
    pub domain: Domain,
    /// What it is used for; any that the building has if `None`.
    pub kind: Option<RoomKind>,
}

/// A furnished room: solids with labels of [`LabelSet::rooms`](crate::LabelSet::rooms), looks and lights.
///
/// The floor is at z = 0, z is up, lengths are metres.
#[derive(Debug, Clone)]
pub struct Room {
    pub(crate) surfaces: Vec<Surface>,
    pub(crate) lights: Vec<Light>,
    pub(crate) ambient: Color,
    pub(crate) plan: Plan,
    kind: RoomKind,
    domain: Domain,
}

impl Room {
    /// The room of that seed: the same on every platform, another for every seed.
    pub fn generate(options: &Options, seed: u64) -> Self {
        let mut dice = Dice::new(seed, options.domain as u64 + 1);
        let kind = options.kind.unwrap_or_else(|| options.domain.any_kind(&mut dice));
        let (low, high) = kind.side_lengths();
        let (width, depth) = (dice.between(low, high), dice.between(low, high));
        let height = match options.domain {
            Domain::Home => dice.between(2.3, 2.9),
            Domain::Office => dice.between(2.5, 3.2),
            Domain::Basement => dice.between(2.05, 2.4),
        };
        let mut room = Self {
            surfaces: Vec::new(),
            lights: Vec::new(),
            ambient: [0.0; 3],
            plan: Plan::generate(width, depth, height, &mut dice),
            kind,
            domain: options.domain,
        };
        let style = Style::of(options.domain, kind, &mut dice);
        build_shell(&mut room, &style, &mut dice);
        furnish(&mut room, &mut dice);
        room
    }

    /// What the room is used for.
    pub fn kind(&self) -> RoomKind {
        self.kind
    }

    /// The building it is in.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// Lowest and highest corner of the room's inside, metres.
    pub fn bounds(&self) -> ([f32; 3], [f32; 3]) {
        let extent = self.plan.extent();
        (extent.low.extend(0.0).to_array(), extent.high.extend(self.plan.height).to_array())
    }

    /// The labels of its surfaces, sorted, each once.
    pub fn labels(&self) -> Vec<i32> {
        let mut labels: Vec<i32> = self.surfaces.iter().map(|surface| surface.label).collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }
}
