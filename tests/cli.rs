//! The command line: results, messages and exit codes of the commands that need no network.

mod program;

use std::fs;
use std::io::Read;
use std::process::Stdio;

use program::{command, names, run};

const SCENE: &str = "assets/scenes/living_room.ply";
const GOLDEN: &str = "tests/goldens/tiny_enc.safetensors";
const CHECKPOINT: &str = "tests/checkpoints/trainer.pth";
/// A checkpoint without a head.
const HEADLESS: &str = "tests/checkpoints/sonata.pth";

#[test]
fn help_names_the_commands_and_exit_codes() {
    let help = run(&["--help"]).succeeds().text();
    for word in [
        "segment",
        "check",
        "init",
        "convert",
        "info",
        "synth",
        "bench",
        "doctor",
        "train",
        "completions",
        "Exit codes",
        "--device",
        "--memory",
    ] {
        assert!(help.contains(word), "{word} is not in:\n{help}");
    }
    for subcommand in
        ["segment", "check", "init", "convert", "info", "synth", "bench", "doctor", "train", "completions"]
    {
        let help = run(&[subcommand, "--help"]).succeeds().text();
        assert!(help.contains("Example"), "{subcommand}: {help}");
    }
    assert!(run(&["--version"]).succeeds().text().starts_with("pointtpa "));
}

#[test]
fn there_is_a_manual_page_for_the_program_and_for_every_command() {
    let folder = tempfile::tempdir().unwrap();
    run(&["man".as_ref(), folder.path().as_os_str()]).succeeds();
    let pages = names(folder.path());
    for page in ["pointtpa.1", "pointtpa-segment.1", "pointtpa-doctor.1"] {
        assert!(pages.iter().any(|name| name == page), "{page} is none of {pages:?}");
    }
    let page = fs::read_to_string(folder.path().join("pointtpa-segment.1")).unwrap();
    assert!(page.contains("Label every point of scans"), "{page}");
}

#[test]
fn a_command_line_that_makes_no_sense_exits_with_2() {
    for arguments in [
        &["bogus"][..],
        &[],
        &["info"],
        &["info", SCENE, "--memory", "lots"],
        &["init", "-o", "x", "--config", "huge"],
        &["synth", "-o", "x", "--cell", "0"],
        &["segment", SCENE],
        &["check"],
        &["convert", CHECKPOINT],
    ] {
        let run = run(arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.err);
        assert!(run.out.is_empty());
    }
    run(&["init", "-o", "x", "--classes", "no-such-set"]).fails_with(2, "no built-in set `no-such-set`");
}

#[test]
fn info_of_a_scan_has_its_points() {
    let value = run(&["info", SCENE, "--json"]).succeeds().json();
    assert_eq!(value["kind"], "scan");
    let points = value["points"].as_u64().unwrap();
    assert!(points > 10_000);
    assert_eq!(value["elements"][0]["count"].as_u64(), Some(points));
    assert!(run(&["info", SCENE]).succeeds().text().contains(&points.to_string()));
}

#[test]
fn what_newcomers_confuse_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let (scene, none) = (folder.path().join("b.ply"), folder.path().join("none"));
    fs::copy(SCENE, &scene).unwrap();
    fs::create_dir(&none).unwrap();
    let output = folder.path().join("out").display().to_string();
    let advice = format!("Name a scan in it, for example {}", scene.display());
    run(&["info", &folder.path().display().to_string()]).fails_with(1, &advice);
    run(&["info", &none.display().to_string()]).fails_with(1, "is a folder, and `info` looks at one file");
    run(&["convert", SCENE, "-o", &output]).fails_with(1, "living_room.ply: is a scan (PLY), not a model. Give");
}

