//! Where the time of a run goes: by part of the run, and by kernel.

use super::{
    report::{KernelRow, StageRow},
    scene::{Scene, neighbors_present},
    timed::Bench,
};
use crate::{
    Result,
    device::{Device, Timing},
    geometry::pyramid::Pyramid,
    kernels::{argmax::argmax, subm_conv::OFFSETS},
    model::Context,
};
use pollster::block_on;
use std::cell::RefCell;

/// Seconds below which nothing is measured: a GPU's clock may tick slower than a kernel runs.
const TICK: f64 = 1e-9;

/// Both tables; empty where the device cannot measure.
#[derive(Debug)]
pub(super) struct Breakdown {
    pub(super) stages: Vec<StageRow>,
    pub(super) kernels: Vec<KernelRow>,
}

/// Measures one run over `scene`, after one that does not count.
pub(super) fn breakdown(bench: &Bench<'_>, scene: &Scene, peak_gflops: f64) -> Result<Breakdown> {
    let device = bench.device();
    let uploaded = bench.upload(scene)?;
    bench.run(&uploaded)?;
    block_on(device.take_timings())?;

    let parts = RefCell::new(vec!["pyramid".to_owned()]);
    let enter = |name: &str| {
        device.mark();
        parts.borrow_mut().push(name.to_owned());
    };
    let pyramid = bench.pyramid(&uploaded)?;
    enter("embedding");
    let step = |name: &str, _: f64| {
        enter(name);
        bench.watch.check()
    };
    let logits = bench.model.forward(&mut Context::with_steps(&step), &pyramid, &uploaded.features)?;
    enter("labels");
    let (labels, _) = argmax(&logits)?;
    block_on(labels.to_vec::<u32>())?;
    let mut timings = block_on(device.take_timings())?;

    let parts = parts.into_inner();
    let density = density(&pyramid)?;
    for timing in &mut timings {
        // The kernel counts all offsets, of which most have no neighbour in a scan.
        let stage = parts.get(timing.part).and_then(|name| stage_of(name)).unwrap_or(0);
        let present = *density.get(stage).unwrap_or(&1.0);
        timing.flops = (timing.flops as f64 * computed(timing.kernel, present)).round() as u64;
    }
    let is_gpu = matches!(device, Device::Gpu(_));
    Ok(Breakdown { stages: by_stage(&parts, &timings, is_gpu), kernels: by_kernel(&timings, peak_gflops) })
}

/// The share of what a kernel counts that it computes where this share of neighbours is `present`.
fn computed(kernel: &str, present: f64) -> f64 {
    let offsets = OFFSETS as f64;
    match kernel {
        "subm_conv" => present,
        // A convolution and a linear layer of as many channels: 28 products of the same size.
        "position_encoding" => (offsets * present + 1.0) / (offsets + 1.0),
        _ => 1.0,
    }
}

/// For every stage, the share of the 27 offsets at which there are neighbours.
fn density(pyramid: &Pyramid) -> Result<Vec<f64>> {
    let of = |table: Vec<u32>| neighbors_present(&table) as f64 / table.len().max(OFFSETS) as f64;
    pyramid.stages.iter().map(|stage| Ok(of(block_on(stage.neighbors.to_vec())?))).collect()
}

/// `enc3` and `dec3` are stage 3.
fn stage_of(part: &str) -> Option<usize> {
    part.strip_prefix("enc").or_else(|| part.strip_prefix("dec"))?.parse().ok()
}

/// One row for each name, in the order of the run.
fn by_stage(parts: &[String], timings: &[Timing], is_gpu: bool) -> Vec<StageRow> {
    let all: f64 = timings.iter().map(|timing| timing.seconds).sum();
    let mut rows: Vec<StageRow> = Vec::new();
    let mut names: Vec<&String> = parts.iter().collect();
    names.dedup();
    for name in names {
        let of_part = |part: usize| timings.iter().filter(move |timing| timing.part == part);
        let indices = || (0..parts.len()).filter(|part| parts[*part] == *name);
        let seconds: f64 = indices().flat_map(of_part).map(|timing| timing.seconds).sum();
        let flops: u64 = indices().flat_map(of_part).map(|timing| timing.flops).sum();
        // A stage's first part is the pooling into it, but for the finest; its others are its blocks.
        let pooling = usize::from(name != "enc0");
        let most = indices().skip(pooling).map(|part| of_part(part).count()).max();
        if indices().flat_map(of_part).next().is_some() {
            rows.push(StageRow {
                name: name.clone(),
                seconds,
                share: seconds / all.max(TICK),
                gflop: flops as f64 * 1e-9,
                gflops: flops as f64 * 1e-9 / seconds.max(TICK),
                dispatches_per_block: most.filter(|_| is_gpu && stage_of(name).is_some()),
            });
        }
    }
    rows
}

