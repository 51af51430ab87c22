//! `knn_normals`: a normal for every voxel, from the points around it.
//!
//! positions `[n, 3]`, members `[n]` and starts `[v + 1]` (the points of every voxel), neighbors `[v, 27]` →
//! normals `[v, 3]`: the direction in which the points of the 5³ voxels around spread least, turned towards a
//! viewpoint.
//!
//! Per voxel the moments of its points (number, Σp, Σppᵀ) are added over the 27 neighbours, twice, which gives each
//! of the 5³ voxels a weight that falls off like a tent. The normal is the eigenvector of the smallest eigenvalue of
//! the covariance (Hoppe et al., "Surface reconstruction from unorganized points", 1992), found by Jacobi rotations.
//! Points are measured from the first point of their voxel and in voxels, so that f32 suffices at any distance from
//! the origin.
//!
//! Fewer than three points, or points on a line, get +z. GPU and twin agree to 1e-4 where the two smaller
//! eigenvalues differ by a twentieth of the largest; where they are equal, any direction between them is right.

use super::{
    expect::{self, Size::Any, Size::Is},
    neighbor_table::ABSENT,
};
use crate::parallel::prelude::*;
use crate::{
    Result,
    device::{
        DType, Device, Tensor,
        command::{Bind, Dispatch, Work, bytes_of},
        dispatch::row_chunks,
        gpu::Gpu,
        shader_table::{knn_normals as shader, params},
    },
};
use glam::Vec3;
use std::ops::Range;

params!(knn_normals { rows: u32, begin: u32, inverse_size: f32, view_x: f32, view_y: f32, view_z: f32 });

/// Floats of a row of moments: number, Σp, Σppᵀ (xx, xy, xz, yy, yz, zz), origin.
const MOMENTS: usize = 13;
/// Cyclic Jacobi converges quadratically: four sweeps reach f32's precision, two are spare.
const SWEEPS: usize = 6;

/// Normals `[v, 3]` of voxels of edge `size`, towards `viewpoint`, which is a place among `positions`.
pub fn knn_normals(
    positions: &Tensor,
    members: &Tensor,
    starts: &Tensor,
    neighbors: &Tensor,
    size: f32,
    viewpoint: [f32; 3],
) -> Result<Tensor> {
    let device = positions.device();
    let v = neighbors.rows();
    expect::operand("knn_normals", "positions", positions, device, DType::F32, &[Any, Is(3)])?;
    expect::operand("knn_normals", "members", members, device, DType::U32, &[Is(positions.rows())])?;
    expect::operand("knn_normals", "starts", starts, device, DType::U32, &[Is(v + 1)])?;
    expect::operand("knn_normals", "neighbors", neighbors, device, DType::U32, &[Is(v), Is(27)])?;
    let params = Params {
        rows: v as u32,
        begin: 0,
        inverse_size: 1.0 / size,
        view_x: viewpoint[0],
        view_y: viewpoint[1],
        view_z: viewpoint[2],
    };
    match device {
        Device::Cpu(cpu) => cpu.run("knn_normals", Work::Other(0), bytes_of(&[positions, members, neighbors]), || {
            twin(positions, members, starts, neighbors, &params)
        }),
        Device::Gpu(gpu) => record(gpu, positions, members, starts, neighbors, &params),
    }
}

fn record(
    gpu: &Gpu,
    positions: &Tensor,
    members: &Tensor,
    starts: &Tensor,
    neighbors: &Tensor,
    params: &Params,
) -> Result<Tensor> {
    let device = positions.device();
    let v = neighbors.rows();
    let limit = gpu.max_binding();
    expect::one_binding("knn_normals", "the array of positions", positions.len() * 4, limit)?;
    expect::one_binding("knn_normals", "the array of moments", v * MOMENTS * 4, limit)?;
    let fresh = || Tensor::uninit(device, &[v, MOMENTS], DType::F32);
    let dispatch = |entry, bind: &[Bind<'_>], rows: &Range<usize>, work: usize| {
        gpu.dispatch(&Dispatch {
            variant: &shader::PLAIN,
            entry,
            bind,
            params: bytemuck::bytes_of(&Params { rows: rows.len() as u32, begin: rows.start as u32, ..*params }),
            groups: rows.len().div_ceil(256) as u32,
            work: Work::Other((rows.len() * work) as u64),
        })
    };

    let mut moments = fresh()?;
    let all = 0..v;
    let own = [Bind::all(positions), Bind::all(members), Bind::all(starts), Bind::all(&moments)];
    dispatch("gather", &own, &all, 200)?;
    for _ in 0..2 {
        let spread = fresh()?;
        for rows in row_chunks(v, 27 * 4, 1024, limit) {
            let bind = [Bind::rows(&spread, rows.clone()), Bind::rows(neighbors, rows.clone()), Bind::all(&moments)];
            dispatch("spread", &bind, &rows, 27 * 60)?;
        }
        moments = spread;
    }
    let normals = Tensor::uninit(device, &[v, 3], DType::F32)?;
    dispatch("solve", &[Bind::all(&moments), Bind::all(&normals)], &all, 600)?;
    Ok(normals)
}

