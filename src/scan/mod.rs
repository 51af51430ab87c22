//! Scan files in, labelled scan files out.
//!
//! [`read`] recognises the format by its content and gives a [`Scan`]: a [`PointCloud`] and the file's own bytes, so that
//! [`write_labelled`] can write them back unchanged with the labels added. A format is a module with a reader
//! (path and bytes to cloud, contents and original) and a writer (original and labels to a stream), and an arm in
//! `file.rs`.

pub(crate) mod color_scale;
mod description;
mod file;
mod guess;
mod label_set;
mod las;
mod mesh_normals;
mod output;
mod ply;
mod point_cloud;
mod source;

pub use description::{Description, Element, NormalSource};
pub use file::{Scan, is_scan, read, read_bytes, write_cloud, write_labelled};
pub use guess::Guess;
pub use label_set::{Class, LabelSet};
pub use las::{las_codes, write_las};
pub use output::write_whole;
pub use point_cloud::PointCloud;
