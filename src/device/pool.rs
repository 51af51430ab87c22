//! A pool of buffers in size classes, with a budget.
//!
//! A buffer goes back to its class when its last handle drops, so a forward pass reuses the memory of the stages
//! before it. The budget counts everything held, in use or free; free buffers are let go before a request fails,
//! whether it is the budget or the device ([`Pool::trim`]) that has no more.

use crate::{Error, Result};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Memory of a device, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Held by live tensors.
    pub live: u64,
    /// The largest `live` since the device was opened or [`crate::Device::reset_peak`] was called.
    pub peak: u64,
    /// Held by live tensors and by free buffers kept for reuse.
    pub held: u64,
    /// The limit of `held`.
    pub budget: u64,
}

/// The smallest class: also the size of an empty tensor's buffer, since WebGPU binds no empty ranges.
const SMALLEST: u64 = 256;

/// Buffers of one device.
pub(crate) struct Pool<B> {
    device: String,
    state: Mutex<State<B>>,
    #[cfg(test)]
    pub(super) refusals: super::injection::Injection,
}

struct State<B> {
    free: BTreeMap<u64, Vec<B>>,
    memory: MemoryUse,
}

/// A buffer on loan from a [`Pool`]; dropping it gives it back.
pub(crate) struct Pooled<B> {
    buffer: Option<B>,
    class: u64,
    pool: Arc<Pool<B>>,
}

impl<B> Pool<B> {
    pub(crate) fn new(device: String, budget: u64) -> Arc<Self> {
        let memory = MemoryUse { budget, ..MemoryUse::default() };
        Arc::new(Self {
            device,
            state: Mutex::new(State { free: BTreeMap::new(), memory }),
            #[cfg(test)]
            refusals: super::injection::Injection::default(),
        })
    }

    /// A buffer of at least `bytes`; `make` creates one of the class's size where no free one fits.
    pub(crate) fn acquire(self: &Arc<Self>, bytes: u64, make: impl FnOnce(u64) -> Result<B>) -> Result<Pooled<B>> {
        let class = size_class(bytes);
        #[cfg(test)]
        if self.refusals.strikes() {
            return Err(self.refused(class));
        }
        let reused = {
            let mut state = self.lock();
            let reused = state.free.get_mut(&class).and_then(Vec::pop);
            if reused.is_none() {
                state.make_room(class);
                let memory = state.memory;
                if memory.held + class > memory.budget {
                    return Err(self.exhausted(class, memory));
                }
                state.memory.held += class;
            }
            state.memory.live += class;
            state.memory.peak = state.memory.peak.max(state.memory.live);
            reused
        };
        // Dropping `loan` after a failed `make` takes the reservation back.
        let mut loan = Pooled { buffer: reused, class, pool: Arc::clone(self) };
        if loan.buffer.is_none() {
            loan.buffer = Some(make(class)?);
        }
        Ok(loan)
    }

    pub(crate) fn memory(&self) -> MemoryUse {
        self.lock().memory
    }

    pub(crate) fn reset_peak(&self) {
        let mut state = self.lock();
        state.memory.peak = state.memory.live;
    }

    /// Lets all free buffers go.
    pub(crate) fn trim(&self) {
        let mut state = self.lock();
        let free: u64 = state.free.iter().map(|(class, buffers)| class * buffers.len() as u64).sum();
        state.free.clear();
        state.memory.held -= free;
    }

    /// The error for `wanted` more bytes that the budget does not allow.
    fn exhausted(&self, wanted: u64, memory: MemoryUse) -> Error {
        let problem = format!("{wanted} more bytes are needed, {} of {} are in use", memory.live, memory.budget);
        self.out_of_memory(problem, "Raise `--memory`, use a coarser `--grid`, or cut the scene into smaller pieces")
    }

    /// The error for `wanted` more bytes that the device or the operating system refuses.
    pub(crate) fn refused(&self, wanted: u64) -> Error {
        let problem = format!("{wanted} more bytes were refused, {} are in use", self.memory().live);
        self.out_of_memory(
            problem,
            "Use a coarser `--grid`, cut the scene into smaller pieces, or try another `--device`",
        )
    }

