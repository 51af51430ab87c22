//! `pointtpa segment` on the CPU: what it writes, and how it fails.

mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use pointtpa::{LabelSet, PointCloud, scan};
use program::{Run, command, names, run};

const SCENE: &str = "assets/scenes/living_room.ply";
const TRIANGLE: &str = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n\
                        property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n\
                        0 0 0 10 20 30\n0.5 0 0 40 50 60\n0 0.5 1 70 80 90\n";

/// A folder of its own for one test.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).display().to_string()
    }

    fn names(&self) -> Vec<String> {
        names(self.0.path())
    }

    /// Segments on the CPU with the untrained model, into this folder.
    fn segment(&self, inputs: &[&str], output: &str, more: &[&str]) -> Run {
        self.segment_with(&model(), inputs, output, more)
    }

    fn segment_with(&self, model: &str, inputs: &[&str], output: &str, more: &[&str]) -> Run {
        let output = self.path(output).display().to_string();
        run(&[&["segment"], inputs, &["-o", &output, "--model", model, "--device", "cpu"], more].concat())
    }
}

/// An untrained model, made once.
fn model() -> String {
    static MODEL: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = MODEL.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors").display().to_string();
        run(&["init", "-o", &path, "--adapter", "low-rank", "--seed", "1"]).succeeds();
        folder
    });
    folder.path().join("model.safetensors").display().to_string()
}

#[test]
fn every_point_of_a_room_is_labelled_and_every_property_kept() {
    let bench = Bench::new();
    let summary = bench.segment(&[SCENE], "out.ply", &["--json"]).succeeds().json();
    let (before, after) = (scan::read(Path::new(SCENE)).unwrap(), scan::read(&bench.path("out.ply")).unwrap());
    assert_eq!(after.cloud.positions, before.cloud.positions);
    assert_eq!(after.cloud.colors, before.cloud.colors);
    assert_eq!(after.cloud.normals, before.cloud.normals);
    let labels = after.cloud.labels.as_ref().unwrap();
    assert!(labels.iter().all(|label| (0..21).contains(label)));
    assert_eq!(after.classes().unwrap().classes.len(), 21);
    let properties = after.describe().properties;
    assert_eq!(properties[10..], ["scalar_Classification:float", "confidence:float"]);

    assert_eq!(summary["points"].as_u64(), Some(labels.len() as u64));
    assert!(summary["voxels"].as_u64().unwrap() > 1000);
    assert_eq!(summary["skipped_points"], 0);
    assert!(summary["seconds"]["total"].as_f64().unwrap() > 0.0);
    assert!(summary["peak_memory_bytes"].as_u64().unwrap() > 1 << 20);
    let counts = summary["class_counts"].as_array().unwrap();
    assert_eq!(counts.iter().map(|class| class["count"].as_u64().unwrap()).sum::<u64>(), labels.len() as u64);
    for class in counts {
        let id = class["id"].as_i64().unwrap() as i32;
        assert_eq!(class["count"].as_u64().unwrap() as usize, labels.iter().filter(|label| **label == id).count());
    }
}

#[test]
fn recolored_points_have_the_colours_of_their_classes() {
    let bench = Bench::new();
    let input = bench.put("in.ply", TRIANGLE);
    bench.segment(&[&input], "out.ply", &["--recolor"]).succeeds();
    let after = scan::read(&bench.path("out.ply")).unwrap();
    let classes = after.classes().unwrap();
    for (label, color) in after.cloud.labels.unwrap().iter().zip(after.cloud.colors.unwrap()) {
        assert_eq!(color, classes.class(*label).unwrap().color.map(f32::from));
    }
}

