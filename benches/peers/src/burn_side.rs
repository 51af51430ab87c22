//! Burn's side, on the adapter that ours has.

use std::error::Error;

use burn::tensor::{
    Device, DeviceKind, Tensor, TensorData,
    activation::softmax,
    module::attention,
    ops::AttentionModuleOptions,
    wgpu::wgpu::{self, DeviceType},
};
use pointtpa::device::AdapterSummary;
use pollster::block_on;

use crate::{
    compare::{ReadBack, Side},
    shapes::{Attention, AttentionOperands, Product, ProductOperands},
};

/// An opened adapter.
pub(crate) struct Burn {
    device: Device,
}

impl Burn {
    /// Opens the adapter that a summary describes, the way Burn opens it for everybody.
    pub(crate) fn open(adapter: &AdapterSummary) -> Result<Self, Box<dyn Error>> {
        let (device, setup) = Device::wgpu_options().device_kind(kind_of(adapter)?).init_with_setup()?;
        let info = setup.adapter.get_info();
        if info.name != adapter.name || format!("{:?}", info.backend) != adapter.backend {
            return Err(format!("Burn opens {} on {:?}, not {adapter:?}", info.name, info.backend).into());
        }
        Ok(Self { device })
    }

    /// The weight is `[inner, outputs]`, as Burn's own `Linear` keeps it.
    pub(crate) fn product(&self, shape: &Product, operands: &ProductOperands) -> Side {
        let weight = (0..shape.inner)
            .flat_map(|i| (0..shape.outputs).map(move |o| o * shape.inner + i))
            .map(|at| operands.weight[at])
            .collect();
        let x = self.put([shape.rows, shape.inner], operands.x.clone());
        let weight = self.put([shape.inner, shape.outputs], weight);
        Box::new(move |read| values(x.clone().matmul(weight.clone()), read))
    }

    /// Matrix product, softmax, matrix product.
    pub(crate) fn composed_attention(&self, shape: &Attention, operands: &AttentionOperands) -> Side {
        let scale = shape.scale();
        self.attention(shape, operands, move |[q, k, v]| softmax(q.matmul(k.swap_dims(2, 3)) * scale, 3).matmul(v))
    }

    /// The operation that Burn tunes between its flash kernels and a composed one.
    pub(crate) fn fused_attention(&self, shape: &Attention, operands: &AttentionOperands) -> Side {
        // Its scale is 1/√d by default.
        let attend = |[q, k, v]: [Tensor<4>; 3]| attention(q, k, v, None, None, AttentionModuleOptions::default());
        self.attention(shape, operands, attend)
    }

    /// Burn gets queries, keys and values sorted into windows and heads: it has no order to look up.
    fn attention(
        &self,
        shape: &Attention,
        operands: &AttentionOperands,
        attend: impl Fn([Tensor<4>; 3]) -> Tensor<4> + 'static,
    ) -> Side {
        let dims = [shape.windows, shape.heads, shape.patch, shape.head_dim];
        let parts = [0, 1, 2].map(|part| self.put(dims, windowed(shape, operands, part)));
        let places = places_in_windows(shape, &operands.order);
        Box::new(move |read| {
            let out = values(attend(parts.clone()), read);
            match read {
                ReadBack::FirstRow => out,
                ReadBack::Whole => places.iter().map(|place| out[*place]).collect(),
            }
        })
    }

    fn put<const D: usize>(&self, shape: [usize; D], numbers: Vec<f32>) -> Tensor<D> {
        Tensor::from_data(TensorData::new(numbers, shape), &self.device)
    }
}

/// How Burn names an adapter: the first, second, … of its type on its graphics API.
fn kind_of(wanted: &AdapterSummary) -> Result<DeviceKind, String> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY));
    let infos: Vec<_> = adapters.iter().map(wgpu::Adapter::get_info).collect();
    let same_api = || infos.iter().filter(|info| format!("{:?}", info.backend) == wanted.backend);
    let found = same_api().find(|info| info.name == wanted.name).ok_or("the adapter has gone")?;
    let index = same_api()
        .filter(|info| info.device_type == found.device_type)
        .take_while(|info| info.name != found.name)
        .count();
    match found.device_type {
        DeviceType::DiscreteGpu => Ok(DeviceKind::DiscreteGpu(index)),
        DeviceType::IntegratedGpu => Ok(DeviceKind::IntegratedGpu(index)),
        DeviceType::VirtualGpu => Ok(DeviceKind::VirtualGpu(index)),
        DeviceType::Cpu => Ok(DeviceKind::Cpu),
        DeviceType::Other => Err(format!("Burn has no name for {}", wanted.name)),
    }
}

/// Queries (0), keys (1) or values (2) as `[window, head, rank in the window, d]`.
fn windowed(shape: &Attention, operands: &AttentionOperands, part: usize) -> Vec<f32> {
    let (channels, d) = (shape.channels(), shape.head_dim);
    let mut out = Vec::with_capacity(shape.points() * channels);
    for window in operands.order.chunks_exact(shape.patch) {
        for head in 0..shape.heads {
            for point in window {
                let start = (*point as usize * 3 + part) * channels + head * d;
                out.extend_from_slice(&operands.qkv[start..start + d]);
            }
        }
    }
    out
}

/// Where each element of `[point, head, d]` lies in `[window, head, rank in the window, d]`.
fn places_in_windows(shape: &Attention, order: &[u32]) -> Vec<usize> {
    let (channels, d) = (shape.channels(), shape.head_dim);
    let mut places = vec![0; order.len() * channels];
    for (rank, point) in order.iter().enumerate() {
        let (window, within) = (rank / shape.patch, rank % shape.patch);
        for channel in 0..channels {
            let (head, i) = (channel / d, channel % d);
            places[*point as usize * channels + channel] =
                ((window * shape.heads + head) * shape.patch + within) * d + i;
        }
    }
    places
}

/// Numbers on the host, not a promise of them: `into_data` alone returns before the work is done.
fn values<const D: usize>(tensor: Tensor<D>, read: ReadBack) -> Vec<f32> {
    let tensor = match read {
        ReadBack::FirstRow => {
            let dims = tensor.dims();
            let first = |axis: usize| 0..if axis + 1 == D { dims[axis] } else { 1 };
            tensor.slice(std::array::from_fn::<_, D, _>(first))
        }
        ReadBack::Whole => tensor,
    };
    tensor.try_into_vec_as().expect("the device answers")
}
