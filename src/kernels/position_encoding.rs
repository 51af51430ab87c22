//! `position_encoding`: `out = x + norm(subm_conv(x) · weightᵀ + bias)`, the network's conditional position encoding.
//!
//! A GPU runs the three kernels. The CPU takes a block of points through them, so that what lies between never leaves a
//! cache. Sums are in the same order: results have the same bits.

use super::{
    Activation, ensure,
    layer_norm::{FLOPS, Norm},
    linear::Layer,
    product::in_blocks,
    scratch::with_scratch,
    subm_conv::{self, FEW_ROWS, subm_conv},
    weight::Weight,
};
use crate::{
    Result,
    device::{
        Device, Tensor,
        command::{Work, bytes_of},
    },
};

/// `x` `[n, c]`; `weight` `[c, 3, 3, 3, c]`, `bias` `[c]`, `neighbors` `[n, 27]` u32 and `order` `[n]` as in
/// `subm_conv`; `layer` `[c, c]` → `[n, c]`.
pub fn position_encoding(
    x: &Tensor,
    weight: &Weight,
    bias: &Tensor,
    neighbors: &Tensor,
    order: Option<&Tensor>,
    layer: Layer<'_>,
    norm: Norm<'_>,
) -> Result<Tensor> {
    let (rows, columns) = (x.rows(), x.columns());
    let fits = weight.outputs() == columns && layer.fits(columns, columns) && norm.fits(columns);
    ensure!("position_encoding", fits, "{weight:?}, {layer:?} and {norm:?} for x {x:?}");
    let device = match x.device() {
        // The threads are to share out the columns of products of few rows.
        Device::Cpu(device) if rows > FEW_ROWS => device,
        _ => {
            let linear = layer.of(&subm_conv(x, weight, bias, neighbors, order)?, Activation::None, None)?;
            return norm.of(&linear, Some(x));
        }
    };
    subm_conv::check(x, weight, bias, neighbors, order)?;
    let mut out = Tensor::uninit(x.device(), &[rows, columns], x.dtype())?;
    let flops = rows * (subm_conv::flops(weight) + layer.flops() + FLOPS * columns);
    let bytes = bytes_of(&[x, weight.tensor(), bias, neighbors, norm.gamma, norm.beta, &out]) + layer.bytes();
    device.run("position_encoding", Work::Flops(flops as u64), bytes, || {
        cpu(x.host(), weight, bias.host(), neighbors.host(), layer, norm, out.host_mut());
    });
    Ok(out)
}

fn cpu(x: &[f32], weight: &Weight, bias: &[f32], neighbors: &[u32], layer: Layer<'_>, norm: Norm<'_>, out: &mut [f32]) {
    let columns = bias.len();
    if out.is_empty() {
        return;
    }
    in_blocks(out, columns, 0, subm_conv::CPU_ROWS, |first_row, tiles, out| {
        let residual = &x[first_row * columns..][..out.len()];
        with_scratch([out.len(), out.len()], |[convolved, linear]| {
            subm_conv::points(x, weight, bias, neighbors, first_row, tiles, convolved);
            layer.rows(convolved, Activation::None, None, linear);
            norm.rows(linear, Some(residual), out);
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        subm_conv::OFFSETS,
        testing::{Noise, SIZES, devices, get, neighbors, put},
    };

    #[test]
    fn every_size_gives_the_bits_of_one_kernel_after_the_other() {
        for device in devices() {
            for (n, c) in SIZES.into_iter().chain([300]).flat_map(|n| [(n, 48), (n, 9), (n, 80)]) {
                let mut noise = Noise::new((n + c) as u64);
                let x = put(&device, &[n, c], &noise.floats(n * c));
                let [bias, other_bias, gamma, beta] = [(); 4].map(|()| put(&device, &[c], &noise.floats(c)));
                let weight = Weight::from_slice(&device, c, OFFSETS, &noise.floats(c * OFFSETS * c)).unwrap();
                let linear = Weight::from_slice(&device, c, 1, &noise.floats(c * c)).unwrap();
                let table = put(&device, &[n, OFFSETS], &neighbors(n, &mut noise));
                let layer = Layer { weight: &linear, bias: Some(&other_bias) };
                let norm = Norm { gamma: &gamma, beta: &beta };
                let fused = position_encoding(&x, &weight, &bias, &table, None, layer, norm).unwrap();
                let convolved = subm_conv(&x, &weight, &bias, &table, None).unwrap();
                let separate = norm.of(&layer.of(&convolved, Activation::None, None).unwrap(), Some(&x)).unwrap();
                let (fused, separate) = (get::<f32>(&fused), get::<f32>(&separate));
                assert!(fused == separate, "[{n}, {c}] on {}", device.name());
                assert!(fused.len() == n * c && fused.iter().all(|v| v.is_finite()));
            }
        }
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let device = Device::cpu();
        let (n, c) = (200, 4);
        let weight = Weight::from_slice(&device, c, OFFSETS, &vec![0.0; c * OFFSETS * c]).unwrap();
        let linear = Weight::from_slice(&device, c, 1, &vec![0.0; c * c]).unwrap();
        let [x, vector] = [[n, c], [1, c]].map(|shape| put(&device, &shape, &vec![0.0f32; shape[0] * c]));
        let norm = Norm { gamma: &vector, beta: &vector };
        let layer = Layer { weight: &linear, bias: None };
        let table = put(&device, &[n, OFFSETS], &neighbors(n, &mut Noise::new(1)));
        assert!(position_encoding(&x, &weight, &vector, &table, None, layer, norm).is_ok());
        let short = put(&device, &[1, OFFSETS], &[0u32; OFFSETS]);
        assert!(position_encoding(&x, &weight, &vector, &short, None, layer, norm).is_err());
        let taps = Layer { weight: &weight, bias: None };
        assert!(position_encoding(&x, &weight, &vector, &table, None, taps, norm).is_err());
    }
}
