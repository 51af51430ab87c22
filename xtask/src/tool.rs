//! Subcommands of cargo that come from crates.io.

use crate::step::{cargo, run, succeeds};

/// `cargo NAME`, compiled and installed where it is not there, which takes some minutes.
pub(crate) fn provide(name: &str) -> Result<(), String> {
    if succeeds(&mut cargo(&[name, "--version"])) {
        return Ok(());
    }
    println!("==> cargo-{name} is missing; installing it from crates.io");
    run(name, &mut cargo(&["install", "--locked", &format!("cargo-{name}")]))
}
