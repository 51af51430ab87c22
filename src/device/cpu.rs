//! The CPU as a device: pooled host memory, and rayon's threads.

use super::{
    Timing,
    command::Work,
    host_buffer::HostBuffer,
    pool::{Pool, Pooled},
    profile::Stopwatch,
};
use crate::Result;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The CPU side of a [`super::Device`].
pub struct Cpu {
    pool: Arc<Pool<HostBuffer>>,
    poison: bool,
    /// Present where twins are measured.
    stopwatch: Option<Mutex<Stopwatch>>,
}

impl Cpu {
    pub(super) fn new(budget: u64, poison: bool, profile: bool) -> Self {
        let stopwatch = profile.then(Mutex::default);
        Self { pool: Pool::new("cpu".into(), budget), poison, stopwatch }
    }

    pub(super) fn pool(&self) -> &Arc<Pool<HostBuffer>> {
        &self.pool
    }

    pub(super) fn acquire(&self, bytes: u64) -> Result<Pooled<HostBuffer>> {
        let make = |class: u64| {
            // The budget is no promise of the operating system's: a refusal is an error, not an abort.
            HostBuffer::new(class as usize / 4).ok_or_else(|| self.pool.refused(class))
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

    /// Runs the twin of `kernel`, which moves `bytes` of operands, and notes its time if the device measures.
    pub(crate) fn run<R>(&self, kernel: &'static str, work: Work, bytes: u64, twin: impl FnOnce() -> R) -> R {
        if self.stopwatch.is_none() {
            return twin();
        }
        let begun = web_time::Instant::now();
        let answer = twin();
        let took = begun.elapsed();
        if let Some(mut stopwatch) = self.stopwatch() {
            stopwatch.note(kernel, work, bytes, took);
        }
        answer
    }

    fn stopwatch(&self) -> Option<MutexGuard<'_, Stopwatch>> {
        self.stopwatch.as_ref().map(|stopwatch| stopwatch.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn mark(&self) {
        if let Some(mut stopwatch) = self.stopwatch() {
            stopwatch.mark();
        }
    }

    pub(super) fn take_timings(&self) -> Vec<Timing> {
        self.stopwatch().map_or_else(Vec::new, |mut stopwatch| stopwatch.take())
    }
}
