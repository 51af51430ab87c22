//! `basis_mix`: mixes K basis layers by a patch's gate (the released code's DPP):
//! `out[i, :] = act(Σ_k gate[patch(i), k] · (W_k x_i + b_k))`.
//!
//! Mixing outputs equals mixing weights, since the layers are linear. A GPU multiplies by the stacked bases at once and
//! mixes what comes out, `t[i, k, :] = W_k x_i + b_k`; the CPU mixes each patch's weights and multiplies by those, a
//! K-th of the work.

use super::{
    Activation, ELEMENTS_PER_GROUP, ensure, groups_for,
    linear::{Epilogue, Finish, Operand, linear, multiply_rows},
    low_rank_delta::PatchOf,
    math::vectorised,
    product::Tiles,
    weight::Weight,
};
use crate::parallel::prelude::*;
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

params!(basis_mix { rows: u32, columns: u32, bases: u32, inverse_base: u32, activation: u32 });

/// K linear layers of one shape.
pub struct Bases {
    layers: Layers,
    /// `[k · o]`
    bias: Tensor,
}

enum Layers {
    /// For a GPU: one weight `[k · o, i]`.
    Stacked(Weight),
    /// For the CPU.
    Apart(Vec<Weight>),
}

impl Bases {
    /// Brings `count` layers, matrices `[count, o, i]` of F32, F16 or BF16 with `bias` `[count · o]`, to a device.
    pub fn from_bytes(device: &Device, count: usize, dtype: DType, bytes: &[u8], bias: Tensor) -> Result<Self> {
        let rows = bias.len();
        let divides = count > 0 && rows.is_multiple_of(count) && bytes.len().is_multiple_of(count);
        ensure!("basis_mix", divides, "{} bytes and {rows} biases of {count} bases", bytes.len());
        let layers = match device {
            Device::Gpu(_) => Layers::Stacked(Weight::from_bytes(device, rows, 1, dtype, bytes)?),
            Device::Cpu(_) => {
                let parts = bytes.chunks_exact((bytes.len() / count).max(1));
                let load = |part| Weight::from_bytes(device, rows / count, 1, dtype, part);
                Layers::Apart(parts.map(load).collect::<Result<_>>()?)
            }
        };
        Ok(Self { layers, bias })
    }

    /// What a GPU multiplies by.
    pub(crate) fn stacked(&self) -> Option<&Weight> {
        match &self.layers {
            Layers::Stacked(weight) => Some(weight),
            Layers::Apart(_) => None,
        }
    }
}

/// `x` `[n, i]`, `gate` `[p, k]`, the point at every rank `orders` `[r, n]` u32 (its row is that of `patches`) → `[n, o]`.
pub fn basis_linear(
    x: &Tensor,
    bases: &Bases,
    gate: &Tensor,
    orders: &Tensor,
    patches: PatchOf<'_>,
    activation: Activation,
) -> Result<Tensor> {
    let layers = match &bases.layers {
        Layers::Stacked(weight) => {
            let t = linear(x, weight, Epilogue { bias: Some(&bases.bias), ..Epilogue::default() })?;
            return basis_mix(&t, gate, patches, activation);
        }
        Layers::Apart(layers) => layers,
    };
    let (rows, columns) = (x.rows(), layers.first().map_or(0, Weight::outputs));
    let fits = gate.columns() == layers.len() && patches.fits(rows) && orders.len() == patches.inverse.len();
    let inner = layers.iter().all(|layer| layer.inner() == x.columns());
    ensure!("basis_mix", fits && inner, "x {x:?}, gate {gate:?}, orders {orders:?} for {} bases", layers.len());
    let Device::Cpu(device) = x.device() else { unreachable!("bases live on the CPU apart") };
    let mut ranked = Tensor::uninit(x.device(), &[rows, columns], DType::F32)?;
    let mut out = Tensor::uninit(x.device(), &[rows, columns], DType::F32)?;
    let work = Work::Flops(2 * (rows * x.columns() * columns) as u64);
    let weights = layers.iter().map(|layer| bytes_of(&[layer.tensor()])).sum::<u64>();
    // What is written in serialized order is read again.
    let bytes = bytes_of(&[x, &bases.bias, gate, &ranked, &ranked, &out]) + weights;
    device.run("basis_mix", work, bytes, || {
        let order = &orders.host::<u32>()[patches.row * rows..][..rows];
        by_patch(x, bases, layers, gate.host(), order, patches.patch_of_rank.host(), activation, ranked.host_mut());
        let (ranked, inverse) = (ranked.host::<f32>(), &patches.inverse.host::<u32>()[patches.row * rows..][..rows]);
        out.host_mut::<f32>().par_chunks_exact_mut(columns.max(1)).zip(inverse).for_each(|(out, rank)| {
            out.copy_from_slice(&ranked[*rank as usize * columns..][..columns]);
        });
    });
    Ok(out)
}

