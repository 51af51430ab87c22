//! `unique`: the cells that sorted keys name.
//!
//! keys `[n, 2]`, ascending, and their order `[n]` → cluster `[n]`, the cell of every point; starts `[cells + 1]`,
//! where in `order` each cell's members begin; first `[cells]`, the member that comes first in `order`, which after
//! a stable sort is the one of smallest index.
//!
//! Source: `torch.unique` with inverse and counts, as the reference's `GridPooling` uses it.

use super::{
    expect::{self, Size::Is},
    key64,
    scan::scan,
};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        gpu::Gpu,
        shader_table::{params, unique as shader},
    },
};

params!(unique { n: u32, cells: u32 });

/// Points grouped by cell.
#[derive(Clone, Debug)]
pub struct Cells {
    /// `[n]`: the cell of every point.
    pub cluster: Tensor,
    /// `[cells + 1]`: the members of cell c are `order[starts[c]..starts[c + 1]]`.
    pub starts: Tensor,
    /// `[cells]`: the first member of every cell.
    pub first: Tensor,
    /// For every scene, the number of cells up to its end.
    pub ends: Vec<usize>,
}

/// Cells of sorted `keys` and their `order`. `ends` are the scenes' cumulative point counts; a scene's keys lie
/// before those of the next.
pub async fn unique(keys: &Tensor, order: &Tensor, ends: &[usize]) -> Result<Cells> {
    let device = keys.device();
    let n = order.rows();
    expect::operand("unique", "order", order, device, DType::U32, &[Is(n)])?;
    expect::operand("unique", "keys", keys, device, DType::U32, &[Is(n), Is(2)])?;
    match device {
        Device::Cpu(cpu) => cpu.run("unique", Work::Other(0), bytes_of(&[keys, order]), || twin(keys, order, ends)),
        Device::Gpu(gpu) => record(gpu, keys, order, ends).await,
    }
}

async fn record(gpu: &Gpu, keys: &Tensor, order: &Tensor, ends: &[usize]) -> Result<Cells> {
    let device = keys.device();
    let n = order.rows();
    expect::one_binding("unique", "the array of keys", n * 8, gpu.max_binding())?;
    let dispatch = |entry, bind: &[Bind<'_>], cells: usize, threads: usize| {
        gpu.dispatch(&Dispatch {
            variant: &shader::PLAIN,
            entry,
            bind,
            params: bytemuck::bytes_of(&Params { n: n as u32, cells: cells as u32 }),
            groups: threads.div_ceil(256) as u32,
            work: Work::Other(n as u64 * 24),
        })
    };
    let starts_cell = Tensor::uninit(device, &[n], DType::U32)?;
    dispatch("mark", &[Bind::all(keys), Bind::all(&starts_cell)], 0, n)?;
    let positions = scan(&starts_cell)?;

    let cells = positions.rows_to_vec::<u32>(n..n + 1).await?[0] as usize;
    let mut cell_ends = Vec::with_capacity(ends.len());
    for end in ends {
        let end_is_last = *end == n;
        cell_ends.push(if end_is_last {
            cells
        } else {
            positions.rows_to_vec::<u32>(*end..end + 1).await?[0] as usize
        });
    }

    let cluster = Tensor::uninit(device, &[n], DType::U32)?;
    let starts = Tensor::uninit(device, &[cells + 1], DType::U32)?;
    let first = Tensor::uninit(device, &[cells], DType::U32)?;
    dispatch(
        "emit",
        &[Bind::all(&positions), Bind::all(order), Bind::all(&cluster), Bind::all(&starts), Bind::all(&first)],
        cells,
        n + 1,
    )?;
    Ok(Cells { cluster, starts, first, ends: cell_ends })
}

