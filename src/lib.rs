//! Segment 3D scans with Point Transformer V3 and PointTPA adapters, on WebGPU or the plain CPU.

pub mod check;
pub mod device;
mod error;
#[doc(hidden)]
pub mod geometry;
#[doc(hidden)]
pub mod kernels;
pub mod model;
pub mod scan;
mod segmenter;
pub mod synth;

pub use device::Device;
pub use error::{Error, Result};
pub use scan::{LabelSet, PointCloud};
pub use segmenter::{Progress, SegmentOptions, Segmentation, Segmenter};
