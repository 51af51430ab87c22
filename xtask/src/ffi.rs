//! `cargo xtask header` and `cargo xtask ffi`: the C side.

use std::path::Path;
use std::process::Command;

use crate::adapter::apt_get;
use crate::step::{cargo, run};

/// Writes `capi/include/pointtpa.h` from `src/ffi/`, or with `--check` compares them.
pub(crate) fn header(options: &[&str]) -> Result<(), String> {
    let make =
        ["run", "--quiet", "--locked", "--manifest-path", "capi/header/Cargo.toml", "--target-dir", "target/header"];
    run("header", &mut cargo(&[&make[..], &["--"], options].concat()))
}

/// Runs the C programs as they are, under the address sanitizer, and under valgrind.
pub(crate) fn check() -> Result<(), String> {
    header(&["--check"])?;
    let programs = ["test", "--workspace", "--test", "c"];
    run("C programs", &mut cargo(&programs))?;
    let sanitize = "-fsanitize=address,undefined -fno-sanitize-recover=all -O1";
    run("C programs with sanitizers", without_drivers(&mut cargo(&programs)).env("POINTTPA_CFLAGS", sanitize))?;
    if !Path::new("/usr/bin/valgrind").exists() && Path::new("/usr/bin/apt-get").exists() {
        println!("==> valgrind: installing it with apt-get");
        run("package lists", apt_get(&["update"])?.arg("--quiet"))?;
        let install = ["install", "--yes", "--quiet", "--no-install-recommends", "valgrind"];
        run("install", &mut apt_get(&install)?)?;
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Err("valgrind is not installed, so the programs did not run under it".into());
    }
    // Threads of a pool end with the process, and what they hold is reachable until then.
    let valgrind = "valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite";
    run("C programs under valgrind", without_drivers(&mut cargo(&programs)).env("POINTTPA_RUNNER", valgrind))
}

/// Mesa's drivers leak a little in every program that looks for adapters; the C programs compute on the CPU.
fn without_drivers(command: &mut Command) -> &mut Command {
    command.env("VK_DRIVER_FILES", "/dev/null").env("VK_ICD_FILENAMES", "/dev/null")
}
