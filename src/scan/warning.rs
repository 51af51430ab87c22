//! What to look out for in a scan.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that a user should know of a scan, or of what was done with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// A short name for programs, in lower case with dashes: `millimetres`.
    pub code: String,
    /// What was found.
    pub message: String,
    /// What the user can do; empty where there is nothing to do.
    pub advice: String,
}

impl Warning {
    /// A warning of these parts.
    pub fn new(code: &str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), advice: advice.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, ". {}", self.advice) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_a_sentence_with_its_advice() {
        let warning = Warning::new("no-colors", "there are no colours", "Export them");
        assert_eq!(warning.to_string(), "there are no colours. Export them");
        assert_eq!(Warning { advice: String::new(), ..warning }.to_string(), "there are no colours");
    }
}
