// linear: out[n, o] = act(x[n, :] . weight[o, :] + bias[o]) + residual[n, o]
//   1 x [rows, inner]   2 weight [columns, inner] (f32, f16 or bf16)   3 bias [columns]   4 residual [rows, columns]
//   5 out [rows, columns]
// One workgroup computes a block of 64 x 64 outputs, see shared/tile_product. Nothing is saved for the backward
// pass: it needs x and weight only, and recomputes the activation's input.
#import dispatch
#import activation
#import weight_slice

struct Params {
    rows: u32,
    columns: u32,
    inner: u32,
    activation: u32,
    has_bias: u32,
    has_residual: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

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

    var sums = array<vec4<f32>, 4>(vec4(0.0), vec4(0.0), vec4(0.0), vec4(0.0));
    for (var k = 0u; k < params.inner; k += 16u) {
        // Invocations 0..64 stage x, 64..128 the weight: four rows of four inner elements each.
        let part = local % 64u;
        let inner = k + part % 4u * 4u;
        if local < 64u {
            var rows: mat4x4<f32>;
            for (var i = 0u; i < 4u; i++) {
                let row = first_row + part / 4u * 4u + i;
                rows[i] = vec4(0.0);
                if row < params.rows {
                    rows[i] = x_quad(row * params.inner, inner, params.inner);
                }
            }
            stage_left(part / 4u, part % 4u, rows);
        } else if local < 128u {
            stage_weight(part, first_column, params.columns, params.inner, 0u, k, params.inner);
        }
        workgroupBarrier();
        multiply_slices(quad, &sums);
        workgroupBarrier();
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
            var value = sums[i][j];
            if params.has_bias == 1u {
                value += bias[column];
            }
            value = activate(value, params.activation);
            if params.has_residual == 1u {
                value += residual[at];
            }
            out[at] = value;
        }
    }
}
