//! Training: what a step is made of beside the network and its kernels.

pub mod metrics;
pub mod schedule;