#[test]
fn a_name_in_las_gives_las_and_a_table_of_its_codes() {
    let bench = Bench::new();
    let input = bench.put("in.ply", TRIANGLE.replace("0 0.5 1 70", "nan 0.5 1 70"));
    let summary = bench.segment(&[&input], "out.las", &["--json"]).succeeds().json();
    let warnings = summary["warnings"].to_string();
    assert!(warnings.contains("1 points without coordinates"), "{warnings}");
    let mut reader = las::Reader::from_path(bench.path("out.las")).unwrap();
    let points: Vec<_> = reader.read_all().unwrap().points().map(Result::unwrap).collect();
    assert_eq!(points.len(), 2);
    assert_eq!(points[1].color, Some(las::Color::new(40 * 257, 50 * 257, 60 * 257)));
    let codes: serde_json::Value = serde_json::from_slice(&fs::read(bench.path("out.classes.json")).unwrap()).unwrap();
    assert_eq!((&codes[1]["name"], &codes[1]["code"]), (&"floor".into(), &2.into()));
    for point in points {
        let code = u8::from(point.classification);
        let label = i32::from_le_bytes(point.extra_bytes[..4].try_into().unwrap());
        assert_eq!(codes[label as usize]["code"], code);
    }
    assert_eq!(bench.names(), ["in.ply", "out.classes.json", "out.las"]);
    let again = bench.segment(&[&input], "out.las", &["--resume", "--json"]).succeeds().json();
    assert_eq!((&again["file"], &again["labelled_already"]), (&input.as_str().into(), &true.into()));
    let other = bench.put("other.ply", TRIANGLE);
    bench.segment(&[&input, &other], "all.las", &[]).fails_with(2, "need a folder");
}

#[test]
fn standard_input_goes_to_standard_output() {
    let bench = Bench::new();
    let input = bench.put("in.ply", TRIANGLE);
    bench.segment(&[&input], "out.ply", &[]).succeeds();
    let piped: Run = command(&["segment", "-", "-o", "-", "--model", &model(), "--device", "cpu", "--json"])
        .stdin(fs::File::open(&input).unwrap())
        .output()
        .unwrap()
        .into();
    assert!(piped.succeeds().out == fs::read(bench.path("out.ply")).unwrap());
}

#[test]
fn unusual_scans_are_labelled_all_the_same() {
    let bench = Bench::new();
    let header = |points: usize, kind: &str| {
        format!(
            "ply\nformat ascii 1.0\nelement vertex {points}\nproperty {kind} x\nproperty {kind} y\nproperty {kind} z\nend_header\n"
        )
    };
    let far: Vec<String> = (0..50).map(|i| format!("{}.25 {}.5 1.125\n", 2000 + i, -3000 - i)).collect();
    for (name, text, labelled) in [
        ("one point", header(1, "float") + "1 2 3\n", vec![true]),
        ("one voxel", header(3, "float") + "1 1 1\n1.001 1 1\n1.002 1 1\n", vec![true; 3]),
        ("not finite", header(3, "float") + "nan 0 0\n1 1 1\n0 inf 0\n", vec![false, true, false]),
        ("far away", header(50, "double") + &far.concat(), vec![true; 50]),
    ] {
        let input = bench.put("in.ply", text);
        let summary = bench.segment(&[&input], "out.ply", &["--json"]).succeeds().json();
        let labels = scan::read(&bench.path("out.ply")).unwrap().cloud.labels.unwrap();
        assert_eq!(labels.iter().map(|label| *label >= 0).collect::<Vec<_>>(), labelled, "{name}");
        let skipped = labelled.iter().filter(|labelled| !**labelled).count() as u64;
        assert_eq!(summary["skipped_points"].as_u64(), Some(skipped), "{name}");
    }
}

