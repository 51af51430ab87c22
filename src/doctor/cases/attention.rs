//! Attention within windows, there and back, at every size of heads that has a shader of its own.

use super::Case;
use crate::{
    Device, Result,
    device::Tensor,
    doctor::operands::Operands,
    kernels::{
        patch_attention::{Window, patch_attention},
        patch_attention_backward::{Attention, patch_attention_backward},
    },
};

/// Sums over a window, and a softmax of scores up to some ten.
const TOLERANCE: f32 = 2e-5;

/// The cases of one kernel, by the channels of a head; where those fill no shader's registers, they are padded.
macro_rules! heads {
    ($kernel:literal, $run:ident: $($what:literal => $channels:literal),+) => {
        &[$(Case { kernel: $kernel, what: $what, tolerance: TOLERANCE, run: |device| $run(device, $channels) }),+]
    };
}

pub(super) const FORWARD: &[Case] = heads!("patch_attention", forward:
    "heads of 8" => 8, "heads of 16" => 16, "heads of 32" => 32, "heads of 64" => 64, "heads of 128" => 128,
    "heads of 6" => 6, "heads of 12" => 12, "heads of 20" => 20, "heads of 40" => 40, "heads of 100" => 100);

pub(super) const BACKWARD: &[Case] = heads!("patch_attention_backward", backward:
    "heads of 8" => 8, "heads of 16" => 16, "heads of 32" => 32, "heads of 64" => 64, "heads of 128" => 128,
    "heads of 6" => 6, "heads of 12" => 12, "heads of 20" => 20, "heads of 40" => 40, "heads of 100" => 100);

/// Points, of which windows take 64; the last window reaches back to have as many keys.
const POINTS: usize = 150;
const HEADS: usize = 2;
const WINDOWS: [Window; 3] = [
    Window { query_start: 0, query_count: 64, key_start: 0, key_count: 64 },
    Window { query_start: 64, query_count: 64, key_start: 64, key_count: 64 },
    Window { query_start: 128, query_count: 22, key_start: 86, key_count: 64 },
];

/// The operands, and what the forward makes of them.
struct Attended {
    qkv: Tensor,
    orders: Tensor,
    inverses: Tensor,
    table: Tensor,
    scale: f32,
    out: Tensor,
}

fn attend(make: &mut Operands<'_>, channels: u16) -> Result<Attended> {
    let qkv = make.scaled(&[POINTS, 3 * HEADS * usize::from(channels)], 2.0)?;
    let [orders, inverses] = make.order(POINTS)?;
    let table = make.put(&[WINDOWS.len(), 4], bytemuck::cast_slice::<Window, u32>(&WINDOWS))?;
    let scale = 1.0 / f32::from(channels).sqrt();
    let out = patch_attention(&qkv, HEADS, scale, &orders, &inverses, 1, &WINDOWS, &table)?;
    Ok(Attended { qkv, orders, inverses, table, scale, out })
}

fn forward(device: &Device, channels: u16) -> Result<Vec<Tensor>> {
    Ok(vec![attend(&mut Operands::new(device), channels)?.out])
}

fn backward(device: &Device, channels: u16) -> Result<Vec<Tensor>> {
    let mut make = Operands::new(device);
    let Attended { qkv, orders, inverses, table, scale, out } = attend(&mut make, channels)?;
    let attention = Attention {
        qkv: &qkv,
        heads: HEADS,
        scale,
        orders: &orders,
        inverses: &inverses,
        row: 1,
        windows: &WINDOWS,
        table: &table,
    };
    let gradient = make.floats(&[POINTS, HEADS * usize::from(channels)])?;
    Ok(vec![patch_attention_backward(&attention, &out, &gradient)?])
}