/// Multiplies every run of ranks that share a patch by that patch's mixture, into `ranked` `[n, o]` in serialized order.
fn by_patch(
    x: &Tensor,
    bases: &Bases,
    layers: &[Weight],
    gate: &[f32],
    order: &[u32],
    patch_of_rank: &[u32],
    activation: Activation,
    ranked: &mut [f32],
) {
    let (x, bias): (&[f32], &[f32]) = (x.host(), bases.bias.host());
    let columns = bias.len() / layers.len();
    if ranked.is_empty() {
        return;
    }
    let inner = x.len() / order.len();
    let (mut tasks, mut rest, mut first) = (Vec::new(), ranked, 0);
    for run in patch_of_rank.chunk_by(|a, b| a == b) {
        let (out, tail) = rest.split_at_mut(run.len() * columns);
        rest = tail;
        tasks.push((run[0] as usize, &order[first..first + run.len()], out));
        first += run.len();
    }
    tasks.into_par_iter().for_each_init(Vec::new, |weights, (patch, order, out)| {
        let gate = &gate[patch * layers.len()..][..layers.len()];
        let mut mixed_bias = vec![0.0; columns];
        weights.clear();
        weights.resize(layers[0].tensor().len(), 0.0);
        for ((gate, layer), bias) in gate.iter().zip(layers).zip(bias.chunks_exact(columns)) {
            let add = |sums: &mut [f32], terms: &[f32]| {
                vectorised(|| sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += gate * term));
            };
            add(weights, layer.tensor().host());
            add(&mut mixed_bias, bias);
        }
        let finish = Finish { columns, bias: Some(&mixed_bias), activation, ..Finish::default() };
        let operand = Operand { x, inner, order: Some(order) };
        multiply_rows(operand, Tiles::tap(weights, 0, columns, inner), &finish, out);
    });
}

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
    fn mixing_weights_equals_mixing_outputs() {
        for n in SIZES {
            let (i, o, bases, patches) = (9, 21, 3, 4);
            let mut noise = Noise::new(n as u64 + 1);
            let (x, weight, bias) = (noise.floats(n * i), noise.floats(bases * o * i), noise.floats(bases * o));
            let gate = noise.floats(patches * bases);
            let order: Vec<u32> = (0..n as u32).rev().collect();
            let patch_of_rank: Vec<u32> = (0..n).map(|rank| (rank * patches / n.max(1)) as u32).collect();
            let result = agree(1e-5, |device| {
                let bias = put(device, &[bases * o], &bias);
                let bytes = bytemuck::cast_slice(&weight);
                let layers = Bases::from_bytes(device, bases, DType::F32, bytes, bias).unwrap();
                let (order, patch_of_rank) = (put(device, &[1, n], &order), put(device, &[n], &patch_of_rank));
                // Its own inverse.
                let place = PatchOf { inverse: &order, row: 0, patch_of_rank: &patch_of_rank };
                let (x, gate) = (put(device, &[n, i], &x), put(device, &[patches, bases], &gate));
                basis_linear(&x, &layers, &gate, &order, place, Activation::Relu).unwrap()
            });
            for (at, y) in result.iter().enumerate().step_by(5) {
                let (point, column) = (at / o, at % o);
                let patch = patch_of_rank[order[point] as usize] as usize;
                let of_basis = |k: usize| {
                    let row = &weight[(k * o + column) * i..][..i];
                    let dot: f32 = row.iter().zip(&x[point * i..]).map(|(w, x)| w * x).sum();
                    gate[patch * bases + k] * (dot + bias[k * o + column])
                };
                let expected: f32 = (0..bases).map(of_basis).sum();
                assert!((y - expected.max(0.0)).abs() < 1e-5, "n {n}: {y} against {expected}");
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
