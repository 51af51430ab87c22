//! Furnished, labelled rooms as a depth camera sees them: training data, demo scenes and benchmarks without a
//! download.
//!
//! [`Room::generate`] builds a room of a seed out of solids with labels of the `rooms` label set, and [`scan`] walks a
//! simulated camera through it, or lets it take a glance. A [`Collection`] is a whole set of such scenes. All give the
//! same on every platform.
//!
//! ```
//! use pointtpa::synth::{Options, Room, ScannerOptions, scan};
//!
//! let room = Room::generate(&Options::default(), 7);
//! let cloud = scan(&room, &ScannerOptions { poses: 4, cell: 0.05, ..ScannerOptions::default() }, 7);
//! assert!(cloud.len() > 1000);
//! ```

mod bundled;
mod class;
mod collection;
pub(crate) mod dice;
mod door;
mod furnish;
mod furniture;
mod hung;
mod light;
mod material;
mod picture;
mod piece;
mod placing;
mod plan;
mod room;
mod scanner;
mod shape;
mod shell;
mod tree;
mod walk;

pub use bundled::{BUNDLED, BundledScene};
pub use collection::{Collection, Recipe, Views};
pub use room::{Options, Room};
pub use scanner::{Path, ScannerOptions, scan};

use dice::Dice;

/// A kind of building, and the sensor that goes through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Domain {
    /// Living rooms, bedrooms, kitchens, bathrooms, studies.
    #[default]
    Home,
    /// Offices, meeting rooms, tea kitchens.
    Office,
    /// Low, bare and dark rooms with pipes, seen by a noisier camera: other shapes and colours than at home.
    Basement,
}

/// What a room is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomKind {
    /// Sofa, low table, shelves.
    Living,
    /// Bed and wardrobe.
    Bedroom,
    /// Desks and swivel chairs.
    Office,
    /// A large table with chairs.
    Meeting,
    /// Counter, sink, refrigerator, dining table.
    Kitchen,
    /// Toilet, sink, bathtub.
    Bathroom,
    /// Shelves, boxes, machines, a workbench.
    Storage,
}

impl Domain {
    /// Every domain.
    pub const ALL: [Domain; 3] = [Domain::Home, Domain::Office, Domain::Basement];

    fn any_kind(self, dice: &mut Dice) -> RoomKind {
        use RoomKind::{Bathroom, Bedroom, Kitchen, Living, Meeting, Office, Storage};
        match self {
            Domain::Home => dice.pick(&[
                Living, Living, Living, Living, Bedroom, Bedroom, Bedroom, Kitchen, Kitchen, Bathroom, Bathroom,
                Bathroom, Bathroom, Office,
            ]),
            Domain::Office => {
                dice.pick(&[Office, Office, Office, Office, Meeting, Meeting, Kitchen, Kitchen, Bathroom, Bathroom])
            }
            Domain::Basement => dice.pick(&[Storage, Storage, Storage, Bathroom, Kitchen, Office, Bedroom]),
        }
    }
}

impl RoomKind {
    /// Shortest and longest side, metres.
    fn side_lengths(self) -> (f32, f32) {
        match self {
            RoomKind::Living => (3.3, 5.4),
            RoomKind::Bedroom => (2.8, 4.4),
            RoomKind::Office | RoomKind::Storage => (2.8, 5.2),
            RoomKind::Meeting => (3.5, 5.8),
            RoomKind::Kitchen => (2.6, 4.4),
            RoomKind::Bathroom => (2.1, 3.2),
        }
    }
}
