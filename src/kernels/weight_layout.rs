//! `weight_layout`: a matrix that is being trained, laid out as products read it, as it is or transposed.
//!
//! The optimizer moves matrices in the reference's layout, `[outputs, taps · inner]`. After every step they become the
//! [`Weight`]s of the forward pass and of the gradient's way back without leaving the device; layouts are those of
//! [`Weight::from_bytes`] and [`Weight::transposed`], element by element.

use super::{
    ELEMENTS_PER_GROUP, ensure, groups_for,
    product::{tile_weight, tiled_len},
    weight::{Weight, padded_shape, transposed},
};
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        shader_table::{params, weight_layout as table},
    },
};

params!(weight_layout { outputs: u32, taps: u32, inner: u32, rows: u32, columns: u32 });

/// Which way a weight leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From inputs to outputs.
    Forward,
    /// From the gradient of the outputs to that of the inputs.
    Backward,
}

/// `matrix` `[outputs, taps · inner]` of F32 → the weight that leads in a direction.
pub fn weight_layout(matrix: &Tensor, taps: usize, direction: Direction) -> Result<Weight> {
    let (outputs, device) = (matrix.rows(), matrix.device());
    let fits = matrix.dtype() == DType::F32 && taps > 0 && matrix.columns().is_multiple_of(taps);
    ensure!("weight_layout", fits, "{matrix:?} for {taps} taps");
    let inner = matrix.columns() / taps;
    let [to, from] = match direction {
        Direction::Forward => [outputs, inner],
        Direction::Backward => [inner, outputs],
    };
    let laid_out = match device {
        Device::Cpu(cpu) => {
            let mut tiles = Tensor::uninit(device, &[tiled_len(to, taps, from)], DType::F32)?;
            cpu.run("weight_layout", Work::Other(matrix.len() as u64), bytes_of(&[matrix, &tiles]), || {
                let source: &[f32] = matrix.host();
                match direction {
                    Direction::Forward => tile_weight(source, to, taps, from, tiles.host_mut()),
                    Direction::Backward => {
                        let turned = transposed(source, outputs, taps, inner);
                        tile_weight(&turned, to, taps, from, tiles.host_mut());
                    }
                }
            });
            tiles
        }
        Device::Gpu(gpu) => {
            let shape = padded_shape(to, taps, from);
            let out = Tensor::uninit(device, &shape, DType::F32)?;
            let params = Params {
                outputs: outputs as u32,
                taps: taps as u32,
                inner: inner as u32,
                rows: (shape[0] / taps) as u32,
                columns: shape[1] as u32,
            };
            gpu.dispatch(&Dispatch {
                variant: match direction {
                    Direction::Forward => &table::PLAIN,
                    Direction::Backward => &table::TRANSPOSED,
                },
                entry: "main",
                bind: &[Bind::all(matrix), Bind::all(&out)],
                params: bytemuck::bytes_of(&params),
                groups: groups_for(out.len(), ELEMENTS_PER_GROUP),
                work: Work::Other(out.len() as u64),
            })?;
            out
        }
    };
    Ok(Weight::laid_out(laid_out, to, taps, from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::testing::{Noise, devices, get, put};
    use bytemuck::cast_slice;

    #[test]
    fn layouts_are_those_of_weights_brought_from_the_host() {
        for device in devices() {
            // The last has more than 65,535 groups.
            for [outputs, taps, inner] in [[1, 1, 1], [20, 1, 9], [15, 27, 6], [48, 27, 16], [4097, 1, 4096]] {
                let values = Noise::new((outputs * inner) as u64).floats(outputs * taps * inner);
                let matrix = put(&device, &[outputs, taps * inner], &values);
                let bytes: &[u8] = cast_slice(&values);
                let forward = Weight::from_bytes(&device, outputs, taps, DType::F32, bytes).unwrap();
                let backward = Weight::transposed(&device, outputs, taps, DType::F32, bytes).unwrap();
                for (direction, expected) in [(Direction::Forward, forward), (Direction::Backward, backward)] {
                    let weight = weight_layout(&matrix, taps, direction).unwrap();
                    assert_eq!(format!("{weight:?}"), format!("{expected:?}"));
                    assert_eq!(get::<f32>(weight.tensor()), get::<f32>(expected.tensor()), "{weight:?}");
                }
            }
        }
    }

    #[test]
    fn a_matrix_that_has_other_taps_is_refused() {
        for device in devices() {
            assert!(weight_layout(&put(&device, &[2, 5], &[0.0f32; 10]), 2, Direction::Forward).is_err());
        }
    }
}