#[test]
fn info_warns_in_words_and_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("far.xyz").display().to_string();
    std::fs::write(&path, "0 0 0\n0 0 0\nnan 0 0\n3000 4000 2500\n").unwrap();
    let value = run(&["info", &path, "--json"]).succeeds().json();
    let codes: Vec<&str> = value["warnings"].as_array().unwrap().iter().map(|w| w["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["columns-unnamed", "not-finite", "no-colors", "millimetres", "duplicates"]);
    assert_eq!(value["warnings"][3]["advice"], "`segment --scale 0.001` makes metres of them");
    let text = run(&["info", &path]).succeeds().text();
    assert!(text.contains("look like millimetres: models expect metres. `segment --scale 0.001`"), "{text}");
}

#[test]
fn info_reads_standard_input() {
    for file in [SCENE, GOLDEN] {
        let input = fs::File::open(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let output = command(&["info", "-", "--json"]).stdin(input).output().unwrap();
        let piped: program::Run = output.into();
        let mut piped = piped.succeeds().json();
        let mut named = run(&["info", file, "--json"]).succeeds().json();
        piped["file"].take();
        named["file"].take();
        assert_eq!(piped, named);
    }
}

#[test]
fn bad_files_exit_with_1_and_say_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let scene = fs::read(SCENE).unwrap();
    fs::write(path("truncated.ply"), &scene[..scene.len() / 2]).unwrap();
    let text = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\nend_header\n0 0 0\n1 1 1\n";
    fs::write(path("promises.ply"), text).unwrap();
    fs::write(path("noise.ply"), b"\x00\x01\x02what").unwrap();
    fs::write(path("empty"), b"").unwrap();
    let golden = fs::read(GOLDEN).unwrap();
    fs::write(path("truncated.safetensors"), &golden[..golden.len() / 2]).unwrap();
    for (name, message) in [
        ("missing.ply", "cannot read"),
        ("truncated.ply", "byte"),
        ("promises.ply", "line 3: the header promises 3 `vertex` rows"),
        ("noise.ply", "no scan format"),
        ("empty", "the file is empty"),
        ("truncated.safetensors", "promises"),
    ] {
        let run = run(&["info", &path(name)]);
        run.fails_with(1, message);
        assert!(run.err.contains(name), "the file is not named: {}", run.err);
    }
    run(&["check", &path("missing.safetensors"), "--device", "cpu"]).fails_with(1, "missing.safetensors");
    run(&["check", SCENE, "--device", "cpu"]).fails_with(1, "living_room.ply");
}

#[test]
fn a_new_model_is_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors").display().to_string();
    for (adapter, name) in [("none", "none"), ("low-rank", "low_rank"), ("basis_mix", "basis_mix"), ("lora", "lora")] {
        let made = run(&["init", "-o", &path, "--adapter", adapter, "--dtype", "f16", "--json"]).succeeds().json();
        let info = run(&["info", &path, "--json"]).succeeds().json();
        assert_eq!(info["adapter"], name);
        assert_eq!(info["dtype"], "f16");
        assert_eq!(info["parameters"], made["parameters"]);
        assert_eq!(info["parameters"].as_u64().unwrap() * 2, info["weight_bytes"].as_u64().unwrap());
        assert_eq!(info["adapter_share"].as_f64().unwrap() > 0.0, adapter != "none");
        assert_eq!(info["classes"].as_array().unwrap().len(), 21);
        assert!(info["fault"].is_null());
    }
    assert_eq!(names(folder.path()), ["model.safetensors"]);
}

#[test]
fn a_seed_gives_one_model() {
    let model = |seed: &str| run(&["init", "-o", "-", "--seed", seed]).succeeds().out;
    let first = model("3");
    assert!(first == model("3"), "the same seed gave two models");
    assert!(first != model("4"), "two seeds gave one model");
}

#[test]
fn own_classes_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("pipes.json"), r#"[{"id":0,"name":"pipe","color":[1,2,3]},{"id":1,"name":"rest","color":[4,5,6]}]"#)
        .unwrap();
    run(&["init", "-o", &path("m.safetensors"), "--classes", &path("pipes.json")]).succeeds();
    let info = run(&["info", &path("m.safetensors"), "--json"]).succeeds().json();
    assert_eq!(info["classes"][0]["name"], "pipe");
    assert_eq!(info["label_set"], "pipes");
}

