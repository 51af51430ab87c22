//! Operands of the cases, the same on every device.

use crate::{
    Device, Result,
    device::{DType, Element, Tensor},
    kernels::{
        noise::{Noise, neighbors},
        subm_conv::OFFSETS,
        weight::Weight,
    },
};
use half::{bf16, f16};

/// Makes operands on a device out of a stream of random numbers.
pub(super) struct Operands<'a> {
    pub(super) device: &'a Device,
    pub(super) noise: Noise,
}

impl<'a> Operands<'a> {
    pub(super) fn new(device: &'a Device) -> Self {
        Self { device, noise: Noise::new(1) }
    }

    /// These elements.
    pub(super) fn put<T: Element>(&self, shape: &[usize], data: &[T]) -> Result<Tensor> {
        Tensor::from_slice(self.device, shape, data)
    }

    /// Numbers in `-1..1`.
    pub(super) fn floats(&mut self, shape: &[usize]) -> Result<Tensor> {
        self.scaled(shape, 1.0)
    }

    /// Numbers in `-scale..scale`.
    pub(super) fn scaled(&mut self, shape: &[usize], scale: f32) -> Result<Tensor> {
        let data: Vec<f32> = self.noise.floats(shape.iter().product()).iter().map(|v| v * scale).collect();
        self.put(shape, &data)
    }

    /// Indices below `end`.
    pub(super) fn indices(&mut self, shape: &[usize], end: usize) -> Result<Tensor> {
        let data: Vec<u32> = (0..shape.iter().product()).map(|_| self.noise.below(end) as u32).collect();
        self.put(shape, &data)
    }

    /// Classes of `n` points, one in eight ignored.
    pub(super) fn labels(&mut self, n: usize, classes: usize) -> Result<Tensor> {
        let label = |noise: &mut Noise| if noise.below(8) == 0 { -1 } else { noise.below(classes) as i32 };
        let labels: Vec<i32> = (0..n).map(|_| label(&mut self.noise)).collect();
        self.put(&[n], &labels)
    }

    /// An order of `n` points and its inverse, both `[2, n]` of which row 1 counts: row 0 is out of range.
    pub(super) fn order(&mut self, n: usize) -> Result<[Tensor; 2]> {
        let order = self.noise.order(n);
        let mut inverse = vec![0; n];
        order.iter().enumerate().for_each(|(rank, point)| inverse[*point as usize] = rank as u32);
        let second = |row: Vec<u32>| self.put(&[2, n], &[vec![u32::MAX; n], row].concat());
        Ok([second(order)?, second(inverse)?])
    }

    /// Segments of one to six rows: the rows in random order, and where each of the segments begins, with the end.
    pub(super) fn segments(&mut self, count: usize) -> Result<[Tensor; 2]> {
        let mut starts = vec![0u32];
        for segment in 0..count {
            starts.push(starts[segment] + 1 + self.noise.below(6) as u32);
        }
        let rows = starts[count] as usize;
        let members = self.noise.order(rows);
        Ok([self.put(&[rows], &members)?, self.put(&[count + 1], &starts)?])
    }

    /// A symmetric table of neighbours `[n, 27]`.
    pub(super) fn neighbors(&mut self, n: usize) -> Result<Tensor> {
        let table = neighbors(n, &mut self.noise);
        self.put(&[n, OFFSETS], &table)
    }

    /// A weight of a type, of a size that leaves sums near 1.
    pub(super) fn weight(&mut self, dtype: DType, outputs: usize, taps: usize, inner: usize) -> Result<Weight> {
        let scale = 1.0 / (inner as f32).sqrt();
        let matrix: Vec<f32> = self.noise.floats(outputs * taps * inner).iter().map(|v| v * scale).collect();
        let from = |bytes: &[u8]| Weight::from_bytes(self.device, outputs, taps, dtype, bytes);
        match dtype {
            DType::F16 => from(bytemuck::cast_slice(&matrix.iter().map(|v| f16::from_f32(*v)).collect::<Vec<_>>())),
            DType::BF16 => from(bytemuck::cast_slice(&matrix.iter().map(|v| bf16::from_f32(*v)).collect::<Vec<_>>())),
            _ => from(bytemuck::cast_slice(&matrix)),
        }
    }
}
