//! Errors as the page shows them.

use pointtpa::Error;
use serde_json::json;
use wasm_bindgen::JsValue;

use crate::answer;

/// An error of the library, or of a call that came out of order.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: &'static str,
    message: String,
}

impl Failure {
    /// Something is asked for that needs `what` first.
    pub(crate) fn needs(what: &str) -> Self {
        Self { kind: "argument", message: format!("{what} first") }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Io { .. } | Error::Scan { .. } => "scan",
            Error::Model { .. } | Error::Weights { .. } | Error::Adapter { .. } => "model",
            Error::OutOfMemory { .. } | Error::Refused { .. } => "memory",
            Error::DeviceLost { .. } => "device-lost",
            Error::NoAdapter { .. } => "no-adapter",
            Error::Diverged { .. } => "diverged",
            Error::Argument { .. } | Error::Shape { .. } => "argument",
            _ => "other",
        };
        Self { kind, message: error.to_string() }
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        answer::object(&json!({"kind": failure.kind, "message": failure.message}))
    }
}
