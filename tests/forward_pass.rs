//! What a forward pass may take: dispatches per block, memory per voxel.

use pointtpa::{
    Error,
    bench::{Options, Report, Subject, bench},
    device::{DeviceChoice, DeviceOptions},
    model::preset::{AdapterChoice, Preset},
};

fn measured(choice: DeviceChoice, adapter: AdapterChoice, voxels: &[usize]) -> Result<Report, Error> {
    bench(&Options {
        device: DeviceOptions { choice, ..DeviceOptions::default() },
        subject: Subject::Preset { preset: Preset::Rooms, adapter },
        voxels,
        runs: 1,
        warmup: 0,
        geometry: false,
        progress: None,
        cancel: None,
    })
}

#[test]
fn a_block_takes_ten_dispatches_and_fourteen_with_its_adapter() {
    let name = std::env::var("POINTTPA_TEST_DEVICE").unwrap_or_default();
    for (adapter, allowed) in [(AdapterChoice::None, 10), (AdapterChoice::LowRank, 14)] {
        let report = match measured(DeviceChoice::Named(name.clone()), adapter, &[1500]) {
            Err(Error::NoAdapter { .. }) => return eprintln!("skipped: no adapter"),
            report => report.unwrap(),
        };
        let blocks: Vec<usize> = report.runs[0].stages.iter().filter_map(|stage| stage.dispatches_per_block).collect();
        if blocks.is_empty() {
            return eprintln!("skipped: the adapter has no timestamps");
        }
        assert_eq!(blocks.iter().max(), Some(&allowed), "{blocks:?}");
    }
}

#[test]
fn memory_grows_with_the_voxels_and_no_faster() {
    let report = measured(DeviceChoice::Cpu, AdapterChoice::LowRank, &[4_000, 8_000, 16_000]).unwrap();
    let above: Vec<f64> = report.runs.iter().map(|run| (run.peak_bytes - run.weights_bytes) as f64).collect();
    for (run, bytes) in report.runs.iter().zip(&above) {
        assert!(bytes / run.voxels as f64 <= 8192.0, "{bytes} bytes for {} voxels", run.voxels);
    }
    // Buffers come in classes a quarter apart.
    assert!(above.windows(2).all(|pair| pair[1] <= pair[0] * 2.0 * 1.25), "{above:?}");
}
