//! The published configuration at full size: 109.6 million parameters over a room of more than 60,000 voxels, on the
//! CPU and on the adapter under test, within the memory a laptop has.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

mod program;
use program::{command, run};

const MIB: u64 = 1 << 20;

/// A fresh base model, and a synthetic room.
fn prepare(folder: &Path) -> (PathBuf, PathBuf) {
    let model = folder.join("base.safetensors");
    let init = [
        "init",
        "--config",
        "base",
        "--adapter",
        "basis-mix",
        "--classes",
        "scannet20",
        "--seed",
        "1",
        "--quiet",
        "-o",
    ];
    run(&[init.map(str::to_owned).as_slice(), &[model.display().to_string()]].concat()).succeeds();
    let rooms = folder.join("rooms").display().to_string();
    run(&["synth", "--count", "1", "--seed", "1", "--views", "walk", "--quiet", "-o", &rooms]).succeeds();
    (model, folder.join("rooms/home_0000.ply"))
}

/// The most memory the process has had in RAM so far, in bytes; Linux only.
fn resident_peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// Segments the room and checks what the process took, driver and code included.
fn completes_within(device: &str, limit: u64) {
    let folder = tempfile::tempdir().unwrap();
    let (model, room) = prepare(folder.path());
    let out = folder.path().join("out.ply");
    let budget = format!("{}M", limit / MIB);
    let [model, room, out] = [&model, &room, &out].map(|path| path.display().to_string());
    // At 3 cm this room has some 63,000 voxels.
    let arguments = [
        "segment", &room, "-o", &out, "--model", &model, "--grid", "0.03", "--device", device, "--memory", &budget,
        "--json", "--quiet",
    ];
    let mut child = command(&arguments)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut peak = 0;
    while child.try_wait().expect("the child can be asked").is_none() {
        peak = resident_peak(child.id()).map_or(peak, |resident| peak.max(resident));
        std::thread::sleep(Duration::from_millis(50));
    }
    let result = program::Run::from(child.wait_with_output().unwrap()).succeeds().json();
    let voxels = result["voxels"].as_u64().unwrap();
    assert!(voxels >= 60_000, "{voxels} voxels");
    println!(
        "{device}: {voxels} voxels, {} MiB of tensors, {} MiB resident",
        result["peak_memory_bytes"].as_u64().unwrap() / MIB,
        peak / MIB
    );
    if peak == 0 {
        println!("skipped: this system does not say how much memory a process takes");
    }
    assert!(peak < limit, "{} MiB resident, {} allowed", peak / MIB, limit / MIB);
    assert!(Path::new(&out).is_file());
}

#[test]
fn the_cpu_needs_at_most_two_and_a_half_gigabytes() {
    completes_within("cpu", 2500 * MIB);
}

#[test]
fn an_adapter_needs_at_most_four_gigabytes() {
    let Some(adapter) = program::adapter() else { return };
    completes_within(&adapter, 4000 * MIB);
}
