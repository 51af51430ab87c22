//! Training: what a step is made of beside the network and its kernels.
//!
//! ```text
//! folder ─dataset─▶ LabelledScan ─augment─▶ ─sample─▶ Sample ─loader─▶ Batch
//! ```

pub mod augment;
#[cfg(not(target_arch = "wasm32"))]
pub mod checkpoint;
#[cfg(not(target_arch = "wasm32"))]
pub mod dataset;
#[cfg(test)]
mod gradient_tests;
mod grid_sample;
pub mod labelled_scan;
#[cfg(not(target_arch = "wasm32"))]
pub mod loader;
pub mod metrics;
pub mod objective;
#[cfg(not(target_arch = "wasm32"))]
pub mod prefetch;
#[cfg(not(target_arch = "wasm32"))]
pub mod run;
#[cfg(not(target_arch = "wasm32"))]
pub mod run_folder;
pub mod sample;
pub mod schedule;
pub mod teach;
pub mod trainable;
pub mod trainer;

pub use crate::kernels::adamw::AdamW;
pub use augment::Recipe;
#[cfg(not(target_arch = "wasm32"))]
pub use checkpoint::Checkpoint;
#[cfg(not(target_arch = "wasm32"))]
pub use dataset::{Dataset, DatasetOptions, Split};
pub use labelled_scan::LabelledScan;
#[cfg(not(target_arch = "wasm32"))]
pub use loader::Loader;
pub use objective::{LossKind, Objective};
#[cfg(not(target_arch = "wasm32"))]
pub use prefetch::Prefetch;
#[cfg(not(target_arch = "wasm32"))]
pub use run::{Run, RunOptions, StepRecord};
#[cfg(not(target_arch = "wasm32"))]
pub use run_folder::RunFolder;
pub use sample::{Batch, Sample, WholeSample};
pub use teach::{Lesson, Teacher};
pub use trainable::Trainable;
pub use trainer::{StepReport, Trainer, TrainerOptions, TrainerState};
