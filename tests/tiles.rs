//! Scenes in tiles: what is cut is labelled as well as what is not, and costs what it may.

use pointtpa::{
    Device, Error, PointCloud, SegmentOptions, Segmentation, Segmenter, Tiles,
    device::{DeviceChoice, DeviceOptions},
    model::bundled,
    scan::{self, Streamed},
};
use std::sync::atomic::{AtomicBool, Ordering};

fn segmenter(budget: u64) -> Segmenter {
    let options = DeviceOptions { choice: DeviceChoice::Cpu, poison: true, budget, ..DeviceOptions::default() };
    let device = Device::open_blocking(options).unwrap();
    Segmenter::open(&device, &bundled::rooms().unwrap().unwrap(), None).unwrap().0
}

fn room(name: &str) -> PointCloud {
    scan::read(format!("assets/scenes/{name}.ply").as_ref()).unwrap().cloud
}

/// The three rooms in a row, each behind the last one's wall, and a point that is nowhere.
fn house() -> PointCloud {
    let mut house = room("living_room");
    for name in ["office", "kitchen"] {
        let (mut next, end) = (room(name), house.bounds().unwrap().1[0]);
        let start = next.bounds().unwrap().0;
        next.positions.iter_mut().for_each(|p| p[0] += end + 0.15 - start[0]);
        house.positions.extend(next.positions);
        for (whole, part) in [(&mut house.colors, next.colors), (&mut house.normals, next.normals)] {
            assert_eq!(whole.is_some(), part.is_some());
            if let Some(whole) = whole {
                whole.extend(part.iter().flatten());
            }
        }
        house.labels.as_mut().unwrap().extend(next.labels.unwrap());
    }
    house.positions[17][1] = f32::NAN;
    house
}

fn segment(segmenter: &Segmenter, cloud: &PointCloud, tiles: Tiles) -> Result<Segmentation, Error> {
    segmenter.segment_blocking(cloud, &SegmentOptions { tiles, ..SegmentOptions::default() })
}

/// Share of the points of `cloud` that are `chosen` and labelled as they should be.
fn accuracy(cloud: &PointCloud, found: &Segmentation, chosen: impl Fn(&[f32; 3]) -> bool) -> f64 {
    let truth = cloud.labels.as_ref().unwrap();
    let points = (0..cloud.len()).filter(|i| truth[*i] >= 0 && cloud.is_finite(*i) && chosen(&cloud.positions[*i]));
    let (right, all) =
        points.fold((0, 0), |(right, all), i| (right + usize::from(found.labels[i] == truth[i]), all + 1));
    f64::from(right as u32) / f64::from(all)
}

#[test]
fn one_tile_is_the_scene_at_once() {
    let (segmenter, cloud) = (segmenter(u64::MAX), room("office"));
    let options = SegmentOptions { details: true, ..SegmentOptions::default() };
    let whole = segmenter.segment_blocking(&cloud, &options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tile = segmenter.segment_blocks_blocking(&cloud, folder.path(), &options).unwrap();
    assert_eq!((tile.passes, tile.voxels), (1, whole.voxels));
    assert!(tile.labels == whole.labels, "other labels");
    // Two kernels divide by the same sum of exponentials.
    let apart = tile.confidence.iter().zip(&whole.confidence).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-6, "confidences are {apart} apart");
    let (tile, whole) = (tile.details.unwrap(), whole.details.unwrap());
    assert!(tile.features == whole.features && tile.voxel_of_point == whole.voxel_of_point);
}

#[test]
fn a_house_is_labelled_in_tiles_as_well_as_its_rooms_and_seams_do_not_show() {
    let (segmenter, house) = (segmenter(u64::MAX), house());
    let tiled = segment(&segmenter, &house, Tiles::Edge(5.0)).unwrap();
    assert!(tiled.passes > 2, "{} tiles", tiled.passes);
    assert_eq!((tiled.labels[17], tiled.confidence[17], tiled.skipped), (-1, 0.0, 1));
    assert_eq!(tiled.labels.iter().filter(|label| **label < 0).count(), 1);
    assert!(tiled.confidence.iter().all(|confidence| (0.0..=1.0 + 1e-5).contains(confidence)));
    assert_eq!(tiled.voxels, segmenter.count_voxels(&house, None).unwrap(), "each voxel has one answer");

    // The model learned from rooms. A house at once is wider than any, and its tiles are not.
    let whole = segment(&segmenter, &house, Tiles::Off).unwrap();
    let [of_tiled, of_whole] = [&tiled, &whole].map(|found| accuracy(&house, found, |_| true));
    println!("accuracy {of_tiled:.4} in tiles, {of_whole:.4} at once");
    assert!(of_tiled > 0.88 && of_tiled > of_whole - 0.01, "{of_tiled} in tiles, {of_whole} at once");

    // Other tiles have other seams: where one of them has a seam, the other has none.
    let others = segment(&segmenter, &house, Tiles::Edge(7.0)).unwrap();
    let (low, high) = house.bounds().unwrap();
    let width = high[0] - low[0];
    let tiles = (width / 5.0).ceil();
    let at_seam = |p: &[f32; 3]| (1..tiles as u32).any(|i| (p[0] - low[0] - i as f32 * width / tiles).abs() < 0.5);
    let [with_seam, without] = [&tiled, &others].map(|found| accuracy(&house, found, at_seam));
    println!("accuracy {with_seam:.4} at seams, {without:.4} there without them");
    assert!(with_seam > without - 0.03, "{with_seam} at seams, {without} there without them");
}

