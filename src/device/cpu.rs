//! The CPU as a device: pooled host memory, and rayon's threads.

use super::pool::{Pool, Pooled};
use crate::Result;
use std::sync::Arc;

/// The CPU side of a [`super::Device`].
pub struct Cpu {
    pool: Arc<Pool<Vec<u32>>>,
    poison: bool,
}

impl Cpu {
    pub(super) fn new(budget: u64, poison: bool) -> Self {
        Self { pool: Pool::new("cpu".into(), budget), poison }
    }

    pub(super) fn pool(&self) -> &Arc<Pool<Vec<u32>>> {
        &self.pool
    }

    pub(super) fn acquire(&self, bytes: u64) -> Result<Pooled<Vec<u32>>> {
        let make = |class: u64| {
            let words = class as usize / 4;
            let mut buffer: Vec<u32> = Vec::new();
            // The budget is no promise of the operating system's: a refusal is an error, not an abort.
            buffer.try_reserve_exact(words).map_err(|_| self.pool.refused(class))?;
            buffer.resize(words, 0);
            Ok(buffer)
        };
        let mut buffer = self.pool.acquire(bytes, make).or_else(|_| {
            self.pool.trim();
            self.pool.acquire(bytes, make)
        })?;
        if self.poison {
            buffer.get_mut().fill(super::POISON);
        }
        Ok(buffer)
    }
}