    fn out_of_memory(&self, problem: String, advice: &str) -> Error {
        Error::OutOfMemory { device: self.device.clone(), problem, advice: advice.to_owned() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<B>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> State<B> {
    /// Drops free buffers, largest first, until `wanted` more bytes fit the budget or none is left.
    fn make_room(&mut self, wanted: u64) {
        while self.memory.held.saturating_add(wanted) > self.memory.budget {
            let Some((class, mut buffers)) = self.free.pop_last() else { return };
            if buffers.pop().is_some() {
                self.memory.held -= class;
            }
            if !buffers.is_empty() {
                self.free.insert(class, buffers);
            }
        }
    }
}

impl<B> Pooled<B> {
    pub(crate) fn get(&self) -> &B {
        self.buffer.as_ref().expect("a loan holds its buffer until it drops")
    }

    pub(crate) fn get_mut(&mut self) -> &mut B {
        self.buffer.as_mut().expect("a loan holds its buffer until it drops")
    }
}

impl<B> Drop for Pooled<B> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.memory.live -= self.class;
        match self.buffer.take() {
            Some(buffer) => state.free.entry(self.class).or_default().push(buffer),
            None => state.memory.held -= self.class,
        }
    }
}

/// Rounds up to four classes per octave: at most a quarter of a buffer is unused.
fn size_class(bytes: u64) -> u64 {
    let bytes = bytes.max(SMALLEST);
    let step = (bytes.next_power_of_two() / 8).max(SMALLEST);
    bytes.div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(budget: u64) -> Arc<Pool<Vec<u8>>> {
        Pool::new("test".into(), budget)
    }

    fn take(pool: &Arc<Pool<Vec<u8>>>, bytes: u64) -> Result<Pooled<Vec<u8>>> {
        pool.acquire(bytes, |class| Ok(vec![0; class as usize]))
    }

    #[test]
    fn a_class_holds_its_request_and_wastes_at_most_a_quarter() {
        for bytes in [0, 1, 256, 257, 1000, 4096, 5000, 1 << 20, (1 << 20) + 1, 123_456_789] {
            let class = size_class(bytes);
            assert!(class >= bytes && class.is_multiple_of(256), "{bytes} -> {class}");
            assert!(bytes < 2048 || class * 4 <= bytes * 5, "{bytes} -> {class}");
        }
    }

    #[test]
    fn a_dropped_buffer_is_used_again() {
        let pool = pool(1 << 20);
        let first = take(&pool, 1000).unwrap();
        let address = first.get().as_ptr();
        drop(first);
        let second = take(&pool, 900).unwrap();
        assert_eq!(second.get().as_ptr(), address);
        assert_eq!(pool.memory(), MemoryUse { live: 1024, peak: 1024, held: 1024, budget: 1 << 20 });
    }

    #[test]
    fn the_budget_refuses_before_it_allocates_and_free_buffers_make_room() {
        let pool = pool(4096);
        let kept = take(&pool, 2048).unwrap();
        drop(take(&pool, 1024).unwrap());
        // 2048 live + 1024 free: 2048 more only fit once the free buffer is let go.
        drop(take(&pool, 2048).unwrap());
        let refused = pool.acquire(4096, |_| panic!("must not be allocated"));
        assert!(
            refused
                .err()
                .is_some_and(|e| e.to_string().contains("4096 more bytes are needed, 2048 of 4096 are in use"))
        );
        drop(kept);
        assert_eq!(pool.memory().live, 0);
        pool.trim();
        assert_eq!(pool.memory().held, 0);
    }

    #[test]
    fn a_failed_allocation_leaves_the_books_balanced() {
        let pool = pool(1 << 20);
        assert!(pool.acquire(512, |_| Err(Error::Cancelled)).is_err());
        assert_eq!(pool.memory(), MemoryUse { live: 0, peak: 512, held: 0, budget: 1 << 20 });
    }
}
