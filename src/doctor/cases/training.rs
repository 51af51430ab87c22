//! Losses, gradients and the optimizer's step.

use super::Case;
use crate::{
    Device, Result,
    device::Tensor,
    doctor::operands::Operands,
    kernels::{
        Activation,
        accumulate::accumulate,
        activation_backward::activation_backward,
        adamw::{AdamW, Clip, Moments, adamw},
        column_sum::column_sum,
        cross_entropy::cross_entropy,
        drop_path::{DropPath, drop_path},
        layer_norm_backward::{Normed, layer_norm_backward, layer_norm_parameters_backward},
        linear::{Epilogue, linear},
        lovasz::lovasz,
        softmax::softmax,
        softmax_backward::softmax_backward,
        sum_squares::sum_squares,
        weight_gradient::weight_gradient,
        weight_layout::{Direction, weight_layout},
        weighted_mean::weighted_mean,
    },
};

pub(super) const CASES: &[Case] = &[
    // A quarter is exact, whether or not the device fuses the product with the sum.
    Case { kernel: "accumulate", what: "65,000 sums", tolerance: 0.0, run: accumulated },
    Case { kernel: "activation_backward", what: "GELU of 65,000", tolerance: 2e-6, run: slopes },
    // Square roots and quotients, rounded anew by each of three steps.
    Case { kernel: "adamw", what: "three clipped steps", tolerance: 2e-6, run: steps },
    // The same additions in the same order on both sides.
    Case { kernel: "column_sum", what: "5000 rows of 20", tolerance: 0.0, run: columns },
    // A device's exp and log are within a few of f32's last places.
    Case { kernel: "cross_entropy", what: "1025 rows of 20, weighted", tolerance: 2e-6, run: entropy },
    // Dropped by the same bits everywhere; the others are divided by what is kept.
    Case { kernel: "drop_path", what: "1025 rows of 48", tolerance: 1e-6, run: dropped },
    // Sums of up to 1025 terms of order 1.
    Case { kernel: "layer_norm_backward", what: "48 channels", tolerance: 5e-5, run: norm },
    // Two errors closer than an exp's rounding may change places, and with it their slopes.
    Case { kernel: "lovasz", what: "1025 rows of 5", tolerance: 3e-5, run: intersection },
    Case { kernel: "softmax_backward", what: "1025 rows of 21", tolerance: 1e-6, run: shares },
    Case { kernel: "sum_squares", what: "70,000 elements", tolerance: 1e-6, run: squares },
    // Sums of 1025 products below 1.
    Case { kernel: "weight_gradient", what: "rows", tolerance: 3e-5, run: |device| gradient(device, [16, 48], false) },
    Case {
        kernel: "weight_gradient",
        what: "rows, odd sizes",
        tolerance: 3e-5,
        run: |device| gradient(device, [9, 5], false),
    },
    Case {
        kernel: "weight_gradient",
        what: "neighbours",
        tolerance: 3e-5,
        run: |device| gradient(device, [16, 16], true),
    },
    Case {
        kernel: "weight_gradient",
        what: "neighbours, odd sizes",
        tolerance: 3e-5,
        run: |device| gradient(device, [9, 5], true),
    },
    // Layouts are each device's own: what counts is the product. Sums of up to 24 products below 1.
    Case {
        kernel: "weight_layout",
        what: "forward",
        tolerance: 1e-5,
        run: |device| layout(device, Direction::Forward),
    },
    Case {
        kernel: "weight_layout",
        what: "backward",
        tolerance: 1e-5,
        run: |device| layout(device, Direction::Backward),
    },
    // 256 partial sums of numbers of one sign.
    Case { kernel: "weighted_mean", what: "5000 parts", tolerance: 2e-5, run: mean },
];

fn accumulated(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let (mut y, x) = (make.floats(&[65_000])?, make.floats(&[65_000])?);
    accumulate(&mut y, 0.25, &x)?;
    Ok(vec![y])
}

fn slopes(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let (x, dy) = (make.scaled(&[65_000], 4.0)?, make.floats(&[65_000])?);
    Ok(vec![activation_backward(Activation::Gelu, &x, &dy)?])
}

fn steps(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let mut parameter = make.floats(&[9000])?;
    let mut moments = Moments::new(&parameter)?;
    for scale in [1.0, 2.0, 4.0] {
        let gradient = make.scaled(&[9000], scale)?;
        let squares = sum_squares(device, &[&gradient])?;
        // A norm that the first gradient is within, and the others are not.
        let clip = Clip { squares: &squares, max_norm: 80.0 };
        adamw(&mut parameter, &gradient, &mut moments, &AdamW::new(0.02), Some(clip))?;
    }
    Ok(vec![parameter, moments.first, moments.second])
}

fn columns(device: &Device) -> Result<Vec<Tensor>> {
    Ok(vec![column_sum(&Operands::new(device).floats(&[5000, 20])?)?])
}

fn entropy(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let (logits, labels) = (make.scaled(&[1025, 20], 6.0)?, make.labels(1025, 20)?);
    let weights: Vec<f32> = make.noise.floats(20).iter().map(|v| v.abs() * 3.0).collect();
    let loss = cross_entropy(&logits, &labels, Some(&make.put(&[20], &weights)?))?;
    Ok(vec![loss.value, loss.gradient])
}

fn dropped(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let (x, residual) = (make.floats(&[1025, 48])?, make.floats(&[1025, 48])?);
    let drop = DropPath { seed: 42, step: 1000, branch: 7, keep: 0.7 };
    Ok(vec![drop_path(&x, drop, Some(&residual))?])
}

fn norm(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let (x, dy) = (make.floats(&[1025, 48])?, make.floats(&[1025, 48])?);
    let [gamma, beta] = [make.floats(&[48])?, make.floats(&[48])?];
    let norm = Normed { x: &x, gamma: &gamma, beta: &beta, activation: Activation::Gelu };
    Ok(vec![layer_norm_backward(norm, &dy)?, layer_norm_parameters_backward(norm, &dy)?])
}

fn intersection(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let loss = lovasz(&make.scaled(&[1025, 5], 4.0)?, &make.labels(1025, 5)?)?;
    Ok(vec![loss.value, loss.gradient])
}

fn shares(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let y = softmax(&make.floats(&[1025, 21])?, 3.0)?;
    Ok(vec![softmax_backward(&y, 3.0, &make.floats(&[1025, 21])?)?])
}

fn squares(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let (x, y) = (make.floats(&[10_000])?, make.floats(&[20_000, 3])?);
    Ok(vec![sum_squares(device, &[&x, &y])?])
}

fn gradient(device: &Device, [inner, outputs]: [usize; 2], by_neighbors: bool) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let (x, dy) = (make.floats(&[1025, inner])?, make.floats(&[1025, outputs])?);
    let neighbors = make.neighbors(1025)?;
    Ok(vec![weight_gradient(&x, &dy, by_neighbors.then_some(&neighbors))?])
}

fn layout(device: &Device, direction: Direction) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let [outputs, inner] = [20, 24];
    let weight = weight_layout(&make.floats(&[outputs, inner])?, 1, direction)?;
    Ok(vec![linear(&make.floats(&[15, weight.inner()])?, &weight, Epilogue::default())?])
}

fn mean(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let parts: Vec<f32> = make.noise.floats(10_000).iter().map(|v| v.abs()).collect();
    let joined = weighted_mean(&make.put(&[5000, 2], &parts)?)?;
    Ok(vec![joined.mean, joined.inverse])
}
