//! The C programs of `examples/c` and `tests/c`, compiled, linked with the shared library, and run.
//!
//! `cargo xtask ffi` runs them under the address sanitizer and under valgrind, by `POINTTPA_CFLAGS` and `POINTTPA_RUNNER`.
#![cfg(unix)]

use pointtpa::{
    Device, SegmentOptions, Segmenter,
    model::bundled,
    scan::{self, LabelSet},
};
use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn scene() -> PathBuf {
    package().join("../assets/scenes/living_room.ply")
}

/// The folder with the shared library: cargo builds it before the tests, and lays it beside them.
fn libraries() -> PathBuf {
    env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// Words of an environment variable.
fn words(name: &str) -> Vec<String> {
    env::var(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Whether a program is there.
fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        println!("skipped: there is no {program}");
    }
    there
}

/// Compiles a C program, with every warning an error.
fn compile(source: &Path, to: &Path) {
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-g", "-I"]).arg(package().join("include"));
    cc.args(words("POINTTPA_CFLAGS")).arg(source).arg("-o").arg(to);
    cc.arg("-L").arg(libraries()).arg("-lpointtpa_c").arg(format!("-Wl,-rpath,{}", libraries().display()));
    succeeds(&cc.output().unwrap());
}

/// Runs a compiled program on the CPU, whose memory valgrind and the sanitizer see.
fn run(program: &Path, arguments: &[&Path]) -> Output {
    let mut runner = words("POINTTPA_RUNNER").into_iter();
    let mut command = runner.next().map_or_else(|| Command::new(program), Command::new);
    if command.get_program() != program {
        command.args(runner).arg(program);
    }
    command.args(arguments).env("POINTTPA_DEVICE", "cpu").output().unwrap()
}

fn succeeds(output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{:?}\n{out}\n{err}", output.status);
}

/// `class count` in lines, as the library has it.
fn expected() -> BTreeMap<String, usize> {
    let file = bundled::rooms().expect("the checkout brings its model").unwrap();
    let (segmenter, _) = Segmenter::open(&Device::cpu(), &file, None).unwrap();
    let cloud = scan::read(&scene()).unwrap().cloud;
    let found = segmenter.segment_blocking(&cloud, &SegmentOptions::default()).unwrap();
    let mut counts = BTreeMap::new();
    for label in found.labels {
        *counts.entry(LabelSet::rooms().class(label).unwrap().name.clone()).or_default() += 1;
    }
    counts
}

/// `class count` in lines, as a program printed it.
fn printed(output: &Output) -> BTreeMap<String, usize> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().map(|line| line.rsplit_once(' ').unwrap());
    lines.map(|(class, count)| (class.to_owned(), count.parse().unwrap())).collect()
}

#[test]
fn the_example_counts_the_classes_of_a_room_and_writes_its_labels() {
    if !has("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (program, labelled) = (folder.path().join("segment"), folder.path().join("labelled.ply"));
    compile(&package().join("../examples/c/segment.c"), &program);
    let output = run(&program, &[&scene(), &labelled]);
    succeeds(&output);
    assert_eq!(printed(&output), expected());
    let labels = scan::read(&labelled).unwrap().cloud.labels.unwrap();
    assert_eq!(labels.len(), expected().values().sum::<usize>());

    let missing = run(&program, &[Path::new("no/such/scan.ply")]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no/such/scan.ply"));
}

#[test]
fn misuse_is_answered_and_nothing_crashes() {
    if !has("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("misuse");
    compile(&package().join("tests/c/misuse.c"), &program);
    succeeds(&run(&program, &[]));
}

#[test]
fn cmake_builds_the_example() {
    if !has("cmake") || !has("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(package().join("../examples/c")).arg("-B").arg(folder.path());
    configure.arg(format!("-DPOINTTPA_LIBRARIES={}", libraries().display()));
    succeeds(&configure.output().unwrap());
    succeeds(&Command::new("cmake").arg("--build").arg(folder.path()).output().unwrap());
    let output = run(&folder.path().join("segment"), &[&scene()]);
    succeeds(&output);
    assert_eq!(printed(&output), expected());
}
