// linear: out[n, o] = act(x[n, :] . weight[o, :] + bias[o] + delta[n, o]) + residual[n, o]
//   1 x [rows, inner]   2 weight, see shared/weight   3 bias [columns]   4 residual [rows, columns]
//   5 out [rows, columns]
// With DELTA, delta[i, o] = scale * sum over r of a[patch(i), o, r] * z[i, r], and there is no residual:
//   4 z [rows, rank]   6 a [patches, columns, rank]   7 inverse [.., n], a row of it from `inverse_base`
//   8 patch_of_rank [n], where patch(i) = patch_of_rank[inverse[i]]
// VEC4 says that inner and columns are multiples of four. Variants with BROADCAST compute 128 rows by 16 columns to a
// workgroup, see shared/broadcast_product; the others 64 x 64, see shared/tile_product. Nothing is saved for the
// backward pass: it needs x and weight only, and recomputes the activation's input.
#import dispatch
#import activation
#ifdef BROADCAST
#import broadcast_product
#else
#import tile_product
#endif
#ifdef DELTA
#import delta_quad
#endif

struct Params {
    rows: u32,
    columns: u32,
    inner: u32,
    activation: u32,
    has_bias: u32,
    has_residual: u32,
    rank: u32,
    inverse_base: u32,
    one_patch: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
#ifdef VEC4
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
#ifdef DELTA
#else
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>;
#endif
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
#endif

// What follows the product, for four columns from 4 * quad.
fn finish(row: u32, quad: u32, sums: vec4<f32>) {
    if row >= params.rows || quad * 4u >= params.columns {
        return;
    }
#ifdef VEC4
    let at = row * (params.columns / 4u) + quad;
    var value = sums;
    if params.has_bias == 1u {
        value += bias[quad];
    }
#ifdef DELTA
    value += delta_quad(row, quad * 4u);
    out[at] = activate_quad(value, params.activation);
#else
    value = activate_quad(value, params.activation);
    if params.has_residual == 1u {
        value += residual[at];
    }
    out[at] = value;
#endif
#else
    for (var i = 0u; i < min(4u, params.columns - quad * 4u); i++) {
        let column = quad * 4u + i;
        let at = row * params.columns + column;
        var value = sums[i];
        if params.has_bias == 1u {
            value += bias[column];
        }
        value = activate(value, params.activation);
        if params.has_residual == 1u {
            value += residual[at];
        }
        out[at] = value;
    }
#endif
}

#ifdef BROADCAST
fn finish_row(row: u32, quad: u32, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) {
    finish(row, quad, a);
    finish(row, quad + 1u, b);
    finish(row, quad + 2u, c);
    finish(row, quad + 3u, d);
}

@compute @workgroup_size(16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let column_blocks = (params.columns + 15u) / 16u;
    let quads = (params.columns + 3u) / 4u;
    let block = flat_group(group, groups);
    let row = block / column_blocks * 128u + local;
    let quad = block % column_blocks * 4u;
    // Rows past the end compute what the last one does, and write nothing.
    let last = params.rows - 1u;
    let r0 = min(row, last);
    let r1 = min(row + 16u, last);
    let r2 = min(row + 32u, last);
    let r3 = min(row + 48u, last);
    let r4 = min(row + 64u, last);
    let r5 = min(row + 80u, last);
    let r6 = min(row + 96u, last);
    let r7 = min(row + 112u, last);

    var sums: Sums;
    for (var k = 0u; k < params.inner; k += 4u) {
        let upper = mat4x4(
            x_quad(r0, k, params.inner), x_quad(r1, k, params.inner),
            x_quad(r2, k, params.inner), x_quad(r3, k, params.inner)
        );
        let lower = mat4x4(
            x_quad(r4, k, params.inner), x_quad(r5, k, params.inner),
            x_quad(r6, k, params.inner), x_quad(r7, k, params.inner)
        );
        multiply_rows(&sums, upper, lower, k, quads, quad);
    }

    finish_row(row, quad, sums[0], sums[1], sums[2], sums[3]);
    finish_row(row + 16u, quad, sums[4], sums[5], sums[6], sums[7]);
    finish_row(row + 32u, quad, sums[8], sums[9], sums[10], sums[11]);
    finish_row(row + 48u, quad, sums[12], sums[13], sums[14], sums[15]);
    finish_row(row + 64u, quad, sums[16], sums[17], sums[18], sums[19]);
    finish_row(row + 80u, quad, sums[20], sums[21], sums[22], sums[23]);
    finish_row(row + 96u, quad, sums[24], sums[25], sums[26], sums[27]);
    finish_row(row + 112u, quad, sums[28], sums[29], sums[30], sums[31]);
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
    let block = flat_group(group, groups);
    let first_row = block / column_blocks * 64u;
    let first_quad = block % column_blocks * 16u;
    let last = params.rows - 1u;
    let staged_row = first_row + local / 4u * 4u;
    let r0 = min(staged_row, last);
    let r1 = min(staged_row + 1u, last);
    let r2 = min(staged_row + 2u, last);
    let r3 = min(staged_row + 3u, last);

    var sums: Sums;
    for (var k = 0u; k < params.inner; k += 16u) {
        let inner = k + local % 4u * 4u;
        stage_left(local, mat4x4(
            x_quad(r0, inner, params.inner), x_quad(r1, inner, params.inner),
            x_quad(r2, inner, params.inner), x_quad(r3, inner, params.inner)
        ));
        stage_right(local, k, params.inner, first_quad, quads, 0u);
        workgroupBarrier();
        multiply_slices(local, &sums);
        workgroupBarrier();
    }

    let row = first_row + first_row_of(local);
    let quad = first_quad + first_column_of(local) / 4u;
    finish(row, quad, sums[0]);
    finish(row, quad + 8u, sums[1]);
    finish(row + 1u, quad, sums[2]);
    finish(row + 1u, quad + 8u, sums[3]);
    finish(row + 2u, quad, sums[4]);
    finish(row + 2u, quad + 8u, sums[5]);
    finish(row + 3u, quad, sums[6]);
    finish(row + 3u, quad + 8u, sums[7]);
    finish(row + 4u, quad, sums[8]);
    finish(row + 4u, quad + 8u, sums[9]);
    finish(row + 5u, quad, sums[10]);
    finish(row + 5u, quad + 8u, sums[11]);
    finish(row + 6u, quad, sums[12]);
    finish(row + 6u, quad + 8u, sums[13]);
    finish(row + 7u, quad, sums[14]);
    finish(row + 7u, quad + 8u, sums[15]);
}
#endif
