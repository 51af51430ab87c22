//! Errors to exit codes.

use pointtpa::Error;

/// Why a command failed, and the exit code that says so.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    /// Empty if everything has been said.
    pub(crate) message: String,
}

pub(crate) const BAD_INPUT: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const NO_ADAPTER: u8 = 3;
pub(crate) const OUT_OF_MEMORY: u8 = 4;
pub(crate) const DEVICE_LOST: u8 = 5;
pub(crate) const CANCELLED: u8 = 130;

/// What a command gives.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A command line that makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into() }
    }

    /// Whether what comes next would fail for the same reason.
    pub(crate) fn ends_the_batch(&self) -> bool {
        matches!(self.code, NO_ADAPTER | DEVICE_LOST | CANCELLED)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Argument { .. } => USAGE,
            Error::NoAdapter { .. } | Error::Adapter { .. } => NO_ADAPTER,
            Error::OutOfMemory { .. } => OUT_OF_MEMORY,
            Error::DeviceLost { .. } | Error::Refused { .. } => DEVICE_LOST,
            Error::Cancelled => CANCELLED,
            _ => BAD_INPUT,
        };
        Self { code, message: error.to_string() }
    }
}
