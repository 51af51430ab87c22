//! The model that comes with the library.

use super::weights::ModelFile;
use crate::Result;

/// The name that messages give it.
#[cfg(bundled_rooms)]
const NAME: &str = "rooms (bundled)";

/// A small model for rooms, trained on synthetic ones: `assets/models/rooms.safetensors` as it was when the library
/// was built, or `None` if there was none.
///
/// # Errors
/// As [`ModelFile::from_bytes`].
pub fn rooms() -> Option<Result<ModelFile>> {
    #[cfg(bundled_rooms)]
    return Some(ModelFile::from_bytes(NAME, &include_bytes!("../../assets/models/rooms.safetensors")[..]));
    #[cfg(not(bundled_rooms))]
    None
}
