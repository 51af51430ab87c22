//! The geometry of the reference's recorded scenes, to the last integer.

use super::{
    center_shift::center_shift,
    patches::{PatchRule, Patches},
    pyramid::{Pyramid, Stage, StageSpec},
    voxel::voxelize,
};
use crate::{
    Device,
    device::{Element, Tensor, Tier},
    kernels::{
        serialize::Curve,
        testing::{Golden, Noise, cpu, devices, get, golden, gpu, gpu_with, put, shared_golden},
    },
};
use pollster::block_on;
use serde_json::Value;

/// Model files of the shared folder that record stages.
const SHARED: [&str; 11] = [
    "tiny_enc",
    "tiny_enc_shuffled",
    "small_enc",
    "small_enc_len",
    "small_dec",
    "two_batches",
    "low_rank_tiny",
    "low_rank_small",
    "low_rank_global",
    "low_rank_batch2",
    "lora_small",
];

fn backbone(golden: &Golden) -> Value {
    serde_json::from_str::<Value>(&golden.metadata["config"]).expect("config is JSON")["backbone"].take()
}

fn sizes(value: &Value) -> Vec<usize> {
    value.as_array().expect("a list").iter().map(|v| v.as_u64().expect("a size") as usize).collect()
}

fn offsets(golden: &Golden, name: &str) -> Vec<usize> {
    golden.integers(name).into_iter().map(|v| v as usize).collect()
}

/// The stages a golden's config asks for; where it was recorded with shuffled orders, in its shuffled order.
fn specs(golden: &Golden) -> Vec<StageSpec> {
    let config = backbone(golden);
    let order: Vec<Curve> =
        config["order"].as_array().expect("a list").iter().map(|v| v.as_str().unwrap().parse().unwrap()).collect();
    let strides = sizes(&config["stride"]);
    let perms: Option<Vec<Vec<usize>>> =
        golden.metadata.get("perms").map(|text| serde_json::from_str(text).expect("perms are JSON"));
    sizes(&config["enc_patch_size"])
        .into_iter()
        .enumerate()
        .map(|(s, patch_size)| StageSpec {
            curves: perms.as_ref().map_or_else(|| order.clone(), |p| p[s].iter().map(|k| order[*k]).collect()),
            patch_size,
            stride_to_next: strides.get(s).copied(),
        })
        .collect()
}

fn pyramid(golden: &Golden, device: &Device) -> Pyramid {
    let grid: Vec<i32> = golden.integers("in.grid_coord").into_iter().map(|v| v as i32).collect();
    let offsets = offsets(golden, "in.offset");
    let n = grid.len() / 3;
    let batch: Vec<u32> = (0..n).map(|i| offsets.iter().position(|end| i < *end).unwrap() as u32).collect();
    let (grid, batch) = (put(device, &[n, 3], &grid), put(device, &[n], &batch));
    block_on(Pyramid::build(&grid, &batch, &offsets, &specs(golden))).unwrap()
}

/// Compares integers with the recorded ones, if they were recorded; counts what was compared.
struct Comparison<'a> {
    golden: &'a Golden,
    at: String,
    compared: usize,
}

