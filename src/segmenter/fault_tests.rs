//! What goes wrong in the middle of a run: every allocation refused once and for good, the GPU lost at every submit, a
//! stop at every step. Each ends in its own error or in the right answer, gives the memory back, and leaves the segmenter
//! good for the next scan.

use super::{LabelsOnDevice, SegmentOptions, Segmentation, Segmenter};
use crate::{
    Device, Error, PointCloud, Result,
    kernels::testing::{cpu, gpu_with},
    model::weights::ModelFile,
};
use std::{
    cell::Cell,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

/// A network of few blocks, with adapters.
fn tiny() -> ModelFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/low_rank_tiny.safetensors");
    ModelFile::open(&path).unwrap()
}

/// Devices that no other test uses, because these break them.
fn devices() -> Vec<Device> {
    [Some(cpu()), gpu_with(|_| {})].into_iter().flatten().collect()
}

fn open(device: &Device) -> Segmenter {
    Segmenter::open(device, &tiny(), None).unwrap().0
}

/// A corner of two walls and a floor, `side` voxels wide.
fn scene(side: usize) -> PointCloud {
    let at = |i: usize| i as f32 * 0.02 + 0.001;
    let cells = (0..side * side).map(|i| (at(i % side), at(i / side)));
    let positions: Vec<[f32; 3]> = cells.flat_map(|(a, b)| [[a, b, 0.0], [0.0, a, b], [a, 0.0, b]]).collect();
    let colors = (0..positions.len()).map(|i| [(i % 256) as f32, 90.0, 30.0]).collect();
    PointCloud::new(positions, [0.0; 3], Some(colors), None, None).unwrap()
}

fn run(segmenter: &Segmenter, cloud: &PointCloud) -> Result<(Vec<i32>, Vec<f32>)> {
    // Someone who watches a run has it submitted step by step.
    let options = SegmentOptions { progress: Some(&|_| {}), ..SegmentOptions::default() };
    segmenter.segment_blocking(cloud, &options).map(|Segmentation { labels, confidence, .. }| (labels, confidence))
}

#[test]
fn an_allocation_refused_at_any_place_ends_in_its_error_or_in_the_right_answer() {
    let cloud = scene(6);
    for device in devices() {
        let segmenter = open(&device);
        let (expected, weights) = (run(&segmenter, &cloud).unwrap(), device.memory().live);
        device.refusals().plan(u64::MAX, 0);
        run(&segmenter, &cloud).unwrap();
        let allocations = device.refusals().seen();
        assert!(allocations > 50, "{allocations} are too few to be all");
        // Refused once, a device frees what it can and tries again; twice, it has no more.
        for (times, may_succeed) in [(1, true), (2, false)] {
            for first in 0..allocations {
                device.refusals().plan(first, times);
                match run(&segmenter, &cloud) {
                    Ok(answer) => assert!(may_succeed && answer == expected, "{device:?}: allocation {first}"),
                    Err(Error::OutOfMemory { .. }) => {}
                    Err(error) => panic!("{device:?}: allocation {first}: {error}"),
                }
                assert_eq!(device.memory().live, weights, "{device:?}: allocation {first}");
            }
        }
        device.refusals().plan(u64::MAX, 0);
        assert_eq!(run(&segmenter, &cloud).unwrap(), expected, "{device:?} can be used again");
    }
}

#[test]
fn a_model_whose_weights_find_no_room_leaves_none_behind() {
    for device in devices() {
        drop(open(&device));
        device.refusals().plan(u64::MAX, 0);
        drop(open(&device));
        let allocations = device.refusals().seen();
        for first in 0..allocations {
            device.refusals().plan(first, 2);
            let refused = Segmenter::open(&device, &tiny(), None).err();
            assert!(matches!(refused, Some(Error::OutOfMemory { .. })), "{device:?}: allocation {first}: {refused:?}");
            assert_eq!(device.memory().live, 0, "{device:?}: allocation {first}");
        }
    }
}

/// The run must fail with the loss and give its memory back.
fn expect_loss(segmenter: &Segmenter, cloud: &PointCloud, weights: u64, submit: u64) {
    match run(segmenter, cloud) {
        Err(Error::DeviceLost { .. }) => {}
        Err(error) => panic!("submit {submit}: {error}"),
        Ok(_) => panic!("submit {submit}: there was an answer without a GPU"),
    }
    assert_eq!(segmenter.model().device().memory().live, weights, "submit {submit}");
}