#[test]
fn a_failure_says_why_and_leaves_no_file() {
    let bench = Bench::new();
    let scene = fs::read(SCENE).unwrap();
    let truncated = bench.put("truncated.ply", &scene[..scene.len() / 2]);
    let promises = bench.put("promises.ply", TRIANGLE.replace("vertex 3", "vertex 4"));
    let nowhere = bench
        .put("nowhere.ply", TRIANGLE.replace("vertex 3", "vertex 0").split_inclusive("end_header\n").next().unwrap());
    let before = bench.names();
    for (input, message) in [
        (truncated.as_str(), "byte"),
        (&promises, "line 14: the file ends after 3 of 4 `vertex` rows"),
        (&nowhere, "finite"),
        ("no/such/scan.ply", "cannot read"),
    ] {
        let run = bench.segment(&[input], "out.ply", &[]);
        run.fails_with(1, message);
        assert!(run.err.contains(input), "{input} is not named: {}", run.err);
    }
    bench.segment(&[SCENE], "out.ply", &["--memory", "1M"]).fails_with(4, "--memory");
    bench.segment(&[SCENE], "no/out.ply", &[]).fails_with(1, "there is no folder");
    bench.segment(&[SCENE], "out.ply", &["--grid", "0"]).fails_with(2, "--grid");
    bench.segment_with(SCENE, &[SCENE], "out.ply", &[]).fails_with(1, "no safetensors file");
    run(&["segment", SCENE, "-o", "x.ply", "--model", &model(), "--device", "no such"]).fails_with(3, "no such");
    assert_eq!(bench.names(), before);
}

#[test]
fn weights_that_do_not_fit_are_named() {
    let bench = Bench::new();
    let input = bench.put("in.ply", TRIANGLE);
    let renamed = |to: &str| {
        let mut bytes = fs::read(model()).unwrap();
        let name = b"\"seg_head.bias\"";
        let at = bytes.windows(name.len()).position(|window| window == name).unwrap() + 1;
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bench.put("changed.safetensors", bytes)
    };
    let unexpected = renamed("seg_head.bios");
    let run = bench.segment_with(&unexpected, &[&input], "out.ply", &[]);
    run.fails_with(1, "1 missing: seg_head.bias");
    assert!(run.err.contains("1 unexpected: seg_head.bios"), "{}", run.err);

    let missing = renamed("not_head.bias");
    bench.segment_with(&missing, &[&input], "out.ply", &[]).fails_with(1, "1 missing: seg_head.bias");
    assert!(!bench.path("out.ply").exists());
    let allowed = bench.segment_with(&missing, &[&input], "out.ply", &["--allow-missing", "--seed", "5"]).succeeds();
    assert!(allowed.err.contains("start at random: seg_head.bias"), "{}", allowed.err);
}

#[test]
fn a_batch_goes_on_after_a_bad_scan_and_resumes_where_it_stopped() {
    let bench = Bench::new();
    let (first, bad, last) =
        (bench.put("a.ply", TRIANGLE), bench.put("b.ply", "ply\nnonsense\n"), bench.put("c.ply", TRIANGLE));
    let run = bench.segment(&[&first, &bad, &last], "out", &[]);
    run.fails_with(1, "1 of 3 scans failed");
    assert_eq!(names(&bench.path("out")), ["a.ply", "c.ply"]);
    let folder = bench.0.path().display().to_string();
    fs::write(bench.path("b.ply"), TRIANGLE).unwrap();
    let resumed = bench.segment(&[&folder], "out", &["--resume", "--json"]).succeeds();
    let value = resumed.json();
    assert_eq!(value.as_array().unwrap().len(), 1);
    assert_eq!(value[0]["file"], bad);
    assert_eq!(names(&bench.path("out")), ["a.ply", "b.ply", "c.ply"]);
}

/// The scene with y up instead of z.
fn with_y_up(scene: &scan::Scan) -> PointCloud {
    let turned = |rows: &[[f32; 3]]| rows.iter().map(|[x, y, z]| [*x, *z, -y]).collect();
    let cloud = &scene.cloud;
    PointCloud { positions: turned(&cloud.positions), normals: cloud.normals.as_deref().map(turned), ..cloud.clone() }
}