fn twin(keys: &Tensor, order: &Tensor, ends: &[usize]) -> Result<Cells> {
    let device = keys.device();
    let (keys, order) = (key64::keys(keys), order.host::<u32>());
    let mut cluster = Tensor::uninit(device, &[order.len()], DType::U32)?;
    let cell_of = cluster.host_mut::<u32>();
    let (mut starts, mut first) = (Vec::new(), Vec::new());
    // The number of cells among the first i keys, at the scenes' ends.
    let mut cell_ends = vec![0; ends.len()];
    for (i, (key, point)) in keys.iter().zip(order).enumerate() {
        if i == 0 || *key != keys[i - 1] {
            starts.push(i as u32);
            first.push(*point);
        }
        cell_of[*point as usize] = starts.len() as u32 - 1;
        for (end, cells) in ends.iter().zip(&mut cell_ends) {
            if *end == i + 1 {
                *cells = starts.len();
            }
        }
    }
    starts.push(order.len() as u32);
    Ok(Cells {
        cluster,
        starts: Tensor::from_slice(device, &[starts.len()], &starts)?,
        first: Tensor::from_slice(device, &[first.len()], &first)?,
        ends: cell_ends,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Noise, SIZES, cpu, devices, get, gpu, put};
    use super::*;
    use pollster::block_on;
    use proptest::prelude::*;

    /// Sorts `keys`, finds their cells on `device`, and checks them against the definition.
    fn check(device: &Device, keys: &[u64], ends: &[usize]) {
        let n = keys.len();
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.sort_by_key(|i| keys[*i as usize]);
        let words: Vec<u32> = order.iter().flat_map(|i| key64::split(keys[*i as usize])).collect();
        let cells =
            block_on(unique(&put(device, &[n, 2], &words), &put(device, &[n], &order), ends)).expect("keys have cells");

        let mut distinct = keys.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let (cluster, starts, first) =
            (get::<u32>(&cells.cluster), get::<u32>(&cells.starts), get::<u32>(&cells.first));
        assert_eq!((starts.len(), first.len()), (distinct.len() + 1, distinct.len()));
        assert_eq!((starts[0], starts[distinct.len()]), (0, n as u32));
        for (i, key) in keys.iter().enumerate() {
            assert_eq!(distinct[cluster[i] as usize], *key, "cell of point {i}");
        }
        for (c, key) in distinct.iter().enumerate() {
            let members = &order[starts[c] as usize..starts[c + 1] as usize];
            assert!(!members.is_empty() && members.iter().all(|i| keys[*i as usize] == *key));
            assert_eq!(Some(first[c]), members.iter().min().copied());
        }
        for (end, cell_end) in ends.iter().zip(&cells.ends) {
            let mut head: Vec<u64> = order[..*end].iter().map(|i| keys[*i as usize]).collect();
            head.dedup();
            assert_eq!(*cell_end, head.len());
        }
    }

    #[test]
    fn cells_are_the_runs_of_equal_keys() {
        for device in devices() {
            for n in SIZES {
                let mut noise = Noise::new(n as u64);
                for distinct in [1, 7, 1 << 30] {
                    let keys: Vec<u64> = (0..n).map(|_| noise.below(distinct) as u64 * 0x1_0000_0001).collect();
                    check(&device, &keys, &[n / 3, n / 2, n]);
                }
            }
        }
    }

    #[test]
    fn past_65535_groups_the_dispatch_folds() {
        let Some(gpu) = gpu() else { return };
        // 65,536 groups of keys, and one more for the last start; the keys just fit a portable binding.
        let n = 65_536 * 256;
        let words: Vec<u32> = (0..n as u32).flat_map(|i| [0, i / 4]).collect();
        let order: Vec<u32> = (0..n as u32).collect();
        let cells = block_on(unique(&put(&gpu, &[n, 2], &words), &put(&gpu, &[n], &order), &[n / 2, n])).unwrap();
        assert_eq!(cells.ends, [n / 8, n / 4]);
        assert!(get::<u32>(&cells.cluster).iter().enumerate().all(|(i, cell)| *cell as usize == i / 4));
        assert!(get::<u32>(&cells.starts).iter().enumerate().all(|(c, start)| *start as usize == 4 * c));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_keys_have_cells(keys in prop::collection::vec(0u64..50, 0..700), cut in 0.0..1.0) {
            let end = (keys.len() as f64 * cut) as usize;
            for device in [Some(cpu()), gpu()].into_iter().flatten() {
                check(&device, &keys, &[end, keys.len()]);
            }
        }
    }
}
