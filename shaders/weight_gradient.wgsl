// weight_gradient: out[b, o, t, i] = scale * sum over the rows p of block b of gradient[p, o] * x[source(p, t), i]
//   1 x [m, inner]   3 gradient [rows, columns]   4 neighbors [rows, taps] (NEIGHBORS)
//   5 out [blocks, columns, taps, inner]   2 would be the weight of shared/tile_product
// A workgroup computes 64 outputs by 64 inner channels of one tap over one block of rows, in slices of 16 rows, which
// need no turning: rows are the inner dimension of this product. With NEIGHBORS, source(p, t) = neighbors[p, t], and the
// rows that have one are listed first, 256 at a time; else there is one tap and p itself. VEC4 says that inner and
// columns are multiples of four.
// A dispatch sees the rows [lo, hi) of the whole x; a later one adds to what the first wrote.
#import dispatch
#import tile_product

struct Params {
    rows: u32,
    columns: u32,
    inner: u32,
    taps: u32,
    blocks: u32,
    block_rows: u32,
    lo: u32,
    hi: u32,
    accumulate: u32,
    scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
#ifdef VEC4
@group(0) @binding(3) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
#else
@group(0) @binding(3) var<storage, read> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
#endif
#ifdef NEIGHBORS
@group(0) @binding(4) var<storage, read> neighbors: array<u32>;

const ABSENT: u32 = 0xffffffffu;
// Which of 256 rows have a neighbour, a bit each.
var<workgroup> present: array<atomic<u32>, 8>;
// Those rows and their neighbours.
var<workgroup> pairs: array<vec2<u32>, 256>;
var<workgroup> pair_count: u32;

// The row of x, from lo, that a row reads; ABSENT where there is none in [lo, hi).
fn source_of(row: u32, end: u32, tap: u32) -> u32 {
    if row >= end {
        return ABSENT;
    }
    let source = neighbors[row * params.taps + tap];
    if source >= params.lo && source < params.hi {
        return source - params.lo;
    }
    return ABSENT;
}

// Lists the rows from `first` that have a neighbour, in order, and says how many there are.
fn list_pairs(first: u32, end: u32, tap: u32, local: u32) -> u32 {
    if local < 8u {
        atomicStore(&present[local], 0u);
    }
    workgroupBarrier();
    for (var i = local; i < 256u; i += 64u) {
        if source_of(first + i, end, tap) != ABSENT {
            atomicOr(&present[i / 32u], 1u << (i % 32u));
        }
    }
    workgroupBarrier();
    for (var i = local; i < 256u; i += 64u) {
        let source = source_of(first + i, end, tap);
        if source != ABSENT {
            var place = countOneBits(atomicLoad(&present[i / 32u]) & ((1u << (i % 32u)) - 1u));
            for (var word = 0u; word < i / 32u; word++) {
                place += countOneBits(atomicLoad(&present[word]));
            }
            pairs[place] = vec2(first + i, source);
        }
    }
    if local == 0u {
        var count = 0u;
        for (var word = 0u; word < 8u; word++) {
            count += countOneBits(atomicLoad(&present[word]));
        }
        pair_count = count;
    }
    return workgroupUniformLoad(&pair_count);
}
#endif

// Four columns of the gradient; past the end of a row they are zero.
#ifdef VEC4
fn gradient_quad(row: u32, column: u32) -> vec4<f32> {
    if column < params.columns {
        return gradient[(row * params.columns + column) / 4u];
    }
    return vec4(0.0);
}
#else
fn gradient_at(row: u32, column: u32) -> f32 {
    if column < params.columns {
        return gradient[row * params.columns + column];
    }
    return 0.0;
}

fn gradient_quad(row: u32, column: u32) -> vec4<f32> {
    return vec4(
        gradient_at(row, column), gradient_at(row, column + 1u),
        gradient_at(row, column + 2u), gradient_at(row, column + 3u)
    );
}
#endif

// Stages a row in a slice: four of its gradient's columns, and four of its source's.
fn stage(at: u32, there: bool, row: u32, source: u32, first_output: u32, first_inner: u32) {
    var left = vec4(0.0);
    var right = vec4(0.0);
    if there {
        left = gradient_quad(row, first_output + at % 16u * 4u);
        right = x_quad(source, first_inner + at % 16u * 4u, params.inner);
    }
    left_slice[at] = left;
    right_slice[at] = right;
}

fn write(block: u32, output: u32, tap: u32, inner: u32, sums: vec4<f32>) {
    if output >= params.columns || inner >= params.inner {
        return;
    }
    let at = ((block * params.columns + output) * params.taps + tap) * params.inner + inner;
#ifdef VEC4
    var value = params.scale * sums;
    if params.accumulate == 1u {
        value += out[at / 4u];
    }
    out[at / 4u] = value;
#else
    for (var i = 0u; i < min(4u, params.inner - inner); i++) {
        var value = params.scale * sums[i];
        if params.accumulate == 1u {
            value += out[at + i];
        }
        out[at + i] = value;
    }
#endif
}

fn write_row(block: u32, output: u32, tap: u32, inner: u32, near: vec4<f32>, far: vec4<f32>) {
    write(block, output, tap, inner, near);
    write(block, output, tap, inner + 32u, far);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let inner_tiles = (params.inner + 63u) / 64u;
    let output_tiles = (params.columns + 63u) / 64u;
    let flat = flat_group(group, groups);
    let first_inner = flat % inner_tiles * 64u;
    let first_output = flat / inner_tiles % output_tiles * 64u;
    let tap = flat / (inner_tiles * output_tiles) % params.taps;
    let block = flat / (inner_tiles * output_tiles * params.taps);
    let first_row = block * params.block_rows;
    let end = min(first_row + params.block_rows, params.rows);

    var sums: Sums;
#ifdef NEIGHBORS
    for (var first = first_row; first < end; first += 256u) {
        let count = list_pairs(first, end, tap, local);
        for (var p = 0u; p < count; p += 16u) {
            for (var at = local; at < 256u; at += 64u) {
                let pair = pairs[min(p + at / 16u, count - 1u)];
                stage(at, p + at / 16u < count, pair.x, pair.y, first_output, first_inner);
            }
            workgroupBarrier();
            multiply_slices(local, &sums);
            workgroupBarrier();
        }
    }
#else
    for (var p = first_row; p < end; p += 16u) {
        for (var at = local; at < 256u; at += 64u) {
            let row = p + at / 16u;
            stage(at, row < end, row, row, first_output, first_inner);
        }
        workgroupBarrier();
        multiply_slices(local, &sums);
        workgroupBarrier();
    }
#endif

    if block >= params.blocks {
        return;
    }
    let output = first_output + first_row_of(local);
    let inner = first_inner + first_column_of(local);
    write_row(block, output, tap, inner, sums[0], sums[1]);
    write_row(block, output + 1u, tap, inner, sums[2], sums[3]);
    write_row(block, output + 2u, tap, inner, sums[4], sums[5]);
    write_row(block, output + 3u, tap, inner, sums[6], sums[7]);
    write_row(block, output + 4u, tap, inner, sums[8], sums[9]);
    write_row(block, output + 5u, tap, inner, sums[10], sums[11]);
    write_row(block, output + 6u, tap, inner, sums[12], sums[13]);
    write_row(block, output + 7u, tap, inner, sums[14], sums[15]);
}