#[test]
fn tiles_on_disk_are_tiles_in_memory() {
    let (segmenter, house) = (segmenter(u64::MAX), house());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("house.ply");
    scan::write_cloud(&path, &house, &pointtpa::LabelSet::rooms()).unwrap();
    // What a file holds of colours and normals may be rounded, so both read it.
    let (streamed, read) = (Streamed::open(&path).unwrap().unwrap(), scan::read(&path).unwrap());
    let options = SegmentOptions { tiles: Tiles::Edge(6.0), ..SegmentOptions::default() };
    let on_disk = segmenter.segment_blocks_blocking(&streamed, folder.path(), &options).unwrap();
    let in_memory = segmenter.segment_blocking(&read.cloud, &options).unwrap();
    assert!(on_disk.labels == in_memory.labels && on_disk.confidence == in_memory.confidence);
    assert!(on_disk.passes == in_memory.passes && on_disk.passes > 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "something was left beside the scan");
}

#[test]
fn tiles_are_as_many_as_the_memory_asks_for_and_stay_within_it() {
    let house = house();
    let unlimited = segmenter(u64::MAX);
    let weights = unlimited.model().device().memory().live;
    let at_once = segment(&unlimited, &house, Tiles::Within(1 << 40)).unwrap();
    assert_eq!(at_once.passes, 1);
    let needed = at_once.peak_bytes - weights;
    for share in [1.5, 3.0] {
        let bytes = (needed as f64 / share) as u64;
        // Nothing but the size of the tiles keeps this one within the limit.
        let found = segment(&unlimited, &house, Tiles::Within(bytes)).unwrap();
        assert!(found.passes > 1 && found.peak_bytes <= weights + bytes, "{} passes", found.passes);
    }
    // What should have fit and does not is cut all the same, and once more; what cannot be cut small enough is an error.
    let limited = segmenter(weights + needed / 2);
    assert!(segment(&limited, &house, Tiles::Within(1 << 40)).unwrap().passes > 1);
    let estimate = unlimited.estimate(&house, &SegmentOptions::default()).unwrap();
    assert_eq!(estimate.voxels, at_once.voxels);
    // Of the host's part nobody keeps a record; the device's is the larger one.
    assert!((needed..4 * needed).contains(&estimate.bytes), "{} bytes estimated, {needed} taken", estimate.bytes);
    let tiny = segmenter(weights + (1 << 20));
    let error = segment(&tiny, &house, Tiles::Within(1 << 40)).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    assert_eq!(tiny.model().device().memory().live, weights);
}

#[test]
fn a_run_in_tiles_tells_its_progress_and_can_be_stopped() {
    let (segmenter, house) = (segmenter(u64::MAX), house());
    let before = segmenter.model().device().memory().live;
    let (stop, seen) = (AtomicBool::new(false), std::sync::Mutex::new(Vec::new()));
    let progress = |progress: pointtpa::Progress<'_>| {
        seen.lock().unwrap().push((progress.stage.to_owned(), progress.done));
        stop.store(progress.stage == "tile 2 of 3" && progress.done > 0.5, Ordering::Relaxed);
    };
    let options = SegmentOptions {
        tiles: Tiles::Edge(7.0),
        progress: Some(&progress),
        cancel: Some(&stop),
        ..SegmentOptions::default()
    };
    let error = segmenter.segment_blocking(&house, &options).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    let seen = seen.lock().unwrap();
    assert!(seen.is_sorted_by(|a, b| a.1 <= b.1), "progress goes back: {seen:?}");
    assert!(seen.iter().any(|(stage, _)| stage == "tile 1 of 3") && seen.iter().all(|(_, done)| *done < 0.9));
    assert_eq!(segmenter.model().device().memory().live, before);
}

#[test]
fn tiles_that_make_no_sense_are_refused() {
    let (segmenter, cloud) = (segmenter(u64::MAX), room("office"));
    for edge in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = segment(&segmenter, &cloud, Tiles::Edge(edge)).unwrap_err().to_string();
        assert!(error.contains("not a positive length"), "{error}");
    }
    let options = SegmentOptions { tiles: Tiles::Edge(3.0), tta: true, ..SegmentOptions::default() };
    let error = segmenter.segment_blocking(&cloud, &options).unwrap_err().to_string();
    assert!(error.contains("test-time augmentation"), "{error}");
}