#[derive(Clone, Copy)]
struct Moments {
    count: f32,
    sum: Vec3,
    /// xx, xy, xz.
    upper: Vec3,
    /// yy, yz, zz.
    lower: Vec3,
    origin: Vec3,
}

impl Moments {
    fn none(origin: Vec3) -> Self {
        Self { count: 0.0, sum: Vec3::ZERO, upper: Vec3::ZERO, lower: Vec3::ZERO, origin }
    }
}

fn twin(positions: &Tensor, members: &Tensor, starts: &Tensor, neighbors: &Tensor, params: &Params) -> Result<Tensor> {
    let mut normals = Tensor::uninit(positions.device(), &[neighbors.rows(), 3], DType::F32)?;
    let moments = moments_around(
        positions.host::<f32>(),
        members.host::<u32>(),
        starts.host::<u32>(),
        neighbors.host::<u32>(),
        params.inverse_size,
    );
    let viewpoint = Vec3::new(params.view_x, params.view_y, params.view_z);
    normals.host_mut::<f32>().par_chunks_mut(3).zip(&moments).for_each(|(out, moments)| {
        let (values, axis) = least_spread(moments);
        let [_, middle, largest] = values;
        let normal = if moments.count < 3.0 || middle < 1e-3 * largest || largest < 1e-6 {
            Vec3::Z
        } else if axis.dot(viewpoint - moments.origin) < 0.0 {
            -axis
        } else {
            axis
        };
        out.copy_from_slice(&normal.to_array());
    });
    Ok(normals)
}

/// Moments of the points of the 5³ voxels around each voxel.
fn moments_around(positions: &[f32], members: &[u32], starts: &[u32], neighbors: &[u32], scale: f32) -> Vec<Moments> {
    let place = |i: &u32| Vec3::from_slice(&positions[3 * *i as usize..]);
    let mut moments: Vec<Moments> = starts
        .par_windows(2)
        .map(|bounds| gather(members[bounds[0] as usize..bounds[1] as usize].iter().map(place), scale))
        .collect();
    for _ in 0..2 {
        moments = neighbors
            .par_chunks(27)
            .zip(&moments)
            .map(|(row, own)| {
                let around = row.iter().filter(|n| **n != ABSENT).map(|n| &moments[*n as usize]);
                spread(own.origin, around, scale)
            })
            .collect();
    }
    moments
}

/// Moments of the points of a voxel, measured from the first of them.
fn gather(mut points: impl Iterator<Item = Vec3>, scale: f32) -> Moments {
    let Some(origin) = points.next() else { return Moments::none(Vec3::ZERO) };
    let mut m = Moments::none(origin);
    for point in std::iter::once(origin).chain(points) {
        let p = (point - origin) * scale;
        m.count += 1.0;
        m.sum += p;
        m.upper += p.x * p;
        m.lower += Vec3::new(p.y * p.y, p.y * p.z, p.z * p.z);
    }
    m
}

/// Sum of moments, moved to `origin`: with d between the origins, Σ(p + d)(p + d)ᵀ = Σppᵀ + Σp dᵀ + d Σpᵀ + n ddᵀ.
fn spread<'a>(origin: Vec3, around: impl Iterator<Item = &'a Moments>, scale: f32) -> Moments {
    let mut m = Moments::none(origin);
    for other in around {
        let d = (other.origin - origin) * scale;
        let sum = other.sum;
        let moved = sum + other.count * d;
        m.count += other.count;
        m.sum += moved;
        m.upper += other.upper + sum.x * d + d.x * moved;
        m.lower += other.lower
            + Vec3::new(d.y * sum.y + moved.y * d.y, d.z * sum.y + moved.z * d.y, d.z * sum.z + moved.z * d.z);
    }
    m
}

/// Eigenvalues of the covariance, ascending, and the unit eigenvector of the smallest.
fn least_spread(m: &Moments) -> ([f32; 3], Vec3) {
    let mean = m.sum / m.count;
    let upper = m.upper / m.count - mean.x * mean;
    let lower = m.lower / m.count - Vec3::new(mean.y * mean.y, mean.y * mean.z, mean.z * mean.z);
    let mut a = [[upper.x, upper.y, upper.z], [upper.y, lower.x, lower.y], [upper.z, lower.y, lower.z]];
    let mut basis = [Vec3::X, Vec3::Y, Vec3::Z];
    for _ in 0..SWEEPS {
        for (p, q) in [(0, 1), (0, 2), (1, 2)] {
            rotate(&mut a, &mut basis, p, q);
        }
    }
    let mut values = [a[0][0], a[1][1], a[2][2]];
    let mut smallest = 0;
    for axis in 1..3 {
        if values[axis] < values[smallest] {
            smallest = axis;
        }
    }
    values.sort_by(f32::total_cmp);
    (values, basis[smallest].normalize())
}