#[test]
fn a_checkpoint_becomes_a_model_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let output = path.to_str().unwrap();
    let arguments =
        ["convert", CHECKPOINT, "-o", output, "--licence", "CC0-1.0", "--grid", "0.05", "--dtype", "f16", "--json"];
    let told = run(&arguments).succeeds().json();
    assert_eq!(told["kind"], "a trainer's checkpoint");
    assert_eq!(told["taken"].as_array().map(Vec::len), Some(46));
    assert_eq!(told["missing"], serde_json::json!([]));
    assert!(told["left_out"].as_array().unwrap().contains(&"optimizer".into()), "{told}");
    let [direct, converted] = [CHECKPOINT, output].map(|file| run(&["info", file, "--json"]).succeeds().json());
    assert_eq!((&converted["fault"], &converted["dtype"]), (&serde_json::Value::Null, &"f16".into()));
    assert_eq!((&converted["licence"], &converted["grid_size"]), (&"CC0-1.0".into(), &0.05.into()));
    assert_eq!((&direct["config"], &direct["dtype"]), (&converted["config"], &"f32".into()));

    let text = run(&["convert", HEADLESS, "-o", output, "--classes", "scannet20"]).succeeds().text();
    for part in ["a backbone alone", "2: seg_head.weight, seg_head.bias", "20 (scannet20)", "pointtpa train --model"] {
        assert!(text.contains(part), "{text}");
    }
    let value = run(&["info", output, "--json"]).succeeds().json();
    assert!(value["fault"].as_str().unwrap().contains("2 missing: seg_head.weight"), "{value}");
    assert_eq!(value["label_set"], "scannet20");
    run(&["train", "--dry-run", "--model", output]).succeeds();
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let output = path.to_str().unwrap();
    let classes = ["convert", CHECKPOINT, "-o", output, "--classes", "rooms"];
    run(&classes).fails_with(2, "rooms has 21 classes, the head in tests/checkpoints/trainer.pth has 3");
    run(&["segment", SCENE, "-o", output, "--model", HEADLESS, "--device", "cpu"])
        .fails_with(1, "missing: seg_head.weight");
    let config = folder.path().join("config.json");
    fs::write(&config, "{\"num_classes\": 0}").unwrap();
    let arguments = ["convert", CHECKPOINT, "-o", output, "--config", config.to_str().unwrap()];
    run(&arguments).fails_with(2, "config.num_classes");
    let bytes = fs::read(CHECKPOINT).unwrap();
    let broken = folder.path().join("broken.pth");
    fs::write(&broken, &bytes[..bytes.len() / 2]).unwrap();
    run(&["convert", broken.to_str().unwrap(), "-o", output]).fails_with(1, "damaged zip archive");
    fs::write(&broken, "no checkpoint at all").unwrap();
    run(&["info", broken.to_str().unwrap()]).fails_with(1, "or a PyTorch checkpoint (.pth, .pt, .ckpt)");
    assert!(!path.exists());
}

#[test]
fn an_output_that_cannot_be_written_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    run(&["init", "-o", &path("no/such/folder/m.safetensors")]).fails_with(1, "there is no folder");
    run(&["init", "-o", &folder.path().display().to_string()]).fails_with(1, "cannot write");
    fs::write(path("file"), "").unwrap();
    run(&["synth", "-o", &path("file")]).fails_with(1, "file");
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn check_holds_on_a_golden_file() {
    let value = run(&["check", GOLDEN, "--device", "cpu", "--json"]).succeeds().json();
    assert_eq!(value["holds"], true);
    assert!(value["max_abs_logits"].as_f64().unwrap() < 1e-4);
    assert_eq!(value["argmax_agreement"].as_f64(), Some(1.0));
    let compared = value["compared"].as_array().unwrap();
    assert!(compared.len() > 20 && compared.iter().all(|row| row["holds"] == true));
    assert!(value["skipped"].as_array().unwrap().iter().all(|row| row["reason"].is_string()));

    let several = run(&["check", GOLDEN, GOLDEN, "--device", "cpu", "--json"]).succeeds().json();
    assert_eq!(several.as_array().unwrap().len(), 2);
    assert_eq!(several[1]["file"], GOLDEN);

    let text = run(&["check", GOLDEN, "--device", "cpu"]).succeeds().text();
    assert!(text.contains("out.logits") && text.contains("not compared") && text.contains("holds"), "{text}");
}

