//! Room on a device for several scans at once.

use std::sync::{PoisonError, RwLock};

use pointtpa::{Device, Error};

use crate::screen;

/// Who computes on a device at a time: on the CPU everybody, on a GPU one, because it has nothing to gain from two.
pub(super) struct Room {
    /// Read by those who compute beside others, written by who computes alone.
    lock: RwLock<()>,
    is_shared: bool,
}

impl Room {
    /// Room on `device` for as many scans.
    pub(super) fn new(device: &Device, scans: usize) -> Self {
        Self { lock: RwLock::new(()), is_shared: scans > 1 && matches!(device, Device::Cpu(_)) }
    }

    /// Does `work`. What finds no memory beside others is done again alone, so that what can be computed does not depend on
    /// who else is there.
    pub(super) fn compute<T>(&self, work: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        if self.is_shared {
            let _beside_others = self.lock.read().unwrap_or_else(PoisonError::into_inner);
            match work() {
                Err(Error::OutOfMemory { .. }) => {}
                answer => return answer,
            }
            screen::say("no memory is left beside the other scans: this one waits until it is alone");
        }
        let _alone = self.lock.write().unwrap_or_else(PoisonError::into_inner);
        work()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    fn out_of_memory() -> Error {
        Error::OutOfMemory { device: "cpu".into(), problem: "test".into(), advice: String::new() }
    }

    #[test]
    fn what_finds_no_room_beside_others_is_done_alone() {
        let room = Room::new(&Device::cpu(), 3);
        let (inside, together) = (AtomicUsize::new(0), Barrier::new(3));
        let most_alone = AtomicUsize::new(0);
        let work = |first: &AtomicUsize| {
            let beside = inside.fetch_add(1, Ordering::SeqCst);
            let is_first = first.fetch_add(1, Ordering::SeqCst) == 0;
            if is_first {
                together.wait();
            } else {
                most_alone.fetch_max(beside + 1, Ordering::SeqCst);
            }
            inside.fetch_sub(1, Ordering::SeqCst);
            if is_first { Err(out_of_memory()) } else { Ok(()) }
        };
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let first = AtomicUsize::new(0);
                    room.compute(|| work(&first)).unwrap();
                });
            }
        });
        assert_eq!(most_alone.into_inner(), 1);
    }

    #[test]
    fn a_single_scan_is_not_tried_twice() {
        let (room, tries) = (Room::new(&Device::cpu(), 1), AtomicUsize::new(0));
        let work = || {
            tries.fetch_add(1, Ordering::SeqCst);
            Err::<(), _>(out_of_memory())
        };
        assert!(room.compute(work).is_err());
        assert_eq!(tries.into_inner(), 1);
    }
}
