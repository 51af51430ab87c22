//! `pointtpa train`: what is trained, runs that go on bit for bit, adapters over their base, and what is refused.

mod program;

use std::fs;
use std::path::Path;

use program::{Run, names, run, shared};
use serde_json::Value;

/// A folder with synthetic rooms, coarse enough for a few steps, and with a base model.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bench = Self { folder };
        run(&["synth", "-o", &bench.path("rooms"), "--count", "3", "--val", "1", "--cell", "0.06"]).succeeds();
        run(&["init", "-o", &bench.path("base.safetensors"), "--adapter", "none", "--dtype", "f16"]).succeeds();
        bench
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Trains on the rooms, on the CPU, with voxels of 10 cm.
    fn train(&self, output: &str, more: &[&str]) -> Run {
        let (data, output) = (self.path("rooms"), self.path(output));
        let arguments = ["train", "--data", &data, "-o", &output, "--grid", "0.1", "--device", "cpu", "--json"];
        run(&[&arguments[..], more].concat())
    }

    fn log(&self, run_dir: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join(run_dir).join("log.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join(name)).unwrap()
    }
}

/// The lines of one kind, without the time they took.
fn timeless(log: &[Value], kind: &str) -> Vec<Value> {
    let lines = log.iter().filter(|line| line["kind"] == kind).cloned();
    lines
        .map(|mut line| {
            line.as_object_mut().unwrap().remove("seconds");
            line
        })
        .collect()
}

#[test]
fn a_dry_run_counts_the_published_parameters() {
    let dry = |more: &[&str]| {
        let arguments = ["train", "--dry-run", "--json", "--config", "base", "--classes", "scannet20"];
        run(&[&arguments[..], more].concat()).succeeds().json()
    };
    let released = dry(&["--adapter", "basis-mix", "--train", "head"]);
    assert_eq!(released["trainable"], 1_177_564);
    assert_eq!(released["parameters"], 109_638_892);
    assert_eq!(released["groups"][0]["part"], "adapter");
    assert_eq!(released["groups"][0]["trainable"], 1_152_904);
    assert_eq!(released["groups"][1]["trainable"], 24_660);
    let low_rank = dry(&["--adapter", "low-rank", "--train", "head"]);
    assert!(low_rank["share"].as_f64().unwrap() < 0.02, "{low_rank}");
    let wider = dry(&["--adapter", "low-rank", "--train", "head", "--rank", "32", "--layers", "all"]);
    assert!(wider["trainable"].as_u64() > low_rank["trainable"].as_u64());
    assert_eq!(dry(&[])["share"], 1.0);
    let text = run(&["train", "--dry-run", "--config", "base", "--adapter", "basis-mix", "--train", "head"]);
    let text = text.succeeds().text();
    assert!(text.contains("1177564") && text.contains("1.074 %"), "{text}");
}