#[test]
fn a_scan_with_y_up_is_turned_for_the_model_alone() {
    let bench = Bench::new();
    let scene = scan::read(Path::new(SCENE)).unwrap();
    let input = bench.path("y_up.ply");
    scan::write_cloud(&input, &with_y_up(&scene), &LabelSet::rooms()).unwrap();
    let input = input.display().to_string();
    bench.segment(&[SCENE], "expected.ply", &[]).succeeds();
    let value = bench.segment(&[&input], "out.ply", &["--up", "+y", "--json"]).succeeds().json();
    assert_eq!(value["up"], "+y");
    let [expected, out] = ["expected.ply", "out.ply"].map(|name| scan::read(&bench.path(name)).unwrap().cloud);
    assert_eq!(out.labels, expected.labels);
    assert_eq!(out.positions, scan::read(Path::new(&input)).unwrap().cloud.positions);
    let lying = bench.segment(&[&input], "lying.ply", &["--up", "-x"]).succeeds();
    assert!(!lying.err.contains("was turned") && !lying.err.contains("seems to point up"), "{}", lying.err);
    assert_ne!(scan::read(&bench.path("lying.ply")).unwrap().cloud.labels, expected.labels);
    bench.segment(&[&input], "no.ply", &["--up", "w"]).fails_with(2, "a direction is needed");
}

#[test]
fn a_scan_in_another_unit_is_scaled_for_the_model_alone() {
    // A power of two, so that nothing is rounded, and about as many as there are millimetres in a metre.
    const UNITS: f32 = 1024.0;
    let bench = Bench::new();
    let cloud = scan::read(Path::new(SCENE)).unwrap().cloud;
    let positions = cloud.positions.iter().map(|p| p.map(|v| UNITS * v)).collect();
    let large = PointCloud { positions, ..cloud };
    let input = bench.path("large.ply");
    scan::write_cloud(&input, &large, &LabelSet::rooms()).unwrap();
    let input = input.display().to_string();
    bench.segment(&[SCENE], "expected.ply", &[]).succeeds();
    let value = bench.segment(&[&input], "out.ply", &["--scale", "0.0009765625", "--json"]).succeeds().json();
    assert_eq!(value["scale"], 0.000_976_562_5);
    assert!(!value["warnings"].to_string().contains("millimetres"), "{}", value["warnings"]);
    let [expected, out] = ["expected.ply", "out.ply"].map(|name| scan::read(&bench.path(name)).unwrap().cloud);
    assert_eq!(out.labels, expected.labels);
    assert_eq!(out.positions, large.positions);
    let refused = bench.segment(&[&input], "no.ply", &[]);
    refused.fails_with(1, "`segment --scale 0.001` for millimetres");
    assert!(refused.err.contains("look like millimetres"), "{}", refused.err);
    bench.segment(&[&input], "no.ply", &["--scale", "-1"]).fails_with(2, "a factor is needed");
}

#[test]
fn two_runs_are_equal_byte_for_byte() {
    let bench = Bench::new();
    for output in ["first.ply", "second.ply"] {
        bench.segment(&[SCENE], output, &[]).succeeds();
    }
    assert!(fs::read(bench.path("first.ply")).unwrap() == fs::read(bench.path("second.ply")).unwrap());
}

