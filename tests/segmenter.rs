//! Scans at the edges of what users have: each gets the right answer or a clear error, and no point is lost.

use pointtpa::{
    Device, Error, PointCloud, SegmentOptions, Segmentation, Segmenter,
    device::{DeviceChoice, DeviceOptions},
    model::{
        config::Config,
        init::init_model,
        preset::{AdapterChoice, Preset},
        tensor_file::Dtype,
        weights::{ModelFile, ModelInfo},
    },
    scan::LabelSet,
};
use std::sync::{Mutex, atomic::AtomicBool};

/// A fresh `rooms` model: its labels mean nothing, and follow from every input bit.
fn model(dtype: Dtype) -> ModelFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rooms.safetensors");
    let config = Config::preset(Preset::Rooms, AdapterChoice::LowRank, 21).unwrap();
    init_model(&config, &ModelInfo::new(LabelSet::rooms()), 3, dtype, &path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    ModelFile::from_bytes("rooms", bytes).unwrap()
}

fn devices() -> Vec<Device> {
    let named = std::env::var("POINTTPA_TEST_DEVICE").unwrap_or_default();
    let choices = [DeviceChoice::Cpu, DeviceChoice::Named(named)];
    let open = |choice| Device::open_blocking(DeviceOptions { choice, poison: true, ..DeviceOptions::default() });
    choices.into_iter().filter_map(|choice| open(choice).map_err(|e| println!("skipped: {e}")).ok()).collect()
}

/// Segments on every device; the devices must agree.
fn segment(cloud: &PointCloud) -> Segmentation {
    let file = model(Dtype::F32);
    let mut results = devices().into_iter().map(|device| {
        let (segmenter, missing) = Segmenter::open(&device, &file, None).unwrap();
        assert!(missing.names.is_empty());
        segmenter.segment_blocking(cloud, &SegmentOptions::default()).unwrap()
    });
    let first = results.next().unwrap();
    for other in results {
        assert_eq!((other.voxels, other.skipped, &other.warnings), (first.voxels, first.skipped, &first.warnings));
        let same = other.labels.iter().zip(&first.labels).filter(|(a, b)| a == b).count();
        assert!(same * 1000 >= first.labels.len() * 999, "{same} of {} labels agree", first.labels.len());
    }
    assert_eq!(first.labels.len(), cloud.len());
    assert_eq!(first.confidence.len(), cloud.len());
    first
}

/// Some 3 cm, and exact in f32 also kilometres away.
const STEP: f32 = 1.0 / 32.0;

