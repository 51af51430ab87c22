//! Sets of scenes to learn from: which building, which camera and which room a seed stands for.

use super::dice::Dice;
use super::{Domain, Options, Room, ScannerOptions, scan};
use crate::PointCloud;

/// Which views of rooms a set of scenes has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Views {
    /// One scene in three is a [`Views::Glance`], the others are walks.
    #[default]
    Mixed,
    /// Walks through the whole room.
    Walk,
    /// One to three pictures from one place.
    Glance,
}

/// A set of scenes; a seed stands for one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    /// The buildings its rooms are in, each as likely as the others; one that is named twice is twice as likely.
    pub buildings: Vec<Domain>,
    /// How its rooms are seen.
    pub views: Views,
    /// Side of the cells of which each keeps its first point, metres.
    pub cell: f32,
}

/// What a seed stands for in a [`Collection`].
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The building the room is in.
    pub domain: Domain,
    /// The camera.
    pub camera: ScannerOptions,
    /// The seed of both the room and its scan.
    pub seed: u64,
}

impl Collection {
    /// Side of cells that suits training at the published models' 2 cm, metres: a room has about 100,000 points.
    pub const CELL: f32 = 0.018;

    /// Scenes of those buildings, mixed views, in cells of [`Self::CELL`].
    pub fn of(buildings: &[Domain]) -> Self {
        Self { buildings: buildings.to_vec(), views: Views::Mixed, cell: Self::CELL }
    }

    /// What a seed stands for.
    pub fn recipe(&self, seed: u64) -> Recipe {
        let mut dice = Dice::new(seed, 5000);
        let domain = self.buildings.get(dice.below(self.buildings.len())).copied().unwrap_or_default();
        let is_glance = match self.views {
            Views::Mixed => dice.chance(1.0 / 3.0),
            Views::Walk => false,
            Views::Glance => true,
        };
        // Some walk on and on, some have enough after a dozen pictures.
        let poses = dice.count(12, 26);
        let walk = ScannerOptions { poses, ..ScannerOptions::of(domain) };
        let camera = if is_glance { ScannerOptions::glance(domain, seed) } else { walk };
        Recipe { domain, camera: ScannerOptions { cell: self.cell, ..camera }, seed }
    }
}

impl Recipe {
    /// Makes the scene.
    pub fn cloud(&self) -> PointCloud {
        let room = Room::generate(&Options { domain: self.domain, kind: None }, self.seed);
        scan(&room, &self.camera, self.seed)
    }
}
