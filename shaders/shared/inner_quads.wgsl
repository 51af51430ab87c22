// Reads four elements of the inner dimension of an operand: `x` at binding 1 and `weight` at binding 2.
// `first` is the flat index of a row's first element, `k` the inner index; past `inner` the elements are zero.
#import weight

#ifdef VEC4
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
fn x_quad(first: u32, k: u32, inner: u32) -> vec4<f32> {
    if k < inner {
        return x[(first + k) / 4u];
    }
    return vec4(0.0);
}
fn w_quad(first: u32, k: u32, inner: u32) -> vec4<f32> {
    if k < inner {
        return weight_quad(first + k);
    }
    return vec4(0.0);
}
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;
fn x_quad(first: u32, k: u32, inner: u32) -> vec4<f32> {
    var quad = vec4(0.0);
    for (var i = 0u; i < 4u; i++) {
        if k + i < inner {
            quad[i] = x[first + k + i];
        }
    }
    return quad;
}
fn w_quad(first: u32, k: u32, inner: u32) -> vec4<f32> {
    var quad = vec4(0.0);
    for (var i = 0u; i < 4u; i++) {
        if k + i < inner {
            quad[i] = weight_at(first + k + i);
        }
    }
    return quad;
}
#endif
