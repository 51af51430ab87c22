//! `NumPy`'s files as scans: an array of points (`.npy`), arrays with names in an archive (`.npz`), and in a folder, as
//! Pointcept's preprocessing writes them.

#[cfg(feature = "formats")]
mod archive;
mod array;
mod folder;
mod named;
#[cfg(feature = "formats")]
mod table;

#[cfg(feature = "formats")]
pub(crate) use archive::{is_npz, read as read_archive};
#[cfg(feature = "formats")]
pub(crate) use array::{has_points, is_npy};
#[cfg(test)]
pub(crate) use folder::tests as folder_tests;
pub(crate) use folder::{is_scan as is_folder, of as folder_of, read as read_folder};
#[cfg(feature = "formats")]
pub(crate) use table::read as read_table;
