//! `cargo xtask platforms`: that everything still builds for the platforms that nobody here sits at.
//!
//! Rust's checks need no linker and no SDK of the platform. What a driver there is given is another question, which
//! `tests/shader_translation.rs` answers; a validator for one of its answers is installed here.

use std::path::Path;

use crate::adapter::apt_get;
use crate::step::{cargo, run};
use crate::toolchain::provide_target;

/// Targets, and what is checked for each: the program with all its features, or the library for those that embed it.
const PLATFORMS: [(&str, &[&[&str]]); 4] = [
    ("x86_64-pc-windows-gnu", &[PROGRAM]),
    ("aarch64-apple-darwin", &[PROGRAM]),
    ("aarch64-linux-android", &[LIBRARY, FORMATS]),
    // The module for browsers is a crate of its own, which `cargo xtask web` builds.
    ("wasm32-unknown-unknown", &[LIBRARY, FORMATS]),
];
const PROGRAM: &[&str] = &["--lib", "--bins"];
const LIBRARY: &[&str] = &["--lib", "--no-default-features"];
const FORMATS: &[&str] = &["--lib", "--no-default-features", "--features", "formats"];

pub(crate) fn check() -> Result<(), String> {
    provide_validator()?;
    for (target, checks) in PLATFORMS {
        provide_target(target)?;
        for what in checks {
            let check = ["check", "--locked", "--package", "pointtpa", "--target", target];
            run(target, &mut cargo(&[&check[..], what].concat()))?;
        }
    }
    run("shaders in the languages of drivers", &mut cargo(&["test", "--test", "shader_translation"]))
}

/// The validator of SPIR-V, where it can be installed; else the test does without, and says so.
fn provide_validator() -> Result<(), String> {
    if Path::new("/usr/bin/spirv-val").exists() || !Path::new("/usr/bin/apt-get").exists() {
        return Ok(());
    }
    println!("==> platforms: installing spirv-tools with apt-get, to validate what Vulkan drivers are given");
    run("package lists", apt_get(&["update"])?.arg("--quiet"))?;
    run("install", &mut apt_get(&["install", "--yes", "--quiet", "--no-install-recommends", "spirv-tools"])?)
}
