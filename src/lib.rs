//! Segment 3D scans with Point Transformer V3 and PointTPA adapters, on WebGPU or the plain CPU.
//!
//! ```no_run
//! use pointtpa::{Device, SegmentOptions, Segmenter, model::bundled, scan};
//!
//! # fn main() -> pointtpa::Result<()> {
//! let file = bundled::rooms().expect("this build brings its model")?;
//! let (segmenter, _) = Segmenter::open(&Device::cpu(), &file, None)?;
//! let scan = scan::read("scan.ply".as_ref())?;
//! let result = segmenter.segment_blocking(&scan.cloud, &SegmentOptions::default())?;
//! println!("{} points in {} voxels", result.labels.len(), result.voxels);
//! # Ok(())
//! # }
//! ```

#[cfg(not(target_arch = "wasm32"))]
pub mod bench;
pub mod check;
pub mod device;
#[cfg(not(target_arch = "wasm32"))]
pub mod doctor;
mod error;
mod extent;
#[doc(hidden)]
pub mod geometry;
#[doc(hidden)]
pub mod kernels;
pub mod model;
pub mod render;
pub mod scan;
mod segmenter;
pub mod synth;
pub mod train;

pub use device::Device;
pub use error::{Error, Result};
pub use scan::{LabelSet, PointCloud};
pub use segmenter::{Details, Progress, SegmentOptions, Segmentation, Segmenter, Tiles};

/// Compiles the README's example with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
