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
fn every_format_has_the_labels_that_ply_has() {
    let bench = Bench::new();
    let input = bench.put("in.ply", TRIANGLE);
    bench.segment(&[&input], "out.ply", &[]).succeeds();
    let labels = scan::read(&bench.path("out.ply")).unwrap().cloud.labels.unwrap();
    for ending in ["ply.gz", "las", "laz", "csv", "csv.gz"] {
        bench.segment(&[&input], &format!("a.{ending}"), &[]).succeeds();
        let cloud = scan::read(&bench.path(&format!("a.{ending}"))).unwrap().cloud;
        assert_eq!(cloud.labels.as_ref(), Some(&labels), "{ending}");
        assert_eq!(cloud.colors.unwrap()[1], [40.0, 50.0, 60.0], "{ending}");
    }
    bench.segment(&[&input], "a.npy", &[]).succeeds();
    let numbers: Vec<u8> = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
    assert!(fs::read(bench.path("a.npy")).unwrap().ends_with(&numbers));
    let set = LabelSet::find(&bench.path("a.classes.json").display().to_string()).unwrap();
    assert_eq!(set.classes, LabelSet::rooms().classes, "what `--classes` takes");
    bench.segment(&[&input], "a.npz", &[]).succeeds();
    assert!(fs::read(bench.path("a.npz")).unwrap().starts_with(b"PK"));
}

#[test]
fn a_folder_is_written_in_the_format_asked_for() {
    let bench = Bench::new();
    fs::create_dir(bench.path("in")).unwrap();
    bench.put("in/a.ply", TRIANGLE);
    bench.put("in/b.xyz", "0 0 0 10 20 30\n0.5 0 0 40 50 60\n");
    let folder = bench.path("in").display().to_string();
    bench.segment(&[&folder], "out", &["--format", "laz"]).succeeds();
    assert_eq!(names(&bench.path("out")), ["a.classes.json", "a.laz", "b.classes.json", "b.laz"]);
    bench.segment(&[&folder], "out", &["--format", "e57"]).fails_with(2, "possible values: ply, ply.gz, las");
    bench.segment(&[&folder], "one.ply", &["--format", "csv"]).fails_with(2, "csv is asked for");
}

