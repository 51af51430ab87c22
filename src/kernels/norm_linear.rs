//! `norm_linear`: `out = norm(x) · weightᵀ + bias`, a normalisation and the layer that reads it.
//!
//! A GPU runs the two kernels. The CPU normalises a block of rows and multiplies it while it is in a cache. Sums are in
//! the same order: results have the same bits.

use super::{
    Activation, ensure,
    layer_norm::{FLOPS, Norm},
    linear::{FEW_ROWS, Layer, cpu_block},
    product::in_blocks,
    scratch::with_scratch,
};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Work, bytes_of},
    },
};

/// `x` `[n, i]` → `[n, o]`.
pub fn norm_linear(x: &Tensor, norm: Norm<'_>, layer: Layer<'_>) -> Result<Tensor> {
    let (rows, inner, columns) = (x.rows(), x.columns(), layer.weight.outputs());
    let fits = norm.fits(inner) && layer.fits(inner, columns) && x.dtype() == DType::F32;
    ensure!("norm_linear", fits, "{norm:?} and {layer:?} for x {x:?}");
    let device = match x.device() {
        // The threads are to share out the columns of a product of few rows.
        Device::Cpu(device) if rows > FEW_ROWS => device,
        _ => return layer.of(&norm.of(x, None)?, Activation::None, None),
    };
    let mut out = Tensor::uninit(x.device(), &[rows, columns], DType::F32)?;
    let work = Work::Flops((rows * (FLOPS * inner + layer.flops())) as u64);
    device.run("norm_linear", work, bytes_of(&[x, norm.gamma, norm.beta, &out]) + layer.bytes(), || {
        cpu(x.host(), norm, layer, out.host_mut());
    });
    Ok(out)
}

fn cpu(x: &[f32], norm: Norm<'_>, layer: Layer<'_>, out: &mut [f32]) {
    let (inner, columns) = (layer.weight.inner(), layer.weight.outputs());
    if out.is_empty() {
        return;
    }
    in_blocks(out, columns, 0, cpu_block(inner), |first_row, _, out| {
        let x = &x[first_row * inner..][..out.len() / columns * inner];
        with_scratch([x.len()], |[normed]| {
            norm.rows(x, None, normed);
            layer.rows(normed, Activation::None, None, out);
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        testing::{Noise, SIZES, devices, get, put},
        weight::Weight,
    };

    #[test]
    fn every_size_gives_the_bits_of_one_kernel_after_the_other() {
        for device in devices() {
            for (n, [i, o]) in SIZES.into_iter().flat_map(|n| [(n, [48, 144]), (n, [9, 20]), (n, [384, 5])]) {
                let mut noise = Noise::new((n + i) as u64);
                let x = put(&device, &[n, i], &noise.floats(n * i));
                let [gamma, beta] = [(); 2].map(|()| put(&device, &[i], &noise.floats(i)));
                let weight = Weight::from_slice(&device, o, 1, &noise.floats(o * i)).unwrap();
                let bias = put(&device, &[o], &noise.floats(o));
                let norm = Norm { gamma: &gamma, beta: &beta };
                let layer = Layer { weight: &weight, bias: Some(&bias) };
                let fused: Vec<f32> = get(&norm_linear(&x, norm, layer).unwrap());
                let separate: Vec<f32> = get(&layer.of(&norm.of(&x, None).unwrap(), Activation::None, None).unwrap());
                assert!(fused == separate, "[{n}, {i}] to {o} on {}", device.name());
                assert!(fused.len() == n * o && fused.iter().all(|v| v.is_finite()));
            }
        }
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let device = Device::cpu();
        let weight = Weight::from_slice(&device, 4, 1, &[0.0; 12]).unwrap();
        let [narrow, wide] = [3, 4].map(|c| put(&device, &[c], &vec![0.0f32; c]));
        let (norm, layer) = (Norm { gamma: &narrow, beta: &narrow }, Layer { weight: &weight, bias: Some(&wide) });
        let x = put(&device, &[2, 3], &[0.0f32; 6]);
        assert!(norm_linear(&x, norm, layer).is_ok());
        assert!(norm_linear(&x, Norm { beta: &wide, ..norm }, layer).is_err());
        assert!(norm_linear(&x, norm, Layer { bias: Some(&narrow), ..layer }).is_err());
        assert!(norm_linear(&put(&device, &[2, 4], &[0.0f32; 8]), norm, layer).is_err());
    }
}
