//! A Vulkan adapter to test on.
//!
//! On Debian and its kin the tests use lavapipe, Mesa's Vulkan driver on the CPU, so that they mean the same on every
//! machine; it is installed if there is no adapter at all. Elsewhere they use the GPU at hand.

use std::path::Path;
use std::process::Command;

use crate::step::{run, succeeds};

/// Folders where drivers register with the Vulkan loader.
const DRIVERS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];
/// What the driver of lavapipe brings, with the loader.
const PACKAGES: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];

/// Makes sure that there is an adapter, where that can be done.
pub(crate) fn provide() -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        println!("==> adapter: the tests use the GPU of this machine");
        return Ok(());
    }
    if has_loader() && has_driver() {
        println!("==> adapter: a Vulkan loader and driver are installed");
        return Ok(());
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        println!(
            "==> adapter: no Vulkan driver was found, so the tests of the GPU side are skipped. \
             Your distribution has one for the CPU, too: Mesa's lavapipe"
        );
        return Ok(());
    }
    println!("==> adapter: no Vulkan driver was found; installing {} with apt-get", PACKAGES.join(" and "));
    println!(
        "    (lavapipe, which runs the GPU's shaders on the CPU; the tests need an adapter, the program does not)"
    );
    // The lists may be absent on a bare machine, or name packages that are gone.
    run("package lists", apt_get(&["update"])?.arg("--quiet"))?;
    run("install", apt_get(&["install", "--yes", "--quiet", "--no-install-recommends"])?.args(PACKAGES))
}

/// `apt-get` with the right to install.
pub(crate) fn apt_get(arguments: &[&str]) -> Result<Command, String> {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    let mut command = if is_root {
        Command::new("apt-get")
    } else if succeeds(Command::new("sudo").arg("--version")) {
        let mut command = Command::new("sudo");
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command
    } else {
        return Err(format!("neither root nor sudo: install {} yourself, then run this again", PACKAGES.join(" and ")));
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments);
    Ok(command)
}

fn has_driver() -> bool {
    let named = ["VK_ICD_FILENAMES", "VK_DRIVER_FILES"].iter().any(|name| std::env::var_os(name).is_some());
    let registered = |folder: &&str| {
        std::fs::read_dir(folder).is_ok_and(|mut entries| {
            entries.any(|entry| entry.is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "json")))
        })
    };
    named || DRIVERS.iter().any(registered)
}

fn has_loader() -> bool {
    // Not on every user's path.
    let listed = ["ldconfig", "/sbin/ldconfig"].iter().find_map(|program| {
        let output = Command::new(program).arg("-p").output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).contains("libvulkan.so.1"))
    });
    // Where nobody can say, the tests will.
    listed.unwrap_or(true)
}
