//! Training: what a step is made of beside the network and its kernels.

pub mod schedule;
pub mod trainable;
