// Products for adapters that are programs on a CPU: there, workgroup memory is memory like any other, and what is cheap
// is a load that all invocations share. An invocation computes 8 rows by 16 columns; its weights are the same for the
// whole workgroup.
#import operand
#import weight

// Sums of row r: quads 4 * r to 4 * r + 3.
alias Sums = array<vec4<f32>, 32>;

// Adds one inner element of eight rows, times the weights of four column quads from `quad`.
fn add_products(sums: ptr<function, Sums>, a: vec4<f32>, b: vec4<f32>, quad: u32) {
    let w0 = weight_quad(quad);
    (*sums)[0] += a.x * w0;
    (*sums)[4] += a.y * w0;
    (*sums)[8] += a.z * w0;
    (*sums)[12] += a.w * w0;
    (*sums)[16] += b.x * w0;
    (*sums)[20] += b.y * w0;
    (*sums)[24] += b.z * w0;
    (*sums)[28] += b.w * w0;
    let w1 = weight_quad(quad + 1u);
    (*sums)[1] += a.x * w1;
    (*sums)[5] += a.y * w1;
    (*sums)[9] += a.z * w1;
    (*sums)[13] += a.w * w1;
    (*sums)[17] += b.x * w1;
    (*sums)[21] += b.y * w1;
    (*sums)[25] += b.z * w1;
    (*sums)[29] += b.w * w1;
    let w2 = weight_quad(quad + 2u);
    (*sums)[2] += a.x * w2;
    (*sums)[6] += a.y * w2;
    (*sums)[10] += a.z * w2;
    (*sums)[14] += a.w * w2;
    (*sums)[18] += b.x * w2;
    (*sums)[22] += b.y * w2;
    (*sums)[26] += b.z * w2;
    (*sums)[30] += b.w * w2;
    let w3 = weight_quad(quad + 3u);
    (*sums)[3] += a.x * w3;
    (*sums)[7] += a.y * w3;
    (*sums)[11] += a.z * w3;
    (*sums)[15] += a.w * w3;
    (*sums)[19] += b.x * w3;
    (*sums)[23] += b.y * w3;
    (*sums)[27] += b.z * w3;
    (*sums)[31] += b.w * w3;
}

// Adds inner elements k.. k + 3 of eight rows (a row of `upper` or `lower` each), times the weights of `quads` column
// quads from `quad`, whose inner element k is the weight's row `base`.
fn multiply_rows(
    sums: ptr<function, Sums>, upper: mat4x4<f32>, lower: mat4x4<f32>, base: u32, quads: u32, quad: u32
) {
    let a = transpose(upper);
    let b = transpose(lower);
    let first = base * quads + quad;
    add_products(sums, a[0], b[0], first);
    add_products(sums, a[1], b[1], first + quads);
    add_products(sums, a[2], b[2], first + 2u * quads);
    add_products(sums, a[3], b[3], first + 3u * quads);
}