/// A corner of floor and wall, a metre wide, moved by `offset`.
fn corner(offset: f32, with_colour: bool, with_normals: bool) -> PointCloud {
    let mut positions = Vec::new();
    let mut normals = Vec::new();
    for i in 0..30 {
        for j in 0..30 {
            let (a, b) = (i as f32 * STEP, j as f32 * STEP);
            positions.extend([[a + offset, b + offset, 0.0], [offset, a + offset, b + STEP]]);
            normals.extend([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
        }
    }
    let colors = with_colour.then(|| vec![[120.0, 80.0, 40.0]; positions.len()]);
    PointCloud::new(positions, [0.0; 3], colors, with_normals.then_some(normals), None).unwrap()
}

fn bare(positions: Vec<[f32; 3]>) -> PointCloud {
    PointCloud::new(positions, [0.0; 3], None, None, None).unwrap()
}

#[test]
fn one_point_is_a_scene() {
    let result = segment(&bare(vec![[5.0, -3.0, 1.0]]));
    assert_eq!((result.voxels, result.skipped), (1, 0));
    assert!((0..21).contains(&result.labels[0]) && result.confidence[0] > 0.0);
}

#[test]
fn fewer_points_than_a_patch_are_a_scene() {
    assert_eq!(segment(&bare((0..7).map(|i| [i as f32 * 0.1, 0.0, 0.0]).collect())).voxels, 7);
}

#[test]
fn points_of_one_voxel_share_its_label() {
    let result = segment(&bare((0..500).map(|i| [0.5, -0.7, i as f32 * 1e-5]).collect()));
    assert_eq!(result.voxels, 1);
    assert!(result.labels.iter().all(|label| *label == result.labels[0]));
}

#[test]
fn points_without_a_place_keep_no_label_and_change_nothing() {
    let clean = corner(0.0, true, true);
    let mut dirty = clean.clone();
    for (at, bad) in [(3, f32::NAN), (100, f32::INFINITY), (1000, f32::NEG_INFINITY)] {
        dirty.positions.insert(at, [0.0, bad, 0.0]);
        dirty.colors.as_mut().unwrap().insert(at, [0.0; 3]);
        dirty.normals.as_mut().unwrap().insert(at, [0.0; 3]);
    }
    let (expected, mut result) = (segment(&clean), segment(&dirty));
    assert_eq!(result.skipped, 3);
    assert!(result.warnings.iter().any(|w| w.starts_with("3 points")), "{:?}", result.warnings);
    for at in [1000, 100, 3] {
        assert_eq!((result.labels.remove(at), result.confidence.remove(at)), (-1, 0.0));
    }
    assert_eq!(result.labels, expected.labels);
}

#[test]
fn a_scan_without_any_place_is_refused() {
    for cloud in [bare(vec![]), bare(vec![[f32::NAN; 3]; 4])] {
        let (segmenter, _) = Segmenter::open(&Device::cpu(), &model(Dtype::F32), None).unwrap();
        let error = segmenter.segment_blocking(&cloud, &SegmentOptions::default()).unwrap_err();
        assert!(error.to_string().contains("finite coordinates"), "{error}");
    }
}

#[test]
fn two_kilometres_from_the_origin_is_the_same_scene() {
    let (near, far) = (segment(&corner(0.0, true, true)), segment(&corner(2048.0, true, true)));
    assert_eq!((near.labels, near.confidence, near.voxels), (far.labels, far.confidence, far.voxels));
}

#[test]
fn missing_colour_is_said_and_missing_normals_are_estimated() {
    assert_eq!(segment(&corner(0.0, true, true)).warnings, Vec::<String>::new());
    let grey = segment(&corner(0.0, false, true));
    assert!(grey.warnings.iter().any(|w| w.contains("no colour")), "{:?}", grey.warnings);
    let estimated = segment(&corner(0.0, true, false));
    assert!(estimated.stages.iter().any(|(stage, _)| stage == "normals"));
    assert_eq!(estimated.labels.len(), 1800);
}

#[test]
fn a_scene_too_wide_for_the_grid_says_how_wide() {
    let (segmenter, _) = Segmenter::open(&Device::cpu(), &model(Dtype::F32), None).unwrap();
    let cloud = bare(vec![[0.0; 3], [5000.0, 0.0, 0.0]]);
    let error = segmenter.segment_blocking(&cloud, &SegmentOptions::default()).unwrap_err().to_string();
    assert!(error.contains("--grid"), "{error}");
    let coarse = SegmentOptions { grid_size: Some(0.5), ..SegmentOptions::default() };
    assert_eq!(segmenter.segment_blocking(&cloud, &coarse).unwrap().voxels, 2);
}

#[test]
fn the_same_device_gives_the_same_bits() {
    let cloud = corner(0.3, true, false);
    for device in devices() {
        let (segmenter, _) = Segmenter::open(&device, &model(Dtype::F32), None).unwrap();
        let run = || {
            let result = segmenter.segment_blocking(&cloud, &SegmentOptions::default()).unwrap();
            (result.labels, result.confidence)
        };
        assert_eq!(run(), run());
    }
}

#[test]
fn packed_weights_stay_packed_on_a_gpu_and_label_alike() {
    let cloud = corner(0.0, true, true);
    let full = segment(&cloud);
    for dtype in [Dtype::F16, Dtype::BF16] {
        for device in devices() {
            let before = device.memory().live;
            let (segmenter, _) = Segmenter::open(&device, &model(dtype), None).unwrap();
            let held = device.memory().live - before;
            let (wide, _) = Segmenter::open(&device, &model(Dtype::F32), None).unwrap();
            let wide_held = device.memory().live - before - held;
            // The CPU widens them once, when it lays them out for its products.
            let packed = matches!(device, Device::Gpu(_));
            assert!(!packed || held * 3 < wide_held * 2, "{held} bytes packed, {wide_held} in f32");
            drop(wide);
            let result = segmenter.segment_blocking(&cloud, &SegmentOptions::default()).unwrap();
            let close = result.confidence.iter().zip(&full.confidence).all(|(a, b)| (a - b).abs() < 0.05);
            assert!(close, "{dtype:?} moves probabilities by more than 0.05");
        }
    }
}

#[test]
fn a_small_budget_is_an_error_and_leaves_nothing_behind() {
    for device in devices() {
        let choice = if device.name() == "cpu" { DeviceChoice::Cpu } else { DeviceChoice::Named(device.name().into()) };
        let tight = |budget| {
            let choice = choice.clone();
            Device::open_blocking(DeviceOptions { choice, budget, ..DeviceOptions::default() }).unwrap()
        };
        let refused = Segmenter::open(&tight(1 << 20), &model(Dtype::F32), None).err();
        assert!(matches!(refused, Some(Error::OutOfMemory { .. })), "{refused:?}");

        // Room for the weights, not for the scene.
        let device = tight(14 << 20);
        let (segmenter, _) = Segmenter::open(&device, &model(Dtype::F32), None).unwrap();
        let weights = device.memory().live;
        let many = bare((0..40_000).map(|i| [(i % 200) as f32 * 0.05, (i / 200) as f32 * 0.05, 0.0]).collect());
        let refused = segmenter.segment_blocking(&many, &SegmentOptions::default()).err();
        assert!(matches!(refused, Some(Error::OutOfMemory { .. })), "{refused:?}");
        assert_eq!(device.memory().live, weights);
        let few = segmenter.segment_blocking(&bare(vec![[0.0; 3]]), &SegmentOptions::default());
        assert_eq!(few.unwrap().labels.len(), 1);
    }
}

#[test]
fn a_run_can_be_stopped_and_reports_its_steps() {
    for device in devices() {
        let (segmenter, _) = Segmenter::open(&device, &model(Dtype::F32), None).unwrap();
        let weights = device.memory().live;
        let cancel = AtomicBool::new(false);
        let seen = Mutex::new(Vec::new());
        let progress = |p: pointtpa::Progress<'_>| {
            seen.lock().unwrap().push((p.stage.to_owned(), p.done));
            if p.stage == "enc1" {
                cancel.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        };
        let options = SegmentOptions { progress: Some(&progress), cancel: Some(&cancel), ..SegmentOptions::default() };
        let stopped = segmenter.segment_blocking(&corner(0.0, true, true), &options);
        assert!(matches!(stopped, Err(Error::Cancelled)));
        assert_eq!(device.memory().live, weights);
        let seen = seen.into_inner().unwrap();
        assert_eq!(seen.last().map(|(stage, _)| stage.as_str()), Some("enc1"));
        assert!(seen.is_sorted_by(|a, b| a.1 <= b.1), "{seen:?}");
    }
}

#[test]
fn tensors_past_the_binding_limit_give_the_same_labels() {
    // 30,000 voxels: at a limit of 2 MiB the network's qkv, hidden layers and neighbour tables are cut up.
    let positions: Vec<[f32; 3]> =
        (0..30_000).map(|i| [(i % 200) as f32 * STEP, (i / 200) as f32 * STEP, 0.0]).collect();
    let normals = vec![[0.0, 0.0, 1.0]; positions.len()];
    let cloud = PointCloud::new(positions, [0.0; 3], None, Some(normals), None).unwrap();
    let file = model(Dtype::F32);
    let named = std::env::var("POINTTPA_TEST_DEVICE").unwrap_or_default();
    let labels = |max_binding| {
        let choice = DeviceChoice::Named(named.clone());
        let device = Device::open_blocking(DeviceOptions { choice, max_binding, ..DeviceOptions::default() }).ok()?;
        let (segmenter, _) = Segmenter::open(&device, &file, None).unwrap();
        Some(segmenter.segment_blocking(&cloud, &SegmentOptions::default()).unwrap())
    };
    let Some(whole) = labels(None) else { return println!("skipped: no adapter") };
    let split = labels(Some(2 << 20)).unwrap();
    let same = whole.labels.iter().zip(&split.labels).filter(|(a, b)| a == b).count();
    assert!(same * 1000 >= whole.labels.len() * 999, "{same} of {}", whole.labels.len());
    let close = whole.confidence.iter().zip(&split.confidence).all(|(a, b)| (a - b).abs() < 1e-4);
    assert!(close, "probabilities differ by more than rounding");
}

#[test]
fn coordinates_beyond_f32_are_refused_by_point() {
    let (segmenter, _) = Segmenter::open(&Device::cpu(), &model(Dtype::F32), None).unwrap();
    let cloud = bare(vec![[3e38, 0.0, 0.0], [3e38, 1.0, 0.0]]);
    let error = segmenter.segment_blocking(&cloud, &SegmentOptions::default()).unwrap_err().to_string();
    assert!(error.starts_with("point 0") && error.contains("stray"), "{error}");
}
