//! Ctrl-C: stop within a quarter second, and leave no half file.
//!
//! The handler raises a flag that long work looks at, so that it can end in order. Work that does not get to look in
//! time, for example while it waits for a GPU, is ended from here, but not in the middle of an output file.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::Duration;

use pointtpa::Error;

use super::exit::CANCELLED;

static WANTED: AtomicBool = AtomicBool::new(false);
/// Whether the first request leaves the end to the work.
static PATIENT: AtomicBool = AtomicBool::new(false);
/// Read while a temporary file exists: several may at once.
static WRITING: RwLock<()> = RwLock::new(());

/// How long work may take to end in order.
const ORDERLY: Duration = Duration::from_millis(120);
/// How long an output file may take to be removed before the program ends all the same: a disk that hangs must not
/// hang the program.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers Ctrl-C, and the signals that ask a program to end, from here on.
pub(crate) fn set_up() {
    let handler = || {
        let is_first = !WANTED.swap(true, Ordering::SeqCst);
        if is_first && PATIENT.load(Ordering::SeqCst) {
            super::screen::say("stopping after this step; Ctrl-C again stops at once");
            return;
        }
        thread::sleep(ORDERLY);
        let step = Duration::from_millis(5);
        let looks = PATIENCE.as_millis() / step.as_millis();
        // Kept until the end, so that nobody begins another file.
        let _nobody_writes = (0..looks).find_map(|_| {
            let guard = WRITING.try_write().ok();
            if guard.is_none() {
                thread::sleep(step);
            }
            guard
        });
        super::screen::clear();
        process::exit(i32::from(CANCELLED));
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        log::warn!("Ctrl-C ends the program at once: {error}");
    }
}

/// The flag, for work that can look at it itself.
pub(crate) fn flag() -> &'static AtomicBool {
    &WANTED
}

/// An error if the user asked to stop.
pub(crate) fn check() -> Result<(), Error> {
    if WANTED.load(Ordering::SeqCst) { Err(Error::Cancelled) } else { Ok(()) }
}

/// Until it is dropped, the first request to stop only raises the flag, and the work ends in its own time; the second one
/// ends the program as usual. For work whose steps are long and whose results are worth waiting for.
pub(crate) fn patience() -> Patience {
    PATIENT.store(true, Ordering::SeqCst);
    Patience
}

/// See [`patience`].
pub(crate) struct Patience;

impl Drop for Patience {
    fn drop(&mut self) {
        PATIENT.store(false, Ordering::SeqCst);
    }
}

/// Until it is dropped, the program does not end in the middle of what its caller does. Whoever holds it looks at
/// [`check`] every few milliseconds.
pub(crate) fn writing() -> RwLockReadGuard<'static, ()> {
    WRITING.read().unwrap_or_else(PoisonError::into_inner)
}
