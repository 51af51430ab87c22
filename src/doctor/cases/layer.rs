//! What networks are made of, row by row.

use super::Case;
use crate::{
    Device, Result,
    device::{DType, Tensor},
    doctor::operands::Operands,
    kernels::{
        Activation,
        activation::activation,
        add::add,
        argmax::argmax,
        fma_peak::fma_peak,
        gather_rows::{add_rows, gather_rows},
        layer_norm::layer_norm,
        linear::{Epilogue, linear},
        low_rank_delta::LowRank,
        slice_columns::slice_columns,
        softmax::softmax,
        subm_conv::{OFFSETS, subm_conv},
    },
};

/// Sums of up to 1300 products below 1, in another order.
const PRODUCT: f32 = 3e-5;

pub(super) const CASES: &[Case] = &[
    // The error function is the same polynomial on both sides; quotients differ by rounding.
    Case { kernel: "activation", what: "GELU of 65,000", tolerance: 2e-6, run: gelu },
    Case { kernel: "add", what: "65,000 sums", tolerance: 0.0, run: sum },
    // Labels must be equal; confidences follow the device's exp.
    Case { kernel: "argmax", what: "1025 rows of 20", tolerance: 2e-6, run: best },
    // A step rounds once or twice.
    Case {
        kernel: "fma_peak",
        what: "1025 chains",
        tolerance: 1e-6,
        run: |device| Ok(vec![fma_peak(device, 1025, 2)?]),
    },
    Case { kernel: "gather_rows", what: "rows", tolerance: 0.0, run: rows },
    Case { kernel: "gather_rows", what: "rows, added", tolerance: 0.0, run: rows_added },
    // Sums of up to 130 terms, and a reciprocal square root.
    Case { kernel: "layer_norm", what: "48 channels", tolerance: 2e-5, run: |device| norm(device, 48) },
    Case { kernel: "layer_norm", what: "130 channels", tolerance: 2e-5, run: |device| norm(device, 130) },
    Case { kernel: "linear", what: "f32", tolerance: PRODUCT, run: |device| product(device, DType::F32, [48, 144]) },
    Case {
        kernel: "linear",
        what: "f32, odd sizes",
        tolerance: PRODUCT,
        run: |device| product(device, DType::F32, [9, 21]),
    },
    Case { kernel: "linear", what: "f32 with a delta", tolerance: PRODUCT, run: |device| delta(device, DType::F32) },
    Case { kernel: "linear", what: "f16", tolerance: PRODUCT, run: |device| product(device, DType::F16, [48, 144]) },
    Case {
        kernel: "linear",
        what: "f16, odd sizes",
        tolerance: PRODUCT,
        run: |device| product(device, DType::F16, [9, 21]),
    },
    Case { kernel: "linear", what: "f16 with a delta", tolerance: PRODUCT, run: |device| delta(device, DType::F16) },
    Case { kernel: "linear", what: "bf16", tolerance: PRODUCT, run: |device| product(device, DType::BF16, [48, 144]) },
    Case {
        kernel: "linear",
        what: "bf16, odd sizes",
        tolerance: PRODUCT,
        run: |device| product(device, DType::BF16, [9, 21]),
    },
    Case { kernel: "linear", what: "bf16 with a delta", tolerance: PRODUCT, run: |device| delta(device, DType::BF16) },
    Case { kernel: "slice_columns", what: "13 of 19 columns", tolerance: 0.0, run: columns },
    Case { kernel: "softmax", what: "1025 rows of 21", tolerance: 1e-6, run: shares },
    Case {
        kernel: "subm_conv",
        what: "f32",
        tolerance: PRODUCT,
        run: |device| convolution(device, DType::F32, [48, 80]),
    },
    Case {
        kernel: "subm_conv",
        what: "f32, odd sizes",
        tolerance: PRODUCT,
        run: |device| convolution(device, DType::F32, [9, 5]),
    },
    Case {
        kernel: "subm_conv",
        what: "f16",
        tolerance: PRODUCT,
        run: |device| convolution(device, DType::F16, [16, 16]),
    },
    Case {
        kernel: "subm_conv",
        what: "f16, odd sizes",
        tolerance: PRODUCT,
        run: |device| convolution(device, DType::F16, [9, 5]),
    },
    Case {
        kernel: "subm_conv",
        what: "bf16",
        tolerance: PRODUCT,
        run: |device| convolution(device, DType::BF16, [16, 16]),
    },
    Case {
        kernel: "subm_conv",
        what: "bf16, odd sizes",
        tolerance: PRODUCT,
        run: |device| convolution(device, DType::BF16, [9, 5]),
    },
];

