// subm_conv: out[p, :] = bias + sum over the 27 offsets o of weight[:, o, :] . x[neighbors[p, o], :]
//   1 x [m, inner]   2 weight, see shared/weight, an offset to a tap   3 bias [columns]   4 neighbors [rows, 27]
//   5 out [rows, columns]   6 order [rows]: the points, those with the same neighbours next to each other
// Output-stationary: one workgroup computes 64 points and skips the offsets that none of them has. Without `has_order`
// points are taken as they come. VEC4 says that inner and columns are multiples of four. Variants with BROADCAST
// compute 16 channels to a workgroup, see shared/broadcast_product; the others 64, see shared/tile_product.
// A dispatch sees the rows [lo, hi) of the whole x; a later one adds to what the first wrote.
#import dispatch
#ifdef BROADCAST
#import broadcast_product
#else
#import tile_product
#endif

struct Params {
    rows: u32,
    columns: u32,
    inner: u32,
    lo: u32,
    hi: u32,
    accumulate: u32,
    has_order: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
#ifdef VEC4
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read> bias: array<f32>;
#endif
@group(0) @binding(4) var<storage, read> neighbors: array<u32>;
#ifdef VEC4
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
#endif
@group(0) @binding(6) var<storage, read> order: array<u32>;

const ABSENT: u32 = 0xffffffffu;
// The offsets that any of the workgroup's points has.
var<workgroup> present: atomic<u32>;
var<workgroup> offsets: array<u32, 27>;
var<workgroup> offset_count: u32;

// The point at a place of the order; ABSENT past the end.
fn point_at(place: u32) -> u32 {
    if place >= params.rows {
        return ABSENT;
    }
    if params.has_order == 1u {
        return order[place];
    }
    return place;
}

// The row of x, from lo, that a point reads at an offset; ABSENT where there is none in [lo, hi).
fn source_of(point: u32, offset: u32) -> u32 {
    if point == ABSENT {
        return ABSENT;
    }
    let row = neighbors[point * 27u + offset];
    if row >= params.lo && row < params.hi {
        return row - params.lo;
    }
    return ABSENT;
}

fn gathered_quad(source: u32, k: u32) -> vec4<f32> {
    if source == ABSENT {
        return vec4(0.0);
    }
    return x_quad(source, k, params.inner);
}

// Lists the offsets of 64 points from `first`, and says how many there are.
fn list_offsets(first: u32, local: u32, invocations: u32) -> u32 {
    if local == 0u {
        atomicStore(&present, 0u);
    }
    workgroupBarrier();
    var mask = 0u;
    for (var i = local; i < 64u; i += invocations) {
        let point = point_at(first + i);
        for (var offset = 0u; offset < 27u; offset++) {
            mask |= u32(source_of(point, offset) != ABSENT) << offset;
        }
    }
    atomicOr(&present, mask);
    workgroupBarrier();
    if local == 0u {
        let found = atomicLoad(&present);
        var count = 0u;
        for (var offset = 0u; offset < 27u; offset++) {
            if ((found >> offset) & 1u) == 1u {
                offsets[count] = offset;
                count++;
            }
        }
        offset_count = count;
    }
    return workgroupUniformLoad(&offset_count);
}

fn finish(point: u32, quad: u32, sums: vec4<f32>) {
    if point == ABSENT || quad * 4u >= params.columns {
        return;
    }
#ifdef VEC4
    let at = point * (params.columns / 4u) + quad;
    if params.accumulate == 1u {
        out[at] += sums;
    } else {
        out[at] = bias[quad] + sums;
    }
#else
    for (var i = 0u; i < min(4u, params.columns - quad * 4u); i++) {
        let at = point * params.columns + quad * 4u + i;
        if params.accumulate == 1u {
            out[at] += sums[i];
        } else {
            out[at] = bias[quad * 4u + i] + sums[i];
        }
    }
#endif
}

#ifdef BROADCAST
fn finish_point(point: u32, quad: u32, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) {
    finish(point, quad, a);
    finish(point, quad + 1u, b);
    finish(point, quad + 2u, c);
    finish(point, quad + 3u, d);
}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let column_blocks = (params.columns + 15u) / 16u;
    let quads = (params.columns + 3u) / 4u;
    let padded = (params.inner + 3u) / 4u * 4u;
    let block = flat_group(group, groups);
    let first = block / column_blocks * 64u;
    let quad = block % column_blocks * 4u;
    let p0 = point_at(first + local);
    let p1 = point_at(first + local + 8u);
    let p2 = point_at(first + local + 16u);
    let p3 = point_at(first + local + 24u);
    let p4 = point_at(first + local + 32u);
    let p5 = point_at(first + local + 40u);
    let p6 = point_at(first + local + 48u);
    let p7 = point_at(first + local + 56u);
    let count = list_offsets(first, local, 8u);

