//! Faults on purpose, for the tests: allocations that are refused, submits after which the GPU is gone.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts events, and lets some of them fail.
#[derive(Default)]
pub(crate) struct Injection(Mutex<Plan>);

/// Ways to lose a GPU at a submit.
#[derive(Default)]
pub(crate) struct Losses {
    /// The driver says so, and that is all: the device can be had back.
    pub(crate) said: Injection,
    /// It is destroyed, too.
    pub(crate) real: Injection,
}

#[derive(Default)]
struct Plan {
    /// Events since the plan was made.
    seen: u64,
    /// The first that fails, from 0.
    first: u64,
    /// How many fail.
    times: u64,
}

impl Injection {
    /// Lets `times` events fail, beginning with the one before which `first` go well.
    pub(crate) fn plan(&self, first: u64, times: u64) {
        *self.lock() = Plan { seen: 0, first, times };
    }

    /// Events since the plan was made.
    pub(crate) fn seen(&self) -> u64 {
        self.lock().seen
    }

    /// Notes an event; whether it is to fail.
    pub(super) fn strikes(&self) -> bool {
        let mut plan = self.lock();
        let at = plan.seen;
        plan.seen += 1;
        (plan.first..plan.first + plan.times).contains(&at)
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
