//! What a driver reports outside of any call.

use crate::Error;
use std::sync::{Arc, Mutex, PoisonError};

/// A report.
#[derive(Clone)]
pub(super) enum Fault {
    /// The GPU is gone.
    Lost(String),
    /// Memory was refused to something else than a tensor, which asks for its own (`Gpu::allocate`).
    OutOfMemory,
    /// A command was refused.
    Refused(String),
}

/// The first report of a device, shared with those who may make it. A device that has one is of no more use.
#[derive(Clone, Default)]
pub(super) struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    /// Notes a report. The first one is the cause; what follows are its consequences.
    pub(super) fn report(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
    }

    /// The report of an error that no call returned.
    pub(super) fn report_error(&self, error: &wgpu::Error) {
        log::debug!("{error}");
        self.report(match error {
            wgpu::Error::OutOfMemory { .. } => Fault::OutOfMemory,
            _ => Fault::Refused(error.to_string()),
        });
    }

    /// A test has its device back.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The report, as an error.
    pub(super) fn error(&self, out_of_memory: impl FnOnce() -> Error) -> Option<Error> {
        let fault = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        Some(match fault {
            Fault::Lost(reason) => Error::DeviceLost { reason },
            Fault::OutOfMemory => out_of_memory(),
            Fault::Refused(problem) => Error::Refused { problem },
        })
    }
}