    var sums: Sums;
    for (var i = 0u; i < count; i++) {
        let offset = workgroupUniformLoad(&offsets[i]);
        let s0 = source_of(p0, offset);
        let s1 = source_of(p1, offset);
        let s2 = source_of(p2, offset);
        let s3 = source_of(p3, offset);
        let s4 = source_of(p4, offset);
        let s5 = source_of(p5, offset);
        let s6 = source_of(p6, offset);
        let s7 = source_of(p7, offset);
        for (var k = 0u; k < params.inner; k += 4u) {
            let upper = mat4x4(gathered_quad(s0, k), gathered_quad(s1, k), gathered_quad(s2, k), gathered_quad(s3, k));
            let lower = mat4x4(gathered_quad(s4, k), gathered_quad(s5, k), gathered_quad(s6, k), gathered_quad(s7, k));
            multiply_rows(&sums, upper, lower, offset * padded + k, quads, quad);
        }
    }

    finish_point(p0, quad, sums[0], sums[1], sums[2], sums[3]);
    finish_point(p1, quad, sums[4], sums[5], sums[6], sums[7]);
    finish_point(p2, quad, sums[8], sums[9], sums[10], sums[11]);
    finish_point(p3, quad, sums[12], sums[13], sums[14], sums[15]);
    finish_point(p4, quad, sums[16], sums[17], sums[18], sums[19]);
    finish_point(p5, quad, sums[20], sums[21], sums[22], sums[23]);
    finish_point(p6, quad, sums[24], sums[25], sums[26], sums[27]);
    finish_point(p7, quad, sums[28], sums[29], sums[30], sums[31]);
}
#else
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let column_blocks = (params.columns + 63u) / 64u;
    let quads = (params.columns + 3u) / 4u;
    let padded = (params.inner + 3u) / 4u * 4u;
    let block = flat_group(group, groups);
    let first = block / column_blocks * 64u;
    let first_quad = block % column_blocks * 16u;
    // The points whose rows this invocation stages.
    let staged = first + local / 4u * 4u;
    let p0 = point_at(staged);
    let p1 = point_at(staged + 1u);
    let p2 = point_at(staged + 2u);
    let p3 = point_at(staged + 3u);
    let count = list_offsets(first, local, 64u);

    var sums: Sums;
    for (var i = 0u; i < count; i++) {
        let offset = offsets[i];
        let s0 = source_of(p0, offset);
        let s1 = source_of(p1, offset);
        let s2 = source_of(p2, offset);
        let s3 = source_of(p3, offset);
        for (var k = 0u; k < params.inner; k += 16u) {
            let inner = k + local % 4u * 4u;
            stage_left(local, mat4x4(
                gathered_quad(s0, inner), gathered_quad(s1, inner), gathered_quad(s2, inner), gathered_quad(s3, inner)
            ));
            stage_right(local, k, params.inner, first_quad, quads, offset * padded);
            workgroupBarrier();
            multiply_slices(local, &sums);
            workgroupBarrier();
        }
    }

    // The points whose outputs it computes.
    let quad = first_quad + first_column_of(local) / 4u;
    let computed = first + first_row_of(local);
    let q0 = point_at(computed);
    let q1 = point_at(computed + 1u);
    let q2 = point_at(computed + 2u);
    let q3 = point_at(computed + 3u);
    let q4 = point_at(computed + 4u);
    let q5 = point_at(computed + 5u);
    let q6 = point_at(computed + 6u);
    let q7 = point_at(computed + 7u);
    finish(q0, quad, sums[0]);
    finish(q0, quad + 8u, sums[1]);
    finish(q1, quad, sums[2]);
    finish(q1, quad + 8u, sums[3]);
    finish(q2, quad, sums[4]);
    finish(q2, quad + 8u, sums[5]);
    finish(q3, quad, sums[6]);
    finish(q3, quad + 8u, sums[7]);
    finish(q4, quad, sums[8]);
    finish(q4, quad + 8u, sums[9]);
    finish(q5, quad, sums[10]);
    finish(q5, quad + 8u, sums[11]);
    finish(q6, quad, sums[12]);
    finish(q6, quad + 8u, sums[13]);
    finish(q7, quad, sums[14]);
    finish(q7, quad + 8u, sums[15]);
}
#endif
