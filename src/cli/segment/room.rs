//! Room on a device for several scans at once.

use std::sync::{PoisonError, RwLock};

use pointtpa::Device;

/// Who computes on a device at a time: on the CPU everybody; on a GPU one, because it has nothing to gain from two, and one where
/// memory is limited, because what a scan gets of it must not depend on who else is there.
pub(super) struct Room {
    /// Read by those who compute beside others, written by who computes alone.
    lock: RwLock<()>,
    is_shared: bool,
}

impl Room {
    /// Room on `device` for as many scans.
    pub(super) fn new(device: &Device, scans: usize, is_limited: bool) -> Self {
        Self { lock: RwLock::new(()), is_shared: scans > 1 && !is_limited && matches!(device, Device::Cpu(_)) }
    }

    /// Does `work` when there is room for it, which large work needs for itself.
    pub(super) fn compute<T>(&self, is_large: bool, work: impl FnOnce() -> T) -> T {
        if self.is_shared && !is_large {
            let _beside_others = self.lock.read().unwrap_or_else(PoisonError::into_inner);
            return work();
        }
        let _alone = self.lock.write().unwrap_or_else(PoisonError::into_inner);
        work()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    /// How many of three were at work at once, at most, if each waits a while for another.
    fn together(room: &Room, is_large: bool) -> usize {
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    room.compute(is_large, || {
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        for _ in 0..100 {
                            if most.load(Ordering::SeqCst) > 1 {
                                break;
                            }
                            thread::sleep(std::time::Duration::from_millis(2));
                        }
                        inside.fetch_sub(1, Ordering::SeqCst);
                    });
                });
            }
        });
        most.into_inner()
    }

    #[test]
    fn scans_are_computed_together_only_where_there_is_memory_for_it() {
        assert!(together(&Room::new(&Device::cpu(), 3, false), false) > 1);
        assert_eq!(together(&Room::new(&Device::cpu(), 3, false), true), 1);
        assert_eq!(together(&Room::new(&Device::cpu(), 3, true), false), 1);
    }
}
