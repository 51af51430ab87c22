//! Our side, on either device.

use pointtpa::{
    Device,
    device::Tensor,
    geometry::windows::Windows,
    kernels::{
        linear::{self, Epilogue},
        patch_attention::patch_attention,
        weight::Weight,
    },
};
use pollster::block_on;

use crate::{
    compare::{ReadBack, Side},
    shapes::{Attention, AttentionOperands, Product, ProductOperands},
};

/// The weight is laid out beforehand, as it is when a model is loaded.
pub(crate) fn linear(device: &Device, shape: &Product, operands: &ProductOperands) -> Side {
    let x = put(device, &[shape.rows, shape.inner], &operands.x);
    let weight = Weight::from_slice(device, shape.outputs, 1, &operands.weight).expect("it fits the device");
    Box::new(move |read| {
        let out = linear::linear(&x, &weight, Epilogue::default()).expect("the shapes fit");
        rows_of(&out, read)
    })
}

pub(crate) fn attention(device: &Device, shape: &Attention, operands: &AttentionOperands) -> Side {
    let points = shape.points();
    let mut inverse = vec![0; points];
    (0..).zip(&operands.order).for_each(|(rank, point)| inverse[*point as usize] = rank);
    let qkv = put(device, &[points, 3 * shape.channels()], &operands.qkv);
    let [orders, inverses] = [&operands.order, &inverse]
        .map(|row| Tensor::from_slice(device, &[1, points], row).expect("it fits the device"));
    let windows = Windows::new(device, &[points], shape.patch).expect("it fits the device");
    let (heads, scale) = (shape.heads, shape.scale());
    Box::new(move |read| {
        let out = patch_attention(&qkv, heads, scale, &orders, &inverses, 0, &windows.list, &windows.table)
            .expect("the shapes fit");
        rows_of(&out, read)
    })
}

fn put(device: &Device, shape: &[usize], numbers: &[f32]) -> Tensor {
    Tensor::from_slice(device, shape, numbers).expect("it fits the device")
}

fn rows_of(out: &Tensor, read: ReadBack) -> Vec<f32> {
    let rows = match read {
        ReadBack::FirstRow => 0..1,
        ReadBack::Whole => 0..out.rows(),
    };
    block_on(out.rows_to_vec(rows)).expect("the device answers")
}
