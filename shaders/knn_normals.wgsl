// knn_normals: normals of voxels, from the moments of the points around them.
//   1 positions [n, 3]   2 members [n]   3 starts [v + 1]   4 moments_out [rows, 13]   (gather)
//   5 neighbors [rows, 27]   6 moments [v, 13]   4 moments_out [rows, 13]              (spread)
//   6 moments [rows, 13]   7 normals [rows, 3]                                         (solve)
// A row of moments: the number of points w, the sums of p (3) and of p pᵀ (xx, xy, xz, yy, yz, zz), and the origin o
// (3) that p is measured from, in units of a voxel: the voxel's first point. One invocation per voxel.
#import dispatch

const ABSENT = 0xffffffffu;
const MOMENTS = 13u;
const SWEEPS = 6u;

struct Params {
    // Voxels of this dispatch, and the first of them among all.
    rows: u32,
    begin: u32,
    inverse_size: f32,
    // Where normals point to.
    view_x: f32,
    view_y: f32,
    view_z: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> positions: array<f32>;
@group(0) @binding(2) var<storage, read> members: array<u32>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read_write> moments_out: array<f32>;
@group(0) @binding(5) var<storage, read> neighbors: array<u32>;
@group(0) @binding(6) var<storage, read> moments: array<f32>;
@group(0) @binding(7) var<storage, read_write> normals: array<f32>;

struct Moments {
    count: f32,
    sum: vec3<f32>,
    // xx, xy, xz and yy, yz, zz.
    upper: vec3<f32>,
    lower: vec3<f32>,
}

fn position(i: u32) -> vec3<f32> {
    return vec3(positions[3u * i], positions[3u * i + 1u], positions[3u * i + 2u]);
}

fn read_vec3(at: u32) -> vec3<f32> {
    return vec3(moments[at], moments[at + 1u], moments[at + 2u]);
}

fn write_vec3(at: u32, value: vec3<f32>) {
    moments_out[at] = value.x;
    moments_out[at + 1u] = value.y;
    moments_out[at + 2u] = value.z;
}

fn write_moments(row: u32, m: Moments, origin: vec3<f32>) {
    let at = row * MOMENTS;
    moments_out[at] = m.count;
    write_vec3(at + 1u, m.sum);
    write_vec3(at + 4u, m.upper);
    write_vec3(at + 7u, m.lower);
    write_vec3(at + 10u, origin);
}

@compute @workgroup_size(256)
fn gather(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_group(group, groups) * 256u + local;
    if row >= params.rows {
        return;
    }
    let voxel = params.begin + row;
    let origin = position(members[starts[voxel]]);
    var m = Moments(0.0, vec3(0.0), vec3(0.0), vec3(0.0));
    for (var i = starts[voxel]; i < starts[voxel + 1u]; i += 1u) {
        let p = (position(members[i]) - origin) * params.inverse_size;
        m.count += 1.0;
        m.sum += p;
        m.upper += p.x * p;
        m.lower += vec3(p.y * p.y, p.y * p.z, p.z * p.z);
    }
    write_moments(row, m, origin);
}

@compute @workgroup_size(256)
fn spread(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_group(group, groups) * 256u + local;
    if row >= params.rows {
        return;
    }
    let origin = read_vec3((params.begin + row) * MOMENTS + 10u);
    var m = Moments(0.0, vec3(0.0), vec3(0.0), vec3(0.0));
    for (var offset = 0u; offset < 27u; offset += 1u) {
        let neighbor = neighbors[27u * row + offset];
        if neighbor != ABSENT {
            let at = neighbor * MOMENTS;
            let count = moments[at];
            let sum = read_vec3(at + 1u);
            // p - o = (p - o') + d: moments about the other origin, moved by d.
            let d = (read_vec3(at + 10u) - origin) * params.inverse_size;
            let moved = sum + count * d;
            m.count += count;
            m.sum += moved;
            m.upper += read_vec3(at + 4u) + sum.x * d + d.x * moved;
            m.lower += read_vec3(at + 7u)
                + vec3(d.y * sum.y + moved.y * d.y, d.z * sum.y + moved.z * d.y, d.z * sum.z + moved.z * d.z);
        }
    }
    write_moments(row, m, origin);
}

// What a Jacobi rotation of rows and columns p and q leaves of a symmetric 3 × 3 matrix whose third row is r, and of
// the basis vectors p and q. The element pq becomes zero.
struct Rotated {
    pp: f32,
    qq: f32,
    pr: f32,
    qr: f32,
    vp: vec3<f32>,
    vq: vec3<f32>,
}

fn rotate(pp: f32, qq: f32, pq: f32, pr: f32, qr: f32, vp: vec3<f32>, vq: vec3<f32>) -> Rotated {
    if abs(pq) <= 1e-9 * (abs(pp) + abs(qq)) {
        return Rotated(pp, qq, pr, qr, vp, vq);
    }
    let theta = (qq - pp) / (2.0 * pq);
    let t = select(-1.0, 1.0, theta >= 0.0) / (abs(theta) + sqrt(theta * theta + 1.0));
    let c = 1.0 / sqrt(t * t + 1.0);
    let s = t * c;
    return Rotated(pp - t * pq, qq + t * pq, c * pr - s * qr, s * pr + c * qr, c * vp - s * vq, s * vp + c * vq);
}

@compute @workgroup_size(256)
fn solve(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_group(group, groups) * 256u + local;
    if row >= params.rows {
        return;
    }
    let at = row * MOMENTS;
    let count = moments[at];
    let mean = read_vec3(at + 1u) / count;
    let upper = read_vec3(at + 4u) / count - mean.x * mean;
    let lower = read_vec3(at + 7u) / count - vec3(mean.y * mean.y, mean.y * mean.z, mean.z * mean.z);
    var xx = upper.x;
    var xy = upper.y;
    var xz = upper.z;
    var yy = lower.x;
    var yz = lower.y;
    var zz = lower.z;
    var v0 = vec3(1.0, 0.0, 0.0);
    var v1 = vec3(0.0, 1.0, 0.0);
    var v2 = vec3(0.0, 0.0, 1.0);
    for (var sweep = 0u; sweep < SWEEPS; sweep += 1u) {
        let a = rotate(xx, yy, xy, xz, yz, v0, v1);
        let b = rotate(a.pp, zz, a.pr, 0.0, a.qr, a.vp, v2);
        let c = rotate(a.qq, b.qq, b.qr, b.pr, 0.0, a.vq, b.vq);
        xx = b.pp;
        yy = c.pp;
        zz = c.qq;
        xy = c.pr;
        xz = c.qr;
        yz = 0.0;
        v0 = b.vp;
        v1 = c.vp;
        v2 = c.vq;
    }
    var smallest = xx;
    var normal = v0;
    if yy < smallest {
        smallest = yy;
        normal = v1;
    }
    if zz < smallest {
        smallest = zz;
        normal = v2;
    }
    normal = normalize(normal);
    let largest = max(xx, max(yy, zz));
    let middle = xx + yy + zz - smallest - largest;
    let origin = read_vec3(at + 10u);
    if dot(normal, vec3(params.view_x, params.view_y, params.view_z) - origin) < 0.0 {
        normal = -normal;
    }
    // Fewer than three points, or points on a line, have no plane.
    if count < 3.0 || middle < 1e-3 * largest || largest < 1e-6 {
        normal = vec3(0.0, 0.0, 1.0);
    }
    normals[3u * row] = normal.x;
    normals[3u * row + 1u] = normal.y;
    normals[3u * row + 2u] = normal.z;
}
