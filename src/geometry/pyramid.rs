//! The pyramid: for every stage of the network its points, curves, windows, neighbours and pooling cells.
//!
//! It depends on the scene alone, is built once, and serves every forward pass. Points may come in any order
//! within their scene; those of the pooled stages come in order of batch, x, y, z.

use super::windows::Windows;
use crate::{
    Error, Result,
    device::{DType, Tensor},
    kernels::{
        cell_coords::cell_coords,
        coord_max::coord_max,
        expect::{self, Size::Is},
        invert_permutation::invert_permutation,
        neighbor_mask::neighbor_order,
        neighbor_table::neighbor_table,
        radix_sort::radix_sort,
        serialize::{Curve, MAX_DEPTH, serialize},
        unique::unique,
    },
};

/// What one stage of the network asks of the geometry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageSpec {
    /// The serialization orders, in the order in which blocks use them.
    pub curves: Vec<Curve>,
    /// Points per attention window.
    pub patch_size: usize,
    /// Cells per axis that pool into one point of the next stage; `None` in the last.
    pub stride_to_next: Option<usize>,
}

/// All stages, finest first.
#[derive(Clone, Debug)]
pub struct Pyramid {
    /// One per [`StageSpec`].
    pub stages: Vec<Stage>,
}

/// One stage: n points of B scenes, r curves.
#[derive(Clone, Debug)]
pub struct Stage {
    /// `[n, 3]` i32.
    pub grid_coord: Tensor,
    /// `[n]` u32: the scene of every point.
    pub batch: Tensor,
    /// Where each scene ends.
    pub offsets: Vec<usize>,
    /// Bits per axis of the codes.
    pub depth: u32,
    /// `[r, n, 2]` u32: the place of every point on every curve.
    pub codes: Tensor,
    /// `[r, n]` u32: the point at every rank.
    pub orders: Tensor,
    /// `[r, n]` u32: the rank of every point.
    pub inverses: Tensor,
    /// `[n, 27]` u32: see [`neighbor_table`].
    pub neighbors: Tensor,
    /// `[n]` u32: the points, those with the same neighbours next to each other; on a GPU only, where a convolution's
    /// workgroups skip what none of their points has.
    pub neighbor_order: Option<Tensor>,
    /// The attention windows, in ranks.
    pub windows: Windows,
    /// How the points of the finer stage became these; `None` in the first stage.
    pub pooling: Option<Pooling>,
}

/// The cells that a finer stage's points fall into, which are this stage's points.
#[derive(Clone, Debug)]
pub struct Pooling {
    /// `[n_fine]` u32: the cell of every fine point.
    pub cluster: Tensor,
    /// `[n_fine]` u32: the fine points, cell by cell.
    pub members: Tensor,
    /// `[n + 1]` u32: where in `members` each cell's begin.
    pub starts: Tensor,
}

