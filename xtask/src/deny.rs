//! `cargo xtask deny`: licences, known faults, duplicates and sources of all crates, by `deny.toml`.
//!
//! No part of CI: the tool takes minutes to compile, and fetches its list of known faults. `tests/dependencies.rs` checks in
//! every run what can be told without it.

use crate::step::{cargo, run};
use crate::tool;

/// `offline` uses the list of known faults that was fetched last.
pub(crate) fn check(offline: bool) -> Result<(), String> {
    tool::provide("deny")?;
    let arguments: &[&str] = if offline { &["deny", "--offline", "check"] } else { &["deny", "check"] };
    run("dependencies", &mut cargo(arguments))
}
