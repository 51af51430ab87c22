//! LAS files, the ASPRS's format of laser scans, and LAZ, which is LAS compressed.

#[cfg(feature = "formats")]
mod chunks;
#[cfg(feature = "formats")]
mod compress;
mod dimension;
#[cfg(feature = "formats")]
mod header;
#[cfg(feature = "formats")]
mod read;
#[cfg(all(test, feature = "formats"))]
mod tests;
mod write;

#[cfg(feature = "formats")]
pub use chunks::LAZ_THREAD;
#[cfg(feature = "formats")]
pub(crate) use compress::write_laz_with;
#[cfg(feature = "formats")]
pub(crate) use read::read;
pub(crate) use write::{Points, write_las_with};
pub use write::{las_codes, write_las};