#[test]
fn check_says_what_does_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.safetensors");
    let mut bytes = fs::read(GOLDEN).unwrap();
    // Somewhere in the head's bias, by the place its header gives it.
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let table: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
    let at = 8 + header + table["seg_head.bias"]["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[at..at + 4].copy_from_slice(&100.0_f32.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let path = path.display().to_string();
    let run = run(&["check", &path, GOLDEN, "--device", "cpu", "--json"]);
    assert_eq!(run.code, Some(1), "{}", run.err);
    let value = run.json();
    assert_eq!((&value[0]["holds"], &value[1]["holds"]), (&false.into(), &true.into()));
    assert!(value[0]["max_abs_logits"].as_f64().unwrap() > 1.0);
}

#[test]
fn an_unknown_device_exits_with_3_and_names_those_there_are() {
    run(&["check", GOLDEN, "--device", "no such adapter"]).fails_with(3, "no GPU adapter matches 'no such adapter'");
}

#[test]
fn the_device_is_said_once_on_stderr_unless_quiet() {
    let loud = run(&["check", GOLDEN, "--device", "cpu"]).succeeds();
    assert_eq!(loud.err.lines().filter(|line| line.starts_with("device: cpu")).count(), 1, "{}", loud.err);
    assert!(!loud.text().contains("device:"));
    assert_eq!(run(&["check", GOLDEN, "--device", "cpu", "--quiet"]).succeeds().err, "");
}

#[test]
fn synthetic_rooms_are_labelled_scans() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rooms").display().to_string();
    let arguments =
        ["synth", "-o", &out, "--count", "1", "--val", "1", "--domain", "office", "--cell", "0.1", "--json"];
    let value = run(&arguments).succeeds().json();
    let scenes = value["scenes"].as_array().unwrap();
    assert_eq!(scenes.len(), 2);
    assert_ne!(scenes[0]["seed"], scenes[1]["seed"]);
    for scene in scenes {
        let info = run(&["info", scene["file"].as_str().unwrap(), "--json"]).succeeds().json();
        assert_eq!(info["points"], scene["points"]);
        assert!(info["labels"].as_array().unwrap().len() > 3);
    }
    assert_eq!(names(&folder.path().join("rooms")), ["train", "val"]);
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let mut child = command(&["info", SCENE, "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{err}");
    assert_eq!(err, "");
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(run(&["completions", shell]).succeeds().text().contains("pointtpa"), "{shell}");
    }
}

#[test]
fn serve_shows_a_folder_to_this_machine_and_misses_none_silently() {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpStream;
    use std::process::Stdio;

    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().display().to_string();
    run(&["serve", "--no-open", "--page", &page]).fails_with(1, "there is no page in");
    std::fs::write(folder.path().join("index.html"), "<p>a page</p>").unwrap();
    let mut server =
        command(&["serve", "--no-open", "--port", "0", "--page", &page]).stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let host = address.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let ask = |path: &str| {
        let mut stream = TcpStream::connect(&host).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let (found, absent, outside) = (ask("/"), ask("/absent"), ask("/../../../../etc/hostname"));
    let taken = run(&["serve", "--no-open", "--port", host.rsplit(':').next().unwrap(), "--page", &page]);
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(found.starts_with("HTTP/1.1 200") && found.ends_with("<p>a page</p>"), "{found}");
    assert!(found.to_lowercase().contains("content-type: text/html"), "{found}");
    assert!(absent.starts_with("HTTP/1.1 404"), "{absent}");
    assert!(outside.starts_with("HTTP/1.1 40"), "{outside}");
    taken.fails_with(1, "Choose another with --port");
}
