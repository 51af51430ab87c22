//! Training: what a step is made of beside the network and its kernels.
//!
//! ```text
//! folder ─dataset─▶ LabelledScan ─augment─▶ ─sample─▶ Sample ─loader─▶ Batch
//! ```

pub mod augment;
#[cfg(not(target_arch = "wasm32"))]
pub mod dataset;
mod grid_sample;
pub mod labelled_scan;
#[cfg(not(target_arch = "wasm32"))]
pub mod loader;
#[cfg(not(target_arch = "wasm32"))]
mod npy;
#[cfg(not(target_arch = "wasm32"))]
mod npy_folder;
#[cfg(not(target_arch = "wasm32"))]
pub mod prefetch;
#[cfg(test)]
mod gradient_tests;
pub mod objective;
pub mod sample;
pub mod schedule;
pub mod trainable;
pub mod trainer;

pub use augment::Recipe;
#[cfg(not(target_arch = "wasm32"))]
pub use dataset::{Dataset, DatasetOptions, Split};
pub use labelled_scan::LabelledScan;
#[cfg(not(target_arch = "wasm32"))]
pub use loader::Loader;
#[cfg(not(target_arch = "wasm32"))]
pub use prefetch::Prefetch;
pub use objective::{LossKind, Objective};
pub use sample::{Batch, Sample, WholeSample};
pub use trainable::Trainable;
pub use trainer::{StepReport, Trainer, TrainerOptions, TrainerState};
