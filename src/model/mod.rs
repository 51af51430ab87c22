//! The network: what a model file says it is, its parameters, and how they start.

pub mod adapt;
mod adapter;
pub mod adapter_file;
pub mod adapter_settings;
mod block;
pub mod bundled;
pub mod checkpoint;
pub mod config;
mod context;
mod delta;
mod differentiable;
mod embedding;
pub mod fingerprint;
mod head;
pub mod init;
pub(crate) mod layers;
mod network;
pub mod parameters;
mod pipelines;
pub mod plan;
mod pooling;
pub mod preset;
mod scene;
pub(crate) mod tape;
pub mod tensor_file;
mod validate;
pub mod weights;
pub mod write;

#[cfg(feature = "train")]
pub(crate) use context::Dropping;
pub use context::{Context, Step};
pub use network::{Model, stage_specs};
