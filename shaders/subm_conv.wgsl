// subm_conv: out[p, :] = bias + sum over the 27 offsets o of weight[:, o, :] . x[neighbors[p, o], :]
//   1 x [m, inner]   2 weight [columns, 27, inner] (f32, f16 or bf16)   3 bias [columns]   4 neighbors [rows, 27]
//   5 out [rows, columns]
// Output-stationary: one workgroup computes 64 points x 64 channels and skips offsets that none of its points has.
// A dispatch sees the rows [lo, hi) of the whole x; a later one adds to what the first wrote.
#import dispatch
#import weight_slice

struct Params {
    rows: u32,
    columns: u32,
    inner: u32,
    lo: u32,
    hi: u32,
    accumulate: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> neighbors: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

const ABSENT: u32 = 0xffffffffu;
// Row of x, from lo, that each of the 64 points reads at each offset.
var<workgroup> sources: array<u32, 1728>;
var<workgroup> present: atomic<u32>;
var<workgroup> mask: u32;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let column_blocks = (params.columns + 63u) / 64u;
    let block = flat_group(group, groups);
    let first_row = block / column_blocks * 64u;
    let first_column = block % column_blocks * 64u;
    let quad = vec2(local % 16u, local / 16u);

    if local == 0u {
        atomicStore(&present, 0u);
    }
    workgroupBarrier();
    for (var i = local; i < 1728u; i += 256u) {
        var source = ABSENT;
        if first_row + i / 27u < params.rows {
            let row = neighbors[first_row * 27u + i];
            if row >= params.lo && row < params.hi {
                source = row - params.lo;
                atomicOr(&present, 1u << (i % 27u));
            }
        }
        sources[i] = source;
    }
    workgroupBarrier();
    if local == 0u {
        mask = atomicLoad(&present);
    }
    let offsets = workgroupUniformLoad(&mask);

    var sums = array<vec4<f32>, 4>(vec4(0.0), vec4(0.0), vec4(0.0), vec4(0.0));
    for (var offset = 0u; offset < 27u; offset++) {
        if ((offsets >> offset) & 1u) == 0u {
            continue;
        }
        for (var k = 0u; k < params.inner; k += 16u) {
            let part = local % 64u;
            let inner = k + part % 4u * 4u;
            if local < 64u {
                var rows: mat4x4<f32>;
                for (var i = 0u; i < 4u; i++) {
                    let source = sources[(part / 4u * 4u + i) * 27u + offset];
                    rows[i] = vec4(0.0);
                    if source != ABSENT {
                        rows[i] = x_quad(source * params.inner, inner, params.inner);
                    }
                }
                stage_left(part / 4u, part % 4u, rows);
            } else if local < 128u {
                let base = offset * params.inner;
                stage_weight(part, first_column, params.columns, 27u * params.inner, base, k, params.inner);
            }
            workgroupBarrier();
            multiply_slices(quad, &sums);
            workgroupBarrier();
        }
    }

    for (var i = 0u; i < 4u; i++) {
        let row = first_row + quad.y * 4u + i;
        if row >= params.rows {
            break;
        }
        for (var j = 0u; j < 4u; j++) {
            let column = first_column + quad.x * 4u + j;
            if column >= params.columns {
                break;
            }
            let at = row * params.columns + column;
            if params.accumulate == 1u {
                out[at] += sums[i][j];
            } else {
                out[at] = bias[column] + sums[i][j];
            }
        }
    }
}
