//! `cargo xtask browsers`: what a user does on the page, in real browsers.

use std::path::Path;
use std::process::Command;

use crate::adapter::{self, apt_get};
use crate::step::{cargo, root, run, succeeds};
use crate::web::{build, npm};

/// Packages on Debian and its kin, the program that each is needed for, and what names another place of it. Firefox needs a
/// display, as it has no WebGL without a GPU when headless.
const PROGRAMS: [(&str, &str, Option<&str>); 4] = [
    ("chromium", "/usr/bin/chromium", Some("CHROMIUM")),
    ("firefox-esr", "/usr/bin/firefox-esr", Some("FIREFOX")),
    ("xvfb", "/usr/bin/xvfb-run", None),
    ("xauth", "/usr/bin/xauth", None),
];

/// The oldest Node that builds the page.
const NODE: (u32, u32) = (20, 19);

/// Builds the page and tests it: with an engine that can be made to fail, with the real one on the CPU, and on WebGPU in both browsers.
///
/// Without Node, which not every Rust programmer has, it says so and is content, unless it is `required`.
pub(crate) fn test(required: bool) -> Result<(), String> {
    if !has_node() {
        let problem = format!("there is no Node {}.{} or newer, so the page is not tested", NODE.0, NODE.1);
        println!("==> browsers: {problem}");
        return if required { Err(problem) } else { Ok(()) };
    }
    build()?;
    adapter::provide()?;
    provide()?;
    // The program that the labels are compared with, as `cargo test` has built it.
    run("program", &mut cargo(&["test", "--workspace", "--no-run", "--test", "cli"]))?;
    run("page with a stand-in", &mut npm(&["run", "--silent", "build:fake"]))?;
    run("flows with the stand-in", &mut npm(&["run", "--silent", "test:fake"]))?;
    let program = root().join("target/debug/pointtpa");
    let flows = |what, script| run(what, npm(&["run", "--silent", script]).env("POINTTPA", &program));
    flows("flows in Chromium, on the CPU", "test")?;
    flows("flows in Chromium, on SwiftShader", "test:swiftshader")?;
    flows("flows in Firefox, on lavapipe", "test:firefox")
}

fn has_node() -> bool {
    let output = Command::new("node").arg("--version").output();
    let version = output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let mut numbers = version.trim().trim_start_matches('v').split('.').map(str::parse::<u32>);
    let found = numbers.next().zip(numbers.next());
    matches!(found, Some((Ok(major), Ok(minor))) if (major, minor) >= NODE) && succeeds(npm(&[]).arg("--version"))
}

fn provide() -> Result<(), String> {
    let there = |program: &str, elsewhere: Option<&str>| {
        Path::new(program).exists() || elsewhere.is_some_and(|name| std::env::var_os(name).is_some())
    };
    let missing = PROGRAMS.iter().filter(|(_, program, elsewhere)| !there(program, *elsewhere));
    let missing: Vec<&str> = missing.map(|(package, ..)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing_words = missing.join(", ");
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!("install {missing_words}; CHROMIUM and FIREFOX name programs in other places"));
    }
    println!("==> browsers: installing {missing_words} with apt-get");
    run("package lists", apt_get(&["update"])?.arg("--quiet"))?;
    let install = ["install", "--yes", "--quiet", "--no-install-recommends", "--no-install-suggests"];
    run("install", apt_get(&install)?.args(missing))
}