#[test]
fn a_run_that_was_stopped_gives_the_bits_of_one_that_was_not() {
    let bench = Bench::new();
    let base = bench.path("base.safetensors");
    let arguments = ["--model", &base, "--steps", "5", "--save-every", "2", "--val-every", "2", "--seed", "3"];
    let arguments = [&arguments[..], &["--licence", "CC0-1.0"]].concat();
    let whole = bench.train("whole.safetensors", &arguments).succeeds().json();
    assert_eq!((&whole["steps"], &whole["adapter_only"]), (&5.into(), &false.into()));
    assert!(whole["loss"].as_f64().unwrap().is_finite() && whole["miou"].is_number());
    assert!(whole["share"].as_f64().unwrap() < 0.02, "{whole}");
    let info = run(&["info", "--json", &bench.path("whole.safetensors")]).succeeds().json();
    assert_eq!(info["licence"], "CC0-1.0");
    let kept = ["checkpoint-000000004.safetensors", "checkpoint-000000005.safetensors", "curves.png", "log.jsonl"];
    assert_eq!(names(Path::new(&bench.path("whole.run"))), kept);
    let log = bench.log("whole.run");
    let kinds: Vec<&str> = log.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    let expected = ["start", "step", "step", "validation", "step", "step", "validation", "step", "validation"];
    assert_eq!(kinds, expected);

    // As if the program had been killed in step 5: the last checkpoint is of step 4, the log knows more.
    fs::create_dir(bench.path("again.run")).unwrap();
    for name in ["checkpoint-000000004.safetensors", "log.jsonl"] {
        fs::copy(bench.path(&format!("whole.run/{name}")), bench.path(&format!("again.run/{name}"))).unwrap();
    }
    let resumed = [&arguments[..], &["--resume"]].concat();
    let again = bench.train("again.safetensors", &resumed).succeeds();
    assert!(again.err.contains("going on after step 4 of 5"), "{}", again.err);
    assert!(bench.read("again.safetensors") == bench.read("whole.safetensors"), "the models differ");
    for kind in ["step", "validation"] {
        assert_eq!(timeless(&bench.log("again.run"), kind), timeless(&log, kind));
    }
    // Once it is done, going on only writes the model again.
    let before = bench.read("again.safetensors");
    fs::remove_file(bench.path("again.safetensors")).unwrap();
    bench.train("again.safetensors", &resumed).succeeds();
    assert!(bench.read("again.safetensors") == before, "the model changed");

    for (option, message) in [
        (["--lr", "0.002"], "lr (resume): was 0.001 and is 0.002"),
        (["--mix-prob", "0"], "recipe (resume)"),
        (["--adapter", "lora"], "(resume)"),
    ] {
        bench.train("again.safetensors", &[&resumed[..], &option[..]].concat()).fails_with(2, message);
    }
    bench.train("whole.safetensors", &arguments).fails_with(2, "holds a training run already");
    bench.train("other.safetensors", &resumed).fails_with(2, "holds no checkpoint");
}

#[test]
fn an_adapter_over_its_base_is_the_whole_model() {
    let bench = Bench::new();
    let base = bench.path("base.safetensors");
    let arguments = ["--model", &base, "--steps", "3", "--lr", "0.05", "--block-lr", "0.05"];
    bench.train("whole.safetensors", &arguments).succeeds();
    bench.train("adapter.safetensors", &[&arguments[..], &["--adapter-only"]].concat()).succeeds();
    assert!(bench.read("adapter.safetensors").len() * 20 < bench.read("whole.safetensors").len());
    let info = run(&["info", &bench.path("adapter.safetensors"), "--json"]).succeeds().json();
    assert_eq!((&info["kind"], &info["adapter"]), (&"adapter".into(), &"low_rank".into()));
    assert_eq!(info["base"]["name"], "base.safetensors");
    assert_eq!(info["grid_size"], 0.1);
    assert!(run(&["info", &bench.path("adapter.safetensors")]).succeeds().text().contains("SHA-256"));

    let scan = "assets/scenes/living_room.ply";
    let segment = |output: &str, model: &str, more: &[&str]| {
        let (output, model) = (bench.path(output), bench.path(model));
        run(&[&["segment", scan, "-o", &output, "--model", &model, "--device", "cpu"][..], more].concat())
    };
    let adapter = bench.path("adapter.safetensors");
    segment("one.ply", "whole.safetensors", &[]).succeeds();
    segment("two.ply", "base.safetensors", &["--adapter", &adapter]).succeeds();
    segment("base.ply", "base.safetensors", &["--grid", "0.1"]).succeeds();
    assert!(bench.read("one.ply") == bench.read("two.ply"), "the labels differ");
    assert!(bench.read("one.ply") != bench.read("base.ply"), "training changed nothing");

    // What the run found on its scans is what `eval` finds with the adapter over the base.
    let last = bench.log("whole.run").pop().unwrap();
    let (rooms, adapter_only) = (bench.path("rooms"), ["--adapter", &adapter]);
    let eval = ["eval", "--data", &rooms, "--model", &base, "--device", "cpu", "--json"];
    let scores = run(&[&eval[..], &adapter_only].concat()).succeeds().json();
    assert_eq!((&last["kind"], &last["miou"]), (&"validation".into(), &scores["miou"]));

    run(&["init", "-o", &bench.path("other.safetensors"), "--adapter", "none", "--seed", "1"]).succeeds();
    segment("x.ply", "other.safetensors", &["--adapter", &adapter]).fails_with(1, "`base.safetensors`");
    segment("x.ply", "adapter.safetensors", &[]).fails_with(1, "is an adapter, not a whole model");
    segment("x.ply", "base.safetensors", &["--adapter", &base]).fails_with(1, "a whole model goes to `--model`");
    let mut damaged = bench.read("adapter.safetensors");
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(bench.path("damaged.safetensors"), &damaged).unwrap();
    let damaged = bench.path("damaged.safetensors");
    segment("x.ply", "base.safetensors", &["--adapter", &damaged]).fails_with(1, "is damaged");
    assert!(!Path::new(&bench.path("x.ply")).exists());
}