impl Comparison<'_> {
    fn integers(&mut self, name: &str, ours: impl IntoIterator<Item = i64>) {
        if self.golden.has(name) {
            let ours: Vec<i64> = ours.into_iter().collect();
            assert!(ours == self.golden.integers(name), "{name} {}", self.at);
            self.compared += 1;
        }
    }

    fn tensor<T: Element + Into<i64>>(&mut self, name: &str, ours: &Tensor) {
        self.integers(name, get::<T>(ours).into_iter().map(Into::into));
    }

    fn stage(&mut self, s: usize, stage: &Stage) {
        let name = |what: &str| format!("stage{s}.{what}");
        self.tensor::<i32>(&name("grid_coord"), &stage.grid_coord);
        self.tensor::<u32>(&name("batch"), &stage.batch);
        self.integers(&name("offset"), stage.offsets.iter().map(|v| *v as i64));
        let codes = get::<u32>(&stage.codes);
        let codes = codes.chunks(2).map(|code| i64::from(code[0]) << 32 | i64::from(code[1]));
        self.integers(&name("serialized_code"), codes);
        self.tensor::<u32>(&name("serialized_order"), &stage.orders);
        self.tensor::<u32>(&name("serialized_inverse"), &stage.inverses);
        if let Some(pooling) = &stage.pooling {
            self.tensor::<u32>(&name("cluster"), &pooling.cluster);
            self.tensor::<u32>(&name("idx_ptr"), &pooling.starts);
        }
        // Where both were recorded, the un-prefixed windows follow the rule without flash attention.
        let flash = if self.golden.has("flash.stage0.pad") { "flash." } else { "" };
        let windows = [
            ("pad", stage.windows.pad()),
            ("unpad", stage.windows.unpad()),
            ("cu_seqlens", stage.windows.cu_seqlens()),
        ];
        for (what, ours) in windows {
            self.integers(&format!("{flash}{}", name(what)), ours.into_iter().map(i64::from));
        }
        let depth =
            &serde_json::from_str::<Value>(&self.golden.metadata["stages"]).unwrap()[format!("stage{s}")]["depth"];
        assert_eq!(depth.as_u64(), Some(u64::from(stage.depth)), "depth of stage {s} {}", self.at);
    }
}

fn stages_hold(golden: &Golden, name: &str, device: &Device) {
    let mut comparison = Comparison { golden, at: format!("of {name} on {}", device.description()), compared: 0 };
    for (s, stage) in pyramid(golden, device).stages.iter().enumerate() {
        comparison.stage(s, stage);
    }
    assert!(comparison.compared > 5, "{name} records its stages");
}

#[test]
fn stages_are_the_reference_s() {
    let portable = gpu_with(|options| options.tier = Some(Tier::Portable));
    for device in devices().iter().chain(&portable) {
        for name in ["tiny_enc", "low_rank_tiny"] {
            stages_hold(&golden(&format!("{name}.safetensors")), name, device);
        }
        for name in SHARED {
            if let Some(golden) = shared_golden(&format!("{name}.safetensors")) {
                stages_hold(&golden, name, device);
            }
        }
    }
}

