//! Test-time augmentation, from a scan to its labels.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use pointtpa::device::{DeviceChoice, DeviceOptions};
use pointtpa::model::tensor_file::TensorFile;
use pointtpa::model::weights::ModelFile;
use pointtpa::{Device, Error, PointCloud, SegmentOptions, Segmentation, Segmenter, Tiles};

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/tta_tiny.safetensors")
}

/// The raw scene of the recorded run.
fn scene(file: &TensorFile) -> PointCloud {
    let three = |name: &str| file.read(name).unwrap().to_f32().unwrap().as_chunks::<3>().0.to_vec();
    let (coord, color, normal) = (three("raw.coord"), three("raw.color"), three("raw.normal"));
    PointCloud::new(coord, [0.0; 3], Some(color), Some(normal), None).unwrap()
}

fn devices() -> Vec<Device> {
    let named = std::env::var("POINTTPA_TEST_DEVICE").unwrap_or_default();
    let choices = [DeviceChoice::Cpu, DeviceChoice::Named(named)];
    let open = |choice| Device::open_blocking(DeviceOptions { choice, poison: true, ..DeviceOptions::default() });
    choices.into_iter().filter_map(|choice| open(choice).map_err(|e| println!("skipped: {e}")).ok()).collect()
}

const TTA: SegmentOptions<'_> =
    SegmentOptions { grid_size: None, tta: true, details: false, tiles: Tiles::Off, progress: None, cancel: None };

#[test]
fn thirteen_views_agree_with_the_reference_s_labels_as_far_as_member_order_lets_them() {
    let file = TensorFile::open(&golden()).unwrap();
    let (cloud, labels) = (scene(&file), file.read("out.pred").unwrap().to_i64().unwrap());
    for device in devices() {
        let (segmenter, _) = Segmenter::open(&device, &ModelFile::open(&golden()).unwrap(), None).unwrap();
        let tta = segmenter.segment_blocking(&cloud, &TTA).unwrap();
        // 207 voxels in the first view; six fragments in every one of thirteen.
        assert_eq!((tta.voxels, tta.passes, tta.skipped), (207, 13 * 6, 0));
        let agreement = |own: &[i32]| own.iter().zip(&labels).filter(|(a, b)| i64::from(**a) == **b).count();
        let single = segmenter.segment_blocking(&cloud, &SegmentOptions::default()).unwrap();
        let (with, without) = (agreement(&tta.labels), agreement(&single.labels));
        println!("{device:?}: {with} with and {without} without test-time augmentation, of {}", labels.len());
        // The weights are random, so the points of one voxel get quite different labels, and the reference's order of
        // them is that of an unstable sort.
        assert!(with > without && with * 100 >= labels.len() * 90, "{with} of {} labels agree", labels.len());
        assert_eq!(
            tta,
            Segmentation { stages: tta.stages.clone(), ..segmenter.segment_blocking(&cloud, &TTA).unwrap() }
        );
    }
}

#[test]
fn points_nowhere_have_no_label_and_change_no_other() {
    let file = TensorFile::open(&golden()).unwrap();
    let clean = scene(&file);
    let mut dirty = clean.clone();
    dirty.positions.insert(5, [f32::NAN; 3]);
    dirty.colors.as_mut().unwrap().insert(5, [0.0; 3]);
    dirty.normals.as_mut().unwrap().insert(5, [0.0; 3]);
    let (segmenter, _) = Segmenter::open(&Device::cpu(), &ModelFile::open(&golden()).unwrap(), None).unwrap();
    let expected = segmenter.segment_blocking(&clean, &TTA).unwrap();
    let mut result = segmenter.segment_blocking(&dirty, &TTA).unwrap();
    assert_eq!((result.labels.remove(5), result.confidence.remove(5), result.skipped), (-1, 0.0, 1));
    assert_eq!((result.labels, result.confidence), (expected.labels, expected.confidence));
}

#[test]
fn normals_are_estimated_where_there_are_none() {
    let file = TensorFile::open(&golden()).unwrap();
    let bare = PointCloud { normals: None, ..scene(&file) };
    let (segmenter, _) = Segmenter::open(&Device::cpu(), &ModelFile::open(&golden()).unwrap(), None).unwrap();
    let result = segmenter.segment_blocking(&bare, &TTA).unwrap();
    assert!(result.stages.iter().any(|(stage, _)| stage == "normals"));
    assert!(result.labels.iter().all(|label| (0..5).contains(label)));
    assert!(result.confidence.iter().all(|confidence| *confidence > 0.2 && *confidence <= 1.0));
}

#[test]
fn a_run_reports_its_views_and_can_be_stopped() {
    let file = TensorFile::open(&golden()).unwrap();
    let cloud = scene(&file);
    for device in devices() {
        let (segmenter, _) = Segmenter::open(&device, &ModelFile::open(&golden()).unwrap(), None).unwrap();
        let weights = device.memory().live;
        let (cancel, seen) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let progress = |p: pointtpa::Progress<'_>| {
            seen.lock().unwrap().push((p.stage.to_owned(), p.done));
            if p.stage == "view 3 of 13" {
                cancel.store(true, Ordering::Relaxed);
            }
        };
        let options = SegmentOptions { progress: Some(&progress), cancel: Some(&cancel), ..TTA };
        let stopped = segmenter.segment_blocking(&cloud, &options);
        assert!(matches!(stopped, Err(Error::Cancelled)));
        assert_eq!(device.memory().live, weights);
        let seen = seen.into_inner().unwrap();
        assert_eq!(seen.last().map(|(stage, _)| stage.as_str()), Some("view 3 of 13"));
        assert!(seen.is_sorted_by(|a, b| a.1 <= b.1), "{seen:?}");
    }
}
