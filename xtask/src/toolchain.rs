//! Parts of the Rust toolchain that minimal installations lack.

use std::path::Path;
use std::process::Command;

use crate::step::{cargo, root, run, succeeds};

/// A subcommand of cargo, from rustup where it is not there.
pub(crate) fn provide_component(subcommand: &str, component: &str) -> Result<(), String> {
    if succeeds(&mut cargo(&[subcommand, "--version"])) {
        return Ok(());
    }
    println!("==> {component} is missing; installing it with rustup");
    run(component, Command::new("rustup").args(["component", "add", component]).current_dir(root()))
}

/// The standard library of a target, from rustup where it is not there.
pub(crate) fn provide_target(target: &str) -> Result<(), String> {
    let mut libraries = Command::new("rustc");
    libraries.args(["--print", "target-libdir", "--target", target]).current_dir(root());
    let output = libraries.output().map_err(|error| format!("rustc: {error}"))?;
    if Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir() {
        return Ok(());
    }
    run(target, Command::new("rustup").args(["target", "add", target]).current_dir(root()))
}
