// A 64 x 64 block of products, 4 x 4 outputs per invocation, in slices of 16 of the inner dimension.
// Both slices are staged with the inner index first, four neighbouring rows (or columns) to a vector.

var<workgroup> left_slice: array<vec4<f32>, 256>;
var<workgroup> right_slice: array<vec4<f32>, 256>;

// Stages four rows of four inner elements: rows 4*quad.., inner elements 4*slot.. of the slice.
fn stage_left(quad: u32, slot: u32, rows: mat4x4<f32>) {
    let turned = transpose(rows);
    for (var k = 0u; k < 4u; k++) {
        left_slice[(slot * 4u + k) * 16u + quad] = turned[k];
    }
}

fn stage_right(quad: u32, slot: u32, columns: mat4x4<f32>) {
    let turned = transpose(columns);
    for (var k = 0u; k < 4u; k++) {
        right_slice[(slot * 4u + k) * 16u + quad] = turned[k];
    }
}

// Adds the staged slices' product to the accumulators of rows 4*quad.y.. and columns 4*quad.x...
fn multiply_slices(quad: vec2<u32>, sums: ptr<function, array<vec4<f32>, 4>>) {
    for (var k = 0u; k < 16u; k++) {
        let a = left_slice[k * 16u + quad.y];
        let b = right_slice[k * 16u + quad.x];
        (*sums)[0] += a.x * b;
        (*sums)[1] += a.y * b;
        (*sums)[2] += a.z * b;
        (*sums)[3] += a.w * b;
    }
}
