//! `pointtpa eval` and `pointtpa render`, as users run them.

mod program;

use std::fs;
use std::path::Path;

use program::{names, run};

/// Two small labelled scans of a corner; the second has points to ignore and one that is nowhere.
fn data(folder: &Path) {
    for (name, extra) in [("a.ply", ""), ("b.ply", "nan 0 0 9 9 9 0\n0 0 0.5 9 9 9 -1\n")] {
        let mut rows = Vec::new();
        for i in 0..30 {
            for j in 0..30 {
                let (a, b) = (f64::from(i) / 32.0, f64::from(j) / 32.0);
                rows.push(format!("{a} {b} 0 120 80 40 1"));
                rows.push(format!("0 {a} {b} 200 200 200 0"));
            }
        }
        let count = rows.len() + extra.lines().count();
        let columns = "property float x\nproperty float y\nproperty float z\nproperty uchar red\nproperty uchar green\n\
                       property uchar blue\nproperty int label";
        let head = format!("ply\nformat ascii 1.0\nelement vertex {count}\n{columns}\nend_header\n");
        fs::write(folder.join(name), format!("{head}{}\n{extra}", rows.join("\n"))).unwrap();
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Width and height in a PNG file's header.
fn png_size(bytes: &[u8]) -> (u32, u32) {
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn scores_follow_from_the_labels_that_segment_gives() {
    let folder = tempfile::tempdir().unwrap();
    data(folder.path());
    let found = run(&["eval", "--data", &text(folder.path()), "--device", "cpu", "--json"]).succeeds().json();
    // The same labels, from `segment`, counted here.
    let out = folder.path().join("out");
    run(&["segment", &text(folder.path()), "-o", &format!("{}/", text(&out)), "--device", "cpu"]).succeeds();
    let (mut right, mut floor, mut taken_for_floor, mut all) = (0u32, 0u32, 0u32, 0u32);
    for name in ["a.ply", "b.ply"] {
        let truth = pointtpa::scan::read(&folder.path().join(name)).unwrap().cloud;
        let labels = pointtpa::scan::read(&out.join(name)).unwrap().cloud.labels.unwrap();
        for (i, (truth_of, label)) in truth.labels.as_ref().unwrap().iter().zip(labels).enumerate() {
            if *truth_of >= 0 && truth.is_finite(i) {
                all += 1;
                right += u32::from(label == *truth_of);
                floor += u32::from(*truth_of == 1);
                taken_for_floor += u32::from(label == 1);
            }
        }
    }
    assert_eq!((found["points"].as_u64(), found["ignored"].as_u64()), (Some(u64::from(all)), Some(1)));
    // The epsilon in the denominators is below 1e-12 of thousands of points.
    let close = |value: &serde_json::Value, expected: f64| (value.as_f64().unwrap() - expected).abs() < 1e-12;
    assert!(close(&found["all_acc"], f64::from(right) / f64::from(all)), "{found:#}");
    let row = &found["classes"][1];
    assert_eq!(
        (row["id"].as_u64(), row["name"].as_str(), row["points"].as_u64()),
        (Some(1), Some("floor"), Some(u64::from(floor)))
    );
    assert_eq!(row["predicted"].as_u64(), Some(u64::from(taken_for_floor)));
    let classes = found["classes"].as_array().unwrap();
    let mean = classes.iter().map(|class| class["iou"].as_f64().unwrap()).sum::<f64>() / classes.len() as f64;
    assert!(classes.len() == 21 && close(&found["miou"], mean));
    assert_eq!(found["classes_present"], 2);
    assert!(close(&found["miou_present"], mean * 21.0 / 2.0));
    assert!(!found["warnings"].to_string().contains("confidence"), "{found:#}");

    // What `segment` wrote is no truth: a model is right about all of it.
    let itself = run(&["eval", "--data", &text(&out), "--device", "cpu", "--json"]).succeeds();
    assert!(itself.err.contains("in a, b: this may compare a model with itself"), "{}", itself.err);
    assert!(close(&itself.json()["all_acc"], 1.0), "{}", itself.text());
}

#[test]
fn the_report_is_whole_and_keeps_to_itself() {
    let folder = tempfile::tempdir().unwrap();
    let (scans, report) = (folder.path().join("scans/val"), folder.path().join("report"));
    fs::create_dir_all(&scans).unwrap();
    data(&scans);
    let scans = text(&folder.path().join("scans"));
    let arguments = ["eval", "--data", &scans, "--device", "cpu", "--report", &text(&report), "--pictures", "1"];
    let table = run(&arguments).succeeds().text();
    assert!(table.contains("mIoU") && table.contains("floor") && table.contains("2 of 21 classes"), "{table}");
    assert_eq!(names(&report), ["confusion.csv", "confusion.png", "metrics.json", "per_class.csv", "report.html"]);

    let page = fs::read_to_string(report.join("report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    // The confusion matrix, and four pictures of one of the two scans.
    assert_eq!(page.matches("src=\"data:image/png;base64,iVBOR").count(), 1 + 4);
    for foreign in ["<script", "http:", "https:", "src=\"/", "<link"] {
        assert!(!page.contains(foreign), "{foreign} is in the page");
    }
    let csv = fs::read_to_string(report.join("confusion.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert!(rows.len() == 22 && rows.iter().all(|row| row.len() == 22));
    let metrics: serde_json::Value = serde_json::from_slice(&fs::read(report.join("metrics.json")).unwrap()).unwrap();
    let counted: u64 = rows[1..].iter().flat_map(|row| &row[1..]).map(|count| count.parse::<u64>().unwrap()).sum();
    assert_eq!(metrics["points"].as_u64(), Some(counted));
    let classes = fs::read_to_string(report.join("per_class.csv")).unwrap();
    assert!(classes.lines().nth(2).unwrap().starts_with("1,floor,0.") && classes.lines().count() == 22);
    let (width, height) = png_size(&fs::read(report.join("confusion.png")).unwrap());
    assert!(width > 1200 && height > 1200, "{width} {height}");
}

#[test]
fn views_are_added_up_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    data(folder.path());
    let found = run(&["eval", "--data", &text(folder.path()), "--device", "cpu", "--json", "--tta"]).succeeds().json();
    // A point every 3 cm in voxels of 2 cm: one fragment at scale 1; some voxels of the corner hold two.
    assert!(found["scenes"][0]["passes"].as_u64().unwrap() >= 13, "{found:#}");
    assert_eq!(found["tta"], true);
}

#[test]
fn what_cannot_be_evaluated_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&folder.path().join(name));
    let scene = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli_eval.rs");
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::create_dir(folder.path().join("outside")).unwrap();
    let bad = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n\
               property int label\nend_header\n0 0 0 77\n";
    fs::write(folder.path().join("outside/bad.ply"), bad).unwrap();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["eval", "--data", &path("none")], 1, "none"),
        (&["eval", "--data", &path("empty")], 1, "no scan"),
        (&["eval", "--data", &path("outside")], 1, "77"),
        (&["eval"], 2, "--data"),
        (&["eval", "--data", &path("empty"), "--report", &text(&scene)], 1, "cli_eval.rs"),
    ];
    for (arguments, code, message) in cases {
        run(arguments).fails_with(code, message);
    }
}

#[test]
fn a_scan_is_drawn_in_every_way() {
    let folder = tempfile::tempdir().unwrap();
    data(folder.path());
    let (scan, picture) = (text(&folder.path().join("b.ply")), text(&folder.path().join("b.png")));
    let mut seen = Vec::new();
    for more in [
        &["--color", "rgb"][..],
        &["--color", "label"],
        &["--color", "height", "--view", "top"],
        &["--color", "normal", "--view", "front", "--cut-ceiling"],
    ] {
        run(&[&["render", &scan, "-o", &picture, "--size", "160x120"], more].concat()).succeeds();
        let bytes = fs::read(&picture).unwrap();
        assert_eq!(png_size(&bytes), (160, 120));
        assert!(!seen.contains(&bytes), "{more:?} draws what another way did");
        seen.push(bytes);
    }
    run(&["render", &scan, "-o", &picture, "--size", "160"]).fails_with(2, "900x700");
    run(&["render", &picture, "-o", &format!("{picture}.png")]).fails_with(1, "no scan format");
    run(&["render", &scan, "-o", &scan]).fails_with(2, "OUT.png");
}