#[test]
fn classes_get_other_meanings_by_a_map() {
    let bench = Bench::new();
    let input = bench.put("in.ply", TRIANGLE);
    bench.segment(&[&input], "plain.ply", &[]).succeeds();
    let plain = scan::read(&bench.path("plain.ply")).unwrap().cloud.labels.unwrap();
    let first = LabelSet::rooms().class(plain[0]).unwrap().name.clone();
    let map = bench.put("map.json", format!("{{\"{first}\": {{\"id\": 77, \"name\": \"thing\", \"las\": 5}}}}"));
    let summary = bench.segment(&[&input], "out.laz", &["--class-map", &map, "--json"]).succeeds().json();
    assert_eq!((&summary["label_set"], &summary["unlabelled_points"]), (&"map".into(), &0.into()));
    let count = plain.iter().filter(|label| **label == plain[0]).count();
    let counted = summary["class_counts"].as_array().unwrap().iter().find(|class| class["id"] == 77).unwrap();
    assert_eq!((&counted["name"], &counted["count"]), (&"thing".into(), &count.into()));
    let expected: Vec<i32> = plain.iter().map(|label| if *label == plain[0] { 77 } else { *label }).collect();
    assert_eq!(scan::read(&bench.path("out.laz")).unwrap().cloud.labels, Some(expected.clone()));
    let codes: serde_json::Value = serde_json::from_slice(&fs::read(bench.path("out.classes.json")).unwrap()).unwrap();
    let row = codes.as_array().unwrap().iter().find(|row| row["id"] == 77).unwrap();
    assert_eq!(row["code"], 5);
    bench.segment(&[&input], "out.ply", &["--class-map", &map]).succeeds();
    let out = scan::read(&bench.path("out.ply")).unwrap();
    assert_eq!(out.classes().unwrap().class(77).unwrap().name, "thing");
    assert_eq!(out.cloud.labels, Some(expected));

    let dropped = bench.put("drop.json", format!("{{\"{first}\": null}}"));
    let summary = bench.segment(&[&input], "drop.ply", &["--class-map", &dropped, "--json"]).succeeds().json();
    assert_eq!(summary["unlabelled_points"], count);
    assert_eq!(scan::read(&bench.path("drop.ply")).unwrap().cloud.labels.unwrap()[0], -1);
    let wrong = bench.put("wrong.json", r#"{"chairs": null}"#);
    bench.segment(&[&input], "no.ply", &["--class-map", &wrong]).fails_with(1, "the nearest is `chair`");
    bench.segment(&[&input], "no.ply", &["--class-map", "no.json"]).fails_with(1, "cannot read no.json");
}

#[test]
fn features_are_written_of_models_with_and_without_a_head() {
    let bench = Bench::new();
    let input = bench.put("in.ply", TRIANGLE.replace("0 0.5 1 70", "nan 0.5 1 70"));
    let summary = bench.segment(&[&input], "out.npy", &["--features", "raw", "--json"]).succeeds().json();
    let channels = summary["feature_channels"].as_u64().unwrap() as usize;
    assert_eq!(summary["class_counts"].as_array().unwrap().len(), 0);
    let bytes = fs::read(bench.path("out.npy")).unwrap();
    let numbers =
        bytes[bytes.len() - 3 * channels * 4..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
    let rows: Vec<bool> = numbers.map(f32::is_nan).collect();
    assert!(rows[..2 * channels].iter().all(|is_nan| !is_nan) && rows[2 * channels..].iter().all(|is_nan| *is_nan));
    bench.segment(&[&input], "out.ply", &["--features", "pca"]).succeeds();
    let (before, after) = (scan::read(Path::new(&input)).unwrap(), scan::read(&bench.path("out.ply")).unwrap());
    assert_eq!(after.describe().properties, before.describe().properties);
    assert_eq!(after.cloud.colors.unwrap()[2], [128.0; 3], "grey has no voxel");
    // The backbone of a pretraining alone.
    let backbone = "tests/checkpoints/sonata.pth";
    bench.segment_with(backbone, &[&input], "no.ply", &[]).fails_with(1, "missing: seg_head.weight");
    let run = bench.segment_with(backbone, &[&input], "sonata.npy", &["--features", "raw"]).succeeds();
    assert!(!run.err.contains("at random"), "{}", run.err);
    bench.segment(&[&input], "out.npy", &["--features", "pca"]).fails_with(2, "ply is asked for");
    bench.segment(&[&input], "out.ply", &["--features", "pca", "--tta"]).fails_with(2, "cannot be used with");
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
        ("no/such/scan.ply", "there is no folder no/such. Check the name"),
        ("missing.ply", "there is no such file or folder. Check the name"),
    ] {
        let run = bench.segment(&[input], "out.ply", &[]);
        run.fails_with(1, message);
        assert!(run.err.contains(input), "{input} is not named: {}", run.err);
    }
    bench.segment(&[SCENE], "out.ply", &["--memory", "1M"]).fails_with(4, "--memory");
    bench.segment(&[SCENE], "no/out.ply", &[]).fails_with(1, "there is no folder");
    bench.segment(&[SCENE], "out.ply", &["--grid", "0"]).fails_with(2, "--grid");
    bench.segment_with(SCENE, &[SCENE], "out.ply", &[]).fails_with(1, "is a scan (PLY), not a model");
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
    let lines = resumed.json_lines();
    let files: Vec<&str> = lines.iter().map(|line| line["file"].as_str().unwrap()).collect();
    assert_eq!(files, [first, bad, last]);
    assert_eq!([0, 1, 2].map(|i| lines[i]["labelled_already"] == true), [true, false, true]);
    assert_eq!(lines[1]["points"], 3);
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
    bench.segment(&[&clash], "out.pcd", &[]).fails_with(2, "end it in ply, ply.gz, las");
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

#[test]
fn a_scan_that_does_not_fit_is_labelled_in_tiles_from_its_file() {
    let bench = Bench::new();
    // Twelve points where there was one: many points in few voxels, so that the file is what does not fit.
    let scene = scan::read(SCENE.as_ref()).unwrap().cloud;
    let many = |column: &Vec<[f32; 3]>| column.iter().flat_map(|row| [*row; 12]).collect::<Vec<[f32; 3]>>();
    let colors = scene.colors.as_ref().map(many);
    let large = PointCloud::new(many(&scene.positions), [0.0; 3], colors, None, None).unwrap();
    scan::write_cloud(&bench.path("large.ply"), &large, &LabelSet::rooms()).unwrap();
    let input = bench.path("large.ply").display().to_string();
    let run = bench.segment(&[&input], "out.ply", &["--memory", "40M", "--json"]);
    let result = run.succeeds().json();
    assert!(result["passes"].as_u64().unwrap() > 1, "{result}");
    assert_eq!(result["points"], large.len());
    let labelled = scan::read(&bench.path("out.ply")).unwrap().cloud;
    assert_eq!(labelled.positions, large.positions);
    let labels = labelled.labels.unwrap();
    assert!(labels.chunks_exact(12).all(|same| same.iter().all(|label| *label == same[0] && *label >= 0)));
    assert_eq!(bench.names(), ["large.ply", "out.ply"]);

    // By hand, in memory, and not at all.
    let passes = |output: &str, more: &[&str]| {
        let run = bench.segment(&[SCENE], output, &[&["--json"], more].concat());
        run.succeeds().json()["passes"].as_u64().unwrap()
    };
    assert!(passes("edge.ply", &["--tiles", "3"]) > 1);
    assert_eq!(passes("off.ply", &["--tiles", "off"]), 1);
    bench.segment(&[SCENE], "no.ply", &["--tiles", "0"]).fails_with(2, "auto, off or a length");
}
