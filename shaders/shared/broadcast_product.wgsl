// Products for adapters that are programs on a CPU: there, workgroup memory is memory like any other, and what is cheap
// is a load that all invocations share. An invocation computes 4 rows by 16 columns; its weights are the same for the
// whole workgroup.
#import operand
#import weight

// Sums of row r: quads 4 * r to 4 * r + 3.
alias Sums = array<vec4<f32>, 16>;

fn add_products(sums: ptr<function, Sums>, a: vec4<f32>, quad: u32) {
    let p = weight_quad(quad);
    (*sums)[0] += a.x * p;
    (*sums)[4] += a.y * p;
    (*sums)[8] += a.z * p;
    (*sums)[12] += a.w * p;
    let q = weight_quad(quad + 1u);
    (*sums)[1] += a.x * q;
    (*sums)[5] += a.y * q;
    (*sums)[9] += a.z * q;
    (*sums)[13] += a.w * q;
    let r = weight_quad(quad + 2u);
    (*sums)[2] += a.x * r;
    (*sums)[6] += a.y * r;
    (*sums)[10] += a.z * r;
    (*sums)[14] += a.w * r;
    let s = weight_quad(quad + 3u);
    (*sums)[3] += a.x * s;
    (*sums)[7] += a.y * s;
    (*sums)[11] += a.z * s;
    (*sums)[15] += a.w * s;
}

// Adds inner elements k.. k + 3 of four rows (a row of `rows` each), times the weights of `quads` column quads from
// `quad`, whose inner element k is the weight's row `base`.
fn multiply_rows(sums: ptr<function, Sums>, rows: mat4x4<f32>, base: u32, quads: u32, quad: u32) {
    let turned = transpose(rows);
    let first = base * quads + quad;
    add_products(sums, turned[0], first);
    add_products(sums, turned[1], first + quads);
    add_products(sums, turned[2], first + 2u * quads);
    add_products(sums, turned[3], first + 3u * quads);
}