/// One row for each kernel, permutation and entry point, slowest first.
fn by_kernel(timings: &[Timing], peak_gflops: f64) -> Vec<KernelRow> {
    let all: f64 = timings.iter().map(|timing| timing.seconds).sum();
    let mut rows: Vec<KernelRow> = Vec::new();
    for timing in timings {
        let is_same = |row: &&mut KernelRow| {
            (row.kernel.as_str(), row.variant.as_str(), row.entry.as_str())
                == (timing.kernel, timing.variant, timing.entry)
        };
        if let Some(row) = rows.iter_mut().find(is_same) {
            row.calls += 1;
            row.seconds += timing.seconds;
            row.gflop += timing.flops as f64 * 1e-9;
            row.bytes += timing.bytes;
        } else {
            rows.push(KernelRow {
                kernel: timing.kernel.to_owned(),
                variant: timing.variant.to_owned(),
                entry: timing.entry.to_owned(),
                calls: 1,
                seconds: timing.seconds,
                share: 0.0,
                gflop: timing.flops as f64 * 1e-9,
                gflops: 0.0,
                bytes: timing.bytes,
                peak_share: 0.0,
            });
        }
    }
    for row in &mut rows {
        row.share = row.seconds / all.max(TICK);
        row.gflops = row.gflop / row.seconds.max(TICK);
        row.peak_share = row.gflops / peak_gflops;
    }
    rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(part: usize, kernel: &'static str, seconds: f64, flops: u64) -> Timing {
        Timing { part, kernel, variant: "plain", entry: "main", seconds, flops, bytes: 10 }
    }

    #[test]
    fn only_convolutions_skip_what_is_not_there() {
        assert_eq!(
            ["linear", "subm_conv", "position_encoding"].map(|kernel| computed(kernel, 0.25)),
            [1.0, 0.25, (27.0 * 0.25 + 1.0) / 28.0]
        );
    }

    #[test]
    fn times_are_summed_by_stage_and_blocks_are_counted_without_their_pooling() {
        let parts = ["pyramid", "embedding", "enc0", "enc0", "enc1", "enc1", "head", "labels"].map(str::to_owned);
        let timings = [
            timing(0, "unique", 1.0, 0),
            timing(2, "linear", 1.0, 2_000_000_000),
            timing(3, "linear", 2.0, 4_000_000_000),
            timing(3, "layer_norm", 1.0, 0),
            timing(4, "linear", 1.0, 0),
            timing(4, "segment_max", 1.0, 0),
            timing(4, "layer_norm", 1.0, 0),
            timing(5, "linear", 2.0, 0),
        ];
        let rows = by_stage(&parts, &timings, true);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["pyramid", "enc0", "enc1"]);
        assert_eq!((rows[1].seconds, rows[1].gflop, rows[1].gflops), (4.0, 6.0, 1.5));
        assert_eq!(rows[1].dispatches_per_block, Some(2));
        assert_eq!(rows[2].dispatches_per_block, Some(1));
        assert_eq!(rows[0].dispatches_per_block, None);
        assert_eq!(rows.iter().map(|row| row.share).sum::<f64>(), 1.0);

        let kernels = by_kernel(&timings, 2.0);
        assert_eq!((kernels[0].kernel.as_str(), kernels[0].calls, kernels[0].bytes), ("linear", 4, 40));
        assert_eq!((kernels[0].gflops, kernels[0].peak_share), (1.0, 0.5));
        assert!(kernels.is_sorted_by(|a, b| a.seconds >= b.seconds));
    }

    #[test]
    fn stages_are_known_by_name() {
        assert_eq!((stage_of("enc3"), stage_of("dec0"), stage_of("head")), (Some(3), Some(0), None));
    }
}
