//! `radix_sort`: stable sort of rows of 64-bit keys.
//!
//! keys `[r, n, 2]` (high word, low word) → sorted keys `[r, n, 2]` and order `[r, n]`: `sorted[k][i] =
//! keys[k][order[k][i]]`, each row by itself, ascending in the lowest `bits` bits, equal keys in their input order.
//!
//! Least significant digit first, 4 bits at a time, each pass counting, scanning and scattering (Satish, Harris and
//! Garland, "Designing efficient sorting algorithms for manycore GPUs", 2009). All rows share the dispatches.

use super::{
    expect::{self, Size::Any, Size::Is},
    key64,
    scan::scan,
};
use crate::parallel::prelude::*;
use crate::{
    Error, Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        gpu::Gpu,
        shader_table::{params, radix_sort as shader},
    },
};

params!(radix_sort { n: u32, rows: u32, blocks: u32, shift: u32, digit_mask: u32, first: u32 });

const DIGIT_BITS: u32 = 4;
const DIGITS: usize = 1 << DIGIT_BITS;
const BLOCK: usize = 1024;

/// Rows of keys in ascending order.
#[derive(Clone, Debug)]
pub struct Sorted {
    /// `[r, n, 2]`: the keys, high word first.
    pub keys: Tensor,
    /// `[r, n]`: where each key was in its input row.
    pub order: Tensor,
}

/// Sorts each row of keys `[r, n, 2]` by its lowest `bits` bits; the bits above are carried along.
pub fn radix_sort(keys: &Tensor, bits: u32) -> Result<Sorted> {
    expect::operand("radix_sort", "keys", keys, keys.device(), DType::U32, &[Any, Any, Is(2)])?;
    if bits > 64 {
        return Err(Error::Shape { kernel: "radix_sort", problem: format!("keys have 64 bits, not {bits}") });
    }
    match keys.device() {
        Device::Cpu(cpu) => cpu.run("radix_sort", Work::Other(0), bytes_of(&[keys]), || twin(keys, bits)),
        Device::Gpu(gpu) => record(gpu, keys, bits),
    }
}

fn record(gpu: &Gpu, keys: &Tensor, bits: u32) -> Result<Sorted> {
    let device = keys.device();
    let (r, n) = (keys.shape()[0], keys.shape()[1]);
    expect::one_binding("radix_sort", "the array of keys", r * n * 8, gpu.max_binding())?;
    let blocks = n.div_ceil(BLOCK).max(1);
    let counts = Tensor::uninit(device, &[r * DIGITS * blocks], DType::U32)?;
    let fresh = || -> Result<Sorted> {
        Ok(Sorted {
            keys: Tensor::uninit(device, &[r, n, 2], DType::U32)?,
            order: Tensor::uninit(device, &[r, n], DType::U32)?,
        })
    };
    let mut last: Option<Sorted> = None;
    // The buffers of the pass before the last are written next.
    let mut spare: Option<Sorted> = None;
    // One pass even for no bits: it makes the identity order.
    for pass in 0..bits.div_ceil(DIGIT_BITS).max(1) {
        let shift = pass * DIGIT_BITS;
        let params = Params {
            n: n as u32,
            rows: r as u32,
            blocks: blocks as u32,
            shift,
            digit_mask: (1 << (bits - shift).min(DIGIT_BITS)) - 1,
            first: u32::from(pass == 0),
        };
        let out = spare.take().map_or_else(fresh, Ok)?;
        // The first pass reads no order; any buffer fills the binding.
        let (keys, order) = last.as_ref().map_or((keys, keys), |last| (&last.keys, &last.order));
        let dispatch = |entry, bind: &[Bind<'_>]| {
            gpu.dispatch(&Dispatch {
                variant: &shader::PLAIN,
                entry,
                bind,
                params: bytemuck::bytes_of(&params),
                groups: (r * blocks) as u32,
                work: Work::Other((r * n) as u64 * 24),
            })
        };
        dispatch("count", &[Bind::all(keys), Bind::all(&counts)])?;
        let offsets = scan(&counts)?;
        dispatch(
            "scatter",
            &[Bind::all(keys), Bind::all(order), Bind::all(&offsets), Bind::all(&out.keys), Bind::all(&out.order)],
        )?;
        spare = last.replace(out);
    }
    last.map_or_else(fresh, Ok)
}

