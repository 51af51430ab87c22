// A 64 x 64 block of products by 64 invocations of 8 x 8 outputs each, in slices of 16 of the inner dimension.
// Slices are staged with the inner index first, four neighbouring rows (or columns) to a vector: each invocation reads
// four vectors for 64 multiply-adds.
#import operand
#import weight

var<workgroup> left_slice: array<vec4<f32>, 256>;
var<workgroup> right_slice: array<vec4<f32>, 256>;

// Sums of row r are 2 * r and 2 * r + 1: columns 4 * (local % 8).. and 32 more.
alias Sums = array<vec4<f32>, 16>;

// The first of the eight rows that an invocation computes, in the block.
fn first_row_of(local: u32) -> u32 {
    return local / 8u * 8u;
}

// The first of its four columns, and 32 more, in the block.
fn first_column_of(local: u32) -> u32 {
    return local % 8u * 4u;
}

// Stages four rows of four inner elements: the caller's are rows 4 * (local / 4).. and inner elements 4 * (local % 4)...
fn stage_left(local: u32, rows: mat4x4<f32>) {
    let turned = transpose(rows);
    let at = local % 4u * 64u + local / 4u;
    left_slice[at] = turned[0];
    left_slice[at + 16u] = turned[1];
    left_slice[at + 32u] = turned[2];
    left_slice[at + 48u] = turned[3];
}

fn staged_quad(row: u32, inner: u32, quad: u32, quads: u32, base: u32) -> vec4<f32> {
    if row < inner && quad < quads {
        return weight_quad((base + row) * quads + quad);
    }
    return vec4(0.0);
}

// Stages inner elements k.. of the columns from quad `first_quad` of `quads`; `base` is the weight's row of inner
// element 0.
fn stage_right(local: u32, k: u32, inner: u32, first_quad: u32, quads: u32, base: u32) {
    let quad = first_quad + local % 16u;
    let row = k + local / 16u;
    right_slice[local] = staged_quad(row, inner, quad, quads, base);
    right_slice[local + 64u] = staged_quad(row + 4u, inner, quad, quads, base);
    right_slice[local + 128u] = staged_quad(row + 8u, inner, quad, quads, base);
    right_slice[local + 192u] = staged_quad(row + 12u, inner, quad, quads, base);
}

// Adds the staged slices' product to the invocation's sums.
fn multiply_slices(local: u32, sums: ptr<function, Sums>) {
    let rows = local / 8u * 2u;
    let columns = local % 8u;
    for (var k = 0u; k < 256u; k += 16u) {
        let a = left_slice[k + rows];
        let c = left_slice[k + rows + 1u];
        let p = right_slice[k + columns];
        let q = right_slice[k + columns + 8u];
        (*sums)[0] += a.x * p;
        (*sums)[1] += a.x * q;
        (*sums)[2] += a.y * p;
        (*sums)[3] += a.y * q;
        (*sums)[4] += a.z * p;
        (*sums)[5] += a.z * q;
        (*sums)[6] += a.w * p;
        (*sums)[7] += a.w * q;
        (*sums)[8] += c.x * p;
        (*sums)[9] += c.x * q;
        (*sums)[10] += c.y * p;
        (*sums)[11] += c.y * q;
        (*sums)[12] += c.z * p;
        (*sums)[13] += c.z * q;
        (*sums)[14] += c.w * p;
        (*sums)[15] += c.w * q;
    }
}
