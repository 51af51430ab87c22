//! `pointtpa bench`: the shape and sanity of what it prints; what it says when it cannot measure.

mod program;

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use program::{adapter, names, run};
use serde_json::Value;

const SMALL: [&str; 7] = ["bench", "--config", "rooms", "--runs", "2", "--quiet", "--device"];

fn bench(device: &str, more: &[&str]) -> program::Run {
    run(&[&SMALL[..], &[device], more].concat())
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("{key} is no number in {value:#}"))
}

/// Names, and the order in which the results are promised.
#[track_caller]
fn is_whole(report: &Value, counts: &[u64], adapter: &str) {
    let expected = ["device", "config", "adapter", "peak_gflops", "first_label_s", "runs", "geometry"];
    assert_eq!(keys(report), expected);
    assert_eq!((&report["config"], &report["adapter"]), (&"rooms".into(), &adapter.into()));
    assert!((0.1..1e6).contains(&number(report, "peak_gflops")) && number(report, "first_label_s") > 0.0);
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.iter().map(|run| run["voxels"].as_u64().unwrap()).collect::<Vec<_>>(), counts);
    for run in runs {
        let expected = [
            "voxels",
            "median_s",
            "min_s",
            "max_s",
            "forward_s",
            "pyramid_s",
            "peak_bytes",
            "weights_bytes",
            "bytes_per_voxel",
            "adapter_overhead",
            "stages",
            "kernels",
        ];
        assert_eq!(keys(run), expected);
        let seconds = ["min_s", "median_s", "max_s"].map(|key| number(run, key));
        assert!(seconds[0] > 0.0 && seconds.is_sorted(), "{seconds:?}");
        assert!(number(run, "forward_s") > 0.0 && number(run, "pyramid_s") > 0.0);
        let (peak, weights) = (number(run, "peak_bytes"), number(run, "weights_bytes"));
        // 2.8 million parameters.
        assert!((1e7..1.5e7).contains(&weights) && peak > weights, "{weights} {peak}");
        let above = number(run, "bytes_per_voxel") * number(run, "voxels");
        assert!((above - (peak - weights)).abs() < 1.0);
        match adapter {
            "none" => assert!(run["adapter_overhead"].is_null()),
            // Small scenes on a busy machine: only that it is a ratio.
            _ => assert!((-0.9..9.0).contains(&number(run, "adapter_overhead"))),
        }
    }
}

#[track_caller]
fn has_tables(report: &Value) {
    for run in report["runs"].as_array().unwrap() {
        let (stages, kernels) = (run["stages"].as_array().unwrap(), run["kernels"].as_array().unwrap());
        let stage_names: Vec<&str> = stages.iter().map(|row| row["name"].as_str().unwrap()).collect();
        let all = "pyramid embedding enc0 enc1 enc2 enc3 dec2 dec1 dec0 head labels";
        assert_eq!(stage_names.join(" "), all);
        for (rows, expected) in [
            (stages, &["name", "seconds", "share", "gflop", "gflops"][..]),
            (
                kernels,
                &["kernel", "variant", "entry", "calls", "seconds", "share", "gflop", "gflops", "bytes", "peak_share"],
            ),
        ] {
            assert!(rows.iter().all(|row| keys(row) == expected));
            let shares: f64 = rows.iter().map(|row| number(row, "share")).sum();
            assert!((shares - 1.0).abs() < 1e-9, "shares sum to {shares}");
        }
        let sum = |rows: &[Value], key: &str| rows.iter().map(|row| number(row, key)).sum::<f64>();
        assert!((sum(stages, "seconds") / sum(kernels, "seconds") - 1.0).abs() < 1e-9);
        assert!((sum(stages, "gflop") / sum(kernels, "gflop") - 1.0).abs() < 1e-6);
        let of = |names: &[&str]| -> Vec<&Value> {
            kernels.iter().filter(|row| names.iter().any(|name| row["kernel"] == *name)).collect()
        };
        // Where the CPU fuses a convolution with what follows it, the two are one row.
        let convolutions = ["subm_conv", "position_encoding"];
        for kernel in [&["linear"][..], &convolutions, &["patch_attention"], &["layer_norm"]] {
            let rows = of(kernel);
            assert!(!rows.is_empty(), "{kernel:?} is not in the table");
            assert!(rows.iter().all(|row| number(row, "gflop") > 0.0 && number(row, "bytes") > 0.0));
        }
        // Ten blocks, a quarter of the points from stage to stage, and of 27 offsets about a third present. Fused, a linear
        // layer adds an eighth to a tenth.
        let convolution: f64 = of(&convolutions).iter().map(|row| number(row, "gflop")).sum();
        let channels = |blocks: &[f64], share: f64| blocks.iter().map(|c| c * c).sum::<f64>() * share;
        let squares = channels(&[32.0, 32.0], 1.0)
            + channels(&[64.0, 64.0, 48.0], 1.0 / 4.0)
            + channels(&[96.0, 96.0, 64.0], 1.0 / 16.0)
            + channels(&[128.0, 128.0], 1.0 / 64.0);
        let offset = 2.0 * squares * number(run, "voxels") * 1e-9;
        assert!((5.0 * offset..18.0 * offset).contains(&convolution), "{convolution} of {offset} for each offset");
    }
}

