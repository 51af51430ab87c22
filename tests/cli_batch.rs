//! `pointtpa segment` on many scans: several at once, in parts, and what it prints of each.

mod program;

use std::fs;
use std::path::{Path, PathBuf};

use program::{Run, names, run};
use serde_json::Value;

/// A folder with a model that takes milliseconds, and scans.
struct Bench(tempfile::TempDir);

impl Bench {
    /// Scans `0.ply`, `1.ply`, ... of so many points, and others to fail.
    fn new(points: &[usize]) -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        run(&["init", "-o", &bench.path("model"), "--seed", "1"]).succeeds();
        fs::create_dir(bench.path("scans")).unwrap();
        for (index, points) in points.iter().enumerate() {
            fs::write(bench.path(&format!("scans/{index}.ply")), scan(*points)).unwrap();
        }
        bench
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// Labels the folder into `output`.
    fn segment(&self, output: &str, more: &[&str]) -> Run {
        let (scans, output, model) = (self.path("scans"), self.path(output), self.path("model"));
        run(&[&["segment", &scans, "-o", &output, "--model", &model, "--device", "cpu"], more].concat())
    }

    /// Names and contents of a folder's files.
    fn files(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let folder = PathBuf::from(self.path(folder));
        names(&folder).into_iter().map(|name| (name.clone(), fs::read(folder.join(name)).unwrap())).collect()
    }
}

/// A scan of so many points on a spiral; one of none is malformed.
fn scan(points: usize) -> String {
    if points == 0 {
        return "ply\nnonsense\n".to_owned();
    }
    let mut text = format!("ply\nformat ascii 1.0\nelement vertex {points}\n");
    text += "property float x\nproperty float y\nproperty float z\nend_header\n";
    let point = |i: usize| {
        let (t, height) = (i as f64 * 0.1, i as f64 * 0.001);
        format!("{:.3} {:.3} {height:.3}\n", t.cos() * t * 0.02, t.sin() * t * 0.02)
    };
    text.extend((0..points).map(point));
    text
}

/// The last part of a line's file.
fn name(line: &Value) -> &str {
    Path::new(line["file"].as_str().unwrap()).file_name().unwrap().to_str().unwrap()
}

/// What a line says, less what differs from run to run: times, memory, and the folder of the output.
fn lasting(mut line: Value) -> Value {
    for key in ["seconds", "peak_memory_bytes", "output"] {
        line.as_object_mut().unwrap().remove(key);
    }
    line
}

#[test]
fn files_and_lines_do_not_depend_on_how_many_scans_are_labelled_at_once() {
    // The first takes longest, so that others are done before it.
    let bench = Bench::new(&[1_500, 10, 0, 300, 20, 400]);
    let one = bench.segment("one", &["--json"]);
    one.fails_with(1, "1 of 6 scans failed:\n  ");
    let lines: Vec<Value> = one.json_lines();
    assert_eq!(lines.iter().map(name).collect::<Vec<_>>(), ["0.ply", "1.ply", "2.ply", "3.ply", "4.ply", "5.ply"]);
    assert_eq!(
        lines.iter().map(|line| line["points"].as_u64()).collect::<Vec<_>>(),
        [Some(1_500), Some(10), None, Some(300), Some(20), Some(400)]
    );
    let failed = lines[2].as_object().unwrap();
    assert_eq!(failed.keys().collect::<Vec<_>>(), ["file", "error", "code"]);
    assert_eq!(failed["code"], 1);
    let expected: Vec<Value> = lines.into_iter().map(lasting).collect();
    for jobs in ["2", "5", "100"] {
        let several = bench.segment(jobs, &["--json", "--jobs", jobs]);
        several.fails_with(1, "1 of 6 scans failed:\n  ");
        assert!(several.err.contains("[3/6] error: "), "{}", several.err);
        assert_eq!(several.json_lines().into_iter().map(lasting).collect::<Vec<_>>(), expected, "{jobs}");
        assert!(bench.files(jobs) == bench.files("one"), "{jobs}");
    }
    let texts = bench.segment("texts", &["--jobs", "3"]).text();
    let places = ["0.ply: 1500", "1.ply: 10", "3.ply: 300", "4.ply: 20", "5.ply: 400"].map(|part| texts.find(part));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{texts}");
    for wrong in ["0", "x", "1.5", "1025"] {
        bench.segment("one", &["--jobs", wrong]).fails_with(2, "--jobs");
    }
}

#[test]
fn scans_have_a_limited_memory_each_for_itself() {
    let bench = Bench::new(&[1_500; 3]);
    let peak = bench.segment("one", &["--json"]).succeeds().json_lines()[0]["peak_memory_bytes"].as_u64().unwrap();
    let memory = (peak + peak / 20).to_string();
    bench.segment("tight", &["--memory", &memory, "--tiles", "off"]).succeeds();
    bench.segment("several", &["--memory", &memory, "--tiles", "off", "--jobs", "3"]).succeeds();
    assert!(bench.files("several") == bench.files("one"));
    let less = bench.segment("less", &["--memory", &(peak / 2).to_string(), "--tiles", "off", "--jobs", "3"]);
    less.fails_with(4, "3 of 3 scans failed");
}

#[test]
fn shards_label_every_scan_once() {
    let bench = Bench::new(&[10, 20, 0, 40, 50, 60, 70]);
    bench.segment("all", &[]).fails_with(1, "1 of 7 scans failed");
    let mut told = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let part = bench.segment("parts", &["--shard", shard, "--json", "--jobs", "2"]);
        told.extend(part.json_lines().iter().map(|line| name(line).to_owned()));
    }
    assert_eq!(told, ["0.ply", "3.ply", "6.ply", "1.ply", "4.ply", "2.ply", "5.ply"]);
    assert!(bench.files("parts") == bench.files("all"));

    // What is labelled already does not move the others into other shards.
    fs::remove_file(bench.path("parts/3.ply")).unwrap();
    fs::remove_file(bench.path("parts/4.ply")).unwrap();
    let resumed = bench.segment("parts", &["--shard", "1/3", "--resume", "--json"]).succeeds();
    let done: Vec<bool> = resumed.json_lines().iter().map(|line| line["labelled_already"] == true).collect();
    assert_eq!(done, [true, false, true]);
    assert!(!Path::new(&bench.path("parts/4.ply")).exists());

    let empty = bench.segment("empty", &["--shard", "8/8", "--json"]).succeeds();
    assert_eq!(empty.text(), "");
    assert!(empty.err.contains("shard 8/8: 0 of 7 scans"), "{}", empty.err);
    for wrong in ["0/3", "4/3", "1", "1/0"] {
        bench.segment("parts", &["--shard", wrong]).fails_with(2, "1/4 to 4/4");
    }
}
