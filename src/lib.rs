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
//!
//! # The pieces
//!
//! A [`Device`] is a GPU or the CPU; [`Device::from_wgpu`] takes one that the application has opened for itself. A [`ModelFile`] is
//! what is on disk, a [`Model`] what is on a device, and a [`Segmenter`] a model that takes a [`PointCloud`] and gives a
//! [`Segmentation`], or [`LabelsOnDevice`] for an application that draws them.
#![cfg_attr(feature = "train", doc = "A [`Trainer`] takes the steps of a training.")]
//! Whatever fails says so in an [`Error`], after which device and segmenter can be used again, unless the GPU itself was lost.
//!
//! All of them can be sent to other threads and used by several at once. Every method that waits for a device is a future;
//! natively it waits itself, and any executor will do; in a browser the event loop brings the answer.
//!
//! # Features
//!
//! | | |
//! |---|---|
//! | `cli` | the program; on by default, because `cargo run` is to run it. Libraries say `default-features = false` |
//! | `train` | training, lessons on painted points, synthetic rooms, and the measuring of models |
//! | `formats` | scans in PCD, LAS, LAZ and text, and what is gzip'd; PLY is always there |
//! | `ffi` | the functions for C, of which the package `capi` makes libraries |
//!
//! Without any of them the library reads PLY, model files and PyTorch checkpoints, and segments.

#[cfg(all(feature = "train", not(target_arch = "wasm32")))]
pub mod bench;
#[cfg(feature = "train")]
pub mod check;
pub mod device;
#[cfg(not(target_arch = "wasm32"))]
pub mod doctor;
mod error;
mod extent;
#[cfg(all(feature = "ffi", not(target_arch = "wasm32")))]
pub mod ffi;
#[doc(hidden)]
pub mod geometry;
#[doc(hidden)]
pub mod kernels;
// Every layer's way back is written right under its way forward, and only training takes it.
#[cfg_attr(not(feature = "train"), allow(dead_code, reason = "the way back is only taken while training"))]
pub mod model;
mod parallel;
pub mod render;
pub mod scan;
mod segmenter;
#[cfg(feature = "train")]
pub mod synth;
#[cfg(feature = "train")]
pub mod train;

pub use device::Device;
pub use error::{Error, Result};
pub use model::{Model, weights::ModelFile};
pub use scan::{LabelSet, PointCloud};
pub use segmenter::{Details, Estimate, LabelsOnDevice, Progress, SegmentOptions, Segmentation, Segmenter, Tiles};
#[cfg(feature = "train")]
pub use train::Trainer;
/// The version of `wgpu` that [`Device::from_wgpu`] takes a device of.
pub use wgpu;

/// Compiles the README's example with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
