//! Batches made ahead of time, on other threads.

use super::{Batch, Loader};
use crate::Result;
use std::{
    sync::mpsc::{Receiver, sync_channel},
    thread::{Builder, JoinHandle},
};

/// The batches of a loader, in order, made ahead of time on other threads. Dropping it stops them and waits until the
/// batches that are being made are done.
#[derive(Debug)]
pub struct Prefetch {
    loader: Loader,
    step: u64,
    /// Thread `i` of `t` makes the steps `first + i`, `first + i + t`, …, so their channels, one after the other, have all
    /// steps in order.
    workers: Vec<Worker>,
    next_worker: usize,
}

#[derive(Debug)]
struct Worker {
    batches: Option<Receiver<Result<Batch>>>,
    thread: Option<JoinHandle<()>>,
}

impl Prefetch {
    /// Batches from step `first` on, made by `threads` threads. Each has one batch ready and makes the next one: up to
    /// `2 · threads` are in memory. With 0 threads, or where a system gives none, batches are made when they are asked for.
    pub fn new(loader: Loader, first: u64, threads: usize) -> Self {
        let mut workers = Vec::with_capacity(threads);
        for index in 0..threads as u64 {
            let (sender, batches) = sync_channel(1);
            let loader = loader.clone();
            let work = move || {
                let mut step = first + index;
                // Sending fails once the receiver is gone.
                while sender.send(loader.batch(step)).is_ok() {
                    step += threads as u64;
                }
            };
            match Builder::new().name(format!("batches-{index}")).spawn(work) {
                Ok(thread) => workers.push(Worker { batches: Some(batches), thread: Some(thread) }),
                Err(error) => {
                    log::warn!("batches are made on the main thread: {error}");
                    workers.clear();
                    break;
                }
            }
        }
        Self { loader, step: first, workers, next_worker: 0 }
    }

    /// The next batch: that of [`Self::step`], the same as [`Loader::batch`] makes it.
    ///
    /// # Errors
    /// As [`Loader::batch`]; the batch after it can be asked for all the same.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let step = self.step;
        self.step += 1;
        let worker = self.next_worker;
        self.next_worker = (worker + 1) % self.workers.len().max(1);
        let made = self.workers.get(worker).and_then(|worker| worker.batches.as_ref()?.recv().ok());
        // A thread that is gone has left its batches to this one.
        made.unwrap_or_else(|| self.loader.batch(step))
    }

    /// The step of the next batch.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Where the batches come from.
    pub fn loader(&self) -> &Loader {
        &self.loader
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been reported on standard error; the batch was made, or will be, by the thread that asks.
            let _ = thread.join();
        }
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        // All are told before any is waited for.
        self.workers.iter_mut().for_each(|worker| worker.batches = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::loader::tests::loader;
    use std::sync::Arc;

    #[test]
    fn prefetched_batches_are_the_loaders_in_order_from_any_step() {
        let loader = loader(5, 2, 4);
        for threads in [0, 1, 2, 3] {
            for first in [0, 17] {
                let mut prefetch = Prefetch::new(loader.clone(), first, threads);
                for step in first..first + 9 {
                    assert_eq!(prefetch.step(), step);
                    assert_eq!(
                        prefetch.next_batch().unwrap(),
                        loader.batch(step).unwrap(),
                        "{threads} threads, {step}"
                    );
                }
            }
        }
    }

    #[test]
    fn dropping_ends_the_threads() {
        let loader = loader(3, 1, 4);
        let dataset = loader.dataset().clone();
        let mut prefetch = Prefetch::new(loader, 0, 4);
        prefetch.next_batch().unwrap();
        assert!(Arc::strong_count(&dataset) > 2);
        drop(prefetch);
        // Every thread held the dataset.
        assert_eq!(Arc::strong_count(&dataset), 1);
    }
}
