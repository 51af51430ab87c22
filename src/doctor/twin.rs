//! A case on an adapter against its twin on the CPU, both against the clock.

use super::{Clock, KernelRow, cases::Case};
use crate::{
    Device, Result,
    device::{DType, Tensor},
    kernels::distance::distance,
};
use pollster::block_on;
use std::time::Instant;

/// Runs that are timed, of which the fastest counts; one before them compiles what is needed.
const RUNS: usize = 3;

/// Runs a case on both. What goes wrong on the adapter stands in the row.
pub(super) fn compare(case: &Case, adapter: &Device, clock: Clock, cpu: &Device) -> Result<KernelRow> {
    let expected = results(case, cpu)?;
    // The stopwatch of the CPU times twins alone, as timestamps do on an adapter.
    let cpu_s = seconds(case, cpu, Clock::Timestamps)?;
    let compared = results(case, adapter).and_then(|found| Ok((found, seconds(case, adapter, clock)?)));
    let row = KernelRow {
        kernel: case.kernel,
        case: case.what,
        holds: false,
        difference: f32::MAX,
        tolerance: case.tolerance,
        adapter_s: None,
        cpu_s,
        problem: None,
    };
    Ok(match compared {
        Ok((found, adapter_s)) => {
            let [floats, words] = differences(&found, &expected);
            let holds = floats <= case.tolerance && words == 0.0;
            KernelRow { holds, difference: floats.max(words), adapter_s: Some(adapter_s), ..row }
        }
        Err(error) => KernelRow { problem: Some(error.to_string()), ..row },
    })
}

/// What a tensor holds.
#[derive(Debug)]
enum Values {
    Floats(Vec<f32>),
    Words(Vec<u32>),
}

fn results(case: &Case, device: &Device) -> Result<Vec<Values>> {
    (case.run)(device)?.iter().map(values).collect()
}

fn values(tensor: &Tensor) -> Result<Values> {
    Ok(match tensor.dtype() {
        DType::I32 => Values::Words(bytemuck::cast_vec(block_on(tensor.to_vec::<i32>())?)),
        DType::U32 => Values::Words(block_on(tensor.to_vec())?),
        _ => Values::Floats(block_on(tensor.to_vec())?),
    })
}

/// The largest distance of floats, and the largest share of integers that differ.
fn differences(found: &[Values], expected: &[Values]) -> [f32; 2] {
    let (mut floats, mut words) = (0.0f32, 0.0f32);
    for pair in found.iter().zip(expected) {
        match pair {
            (Values::Floats(found), Values::Floats(expected)) if found.len() == expected.len() => {
                let distances = found.iter().zip(expected).map(|(found, expected)| distance(*found, *expected));
                floats = distances.fold(floats, f32::max);
            }
            (Values::Words(found), Values::Words(expected)) if found.len() == expected.len() => {
                let differing = found.iter().zip(expected).filter(|(found, expected)| found != expected).count();
                words = words.max(differing as f32 / expected.len().max(1) as f32);
            }
            // Another shape or type.
            _ => words = f32::MAX,
        }
    }
    [floats, words]
}

/// Seconds of the case's kernel, the best of [`RUNS`].
fn seconds(case: &Case, device: &Device, clock: Clock) -> Result<f64> {
    let mut best = f64::INFINITY;
    block_on(device.take_timings())?;
    for _ in 0..RUNS {
        let begun = Instant::now();
        results(case, device)?;
        let took = begun.elapsed().as_secs_f64();
        let timings = block_on(device.take_timings())?;
        let own = timings.iter().filter(|timing| timing.kernel == case.kernel).map(|timing| timing.seconds);
        best = best.min(if clock == Clock::Timestamps { own.sum() } else { took });
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        device::{DeviceChoice, DeviceOptions},
        kernels::testing::put,
    };

    fn cpu() -> Device {
        let options = DeviceOptions { choice: DeviceChoice::Cpu, profile: true, ..DeviceOptions::default() };
        Device::open_blocking(options).unwrap()
    }

    /// A device that another opened device stands for: the case asks which one it is given.
    fn case(tolerance: f32, run: fn(&Device) -> Result<Vec<Tensor>>) -> Case {
        Case { kernel: "add", what: "a test", tolerance, run }
    }

    #[test]
    fn one_wrong_word_and_one_far_float_are_seen() {
        let floats = |v: &[f32]| Values::Floats(v.to_vec());
        let words = |v: &[u32]| Values::Words(v.to_vec());
        assert_eq!(differences(&[floats(&[1.0, 3.0]), words(&[7])], &[floats(&[1.0, 1.0]), words(&[7])]), [1.0, 0.0]);
        assert_eq!(differences(&[words(&[1, 2, 3, 4])], &[words(&[1, 2, 3, 5])]), [0.0, 0.25]);
        assert_eq!(differences(&[floats(&[f32::NAN])], &[floats(&[0.0])]), [f32::MAX, 0.0]);
        assert_eq!(differences(&[floats(&[0.0])], &[floats(&[0.0, 0.0])]), [0.0, f32::MAX]);
        assert_eq!(differences(&[words(&[0])], &[floats(&[0.0])]), [0.0, f32::MAX]);
    }

    #[test]
    fn a_case_that_gives_something_else_every_time_does_not_hold() {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = |device: &Device| Ok(vec![put(device, &[1], &[COUNT.fetch_add(1, Ordering::Relaxed)])]);
        let row = compare(&case(1.0, count), &cpu(), Clock::Host, &cpu()).unwrap();
        assert!(!row.holds && row.difference == 1.0, "{row:?}");
        let row = compare(&case(0.0, |device| Ok(vec![put(device, &[1], &[0.5f32])])), &cpu(), Clock::Host, &cpu());
        let row = row.unwrap();
        assert!(row.holds && row.difference == 0.0 && row.adapter_s > Some(0.0), "{row:?}");
    }

    #[test]
    fn the_twin_that_a_row_names_is_the_one_that_runs() {
        let cpu = cpu();
        for case in super::super::cases::all() {
            assert!(results(case, &cpu).is_ok_and(|results| !results.is_empty()));
            let timings = block_on(cpu.take_timings()).unwrap();
            assert!(timings.iter().any(|timing| timing.kernel == case.kernel), "{} runs {timings:?}", case.kernel);
        }
    }
}