fn gelu(device: &Device) -> Result<Vec<Tensor>> {
    Ok(vec![activation(&Operands::new(device).scaled(&[65_000], 4.0)?, Activation::Gelu)?])
}

fn sum(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    Ok(vec![add(&make.floats(&[65_000])?, &make.floats(&[65_000])?)?])
}

fn best(device: &Device) -> Result<Vec<Tensor>> {
    let (label, confidence) = argmax(&Operands::new(device).scaled(&[1025, 20], 4.0)?)?;
    Ok(vec![label, confidence])
}

fn rows(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    Ok(vec![gather_rows(&make.indices(&[1025], 700)?, &make.floats(&[700, 19])?)?])
}

fn rows_added(device: &Device) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let (base, index) = (make.floats(&[1025, 19])?, make.indices(&[1025], 700)?);
    Ok(vec![add_rows(&base, &index, &make.floats(&[700, 19])?)?])
}

fn norm(device: &Device, channels: usize) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let [x, residual] = [make.floats(&[1025, channels])?, make.floats(&[1025, channels])?];
    let [gamma, beta] = [make.floats(&[channels])?, make.floats(&[channels])?];
    Ok(vec![layer_norm(&x, &gamma, &beta, Activation::None, Some(&residual))?])
}

fn product(device: &Device, dtype: DType, [inner, outputs]: [usize; 2]) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let (x, weight) = (make.floats(&[1025, inner])?, make.weight(dtype, outputs, 1, inner)?);
    let (bias, residual) = (make.floats(&[outputs])?, make.floats(&[1025, outputs])?);
    let epilogue = Epilogue { bias: Some(&bias), delta: None, activation: Activation::Relu, residual: Some(&residual) };
    Ok(vec![linear(&x, &weight, epilogue)?])
}

fn delta(device: &Device, dtype: DType) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let (x, weight) = (make.floats(&[300, 16])?, make.weight(dtype, 24, 1, 16)?);
    let (z, a) = (make.floats(&[300, 16])?, make.scaled(&[1, 24, 16], 0.25)?);
    let delta = LowRank { z: &z, a: &a, patches: None, scale: 0.5 };
    let epilogue = Epilogue { delta: Some(delta), activation: Activation::Gelu, ..Epilogue::default() };
    Ok(vec![linear(&x, &weight, epilogue)?])
}

fn columns(device: &Device) -> Result<Vec<Tensor>> {
    Ok(vec![slice_columns(&Operands::new(device).floats(&[1025, 19])?, 4..17)?])
}

fn shares(device: &Device) -> Result<Vec<Tensor>> {
    Ok(vec![softmax(&Operands::new(device).scaled(&[1025, 21], 300.0)?, 0.25)?])
}

fn convolution(device: &Device, dtype: DType, [inner, outputs]: [usize; 2]) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let (x, weight) = (make.floats(&[1025, inner])?, make.weight(dtype, outputs, OFFSETS, inner)?);
    let (bias, neighbors) = (make.floats(&[outputs])?, make.neighbors(1025)?);
    let order = make.noise.order(1025);
    Ok(vec![subm_conv(&x, &weight, &bias, &neighbors, Some(&make.put(&[1025], &order)?))?])
}
