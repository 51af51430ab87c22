//! Batches made ahead of time, on other threads.

use super::{Batch, Loader};
use crate::Result;

/// The batches of a loader, in order, made ahead of time on other threads. Dropping it stops them.
#[derive(Debug)]
pub struct Prefetch {}

impl Prefetch {
    /// Batches from step `first` on, prepared by `threads` threads, each at most one batch ahead. With 0 threads batches
    /// are made when they are asked for.
    pub fn new(loader: Loader, first: u64, threads: usize) -> Self {
        todo!()
    }

    /// The next batch; the same as [`Loader::batch`] of its step.
    pub fn next_batch(&mut self) -> Result<Batch> {
        todo!()
    }
}