/// One Jacobi rotation: makes `a[p][q]` zero.
fn rotate(a: &mut [[f32; 3]; 3], basis: &mut [Vec3; 3], p: usize, q: usize) {
    let r = 3 - p - q;
    let pq = a[p][q];
    let (pr, qr) = (a[p][r], a[q][r]);
    if pq.abs() > 1e-9 * (a[p][p].abs() + a[q][q].abs()) {
        let theta = (a[q][q] - a[p][p]) / (2.0 * pq);
        let t = if theta >= 0.0 { 1.0 } else { -1.0 } / (theta.abs() + (theta * theta + 1.0).sqrt());
        let c = 1.0 / (t * t + 1.0).sqrt();
        let s = t * c;
        a[p][p] -= t * pq;
        a[q][q] += t * pq;
        a[p][r] = c * pr - s * qr;
        a[q][r] = s * pr + c * qr;
        (basis[p], basis[q]) = (c * basis[p] - s * basis[q], s * basis[p] + c * basis[q]);
    }
    (a[p][q], a[q][p]) = (0.0, 0.0);
    (a[r][p], a[r][q]) = (a[p][r], a[q][r]);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Noise, SIZES, cpu, devices, get, gpu, gpu_with};
    use super::*;
    use crate::geometry::voxel::{VoxelGrid, voxelize};
    use pollster::block_on;

    /// Points on the walls and the floor of a room, `noise` off their planes.
    fn room(n: usize, noise: f32, offset: f32) -> Vec<[f32; 3]> {
        let mut random = Noise::new(n as u64);
        (0..n)
            .map(|i| {
                let mut p = [random.float() * 0.3 + 0.3, random.float() * 0.3 + 0.3, random.float() * 0.3 + 0.3];
                p[i % 3] = random.float() * noise;
                p.map(|v| v + offset)
            })
            .collect()
    }

    fn voxels(device: &Device, points: &[[f32; 3]]) -> VoxelGrid {
        block_on(voxelize(device, points, 0.02)).unwrap()
    }

    fn normals(voxels: &VoxelGrid, viewpoint: [f32; 3]) -> Vec<Vec3> {
        let normals = voxels.normals(viewpoint).unwrap();
        get::<f32>(&normals).chunks(3).map(Vec3::from_slice).collect()
    }

    #[test]
    fn the_walls_of_a_room_face_its_middle() {
        for device in devices() {
            for offset in [0.0, 1500.0] {
                let points = room(9000, 0.001, offset);
                let voxels = voxels(&device, &points);
                let found = normals(&voxels, [0.3 + offset; 3]);
                for (voxel, first) in get::<u32>(&voxels.first).into_iter().enumerate() {
                    let p = Vec3::from(points[first as usize]) - Vec3::splat(offset);
                    // Away from the edges, where two planes meet within the 5³ voxels.
                    if p.to_array().iter().filter(|v| **v < 0.08).count() > 1 {
                        continue;
                    }
                    let axis = first as usize % 3;
                    assert!(found[voxel][axis] > 0.98, "{p} has normal {} on {device:?}", found[voxel]);
                }
            }
        }
    }

    #[test]
    fn too_few_points_and_points_on_a_line_look_up() {
        for device in devices() {
            let line: Vec<[f32; 3]> = (0..40).map(|i| [i as f32 * 0.01, 0.0, 0.0]).collect();
            let pair = [[0.0, 0.0, 0.0], [0.01, 0.003, 0.002]];
            let pile = [[0.5; 3]; 20];
            for points in [&line[..], &pair, &pile] {
                for normal in normals(&voxels(&device, points), [9.0; 3]) {
                    assert_eq!(normal, Vec3::Z);
                }
            }
        }
    }

    #[test]
    fn the_shader_equals_its_twin() {
        let Some(gpu) = gpu() else { return };
        // 1025 points lie in some 900 voxels: their moments fit, their neighbours do not.
        let tiny = gpu_with(|options| options.max_binding = Some(60_000)).expect("the adapter opened before");
        let viewpoint = Vec3::new(0.31, 0.32, 0.33);
        for n in SIZES {
            let points = room(n, 0.002, 0.0);
            let ours = voxels(&cpu(), &points);
            let expected = normals(&ours, viewpoint.to_array());
            let moments = moments_around(
                points.as_flattened(),
                ours.members.host(),
                ours.starts.host(),
                ours.neighbors().unwrap().host(),
                50.0,
            );
            let mut compared = 0;
            for device in [&gpu, &tiny] {
                let found = normals(&voxels(device, &points), viewpoint.to_array());
                assert_eq!(found.len(), expected.len());
                for ((a, b), m) in found.iter().zip(&expected).zip(&moments) {
                    let ([smallest, middle, largest], axis) = least_spread(m);
                    // Left out: axes that rounding may turn, planes seen edge-on, and lines that may count as planes.
                    let side = axis.dot(viewpoint - m.origin).abs();
                    if middle - smallest > 0.05 * largest && side > 1e-4 {
                        assert!((*a - *b).abs().max_element() < 1e-4, "{a} {b}");
                        compared += 1;
                    }
                }
            }
            assert!(n < 1025 || compared > expected.len(), "{compared} of twice {}", expected.len());
        }
    }
}
