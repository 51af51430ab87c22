//! Segment 3D scans with Point Transformer V3 and PointTPA adapters, on WebGPU or the plain CPU.

mod error;
pub mod scan;
pub mod synth;

pub use error::{Error, Result};
pub use scan::{LabelSet, PointCloud};
