//! Pooling: rows that belong together, in segments of one to six.

use super::Case;
use crate::{
    Device, Result,
    device::Tensor,
    doctor::operands::Operands,
    kernels::{
        segment_max::segment_max,
        segment_max_backward::segment_max_backward,
        segment_mean::{Segments, segment_mean},
        segment_mean_backward::segment_mean_backward,
        segment_sum::segment_sum,
    },
};

const COUNT: usize = 1025;
const CHANNELS: usize = 20;

pub(super) const CASES: &[Case] = &[
    Case { kernel: "segment_max", what: "1025 segments", tolerance: 0.0, run: largest },
    Case { kernel: "segment_max_backward", what: "1025 segments with ties", tolerance: 0.0, run: largest_backward },
    // Sums of up to six terms, divided.
    Case { kernel: "segment_mean", what: "1025 segments", tolerance: 1e-6, run: mean },
    Case { kernel: "segment_mean_backward", what: "1025 segments", tolerance: 1e-6, run: mean_backward },
    // The shader adds up in as many lanes as there is room for.
    Case { kernel: "segment_sum", what: "1025 segments", tolerance: 2e-6, run: sum },
];

fn largest(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let [members, starts] = make.segments(COUNT)?;
    let x = make.floats(&[members.rows(), CHANNELS])?;
    Ok(vec![segment_max(&x, &members, &starts)?])
}

fn largest_backward(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let [members, starts] = make.segments(COUNT)?;
    // Five values: most segments have ties.
    let x: Vec<f32> = (0..members.rows() * CHANNELS).map(|_| make.noise.below(5) as f32 - 7.0).collect();
    let x = make.put(&[members.rows(), CHANNELS], &x)?;
    let out = segment_max(&x, &members, &starts)?;
    Ok(vec![segment_max_backward(&x, &members, &starts, &out, &make.floats(&[COUNT, CHANNELS])?)?])
}

fn mean(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let [members, starts] = make.segments(COUNT)?;
    let x = make.floats(&[members.rows(), CHANNELS])?;
    Ok(vec![segment_mean(&x, &members, 0, Segments::Runs(&starts))?])
}

fn mean_backward(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let [members, starts] = make.segments(COUNT)?;
    let dy = make.floats(&[COUNT, CHANNELS])?;
    Ok(vec![segment_mean_backward(&dy, &members, 0, Segments::Runs(&starts), members.rows())?])
}

fn sum(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let [members, starts] = make.segments(COUNT)?;
    let x = make.floats(&[members.rows(), CHANNELS])?;
    Ok(vec![segment_sum(&x, 2..9, &members, 0, &starts)?])
}
