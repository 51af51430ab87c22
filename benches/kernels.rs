//! Single kernels at the shapes of the base configuration, on the CPU and, where `POINTTPA_BENCH_DEVICE` names (part of)
//! an adapter, on that one, too:
//!
//! ```text
//! cargo bench --bench kernels
//! POINTTPA_BENCH_DEVICE=llvmpipe cargo bench --bench kernels -- linear
//! ```
//!
//! Elements a second are floating-point operations, keys or points; a result counts once the host has seen it.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput};
use pointtpa::{
    Device,
    device::{DeviceChoice, DeviceOptions, Tensor},
    geometry::{voxel::voxelize, windows::Windows},
    kernels::{
        Activation,
        layer_norm::{Norm, layer_norm},
        linear::{Epilogue, Layer, linear},
        mlp::{Branch, mlp},
        neighbor_mask::neighbor_order,
        patch_attention::patch_attention,
        radix_sort::radix_sort,
        subm_conv::{OFFSETS, subm_conv},
        weight::Weight,
    },
    synth::{Options, Room, ScannerOptions, scan},
};
use pollster::block_on;
use rand_pcg::{Pcg64, rand_core::Rng};

fn main() {
    let mut criterion = Criterion::default()
        .configure_from_args()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    for device in devices() {
        linears(&mut criterion, &device);
        mlps(&mut criterion, &device);
        attention(&mut criterion, &device);
        convolutions(&mut criterion, &device);
        norms(&mut criterion, &device);
        sorting(&mut criterion, &device);
        voxels(&mut criterion, &device);
    }
    criterion.final_summary();
}

/// The CPU, and the adapter that is asked for.
fn devices() -> Vec<Device> {
    let named = std::env::var("POINTTPA_BENCH_DEVICE").ok().map(|name| {
        let options = DeviceOptions { choice: DeviceChoice::Named(name), ..DeviceOptions::default() };
        Device::open_blocking(options).expect("POINTTPA_BENCH_DEVICE names an adapter of this machine")
    });
    std::iter::once(Device::cpu()).chain(named).collect()
}

/// Measures `kernel`, whose result is read back in part: it is done when its first row is here.
fn measure(c: &mut Criterion, device: &Device, name: &str, shape: &str, elements: u64, kernel: impl Fn() -> Tensor) {
    let mut group = c.benchmark_group(format!("{name}/{}", device.name()));
    group.throughput(Throughput::Elements(elements));
    group.bench_function(shape, |bencher| {
        bencher.iter(|| {
            let result = kernel();
            match result.dtype() {
                pointtpa::device::DType::F32 => drop(black_box(block_on(result.rows_to_vec::<f32>(0..1)))),
                _ => drop(black_box(block_on(result.rows_to_vec::<u32>(0..1)))),
            }
        });
    });
    group.finish();
}

/// Numbers in -1..1, the same every time.
fn noise(device: &Device, shape: &[usize]) -> Tensor {
    let mut random = Pcg64::new(shape.iter().product::<usize>() as u128, 7);
    let numbers: Vec<f32> =
        (0..shape.iter().product()).map(|_| random.next_u32() as f32 / (u32::MAX / 2) as f32 - 1.0).collect();
    Tensor::from_slice(device, shape, &numbers).expect("it fits")
}

fn linears(c: &mut Criterion, device: &Device) {
    // qkv and both layers of the MLP in the first stage, whose rows are many; fc1 and fc2 in the fourth, which has most
    // of the weights.
    let shapes = [
        (8192, 48, 144, Activation::None, false),
        (8192, 48, 192, Activation::Gelu, false),
        (8192, 192, 48, Activation::None, true),
        (2048, 384, 1536, Activation::Gelu, false),
        (2048, 1536, 384, Activation::None, true),
    ];
    for (rows, inner, columns, activation, has_residual) in shapes {
        let (x, weight, bias) =
            (noise(device, &[rows, inner]), weigh(&noise(device, &[columns, inner]), 1), noise(device, &[columns]));
        let residual = has_residual.then(|| noise(device, &[rows, columns]));
        let shape = match (activation, has_residual) {
            (Activation::Gelu, _) => format!("{rows}x{inner}->{columns} gelu"),
            (_, true) => format!("{rows}x{inner}->{columns} residual"),
            _ => format!("{rows}x{inner}->{columns}"),
        };
        measure(c, device, "linear", &shape, (2 * rows * inner * columns) as u64, || {
            linear(&x, &weight, Epilogue { bias: Some(&bias), activation, residual: residual.as_ref(), delta: None })
                .expect("the shapes fit")
        });
    }
}

