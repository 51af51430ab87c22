//! `cargo xtask web`: the browser's module and the page around it, as static files in `web/dist/`.

use std::path::PathBuf;
use std::process::Command;

use crate::step::{cargo, root, run};
use crate::toolchain::provide_target;

const TARGET: &str = "wasm32-unknown-unknown";

/// Builds everything that the page loads.
pub(crate) fn build() -> Result<(), String> {
    provide_target(TARGET)?;
    // With --target the flags are not those of build scripts. Every browser with WebGPU has SIMD, and the others since 2021.
    let module = ["build", "--release", "--locked", "--target", TARGET];
    run("module", in_web(cargo(&module)).env("RUSTFLAGS", "-C target-feature=+simd128"))?;
    let bindings = ["run", "--locked", "-p", "pointtpa-bundle", "--"];
    let paths = [folder().join("target").join(TARGET).join("release/pointtpa_web.wasm"), folder().join("pkg")];
    run("bindings", in_web(cargo(&bindings)).args(&paths))?;
    run("packages of the page", &mut npm(&["ci", "--no-audit", "--no-fund"]))?;
    run("smaller module", &mut npm(&["run", "--silent", "shrink"]))?;
    run("types of the page", &mut npm(&["run", "--silent", "typecheck"]))?;
    run("page", &mut npm(&["run", "--silent", "build"]))?;
    run("sizes", &mut npm(&["run", "--silent", "sizes"]))?;
    println!("==> {}: any host of files serves it", folder().join("dist").display());
    Ok(())
}

/// The workspace of the page.
fn folder() -> PathBuf {
    root().join("web")
}

fn in_web(mut command: Command) -> Command {
    command.current_dir(folder());
    command
}

/// `npm` with arguments, in the workspace of the page.
pub(crate) fn npm(arguments: &[&str]) -> Command {
    let mut command = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    command.args(arguments).current_dir(folder());
    command
}
