//! Binary PLY files of a million points, in memory, read on one core:
//!
//! ```text
//! cargo bench --bench read_ply
//! ```
//!
//! Throughput is in bytes of the file. 300 MB/s would keep up with a good disk.

use std::hint::black_box;
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput};
use pointtpa::scan::read_bytes;

const POINTS: u32 = 1_000_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let mut group = criterion.benchmark_group("read_ply");
    for (name, is_little, has_normals) in
        [("xyz rgb", true, false), ("xyz normals rgb", true, true), ("xyz rgb, big endian", false, false)]
    {
        let file = file(is_little, has_normals);
        group.throughput(Throughput::Bytes(file.len() as u64));
        group.bench_function(name, |bencher| {
            let read = |bytes| black_box(read_bytes(Path::new("bench.ply"), bytes).expect("it is a PLY file"));
            bencher.iter_batched(|| file.clone(), read, BatchSize::PerIteration);
        });
    }
    group.finish();
    criterion.final_summary();
}

/// A file as most programs write it: floats, and colours as bytes.
fn file(is_little: bool, has_normals: bool) -> Vec<u8> {
    let order = if is_little { "little" } else { "big" };
    let normals = if has_normals { "property float nx\nproperty float ny\nproperty float nz\n" } else { "" };
    let header = format!(
        "ply\nformat binary_{order}_endian 1.0\nelement vertex {POINTS}\nproperty float x\nproperty float y\n\
         property float z\n{normals}property uchar red\nproperty uchar green\nproperty uchar blue\nend_header\n"
    );
    let mut bytes = header.into_bytes();
    for i in 0..POINTS {
        let position = [i % 1000, i / 1000 % 100, i / 100_000].map(|step| step as f32 * 0.01);
        let normal: &[f32] = if has_normals { &[0.0, 0.6, 0.8] } else { &[] };
        for value in position.iter().chain(normal) {
            bytes.extend(if is_little { value.to_le_bytes() } else { value.to_be_bytes() });
        }
        bytes.extend([i as u8, (i >> 8) as u8, (i >> 16) as u8]);
    }
    bytes
}
