//! Real scans that are not part of this repository: CPU and adapter agree, and every run gives the same bytes.

mod program;

use std::fs;
use std::path::Path;

use pointtpa::scan;
use program::{adapter, run, shared};

/// Where labels differ, two classes are equally likely within the rounding of the network.
const AGREEMENT: f64 = 0.999;

fn segment(input: &Path, output: &Path, model: &Path, device: &str) -> (Vec<u8>, Vec<i32>) {
    let [input, output, model] = [input, output, model].map(|path| path.display().to_string());
    run(&["segment", &input, "-o", &output, "--model", &model, "--device", device]).succeeds();
    let bytes = fs::read(&output).unwrap();
    let labels = scan::read(Path::new(&output)).unwrap().cloud.labels.unwrap();
    (bytes, labels)
}

fn agree(name: &str) {
    let Some(input) = shared(&format!("data/scans/{name}")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let model = path("model.safetensors");
    run(&["init", "-o", &model.display().to_string(), "--adapter", "low-rank", "--seed", "1"]).succeeds();
    let twice = |device: &str| {
        let (first, labels) = segment(&input, &path("out.ply"), &model, device);
        let (second, _) = segment(&input, &path("out.ply"), &model, device);
        assert!(first == second, "two runs on {device} differ");
        labels
    };
    let cpu = twice("cpu");
    assert!(cpu.iter().all(|label| *label >= 0));
    let Some(adapter) = adapter() else { return };
    let gpu = twice(&adapter);
    let equal = cpu.iter().zip(&gpu).filter(|(a, b)| a == b).count();
    let agreement = equal as f64 / cpu.len() as f64;
    println!("{name}: {equal} of {} labels agree", cpu.len());
    assert!(agreement >= AGREEMENT, "{name}: {agreement} of the labels agree");
}

#[test]
fn an_office_corner() {
    agree("region_growing_rgb_tutorial_zup_1cm.ply");
}

#[test]
fn an_office_wall() {
    agree("pcl_office1_zup_1cm.ply");
}