#[test]
fn a_model_is_trained_from_scratch_on_own_classes() {
    let bench = Bench::new();
    let arguments = ["--config", "rooms", "--steps", "2", "--f16", "--loss", "ce", "--class-weights", "root"];
    let more = ["--schedule", "cosine", "--accumulate", "2", "--batch", "1"];
    bench.train("new.safetensors", &[&arguments[..], &more].concat()).succeeds();
    let info = run(&["info", &bench.path("new.safetensors"), "--json"]).succeeds().json();
    assert_eq!((&info["kind"], &info["dtype"], &info["adapter"]), (&"model".into(), &"f16".into(), &"none".into()));
    assert!(info["fault"].is_null());
    assert!(info["provenance"].as_str().unwrap().contains("from scratch as rooms: 2 steps on 3 scans"), "{info}");
    let log = bench.log("new.run");
    assert!(log.iter().filter(|line| line["kind"] == "step").all(|line| line["lovasz"] == 0.0));
    assert_eq!(log[0]["run"]["class_weights"].as_array().unwrap().len(), 21);
}

#[test]
fn what_cannot_be_trained_is_said_before_the_work() {
    let bench = Bench::new();
    let base = bench.path("base.safetensors");
    let with = |more: &[&str]| bench.train("x.safetensors", &[&["--model", &base][..], more].concat());
    with(&["--adapter", "basis-mix", "--rank", "4"]).fails_with(2, "rank: is a setting of lora, low_rank");
    with(&["--classes", "scannet20"]).fails_with(1, "label");
    with(&["--train", "full", "--adapter-only"]).fails_with(2, "--adapter-only");
    with(&["--class-weights", "1,2"]).fails_with(2, "2 weights for the 21 classes");
    with(&["--config", "rooms"]).fails_with(2, "cannot be used with");
    with(&["--epochs", "0"]).fails_with(2, "--epochs");
    bench.train("x.safetensors", &["--config", "base", "--train", "decoder"]).fails_with(2, "has no decoder");

    // A base that has another adapter, and one whose head is not as wide as it says.
    run(&["init", "-o", &bench.path("lora.safetensors"), "--adapter", "lora"]).succeeds();
    let lora = bench.path("lora.safetensors");
    bench
        .train("x.safetensors", &["--model", &lora, "--adapter", "low-rank"])
        .fails_with(1, "has an adapter already: lora");
    let mut bytes = bench.read("base.safetensors");
    let from = b"\\\"backbone_out_channels\\\":32";
    let at = bytes.windows(from.len()).position(|part| part == from).unwrap();
    bytes[at + from.len() - 1] = b'3';
    fs::write(bench.path("narrow.safetensors"), &bytes).unwrap();
    let narrow = bench.path("narrow.safetensors");
    bench.train("x.safetensors", &["--model", &narrow]).fails_with(1, "backbone_out_channels");

    let data = |folder: &str| {
        let (folder, output) = (bench.path(folder), bench.path("x.safetensors"));
        run(&["train", "--data", &folder, "-o", &output, "--model", &base, "--device", "cpu"])
    };
    data("nowhere").fails_with(1, "nowhere");
    fs::create_dir_all(bench.path("empty/train")).unwrap();
    data("empty").fails_with(1, "empty");
    fs::create_dir_all(bench.path("unlabelled/train")).unwrap();
    let cloud = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n0 0 0\n";
    fs::write(bench.path("unlabelled/train/a.ply"), cloud).unwrap();
    data("unlabelled").fails_with(1, "label");
    let left: Vec<String> = names(bench.folder.path()).into_iter().filter(|name| name.starts_with('x')).collect();
    assert_eq!(left, Vec::<String>::new(), "a refused run leaves nothing");
}

