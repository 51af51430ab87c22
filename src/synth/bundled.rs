//! The three small scenes that come with the program, and how they were made.

use super::{Domain, Options, Room, RoomKind, ScannerOptions, scan};
use crate::PointCloud;

/// The parameters of a scene in `assets/scenes/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundledScene {
    /// Its file in `assets/scenes/`.
    pub file: &'static str,
    /// The building the room is in.
    pub domain: Domain,
    /// What the room is used for.
    pub kind: RoomKind,
    /// The seed of both the room and its scan.
    pub seed: u64,
    /// Side of the thinning cells, millimetres.
    pub cell_mm: u16,
}

/// The scenes in `assets/scenes/`.
pub const BUNDLED: [BundledScene; 3] = [
    BundledScene { file: "living_room.ply", domain: Domain::Home, kind: RoomKind::Living, seed: 0, cell_mm: 60 },
    BundledScene { file: "office.ply", domain: Domain::Office, kind: RoomKind::Office, seed: 25, cell_mm: 60 },
    BundledScene { file: "kitchen.ply", domain: Domain::Home, kind: RoomKind::Kitchen, seed: 4, cell_mm: 50 },
];

impl BundledScene {
    /// Makes the scene again.
    pub fn cloud(&self) -> PointCloud {
        let room = Room::generate(&Options { domain: self.domain, kind: Some(self.kind) }, self.seed);
        let cell = f32::from(self.cell_mm) / 1000.0;
        scan(&room, &ScannerOptions { cell, ..ScannerOptions::of(self.domain) }, self.seed)
    }
}