/// Every recorded patch index of a `low_rank` file against the sliding windows of its config.
fn patches_hold(golden: &Golden, name: &str) {
    let config = backbone(golden);
    let adapter = &config["adapter"];
    let size = |key: &str| adapter[key].as_u64().expect("a size") as usize;
    let rule = PatchRule::Sliding { window: size("window"), stride: size("stride") };
    let mut compared = 0;
    for (s, stage) in pyramid(golden, &Device::cpu()).stages.iter().enumerate() {
        let patches = Patches::new(rule, &stage.offsets).unwrap();
        let (inverses, n) = (get::<u32>(&stage.inverses), stage.len());
        for block in 0..sizes(&config["enc_depths"])[s] {
            let row = block % stage.orders.rows();
            for linear in ["qkv", "fc1"] {
                let at = format!("enc{s}.block{block}.{linear}_patch");
                if golden.has(&format!("{at}_id")) {
                    let ours: Vec<i64> = inverses[row * n..(row + 1) * n]
                        .iter()
                        .map(|rank| i64::from(patches.patch_of_rank[*rank as usize]))
                        .collect();
                    assert_eq!(ours, golden.integers(&format!("{at}_id")), "{at} of {name}");
                    assert_eq!(patches.ranges.len(), golden.shape(&format!("{at}_feat"))[0], "{at} of {name}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 0, "{name} records its patches");
}

#[test]
fn sliding_patches_are_the_recorded_ones() {
    patches_hold(&golden("low_rank_tiny.safetensors"), "low_rank_tiny");
    for name in ["low_rank_small", "low_rank_global", "low_rank_batch2"] {
        if let Some(golden) = shared_golden(&format!("{name}.safetensors")) {
            patches_hold(&golden, name);
        }
    }
}

#[test]
fn the_reference_gates_as_many_groups() {
    for name in ["tiny_enc", "small_enc", "small_enc_len", "small_dec"] {
        let Some(golden) = shared_golden(&format!("{name}.safetensors")) else { continue };
        let config = backbone(&golden);
        let (params, mut compared) = (sizes(&config["param_list"]), 0);
        for s in 0..params.len() {
            let rule = match config["mode_list"][s].as_str() {
                Some("num") => PatchRule::Num(params[s]),
                _ => PatchRule::Length(params[s]),
            };
            let gate = format!("enc{s}.block0.adapter_down_gate");
            if golden.has(&gate) {
                let patches = Patches::new(rule, &offsets(&golden, &format!("stage{s}.offset"))).unwrap();
                assert_eq!(patches.ranges.len(), golden.shape(&gate)[0], "{gate} of {name}");
                compared += 1;
            }
        }
        assert!(compared > 0, "{name} records its gates");
    }
}

#[test]
fn raw_points_become_the_recorded_voxels() {
    let Some(golden) = shared_golden("tta_tiny.safetensors") else { return };
    // The thirteenth view mirrors x and y and is the one that the reference computes in f32 throughout.
    let mut points = golden.floats("raw.coord").as_chunks::<3>().0.to_vec();
    center_shift(&mut points, true);
    for point in &mut points {
        (point[0], point[1]) = (-point[0], -point[1]);
    }
    let recorded: Vec<i64> = golden.integers("aug12.frag0.grid_coord");
    let index: Vec<usize> = golden.integers("aug12.frag0.index").into_iter().map(|i| i as usize).collect();
    for device in devices() {
        let voxels = block_on(voxelize(&device, &points, 0.02)).unwrap();
        assert_eq!(voxels.len(), index.len());
        let (grid, cell) = (get::<i32>(&voxels.grid_coord), get::<u32>(&voxels.cell_of_point));
        for (row, point) in index.iter().enumerate() {
            let voxel = cell[*point] as usize;
            let ours: Vec<i64> = grid[3 * voxel..3 * voxel + 3].iter().copied().map(i64::from).collect();
            assert_eq!(ours, recorded[3 * row..3 * row + 3], "point {point} on {device:?}");
        }
    }
    let mut fragment: Vec<[f32; 3]> = index.iter().map(|i| points[*i]).collect();
    center_shift(&mut fragment, false);
    assert_eq!(fragment.as_flattened(), golden.floats("aug12.frag0.coord"));
}

#[test]
fn a_scene_of_60_000_voxels_is_the_same_on_both_devices() {
    let Some(gpu) = gpu() else { return };
    // A sheet of hills, 5 m wide, scanned in no order.
    let mut noise = Noise::new(60_000);
    let points: Vec<[f32; 3]> = (0..200_000)
        .map(|_| {
            let (x, y) = (noise.float() * 2.5, noise.float() * 2.5);
            [x, y, (x * 2.0).sin() * (y * 3.0).cos()]
        })
        .collect();
    let specs: Vec<StageSpec> = (0..5)
        .map(|s| StageSpec {
            curves: vec![Curve::Z, Curve::ZTrans, Curve::Hilbert, Curve::HilbertTrans],
            patch_size: 1024,
            stride_to_next: (s < 4).then_some(2),
        })
        .collect();
    let build = |device: &Device| {
        let voxels = block_on(voxelize(device, &points, 0.02)).unwrap();
        block_on(Pyramid::build(&voxels.grid_coord, &voxels.batch, &[voxels.len()], &specs)).unwrap()
    };
    let (ours, theirs) = (build(&cpu()), build(&gpu));
    assert!(ours.stages[0].len() > 60_000);
    for (a, b) in ours.stages.iter().zip(&theirs.stages) {
        assert_eq!((a.depth, &a.offsets, &a.windows.list), (b.depth, &b.offsets, &b.windows.list));
        assert!(get::<i32>(&a.grid_coord) == get::<i32>(&b.grid_coord));
        let of = |stage: &Stage| {
            let mut all = vec![get::<u32>(&stage.codes), get::<u32>(&stage.orders), get::<u32>(&stage.inverses)];
            all.push(get::<u32>(&stage.neighbors));
            if let Some(pooling) = &stage.pooling {
                all.extend([&pooling.cluster, &pooling.members, &pooling.starts].map(get::<u32>));
            }
            all
        };
        assert!(of(a) == of(b), "depth {}", a.depth);
    }
}
