//! Status codes, the message of the last failure, and the wall that no panic passes.

use crate::Error;
use std::{
    cell::RefCell,
    ffi::{CString, c_char},
    panic::{AssertUnwindSafe, catch_unwind},
};

/// How a call ended.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It did what it was to do.
    Ok = 0,
    /// An argument is null, of the wrong length, or out of its range.
    Argument = 1,
    /// A file cannot be read or written, or what is in it cannot be used.
    Input = 2,
    /// There is no such adapter, or it cannot be used.
    NoAdapter = 3,
    /// Memory ran out. The same handles can be used again, for less.
    OutOfMemory = 4,
    /// The GPU is gone: open a device anew.
    DeviceLost = 5,
    /// The caller asked to stop.
    Cancelled = 6,
    /// A fault of this library.
    Internal = 7,
}

/// Why a call fails.
pub(super) struct Failure {
    status: Status,
    message: String,
}

impl Failure {
    pub(super) fn argument(what: &str, problem: &str) -> Self {
        Self { status: Status::Argument, message: format!("{what} {problem}") }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Io { .. } | Error::Scan { .. } | Error::Model { .. } | Error::Weights { .. } => Status::Input,
            Error::Argument { .. } | Error::Diverged { .. } => Status::Argument,
            Error::NoAdapter { .. } | Error::Adapter { .. } => Status::NoAdapter,
            Error::OutOfMemory { .. } => Status::OutOfMemory,
            Error::DeviceLost { .. } => Status::DeviceLost,
            Error::Cancelled => Status::Cancelled,
            Error::Shape { .. } | Error::Refused { .. } => Status::Internal,
        };
        Self { status, message: error.to_string() }
    }
}

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Does what a C function is to do, and says how it ended.
pub(super) fn answer(body: impl FnOnce() -> Result<(), Failure>) -> Status {
    let outcome = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().map(ToString::to_string);
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Failure {
            status: Status::Internal,
            message: format!("this is a fault of pointtpa, please report it: {said}"),
        })
    });
    let (status, message) = match outcome {
        Ok(()) => (Status::Ok, String::new()),
        Err(failure) => (failure.status, failure.message),
    };
    LAST_ERROR.set(c_text(&message));
    status
}

/// Text for C, without the zeros that it may have inside.
pub(super) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

/// What went wrong in this thread's last call that returned a status, and what to do about it; empty if nothing did. It stays
/// valid until the thread's next such call.
#[unsafe(no_mangle)]
pub extern "C" fn pointtpa_last_error() -> *const c_char {
    LAST_ERROR.with_borrow(|message| message.as_ptr())
}

/// The version of the library, for example `0.1.0`.
#[unsafe(no_mangle)]
pub extern "C" fn pointtpa_version() -> *const c_char {
    const VERSION: &std::ffi::CStr =
        match std::ffi::CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => panic!("a version has no zero in it"),
        };
    VERSION.as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_error() -> String {
        LAST_ERROR.with_borrow(|message| message.to_string_lossy().into_owned())
    }

    #[test]
    fn a_panic_becomes_a_status_with_what_it_said() {
        assert_eq!(answer(|| panic!("the {} is missing", "floor")), Status::Internal);
        assert!(last_error().ends_with("please report it: the floor is missing"), "{}", last_error());
        assert_eq!(answer(|| Ok(())), Status::Ok);
        assert_eq!(last_error(), "");
    }

    #[test]
    fn each_thread_has_its_own_message() {
        answer(|| Err(Error::Cancelled.into()));
        std::thread::spawn(|| assert_eq!(last_error(), "")).join().unwrap();
        assert_eq!(last_error(), "cancelled");
    }
}
