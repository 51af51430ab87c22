//! The rules that `build.rs` holds the shaders to: each breach must fail the build with a message that names it.

#![allow(unreachable_pub, dead_code, missing_docs, reason = "the build script is compiled here as a module")]

#[path = "../build.rs"]
mod build;

use std::{fs, path::Path};

/// Runs the generator over one shader and one Rust file.
fn generate(permutations: &str, shader: &str, with_rust_file: bool) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let (shaders, kernels) = (folder.path().join("shaders"), folder.path().join("kernels"));
    fs::create_dir_all(shaders.join("shared")).unwrap();
    fs::create_dir_all(&kernels).unwrap();
    fs::write(shaders.join("permutations"), permutations).unwrap();
    fs::write(shaders.join("double.wgsl"), shader).unwrap();
    fs::write(shaders.join("shared/twice.wgsl"), "fn twice(x: f32) -> f32 { return FACTOR * x; }").unwrap();
    if with_rust_file {
        fs::write(kernels.join("double.rs"), "").unwrap();
    }
    build::generate(&shaders, &kernels)
}

const GOOD: &str = "#import twice
struct Params { n: u32, scale: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
#ifdef SHIFT
const OFFSET: f32 = 1.0;
#else
const OFFSET: f32 = 0.0;
#endif
const FACTOR: f32 = 2.0;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < params.n { out[id.x] = twice(x[id.x]) * params.scale + OFFSET; }
}
";
const PERMUTATIONS: &str = "double plain\ndouble shifted SHIFT # a comment\n";

#[test]
fn a_good_shader_is_reflected() {
    let table = generate(PERMUTATIONS, GOOD, true).unwrap();
    assert!(table.contains("pub(crate) static PLAIN") && table.contains("pub(crate) static SHIFTED"));
    assert!(table.contains(r#"Field { name: "scale", kind: "f32", offset: 4 }"#));
    assert!(table.contains("Binding { index: 1, writes: false }, Binding { index: 2, writes: true }"));
    assert!(table.contains("workgroup: [64, 1, 1]"));
}

#[test]
fn every_breach_is_named() {
    let with = |from: &str, to: &str| GOOD.replace(from, to);
    let breaches = [
        (generate(PERMUTATIONS, GOOD, false), "has no Rust file src/kernels/double.rs"),
        (generate("other plain", GOOD, true), "has no line in shaders/permutations"),
        (generate("double", GOOD, true), "shaders/permutations:1"),
        (generate(PERMUTATIONS, &with("x[id.x]", "y[id.x]"), true), "shaders/double.wgsl:14"),
        (generate(PERMUTATIONS, &with("#endif", ""), true), "#ifdef without #endif"),
        (generate(PERMUTATIONS, &with("#import twice", "#include twice"), true), "unknown directive #include"),
        (generate(PERMUTATIONS, &with("#import twice", "#import thrice"), true), "shared/thrice.wgsl"),
        (
            generate(PERMUTATIONS, &with("scale: f32 }", "scale: f32, extra: vec2<u32> }"), true),
            "must be u32, i32 or f32",
        ),
        (generate(PERMUTATIONS, &with("workgroup_size(64)", "workgroup_size(512)"), true), "at most 256 are portable"),
        (generate(PERMUTATIONS, &with("@group(0) @binding(2)", "@group(1) @binding(2)"), true), "from binding 1"),
    ];
    for (i, (result, message)) in breaches.into_iter().enumerate() {
        let error = result.expect_err(&format!("breach {i} must fail"));
        assert!(error.contains(message), "breach {i}: {error}");
    }
}

#[test]
fn the_projects_own_table_is_complete() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(build::generate(&root.join("shaders"), &root.join("src/kernels")).is_ok());
}

/// On the adapter that `POINTTPA_TEST_DEVICE` names, else on the best there is.
#[test]
fn an_adapter_takes_every_permutation() {
    use pointtpa::device::{Device, DeviceChoice, DeviceOptions};

    let named = std::env::var("POINTTPA_TEST_DEVICE").ok();
    let choice = DeviceChoice::Named(named.clone().unwrap_or_default());
    match Device::open_blocking(DeviceOptions { choice, ..DeviceOptions::default() }) {
        Ok(device) => {
            let compiled = pollster::block_on(device.compile_shaders());
            assert!(compiled.entry_points > 100, "{}", compiled.entry_points);
            assert_eq!(compiled.problems, [""; 0]);
        }
        Err(error) => {
            assert!(named.is_none(), "POINTTPA_TEST_DEVICE: {error}");
            println!("skipped: {error}");
        }
    }
    assert_eq!(pollster::block_on(Device::cpu().compile_shaders()).entry_points, 0);
}
