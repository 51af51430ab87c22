//! Scan files in, labelled scan files out.

mod label_set;
mod point_cloud;

pub use label_set::{Class, LabelSet};
pub use point_cloud::PointCloud;