impl Stage {
    /// Number of points.
    pub fn len(&self) -> usize {
        self.batch.rows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Points of a stage, before anything is derived from them.
struct Points {
    grid_coord: Tensor,
    batch: Tensor,
    offsets: Vec<usize>,
    /// The largest grid coordinate over all axes and scenes.
    largest: u32,
    pooling: Option<Pooling>,
}

impl Pyramid {
    /// Builds the stages of points with grid coordinates `[n, 3]` (not negative), scene `batch` `[n]`, ascending,
    /// and the scenes' cumulative ends `offsets`.
    pub async fn build(grid_coord: &Tensor, batch: &Tensor, offsets: &[usize], specs: &[StageSpec]) -> Result<Self> {
        let largest = coord_max(grid_coord).await?;
        Self::build_within(grid_coord, batch, offsets, specs, largest).await
    }

    /// [`Self::build`] of a part of a scene whose grid coordinates reach up to `largest`: its codes are those of the whole.
    pub async fn build_within(
        grid_coord: &Tensor,
        batch: &Tensor,
        offsets: &[usize],
        specs: &[StageSpec],
        largest: u32,
    ) -> Result<Self> {
        let n = batch.rows();
        expect::operand("pyramid", "grid_coord", grid_coord, batch.device(), DType::I32, &[Is(n), Is(3)])?;
        expect::operand("pyramid", "batch", batch, batch.device(), DType::U32, &[Is(n)])?;
        if !offsets.is_sorted() || offsets.last().copied().unwrap_or(0) != n {
            return Err(Error::Shape {
                kernel: "pyramid",
                problem: format!("offsets must ascend to the {n} points, they are {offsets:?}"),
            });
        }
        let mut points = Some(Points {
            grid_coord: grid_coord.clone(),
            batch: batch.clone(),
            offsets: offsets.to_vec(),
            largest,
            pooling: None,
        });
        let mut stages = Vec::with_capacity(specs.len());
        for (s, spec) in specs.iter().enumerate() {
            let Some(current) = points.take() else {
                return Err(Error::Argument {
                    what: format!("stage {s}"),
                    problem: "the stage before it has no stride".into(),
                    advice: "Give every stage but the last a stride to the next".into(),
                });
            };
            if let Some(stride) = spec.stride_to_next {
                points = Some(current.pooled(stride).await?);
            }
            stages.push(current.into_stage(spec)?);
        }
        Ok(Self { stages })
    }
}

impl Points {
    fn into_stage(self, spec: &StageSpec) -> Result<Stage> {
        let Self { grid_coord, batch, offsets, largest, pooling } = self;
        let depth = depth_of(largest);
        let bits = key_bits(depth, offsets.len(), largest)?;
        let codes = serialize(&grid_coord, &batch, depth, 1, &spec.curves)?;
        let orders = radix_sort(&codes, bits)?.order;
        // Pooled points are in raster order already: by none of the bits, the sort is the identity.
        let raster_bits = if pooling.is_some() { 0 } else { bits };
        let raster = radix_sort(&serialize(&grid_coord, &batch, depth, 1, &[Curve::Raster])?, raster_bits)?;
        let n = batch.rows();
        let (keys, order) = (raster.keys.reshaped(&[n, 2])?, raster.order.reshaped(&[n])?);
        let neighbors = neighbor_table(&keys, &order, &grid_coord, &batch, depth)?;
        Ok(Stage {
            inverses: invert_permutation(&orders)?,
            neighbor_order: neighbor_order(&neighbors)?,
            neighbors,
            windows: Windows::new(batch.device(), &offsets, spec.patch_size)?,
            grid_coord,
            batch,
            offsets,
            depth,
            codes,
            orders,
            pooling,
        })
    }

    /// The points of the next stage: one per occupied cell of `stride` cells per axis.
    async fn pooled(&self, stride: usize) -> Result<Self> {
        if stride == 0 {
            return Err(Error::Argument {
                what: "stride".into(),
                problem: "0 cells make no pooling cell".into(),
                advice: "Use a stride of at least 1, commonly 2".into(),
            });
        }
        let largest = self.largest / u32::try_from(stride).unwrap_or(u32::MAX);
        let depth = depth_of(largest);
        let bits = key_bits(depth, self.offsets.len(), largest)?;
        let n = self.batch.rows();
        let sorted = radix_sort(&serialize(&self.grid_coord, &self.batch, depth, stride, &[Curve::Raster])?, bits)?;
        let (keys, members) = (sorted.keys.reshaped(&[n, 2])?, sorted.order.reshaped(&[n])?);
        let cells = unique(&keys, &members, &self.offsets).await?;
        let (grid_coord, batch) = cell_coords(&keys, &cells.starts, depth)?;
        Ok(Self {
            grid_coord,
            batch,
            offsets: cells.ends,
            largest,
            pooling: Some(Pooling { cluster: cells.cluster, members, starts: cells.starts }),
        })
    }
}

/// Bits per axis for coordinates up to `largest`: the reference's `bit_length(largest + 1)`, one more than needed
/// when `largest + 1` is a power of two.
pub(super) fn depth_of(largest: u32) -> u32 {
    u64::BITS - (u64::from(largest) + 1).leading_zeros()
}

/// Bits of a code that differ between points of `scenes` scenes; an error where a code has no room for them.
fn key_bits(depth: u32, scenes: usize, largest: u32) -> Result<u32> {
    let bit_length = |v: usize| usize::BITS - v.leading_zeros();
    let refuse =
        |problem: String, advice: &str| Err(Error::Argument { what: "scene".into(), problem, advice: advice.into() });
    if largest > i32::MAX as u32 {
        return refuse("a grid coordinate is negative".into(), "Count grid coordinates from the scene's lowest cell");
    }
    if depth > MAX_DEPTH {
        return refuse(
            format!("grid coordinates reach {largest}, which needs {depth} bits; {MAX_DEPTH} are supported"),
            "Use a coarser --grid or cut the scene",
        );
    }
    if 3 * depth + bit_length(scenes) > 63 {
        return refuse(
            format!("{scenes} scenes with {depth} bits per axis pass the 63 bits of a code"),
            "Put fewer scenes into a batch",
        );
    }
    Ok(3 * depth + bit_length(scenes.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{devices, get, put};
    use pollster::block_on;

    fn specs(stages: usize) -> Vec<StageSpec> {
        (0..stages)
            .map(|s| StageSpec {
                curves: vec![Curve::Z, Curve::Hilbert],
                patch_size: 4,
                stride_to_next: (s + 1 < stages).then_some(2),
            })
            .collect()
    }

    #[test]
    fn depth_is_the_bit_length_of_the_largest_coordinate_plus_one() {
        for (largest, depth) in [(0, 1), (1, 2), (2, 2), (3, 3), (62, 6), (63, 7), (65_534, 16), (65_535, 17)] {
            assert_eq!(depth_of(largest), depth, "{largest}");
        }
    }

    #[test]
    fn a_hand_worked_pyramid() {
        for device in devices() {
            // Two scenes; x = 0, 1 and 2, 3 pool in pairs.
            let grid = put(&device, &[5, 3], &[3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 2, 2]);
            let batch = put(&device, &[5], &[0u32, 0, 0, 1, 1]);
            let pyramid = block_on(Pyramid::build(&grid, &batch, &[3, 5], &specs(2))).unwrap();
            let [fine, coarse] = &pyramid.stages[..] else { panic!("two stages") };
            assert_eq!((fine.depth, coarse.depth), (3, 2));
            assert_eq!(coarse.offsets, [2, 4]);
            assert_eq!(get::<i32>(&coarse.grid_coord), [0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1]);
            assert_eq!(get::<u32>(&coarse.batch), [0, 0, 1, 1]);
            let pooling = coarse.pooling.as_ref().unwrap();
            assert_eq!(get::<u32>(&pooling.cluster), [1, 0, 0, 2, 3]);
            assert_eq!(get::<u32>(&pooling.members), [1, 2, 0, 3, 4]);
            assert_eq!(get::<u32>(&pooling.starts), [0, 2, 3, 4, 5]);
            assert_eq!(get::<u32>(&fine.orders)[..5], [1, 2, 0, 3, 4]);
            assert_eq!(get::<u32>(&fine.inverses)[..5], [2, 0, 1, 3, 4]);
            // Points 1 and 2 are neighbours along x; 1 and 3 share no scene.
            let neighbors = get::<u32>(&fine.neighbors);
            assert_eq!((neighbors[27 + 13], neighbors[27 + 22], neighbors[27 + 14]), (1, 2, u32::MAX));
        }
    }

    #[test]
    fn an_empty_scene_and_a_single_point_have_pyramids() {
        for device in devices() {
            for (offsets, n) in [(vec![0], 0), (vec![1], 1), (vec![0, 1, 1], 1)] {
                let grid = put(&device, &[n, 3], &vec![0i32; 3 * n]);
                let batch = put(&device, &[n], &vec![offsets.len() as u32 / 2; n]);
                let pyramid = block_on(Pyramid::build(&grid, &batch, &offsets, &specs(3))).unwrap();
                for stage in &pyramid.stages {
                    assert_eq!((&stage.offsets, stage.len(), stage.depth), (&offsets, n, 1));
                    assert_eq!(get::<u32>(&stage.orders), vec![0; 2 * n]);
                }
            }
        }
    }

    #[test]
    fn scenes_past_the_limits_are_refused() {
        for device in devices() {
            let build = |grid: &[i32], offsets: &[usize]| {
                let n = grid.len() / 3;
                let batch = put(&device, &[n], &vec![0u32; n]);
                block_on(Pyramid::build(&put(&device, &[n, 3], grid), &batch, offsets, &specs(1)))
                    .map_err(|e| e.to_string())
            };
            assert!(build(&[65_534, 0, 0], &[1]).is_ok());
            assert!(build(&[65_535, 0, 0], &[1]).unwrap_err().contains("17 bits"));
            assert!(build(&[0, -1, 0], &[1]).unwrap_err().contains("negative"));
            assert!(build(&[65_534, 0, 0], &vec![1; 32_768]).unwrap_err().contains("32768 scenes"));
            assert!(build(&[0, 0, 0], &[2]).unwrap_err().contains("offsets"));
        }
    }
}
