//! `basis_mix`: mixes the outputs of K basis layers by a patch's gate (the released code's DPP):
//! `out[i, j] = act(Σ_k gate[patch(i), k] · t[i, k, j])`, where `t[i, k, :] = W_k u_i + b_k` comes from one `linear`
//! over the stacked bases. Mixing outputs equals mixing weights, since the layer is linear.

use super::{Activation, ELEMENTS_PER_GROUP, ensure, groups_for, low_rank_delta::PatchOf};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{basis_mix as table, params},
    },
};
use rayon::prelude::*;

params!(basis_mix { rows: u32, columns: u32, bases: u32, inverse_base: u32, activation: u32 });

/// `t` `[n, k · c]`, `gate` `[p, k]` → `[n, c]`.
pub fn basis_mix(t: &Tensor, gate: &Tensor, patches: PatchOf<'_>, activation: Activation) -> Result<Tensor> {
    let (rows, bases) = (t.rows(), gate.columns());
    let fits = bases > 0 && t.columns().is_multiple_of(bases) && patches.fits(rows);
    ensure!("basis_mix", fits, "t {t:?}, gate {gate:?}");
    let columns = t.columns() / bases;
    let mut out = Tensor::uninit(t.device(), &[rows, columns], DType::F32)?;
    match t.device() {
        Device::Cpu(device) => {
            let work = Work::Flops(2 * t.len() as u64);
            device.run("basis_mix", work, bytes_of(&[t, gate, &out]), || {
                cpu(t, gate, patches, activation, columns, out.host_mut());
            });
        }
        Device::Gpu(device) => gpu(device, t, gate, patches, activation, &out)?,
    }
    Ok(out)
}

fn gpu(gpu: &Gpu, t: &Tensor, gate: &Tensor, patches: PatchOf<'_>, activation: Activation, out: &Tensor) -> Result<()> {
    let columns = out.columns();
    for rows in row_chunks(t.rows(), t.row_bytes(), 2 * t.columns() as u64, gpu.max_binding()) {
        let params = Params {
            rows: rows.len() as u32,
            columns: columns as u32,
            bases: gate.columns() as u32,
            inverse_base: (patches.row * t.rows() + rows.start) as u32,
            activation: activation.code(),
        };
        gpu.dispatch(&Dispatch {
            variant: &table::PLAIN,
            entry: "main",
            bind: &[
                Bind::rows(t, rows.clone()),
                Bind::all(gate),
                Bind::all(patches.inverse),
                Bind::all(patches.patch_of_rank),
                Bind::rows(out, rows.clone()),
            ],
            params: bytemuck::bytes_of(&params),
            groups: groups_for(rows.len() * columns, ELEMENTS_PER_GROUP),
            work: Work::Flops(2 * (t.columns() * rows.len()) as u64),
        })?;
    }
    Ok(())
}

fn cpu(t: &Tensor, gate: &Tensor, patches: PatchOf<'_>, activation: Activation, columns: usize, out: &mut [f32]) {
    if columns == 0 {
        return;
    }
    let bases = gate.columns();
    let (t, gate): (&[f32], &[f32]) = (t.host(), gate.host());
    out.par_chunks_exact_mut(columns).enumerate().for_each(|(i, out)| {
        let gate = &gate[patches.of(i) * bases..][..bases];
        out.fill(0.0);
        for (gate, t) in gate.iter().zip(t[i * bases * columns..].chunks_exact(columns)) {
            out.iter_mut().zip(t).for_each(|(y, t)| *y += gate * t);
        }
        activation.apply(out);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{
        agreement::agree,
        testing::{Noise, SIZES, devices, get, put},
    };

    #[test]
    fn every_size_agrees_with_the_formula() {
        for n in SIZES {
            let (c, bases, patches) = (9, 3, 4);
            let mut noise = Noise::new(n as u64);
            let (t, gate) = (noise.floats(n * bases * c), noise.floats(patches * bases));
            let inverse: Vec<u32> = (0..n).rev().map(|i| i as u32).collect();
            let patch_of_rank: Vec<u32> = (0..n).map(|_| noise.below(patches) as u32).collect();
            let result = agree(1e-6, |device| {
                let (inverse, patch_of_rank) = (put(device, &[1, n], &inverse), put(device, &[n], &patch_of_rank));
                let place = PatchOf { inverse: &inverse, row: 0, patch_of_rank: &patch_of_rank };
                let gate = put(device, &[patches, bases], &gate);
                basis_mix(&put(device, &[n, bases * c], &t), &gate, place, Activation::None).unwrap()
            });
            for (at, out) in result.iter().enumerate() {
                let (i, j) = (at / c, at % c);
                let patch = patch_of_rank[inverse[i] as usize] as usize;
                let expected: f32 = (0..bases).map(|k| gate[patch * bases + k] * t[(i * bases + k) * c + j]).sum();
                assert!((out - expected).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn more_groups_than_one_dimension_holds() {
        let n = 65_536 * 256 + 1;
        let t: Vec<f32> = (0..n).map(|i| (i % 11) as f32).collect();
        let ranks: Vec<u32> = (0..n as u32).collect();
        for device in devices() {
            let (inverse, patch_of_rank) = (put(&device, &[1, n], &ranks), put(&device, &[n], &vec![0u32; n]));
            let place = PatchOf { inverse: &inverse, row: 0, patch_of_rank: &patch_of_rank };
            let (t_device, gate) = (put(&device, &[n, 1], &t), put(&device, &[1, 1], &[3.0f32]));
            let result = basis_mix(&t_device, &gate, place, Activation::None).unwrap();
            assert!(get::<f32>(&result).iter().zip(&t).all(|(out, t)| *out == t * 3.0));
        }
    }
}
