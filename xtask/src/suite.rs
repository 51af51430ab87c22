//! The steps of `cargo xtask test`.

use std::path::PathBuf;
use std::time::Instant;

use crate::step::{cargo, root, run};
use crate::toolchain::provide_component;
use crate::{adapter, ffi};

/// What CI runs of the library and the program, in order, up to the first failure.
pub(crate) fn run_all() -> Result<(), String> {
    let start = Instant::now();
    provide_component("fmt", "rustfmt")?;
    provide_component("clippy", "clippy")?;
    adapter::provide()?;
    match shared() {
        Some(folder) => println!("==> shared data: {}", folder.display()),
        None => println!(
            "==> shared data: neither POINTTPA_SHARED nor ../shared is there, \
             so the tests on larger recorded runs and on real scans skip themselves"
        ),
    }
    run("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    run("lints", &mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    ffi::header(&["--check"])?;
    // One build for both: the tier is chosen when a test runs.
    run("tests", &mut cargo(&["test", "--workspace"]))?;
    // Of the whole workspace, or the features would be others, and all would be built once more.
    let on_devices = ["test", "--workspace", "--lib", "--test", "goldens"];
    run("tests on the portable tier", cargo(&on_devices).env("POINTTPA_TIER", "portable"))?;
    println!("==> everything holds, after {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The folder of recorded runs and scans that are too large for this repository, where there is one.
fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("POINTTPA_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    folder.canonicalize().ok()
}
