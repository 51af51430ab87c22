//! Scan files in, labelled scan files out.
//!
//! [`read`] recognises the format by its content and gives a [`Scan`]: a [`PointCloud`] and what [`write_labelled`] writes with
//! the labels: a PLY file's own bytes, of other formats what they say of their points besides. A format is a module with a
//! reader (path and bytes to cloud, contents and what is kept), a line in `format.rs`, and an arm in `file.rs`.

mod blocks;
#[cfg(feature = "formats")]
mod class_map;
pub(crate) mod color_scale;
mod columns;
mod description;
#[cfg(feature = "formats")]
mod e57;
#[cfg(feature = "formats")]
mod expansion;
mod file;
mod format;
mod guess;
mod gzip;
mod kept;
mod label_set;
#[cfg(feature = "formats")]
mod labelled;
mod las;
mod lint;
mod mesh_normals;
mod npy;
mod numbers;
mod output;
mod pcd;
mod ply;
mod point_cloud;
mod scalar;
mod scale;
mod source;
mod text;
mod up;
mod values;
mod warning;

pub use blocks::{Blocks, Placed};
#[cfg(feature = "formats")]
pub use class_map::ClassMap;
pub use description::{Description, Element, NormalSource};
pub use file::{Scan, read, read_bytes, write_cloud, write_labelled};
pub(crate) use format::Format;
pub use format::{ENDINGS, ending, is_scan, starts_like_a_scan};
pub use guess::Guess;
pub use label_set::{Class, LabelSet};
#[cfg(feature = "formats")]
pub use labelled::{OutputFormat, write_npy};
#[cfg(feature = "formats")]
pub use las::LAZ_THREAD;
pub use las::{las_codes, write_las};
#[cfg(test)]
pub(crate) use npy::folder_tests as npy_folder_tests;
pub use output::write_whole;
pub use ply::Streamed;
pub use point_cloud::PointCloud;
pub use up::Up;
pub use warning::Warning;