fn twin(keys: &Tensor, bits: u32) -> Result<Sorted> {
    let device = keys.device();
    let (r, n) = (keys.shape()[0], keys.shape()[1]);
    let mut sorted = Tensor::uninit(device, &[r, n, 2], DType::U32)?;
    let mut order = Tensor::uninit(device, &[r, n], DType::U32)?;
    let mask = if bits == 0 { 0 } else { u64::MAX >> (64 - bits) };
    let rows = key64::keys_mut(&mut sorted).par_chunks_mut(n.max(1));
    rows.zip(order.host_mut::<u32>().par_chunks_mut(n.max(1))).zip(key64::keys(keys).par_chunks(n.max(1))).for_each(
        |((sorted, order), keys)| {
            for (i, place) in order.iter_mut().enumerate() {
                *place = i as u32;
            }
            // Stable, as the passes of the shader are.
            order.par_sort_by_key(|i| key64::join(keys[*i as usize]) & mask);
            for (out, i) in sorted.iter_mut().zip(order.iter()) {
                *out = keys[*i as usize];
            }
        },
    );
    Ok(Sorted { keys: sorted, order })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Noise, SIZES, cpu, devices, get, gpu, gpu_with, put};
    use super::*;
    use proptest::prelude::*;

    fn check(device: &Device, r: usize, n: usize, keys: &[u64], bits: u32) {
        let words: Vec<u32> = keys.iter().flat_map(|k| key64::split(*k)).collect();
        let sorted = radix_sort(&put(device, &[r, n, 2], &words), bits).unwrap();
        let (out, order) = (get::<u32>(&sorted.keys), get::<u32>(&sorted.order));
        let mask = if bits == 0 { 0 } else { u64::MAX >> (64 - bits) };
        for row in 0..r {
            let input = &keys[row * n..(row + 1) * n];
            let mut expected: Vec<usize> = (0..n).collect();
            expected.sort_by_key(|i| input[*i] & mask);
            for i in 0..n {
                let at = row * n + i;
                assert_eq!(order[at] as usize, expected[i], "row {row}, rank {i} of {n}, {bits} bits, {device:?}");
                assert_eq!(
                    key64::join([out[at * 2], out[at * 2 + 1]]),
                    input[expected[i]],
                    "row {row}, rank {i} of {n}, {bits} bits, {device:?}"
                );
            }
        }
    }

    #[test]
    fn rows_come_out_sorted_and_stable() {
        for device in devices() {
            for n in SIZES.into_iter().chain([1024, 5000]) {
                let mut noise = Noise::new(n as u64);
                for (r, bits) in [(1, 64), (4, 31), (3, 37), (2, 0), (2, 2)] {
                    let keys: Vec<u64> = (0..r * n).map(|_| noise.bits()).collect();
                    check(&device, r, n, &keys, bits);
                }
                // Many equal keys.
                let keys: Vec<u64> = (0..2 * n).map(|_| (noise.bits() % 5) << 30).collect();
                check(&device, 2, n, &keys, 36);
            }
        }
    }

    #[test]
    fn past_65535_groups_the_dispatch_folds() {
        // A group per row: 65,601 rows of three keys fold as 67 million keys in one row would.
        let Some(gpu) = gpu() else { return };
        let (r, n) = (65_601, 3);
        let mut noise = Noise::new(9);
        let keys: Vec<u64> = (0..r * n).map(|_| noise.bits()).collect();
        check(&gpu, r, n, &keys, 4);
    }

    #[test]
    fn more_than_a_binding_is_refused() {
        let Some(gpu) = gpu_with(|options| options.max_binding = Some(4096)) else { return };
        let keys = put(&gpu, &[1, 513, 2], &[0u32; 1026]);
        assert!(matches!(radix_sort(&keys, 8), Err(Error::Shape { kernel: "radix_sort", .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_row_is_a_stable_permutation(keys in prop::collection::vec(0u64..200, 0..2100), bits in 0u32..10) {
            for device in [Some(cpu()), gpu()].into_iter().flatten() {
                check(&device, 1, keys.len(), &keys, bits);
            }
        }
    }
}
