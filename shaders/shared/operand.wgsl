// The left operand at binding 1, four inner elements at a time; past the end of a row they are zero.

#ifdef VEC4
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn x_quad(row: u32, k: u32, inner: u32) -> vec4<f32> {
    if k < inner {
        return x[(row * inner + k) / 4u];
    }
    return vec4(0.0);
}
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;
fn x_at(row: u32, k: u32, inner: u32) -> f32 {
    if k < inner {
        return x[row * inner + k];
    }
    return 0.0;
}
fn x_quad(row: u32, k: u32, inner: u32) -> vec4<f32> {
    return vec4(
        x_at(row, k, inner), x_at(row, k + 1u, inner), x_at(row, k + 2u, inner), x_at(row, k + 3u, inner)
    );
}
#endif