#[test]
fn a_gpu_lost_at_any_submit_ends_in_its_error_and_another_takes_over() {
    /// Opening a device takes a second or two where pipelines are compiled on the CPU.
    const DESTROYED: u64 = 6;
    let cloud = scene(6);
    let Some(device) = gpu_with(|_| {}) else { return println!("skipped: no adapter") };
    let segmenter = open(&device);
    let (expected, weights) = (run(&segmenter, &cloud).unwrap(), device.memory().live);
    let losses = device.losses().expect("a GPU submits");
    losses.said.plan(u64::MAX, 0);
    run(&segmenter, &cloud).unwrap();
    let submits = losses.said.seen();
    assert!(submits > 10, "{submits} are too few to be all");
    for first in 0..submits {
        losses.said.plan(first, 1);
        expect_loss(&segmenter, &cloud, weights, first);
        expect_loss(&segmenter, &cloud, weights, first);
        device.forget_loss();
    }
    for part in 0..DESTROYED {
        let first = part * (submits - 1) / (DESTROYED - 1);
        let device = gpu_with(|_| {}).expect("it was there");
        let segmenter = open(&device);
        device.losses().expect("a GPU submits").real.plan(first, 1);
        expect_loss(&segmenter, &cloud, weights, first);
    }
    assert_eq!(run(&segmenter, &cloud).unwrap(), expected, "others of the same adapter go on");
}

#[test]
fn a_stop_at_any_step_is_heard_before_the_next_and_forgotten_after() {
    let cloud = scene(6);
    for device in devices() {
        let segmenter = open(&device);
        let (expected, weights) = (run(&segmenter, &cloud).unwrap(), device.memory().live);
        for tta in [false, true] {
            // The reference's views are many; the first dozens of their steps are like the others.
            let most = if tta { 40 } else { usize::MAX };
            for stop_at in 0..most {
                let (stop, seen) = (AtomicBool::new(false), Cell::new(0));
                let progress = |_: crate::Progress<'_>| {
                    seen.set(seen.get() + 1);
                    stop.store(seen.get() > stop_at, Ordering::Relaxed);
                };
                let options =
                    SegmentOptions { progress: Some(&progress), cancel: Some(&stop), tta, ..Default::default() };
                let outcome = segmenter.segment_blocking(&cloud, &options);
                assert_eq!(device.memory().live, weights, "{device:?}: step {stop_at}");
                match outcome {
                    Err(Error::Cancelled) => assert_eq!(seen.get(), stop_at + 1, "{device:?}: heard too late"),
                    Err(error) => panic!("{device:?}: step {stop_at}: {error}"),
                    // The last step is over before anyone asks again.
                    Ok(found) => {
                        assert!(tta || (found.labels, found.confidence) == expected);
                        assert!(stop_at + 1 >= seen.get(), "{device:?}: step {stop_at} of {}", seen.get());
                        break;
                    }
                }
            }
        }
        assert_eq!(run(&segmenter, &cloud).unwrap(), expected, "{device:?} can be used again");
    }
}

#[test]
fn a_hundred_scenes_in_a_row_hold_no_more_than_ten() {
    for device in devices() {
        let segmenter = open(&device);
        let weights = device.memory().live;
        let mut held = 0;
        for round in 0..10 {
            for side in 3..13 {
                run(&segmenter, &scene(side)).unwrap();
                assert_eq!(device.memory().live, weights);
            }
            if round == 0 {
                held = device.memory().held;
            }
        }
        assert_eq!(device.memory().held, held, "{device:?}");
        device.trim();
        assert_eq!(device.memory().held, weights);
        drop(segmenter);
        device.trim();
        assert_eq!((device.memory().live, device.memory().held), (0, 0), "{device:?}");
    }
}

#[test]
fn segmenters_in_two_threads_give_the_answers_of_one() {
    for device in devices() {
        let (first, second) = (open(&device), open(&device));
        let scenes: Vec<PointCloud> = (4..10).map(scene).collect();
        let expected: Vec<_> = scenes.iter().map(|cloud| run(&first, cloud).unwrap()).collect();
        let check = |segmenter: &Segmenter, order: &mut dyn Iterator<Item = usize>| {
            for i in order {
                assert!(run(segmenter, &scenes[i]).unwrap() == expected[i], "{device:?}: scene {i}");
            }
        };
        let several = 0..3 * scenes.len();
        std::thread::scope(|threads| {
            threads.spawn(|| check(&first, &mut several.clone().map(|i| i % scenes.len())));
            threads.spawn(|| check(&second, &mut several.clone().rev().map(|i| i % scenes.len())));
            // And one segmenter by two threads.
            threads.spawn(|| check(&first, &mut several.clone().rev().map(|i| i % scenes.len())));
        });
    }
}

/// Fails to compile if one of them cannot be sent to another thread, or not be used by several.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn what_applications_hold_can_be_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Device>();
    shared::<Segmenter>();
    shared::<PointCloud>();
    shared::<Segmentation>();
    shared::<LabelsOnDevice>();
    shared::<Error>();
}
