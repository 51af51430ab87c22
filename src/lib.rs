//! Segment 3D scans with Point Transformer V3 and PointTPA adapters, on WebGPU or the plain CPU.

mod error;

pub use error::{Error, Result};
