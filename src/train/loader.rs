//! The batches of a training run.

use super::{Batch, Dataset, Recipe};
use crate::{Result, model::weights::Feature};
use std::sync::Arc;

/// The batches of a training run, each a pure function of the data, the recipe, the seed and its step.
#[derive(Debug, Clone)]
pub struct Loader {}

impl Loader {
    /// Batches of `batch_size` scans. A run goes through all scans in a random order, then through all in another, and a
    /// batch may span two such epochs.
    pub fn new(
        dataset: Arc<Dataset>,
        recipe: Recipe,
        features: &[Feature],
        batch_size: usize,
        seed: u64,
    ) -> Result<Self> {
        todo!()
    }

    /// The batch of a step, from 0.
    pub fn batch(&self, step: u64) -> Result<Batch> {
        todo!()
    }

    /// Steps after which every scan has come `epochs` times.
    pub fn steps(&self, epochs: u64) -> u64 {
        todo!()
    }

    /// The epoch, from 0, that a step's first scan belongs to.
    pub fn epoch(&self, step: u64) -> u64 {
        todo!()
    }
}
