//! What a measurement found.

use serde::Serialize;

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The device, in words.
    pub device: String,
    /// The network: a preset's name, or a model file's.
    pub config: String,
    /// Its adapter.
    pub adapter: String,
    /// Fused multiply-adds that the device reaches in registers alone, a billion operations a second, two each.
    pub peak_gflops: f64,
    /// Seconds of the first run in this process: opening the device, loading the model, pipelines, labels.
    pub first_label_s: f64,
    /// One for each scene.
    pub runs: Vec<RunReport>,
    /// The geometry alone, if it was asked for.
    pub geometry: Vec<GeometryRow>,
    /// What a reader should know.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// The runs over one scene.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// Voxels of the scene.
    pub voxels: usize,
    /// Median seconds from voxels to labels.
    pub median_s: f64,
    /// The fastest.
    pub min_s: f64,
    /// The slowest.
    pub max_s: f64,
    /// Median seconds of the network, labels on the host included.
    pub forward_s: f64,
    /// Median seconds of the pyramid.
    pub pyramid_s: f64,
    /// The most bytes that tensors held at once.
    pub peak_bytes: u64,
    /// Bytes of the weights.
    pub weights_bytes: u64,
    /// Bytes above the weights at the peak, for each voxel.
    pub bytes_per_voxel: f64,
    /// How much longer a run takes with the adapter than without, 0.03 being three per cent: the median over pairs of
    /// runs. `None` without an adapter.
    pub adapter_overhead: Option<f64>,
    /// Where the time goes, by part of the run.
    pub stages: Vec<StageRow>,
    /// Where the time goes, by kernel; slowest first.
    pub kernels: Vec<KernelRow>,
}

/// A part of a run.
#[derive(Clone, Debug, Serialize)]
pub struct StageRow {
    /// `pyramid`, `embedding`, `enc0`, …, `dec0`, `head`, `labels`. A stage includes the pooling into it.
    pub name: String,
    /// Seconds of its kernels.
    pub seconds: f64,
    /// Of all kernels' seconds, 0 to 1.
    pub share: f64,
    /// Billions of floating-point operations.
    pub gflop: f64,
    /// Billions a second.
    pub gflops: f64,
    /// On a GPU, the most dispatches that one of its blocks takes.
    #[serde(skip)]
    pub dispatches_per_block: Option<usize>,
}

/// A kernel, by permutation and entry point.
#[derive(Clone, Debug, Serialize)]
pub struct KernelRow {
    /// The kernel.
    pub kernel: String,
    /// Its permutation; `twin` on the CPU.
    pub variant: String,
    /// Its entry point; empty on the CPU.
    pub entry: String,
    /// Dispatches, or runs of the twin.
    pub calls: usize,
    /// Seconds of all of them.
    pub seconds: f64,
    /// Of all kernels' seconds, 0 to 1.
    pub share: f64,
    /// Billions of floating-point operations; 0 for a kernel that only moves data.
    pub gflop: f64,
    /// Billions a second.
    pub gflops: f64,
    /// Bytes of its operands, each counted once a call.
    pub bytes: u64,
    /// `gflops` as a share of the device's peak.
    pub peak_share: f64,
}

/// A step of the geometry, alone.
#[derive(Clone, Debug, Serialize)]
pub struct GeometryRow {
    /// `sort`, `voxelize` or `pyramid`.
    pub name: String,
    /// Keys, points or voxels.
    pub items: usize,
    /// Median seconds.
    pub median_s: f64,
    /// The fastest.
    pub min_s: f64,
    /// The slowest.
    pub max_s: f64,
}

/// The middle one, or the mean of the two in the middle; `NaN` of none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (n, half) if n % 2 == 1 => sorted[half],
        (_, half) => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// The smallest and the largest.
pub(super) fn extremes(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
        assert_eq!(extremes(&[3.0, 1.0, 2.0]), (1.0, 3.0));
    }
}