fn mlps(c: &mut Criterion, device: &Device) {
    for (rows, channels) in [(60_000, 48), (2048, 384)] {
        let hidden = 4 * channels;
        let (x, bias, hidden_bias) =
            (noise(device, &[rows, channels]), noise(device, &[channels]), noise(device, &[hidden]));
        let first = weigh(&noise(device, &[hidden, channels]), 1);
        let second = weigh(&noise(device, &[channels, hidden]), 1);
        let branch = Branch {
            norm: Norm { gamma: &bias, beta: &bias },
            first: Layer { weight: &first, bias: Some(&hidden_bias) },
            activation: Activation::Gelu,
            second: Layer { weight: &second, bias: Some(&bias) },
        };
        let flops = (4 * rows * channels * hidden) as u64;
        measure(c, device, "mlp", &format!("{rows}x{channels}"), flops, || {
            mlp(&x, &x, &[branch]).expect("the shapes fit")
        });
    }
}

fn attention(c: &mut Criterion, device: &Device) {
    let (windows, patch, heads, head_dim) = (8, 1024, 3, 16);
    let rows = windows * patch;
    let qkv = noise(device, &[rows, 3 * heads * head_dim]);
    // Some permutation that scatters what lies together.
    let order: Vec<u32> = (0..rows as u32).map(|i| i * 5 % rows as u32).collect();
    let mut inverse = vec![0; rows];
    order.iter().zip(0..).for_each(|(point, rank)| inverse[*point as usize] = rank);
    let put = |order: &[u32]| Tensor::from_slice(device, &[1, rows], order).expect("it fits");
    let (orders, inverses) = (put(&order), put(&inverse));
    let windows = Windows::new(device, &[rows], patch).expect("it fits");
    let flops = (4 * rows * patch * heads * head_dim) as u64;
    measure(c, device, "patch_attention", "8 windows x 3 heads x 1024 x 16", flops, || {
        let scale = (head_dim as f32).powf(-0.5);
        patch_attention(&qkv, heads, scale, &orders, &inverses, 0, &windows.list, &windows.table)
            .expect("the shapes fit")
    });
}

fn convolutions(c: &mut Criterion, device: &Device) {
    // The first stage of some sixty thousand voxels, and the fourth, whose grid is eight times as coarse.
    for (channels, grid) in [(48, 0.04), (384, 0.32)] {
        let voxels = block_on(voxelize(device, &room(), grid)).expect("a room fits");
        let neighbors = voxels.neighbors().expect("a room fits");
        let order = neighbor_order(&neighbors).expect("a room fits");
        let (n, table) = (voxels.len(), block_on(neighbors.to_vec::<u32>()).expect("it can be read"));
        let (x, bias) = (noise(device, &[n, channels]), noise(device, &[channels]));
        let weight = weigh(&noise(device, &[channels, OFFSETS * channels]), OFFSETS);
        let present = table.iter().filter(|entry| **entry != u32::MAX).count();
        let shape = format!("{n} voxels x {channels}");
        measure(c, device, "subm_conv", &shape, (2 * present * channels * channels) as u64, || {
            subm_conv(&x, &weight, &bias, &neighbors, order.as_ref()).expect("the shapes fit")
        });
    }
}

fn norms(c: &mut Criterion, device: &Device) {
    for (rows, channels) in [(60_000, 48), (2048, 384)] {
        let (x, gamma, beta) =
            (noise(device, &[rows, channels]), noise(device, &[channels]), noise(device, &[channels]));
        measure(c, device, "layer_norm", &format!("{rows}x{channels}"), (rows * channels) as u64, || {
            layer_norm(&x, &gamma, &beta, Activation::None, None).expect("the shapes fit")
        });
    }
}

fn sorting(c: &mut Criterion, device: &Device) {
    let n = 1_000_000;
    let mut random = Pcg64::new(1, 1);
    let words: Vec<u32> = (0..2 * n).map(|_| random.next_u32()).collect();
    let keys = Tensor::from_slice(device, &[1, n, 2], &words).expect("it fits");
    measure(c, device, "radix_sort", "1M 64-bit keys", n as u64, || radix_sort(&keys, 64).expect("it fits").order);
}

fn voxels(c: &mut Criterion, device: &Device) {
    let points = room();
    let shape = format!("{} points of a room", points.len());
    measure(c, device, "voxelize", &shape, points.len() as u64, || {
        block_on(voxelize(device, &points, 0.02)).expect("it fits").first
    });
}

/// A room as a camera sees it.
fn room() -> Vec<[f32; 3]> {
    scan(&Room::generate(&Options::default(), 0), &ScannerOptions::default(), 0).positions
}

fn weigh(matrix: &Tensor, taps: usize) -> Weight {
    let elements: Vec<f32> = block_on(matrix.to_vec()).expect("it is on a device");
    Weight::from_slice(matrix.device(), matrix.rows(), taps, &elements).expect("the taps divide the columns")
}
