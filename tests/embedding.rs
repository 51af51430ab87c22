//! What someone does who embeds the library: a new crate in an empty folder, ten lines, without the default features.

use pointtpa::{Device, SegmentOptions, Segmenter, model::bundled, scan};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Dependencies as the tests have them, so that they are not built a second time.
const MANIFEST: &str = r#"
[package]
name = "pointtpa-embedded"
edition = "2024"

[workspace]

[dependencies]
pointtpa = { path = 'REPOSITORY', default-features = false }

[profile.dev]
opt-level = 3
debug-assertions = true
overflow-checks = true
debug = "line-tables-only"
"#;

const MAIN: &str = r#"use pointtpa::{Device, SegmentOptions, Segmenter, model::bundled, scan};

fn main() -> pointtpa::Result<()> {
    let file = bundled::rooms().expect("the checkout brings its model")?;
    let (segmenter, _) = Segmenter::open(&Device::cpu(), &file, None)?;
    let scan = scan::read(std::env::args().nth(1).unwrap().as_ref())?;
    let found = segmenter.segment_blocking(&scan.cloud, &SegmentOptions::default())?;
    println!("{:?}", found.labels);
    Ok(())
}
"#;

#[test]
#[ignore = "it builds every dependency once more, which takes minutes: cargo test --test embedding -- --ignored"]
fn ten_lines_in_a_new_crate_segment_a_room() {
    let Some(file) = bundled::rooms() else { return println!("skipped: this checkout has no bundled model") };
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    fs::write(folder.path().join("src/main.rs"), MAIN).unwrap();
    fs::write(folder.path().join("Cargo.toml"), MANIFEST.replace("REPOSITORY", env!("CARGO_MANIFEST_DIR"))).unwrap();
    fs::copy(repository.join("Cargo.lock"), folder.path().join("Cargo.lock")).unwrap();

    let scene = repository.join("assets/scenes/living_room.ply");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["run", "--quiet", "--offline"]).current_dir(folder.path()).env("CARGO_TARGET_DIR", target());
    let run = cargo.arg("--").arg(&scene).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    let cloud = scan::read(&scene).unwrap().cloud;
    let (segmenter, _) = Segmenter::open(&Device::cpu(), &file.unwrap(), None).unwrap();
    let found = segmenter.segment_blocking(&cloud, &SegmentOptions::default()).unwrap();
    // The same device gives the same bits, whatever the features.
    assert_eq!(String::from_utf8_lossy(&run.stdout).trim(), format!("{:?}", found.labels));
}

/// The folder that these tests were built in.
fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // <target>/<profile>/deps/<test>
    test.ancestors().nth(3).unwrap().to_owned()
}
