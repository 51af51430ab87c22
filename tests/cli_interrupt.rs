//! Ctrl-C: the program ends within a quarter second with 130 and leaves no half file.

#![cfg(unix)]

mod program;

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use program::{command, names};

/// Interrupts a run after `delay`, and returns its exit code and how long it took to end.
fn interrupted(arguments: &[&str], delay: Duration) -> (Option<i32>, Duration) {
    let mut child = command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(delay);
    let asked = Instant::now();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let code = child.wait().unwrap().code();
    (code, asked.elapsed())
}

/// The promise is a quarter second; the rest is room for machines that run several tests at once.
const SOON: Duration = Duration::from_secs(2);

#[test]
fn a_model_half_written_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("base.safetensors").display().to_string();
    let (code, after) = interrupted(&["init", "--config", "base", "-o", &path], Duration::from_millis(300));
    assert_eq!(code, Some(130));
    assert!(after < SOON, "{after:?}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[test]
fn scenes_that_were_made_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rooms").display().to_string();
    let (code, after) = interrupted(&["synth", "--count", "100000", "-o", &out], Duration::from_millis(1500));
    assert_eq!(code, Some(130));
    assert!(after < SOON, "{after:?}");
    for name in names(&folder.path().join("rooms")) {
        assert!(name.starts_with("home_"), "{name}");
        pointtpa::scan::read(&folder.path().join("rooms").join(name)).unwrap();
    }
}

#[test]
fn a_scan_that_is_being_segmented_gives_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    program::run(&["init", "--config", "small", "--dtype", "f16", "-o", &path("model")]).succeeds();
    let scene = "assets/scenes/living_room.ply";
    let (out, model) = (path("out.ply"), path("model"));
    let arguments = ["segment", scene, "-o", &out, "--model", &model, "--device", "cpu"];
    let (code, after) = interrupted(&arguments, Duration::from_millis(700));
    assert_eq!(code, Some(130));
    assert!(after < SOON, "{after:?}");
    assert_eq!(names(folder.path()), ["model"]);
}

#[test]
fn a_batch_of_several_at_once_leaves_whole_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(path("scans")).unwrap();
    let scene = pointtpa::scan::read(Path::new("assets/scenes/living_room.ply")).unwrap().cloud;
    for index in 0..120 {
        std::fs::copy("assets/scenes/living_room.ply", path(&format!("scans/{index}.ply"))).unwrap();
    }
    program::run(&["init", "-o", &path("model")]).succeeds();
    let (scans, out, model) = (path("scans"), path("out"), path("model"));
    let arguments = ["segment", &scans, "-o", &out, "--model", &model, "--device", "cpu", "--jobs", "4"];
    // Each scan takes a tenth of a second and more on two cores: some are done by then, and many are not.
    let (code, after) = interrupted(&arguments, Duration::from_secs(1));
    assert_eq!(code, Some(130));
    assert!(after < SOON, "{after:?}");
    let written = names(Path::new(&out));
    assert!(written.len() < 120, "all was done before the interrupt");
    for name in written {
        let labelled = pointtpa::scan::read(&Path::new(&out).join(&name)).unwrap();
        assert_eq!(labelled.cloud.labels.unwrap().len(), scene.len(), "{name}");
    }
}
