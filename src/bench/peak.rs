//! The device's peak of fused multiply-adds.

use crate::{
    Device, Result,
    kernels::fma_peak::{flops, fma_peak},
};
use pollster::block_on;
use std::time::Instant;

/// How long one measurement is to take: long beside the way to a GPU and back.
const SECONDS: f64 = 0.2;

/// Operations per second, the best of three.
pub(super) fn peak(device: &Device) -> Result<f64> {
    let n = match device {
        Device::Cpu(_) => 1 << 12,
        // Enough to fill the largest GPUs several times.
        Device::Gpu(_) => 1 << 20,
    };
    let timed = |rounds: u32| -> Result<f64> {
        let begun = Instant::now();
        // Read back, because only what is on the host is certainly done.
        block_on(fma_peak(device, n, rounds)?.rows_to_vec::<f32>(0..1))?;
        Ok(begun.elapsed().as_secs_f64())
    };
    // The first pays for pipelines and threads, and no dispatch may be so long that a driver ends it: in steps.
    timed(1)?;
    let mut rounds = 1;
    let mut seconds = timed(rounds)?;
    while seconds < SECONDS / 8.0 {
        rounds *= 4;
        seconds = timed(rounds)?;
    }
    let rounds = (f64::from(rounds) * (SECONDS / seconds).max(1.0)) as u32;
    let best = (0..3).try_fold(f64::INFINITY, |best: f64, _| Ok::<_, crate::Error>(best.min(timed(rounds)?)))?;
    Ok(flops(n, rounds) as f64 / best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::devices;

    #[test]
    fn every_device_has_a_believable_peak() {
        for device in devices() {
            let peak = peak(&device).unwrap();
            assert!((1e8..1e15).contains(&peak), "{device:?}: {peak}");
        }
    }
}