#[test]
fn the_formats_of_a_folder_get_the_labels_that_ply_gets() {
    let bench = Bench::new();
    fs::create_dir(bench.path("scans")).unwrap();
    let header = "VERSION .7\nFIELDS x y z rgb\nSIZE 4 4 4 4\nTYPE F F F U\nWIDTH 3\nHEIGHT 1\nPOINTS 3\nDATA ascii\n";
    let packed = [(10 << 16) + (20 << 8) + 30, (40 << 16) + (50 << 8) + 60, (70 << 16) + (80 << 8) + 90];
    let pcd = format!("{header}0 0 0 {}\n0.5 0 0 {}\n0 0.5 1 {}\n", packed[0], packed[1], packed[2]);
    let scans = [
        ("a.ply", TRIANGLE.to_owned()),
        ("b.PCD", pcd),
        ("c.txt", "0 0 0 10 20 30\n0.5 0 0 40 50 60\n0 0.5 1 70 80 90\n".to_owned()),
        ("d.csv", "blue,green,red,z,y,x,time\n30,20,10,0,0,0,7\n60,50,40,0,0,0.5,8\n90,80,70,1,0.5,0,9\n".to_owned()),
        ("notes.txt", "not a scan\n".to_owned()),
    ];
    for (name, content) in &scans {
        bench.put(&format!("scans/{name}"), content);
    }
    let folder = bench.path("scans").display().to_string();
    bench.segment(&[&folder], "out", &[]).succeeds();
    assert_eq!(names(&bench.path("out")), ["a.ply", "b.ply", "c.ply", "d.ply"]);
    let read = |name: &str| scan::read(&bench.path("out").join(name)).unwrap();
    let of_ply = read("a.ply");
    for name in ["b.ply", "c.ply", "d.ply"] {
        assert_eq!(read(name).cloud, of_ply.cloud, "{name}");
    }
    assert!(read("d.ply").describe().properties.contains(&"time:int".to_owned()));
    let clash = bench.put("scans/a.pcd", "");
    bench.segment(&[&folder], "out", &[]).fails_with(2, "would both be written to");
    bench.segment(&[&clash], "out.pcd", &[]).fails_with(2, "written as PLY or LAS");
    bench.segment(&[&clash], "out.ply", &[]).fails_with(1, "PLY, PCD, LAS, LAZ, E57, NPY, NPZ and text (XYZ, CSV) can");
}

/// A `.npy` file of bytes or floats.
fn npy(descr: &str, rows: usize, columns: usize, numbers: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), numbers].concat()
}

#[test]
fn folders_of_arrays_are_scans_of_a_folder() {
    let bench = Bench::new();
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let coordinates = [0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.5, 1.0];
    let colors = [10u8, 20, 30, 40, 50, 60, 70, 80, 90];
    for scene in ["scans/scene0", "scans/scene1"] {
        fs::create_dir_all(bench.path(scene)).unwrap();
        bench.put(&format!("{scene}/coord.npy"), npy("<f4", 3, 3, &floats(&coordinates)));
        bench.put(&format!("{scene}/color.npy"), npy("|u1", 3, 3, &colors));
    }
    let rows: Vec<f32> = coordinates
        .chunks(3)
        .zip(colors.chunks(3))
        .flat_map(|(p, c)| p.iter().copied().chain(c.iter().map(|v| f32::from(*v))))
        .collect();
    bench.put("scans/table.npy", npy("<f4", 3, 6, &floats(&rows)));
    bench.put("scans/a.ply", TRIANGLE);
    let path = |name: &str| bench.path(name).display().to_string();
    bench.segment(&[&path("scans")], "out", &[]).succeeds();
    let expected = scan::read(&bench.path("out/a.ply")).unwrap().cloud;
    assert_eq!(names(&bench.path("out")), ["a.ply", "scene0.ply", "scene1.ply", "table.ply"]);
    for name in ["scene0.ply", "scene1.ply", "table.ply"] {
        assert_eq!(scan::read(&bench.path("out").join(name)).unwrap().cloud, expected, "{name}");
    }
    bench.segment(&[&path("scans/scene0/coord.npy")], "one.ply", &[]).succeeds();
    assert_eq!(scan::read(&bench.path("one.ply")).unwrap().cloud, expected);
    bench.segment(&[&path("scans/scene*")], "more", &[]).succeeds();
    assert_eq!(names(&bench.path("more")), ["scene0.ply", "scene1.ply"]);
    let info = run(&["info", &path("scans/scene0"), "--json"]).succeeds().json();
    assert_eq!((&info["format"], &info["points"]), (&"folder of npy".into(), &3.into()));
    run(&["render", &path("scans/scene1"), "-o", &path("picture.png")]).succeeds();
}
