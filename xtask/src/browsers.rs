//! `cargo xtask browsers`: what a user does on the page, in real browsers.

use std::path::Path;
use std::process::Command;

use crate::adapter::apt_get;
use crate::step::{cargo, run, succeeds};
use crate::web::{build, npm};

/// Its package on Debian and its kin, and where that puts it.
const CHROMIUM: (&str, &str) = ("chromium", "/usr/bin/chromium");

/// Builds the page and tests it, with the real engine and with one that can be made to fail.
///
/// Without Node, which not every Rust programmer has, it says so and is content.
pub(crate) fn test() -> Result<(), String> {
    if !has_node() {
        println!("==> browsers: there is no Node 20.19 or newer, so the page is not built and not tested");
        return Ok(());
    }
    build()?;
    provide(CHROMIUM)?;
    // The program that the labels are compared with.
    run("program", &mut cargo(&["build", "--release", "--bin", "pointtpa"]))?;
    run("page with a stand-in", &mut npm(&["run", "--silent", "build:fake"]))?;
    run("flows with the stand-in", &mut npm(&["run", "--silent", "test:fake"]))?;
    run("flows on the CPU", &mut npm(&["run", "--silent", "test"]))
}

fn has_node() -> bool {
    let output = Command::new("node").arg("--version").output();
    let version = output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let major = version.trim().strip_prefix('v').and_then(|numbers| numbers.split('.').next()?.parse().ok());
    major.is_some_and(|major: u32| major >= 20) && succeeds(npm(&[]).arg("--version"))
}

fn provide((package, program): (&str, &str)) -> Result<(), String> {
    if Path::new(program).exists() {
        return Ok(());
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!("install {package}, and name its program with CHROMIUM"));
    }
    run("package lists", apt_get(&["update"])?.arg("--quiet"))?;
    run(
        "install",
        apt_get(&["install", "--yes", "--quiet", "--no-install-recommends", package])?.arg("--no-install-suggests"),
    )
}
