//! `cargo xtask ablation`: builds the program and `examples/ablation.rs`, and lets the one run the other.

use crate::step::{self, cargo, root};

pub(crate) fn run(options: &[&str]) -> Result<(), String> {
    step::run("program", &mut cargo(&["build", "--release", "--bin", "pointtpa"]))?;
    let name = format!("pointtpa{}", std::env::consts::EXE_SUFFIX);
    let program = root().join("target/release").join(name);
    let program = program.to_str().ok_or("the checkout lies in a folder whose name is not readable")?;
    let example = ["run", "--release", "--example", "ablation", "--", program];
    step::run("ablation", &mut cargo(&[&example[..], options].concat()))
}
