//! The network: what a model file says it is, its parameters, and how they start.

pub mod config;
pub mod init;
pub mod parameters;
pub mod plan;
pub mod preset;
pub mod tensor_file;
mod validate;
pub mod weights;
pub mod write;