#[test]
fn the_cpu_is_measured_and_the_chart_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("others.csv"), "label,voxels,seconds\nanother program,2000,0.5\n").unwrap();
    let (chart, others) = (path("time.svg"), path("others.csv"));
    let more = ["--voxels", "2000,4000", "--json", "--chart", &chart, "--compare", &others];
    let report = bench("cpu", &more).succeeds().json();
    is_whole(&report, &[2000, 4000], "low_rank");
    has_tables(&report);
    assert_eq!(report["geometry"], Value::Array(Vec::new()));
    assert!(report["device"].as_str().unwrap().starts_with("cpu"));
    let svg = fs::read_to_string(&chart).unwrap();
    assert!(svg.contains("<svg") && svg.contains("another program") && svg.contains("pointtpa, cpu"));
    assert_eq!(names(folder.path()), ["others.csv", "time.svg"]);
}

#[test]
fn an_adapter_is_measured() {
    let Some(name) = adapter() else { return };
    let report = bench(&name, &["--voxels", "800", "--json"]).succeeds().json();
    is_whole(&report, &[800], "low_rank");
    let run = &report["runs"][0];
    // An adapter without timestamps has no tables.
    if !run["kernels"].as_array().unwrap().is_empty() {
        has_tables(&report);
        assert!(run["kernels"].as_array().unwrap().iter().all(|row| row["variant"] != "twin"));
    }
}

#[test]
fn a_model_of_ones_own_is_measured_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.safetensors").display().to_string();
    run(&["init", "-o", &path, "--adapter", "basis-mix", "--dtype", "f16"]).succeeds();
    let arguments =
        ["bench", "--model", &path, "--voxels", "500", "--runs", "1", "--warmup", "0", "--device", "cpu", "--geometry"];
    let run = run(&arguments).succeeds();
    let text = run.text();
    for word in ["own.safetensors", "basis_mix", "Stages, 500 voxels", "Kernels, 500 voxels", "basis_mix", "million/s"]
    {
        assert!(text.contains(word), "{word} is not in:\n{text}");
    }
    assert_eq!(run.err.lines().filter(|line| line.starts_with("device: cpu")).count(), 1, "{}", run.err);
}

#[test]
fn without_an_adapter_there_is_no_overhead() {
    let report = bench("cpu", &["--voxels", "1", "--adapter", "none", "--warmup", "0", "--json"]).succeeds().json();
    is_whole(&report, &[1], "none");
}

#[test]
fn what_cannot_be_measured_is_said_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("bad.csv"), "label,voxels,seconds\nPyTorch,many,0.5\n").unwrap();
    let begun = Instant::now();
    for (arguments, code, message) in [
        (&["--voxels", "0"][..], 2, "a number of voxels is needed"),
        (&["--voxels", "1000,,2000"], 2, "a number of voxels is needed"),
        (&["--voxels", "1000;2000"], 2, "a number of voxels is needed"),
        (&["--voxels", "-5"], 2, ""),
        (&["--voxels", "99999999999"], 2, "a number of voxels is needed"),
        (&["--runs", "0"], 2, "a number of runs is needed"),
        (&["--config", "huge"], 2, "huge"),
        (&["--chart", "time.jpg"], 2, "ends in neither .png nor .svg"),
        (&["--chart", "time"], 2, "ends in neither .png nor .svg"),
        (&["--chart", &path("no/such/time.svg")], 1, "there is no folder"),
        (&["--compare", &path("bad.csv")], 2, "--chart"),
        (&["--chart", &path("a.svg"), "--compare", &path("bad.csv")], 1, "line 2: 'PyTorch,many,0.5'"),
        (&["--chart", &path("a.svg"), "--compare", &path("none.csv")], 1, "none.csv"),
        (&["--model", &path("none.safetensors")], 1, "none.safetensors"),
        (&["--model", "x", "--adapter", "none"], 2, "--adapter"),
        (&["--device", "no such adapter"], 3, "no GPU adapter matches 'no such adapter'"),
        (&["--memory", "1M", "--device", "cpu"], 4, "out of memory"),
    ] {
        let voxels = if arguments.contains(&"--voxels") { &[][..] } else { &["--voxels", "10"] };
        let config = if arguments.contains(&"--config") || arguments.contains(&"--model") {
            &[][..]
        } else {
            &["--config", "rooms"]
        };
        run(&[&["bench"], config, voxels, arguments].concat()).fails_with(code, message);
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "each of them waited for a measurement");
    assert_eq!(names(folder.path()), ["bad.csv"]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_measurement() {
    let arguments = ["bench", "--config", "rooms", "--voxels", "20000", "--runs", "10000", "--device", "cpu"];
    let mut child = program::command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let asked = Instant::now();
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    // A quarter second is promised; the rest is room for machines that run several tests at once.
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}