#[test]
fn a_run_that_diverges_says_where_and_keeps_its_checkpoint() {
    let bench = Bench::new();
    let base = bench.path("base.safetensors");
    let arguments = ["--model", &base, "--steps", "3", "--save-every", "1", "--val-every", "0"];
    bench.train("x.safetensors", &arguments).succeeds();

    // The run is at its second step again, with a parameter that is not a number.
    fs::remove_file(bench.path("x.run/checkpoint-000000003.safetensors")).unwrap();
    fs::remove_file(bench.path("x.safetensors")).unwrap();
    let name = "x.run/checkpoint-000000002.safetensors";
    let mut bytes = bench.read(name);
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let table: Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let at = 8 + header + table["parameter.seg_head.bias"]["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(bench.path(name), &bytes).unwrap();
    let run = bench.train("x.safetensors", &[&arguments[..], &["--resume"]].concat());
    run.fails_with(1, "training step 3: the loss is NaN. Lower --lr and --block-lr, or lower --clip");
    assert!(run.err.contains("The last checkpoint is") && run.err.contains(name), "{}", run.err);
    assert!(bench.read(name) == bytes && !Path::new(&bench.path("x.safetensors")).exists());
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_a_checkpoint_that_the_run_goes_on_from() {
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    let bench = Bench::new();
    let (data, output) = (bench.path("rooms"), bench.path("x.safetensors"));
    let base = bench.path("base.safetensors");
    let arguments = [
        "train",
        "--data",
        &data,
        "-o",
        &output,
        "--model",
        &base,
        "--grid",
        "0.1",
        "--device",
        "cpu",
        "--steps",
        "12",
        "--val-every",
        "0",
        "--save-every",
        "0",
        "--seed",
        "5",
    ];
    let whole = bench.path("whole.safetensors");
    let mut uninterrupted = arguments.to_vec();
    uninterrupted[4] = &whole;
    run(&uninterrupted).succeeds();

    let child = program::command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let log = bench.folder.path().join("x.run/log.jsonl");
    let start = Instant::now();
    let steps = || fs::read_to_string(&log).map_or(0, |text| text.matches("\"kind\":\"step\"").count());
    while steps() < 2 {
        assert!(start.elapsed() < Duration::from_secs(120), "no step was done");
        std::thread::sleep(Duration::from_millis(5));
    }
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let stopped: Run = child.wait_with_output().unwrap().into();
    if stopped.code == Some(0) {
        println!("skipped: the run was done before it could be stopped");
        return;
    }
    assert_eq!(stopped.code, Some(130), "{}", stopped.err);
    assert!(stopped.err.contains("The same command with `--resume` goes on from there"), "{}", stopped.err);
    assert!(!Path::new(&output).exists());
    let kept = names(&bench.folder.path().join("x.run"));
    assert_eq!(kept.iter().filter(|name| name.starts_with("checkpoint-")).count(), 1, "{kept:?}");
    assert!(kept.iter().all(|name| !name.starts_with(".pointtpa")), "{kept:?}");

    // A run can be ended before its time, and goes on all the same.
    let early = run(&[&arguments[..], &["--resume", "--finish", "--json"]].concat()).succeeds().json();
    let steps = early["steps"].as_u64().unwrap();
    assert!(steps > 0 && bench.read("x.safetensors") != bench.read("whole.safetensors"), "{early}");
    run(&[&arguments[..], &["--resume"]].concat()).succeeds();
    assert!(bench.read("x.safetensors") == bench.read("whole.safetensors"), "the models differ");
}

/// A model from outside this repository goes on with the adapter it has, and with no other.
#[test]
fn a_recorded_model_keeps_its_adapter() {
    let Some(path) = shared("goldens/tiny_enc.safetensors") else { return };
    let path = path.display().to_string();
    let arguments = ["train", "--dry-run", "--json", "--model", &path];
    let dry = run(&arguments).succeeds().json();
    assert_eq!((&dry["adapter"], dry["trainable"].as_u64()), (&"basis_mix".into(), Some(2715)));
    run(&[&arguments[..], &["--adapter", "lora"]].concat())
        .fails_with(1, "has an adapter already: basis_mix, not lora");
}
