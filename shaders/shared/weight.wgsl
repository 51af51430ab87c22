// A weight buffer in f32, or in f16 or bf16 packed two to a word, at binding 2.

#ifdef WEIGHT_F16
@group(0) @binding(2) var<storage, read> weight: array<u32>;
fn weight_at(index: u32) -> f32 {
    let pair = unpack2x16float(weight[index / 2u]);
    return select(pair.x, pair.y, (index & 1u) == 1u);
}
// Four elements from an index divisible by four.
fn weight_quad(index: u32) -> vec4<f32> {
    return vec4(unpack2x16float(weight[index / 2u]), unpack2x16float(weight[index / 2u + 1u]));
}
#else
#ifdef WEIGHT_BF16
@group(0) @binding(2) var<storage, read> weight: array<u32>;
fn weight_at(index: u32) -> f32 {
    let word = weight[index / 2u];
    return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (index & 1u) == 1u));
}
fn weight_quad(index: u32) -> vec4<f32> {
    let a = weight[index / 2u];
    let b = weight[index / 2u + 1u];
    return bitcast<vec4<f32>>(vec4(a << 16u, a & 0xffff0000u, b << 16u, b & 0xffff0000u));
}
#else
#ifdef VEC4
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
fn weight_quad(index: u32) -> vec4<f32> {
    return weight[index / 4u];
}
#else
@group(0) @binding(2) var<storage, read> weight: array<f32>;
fn weight_at(index: u32) -> f32 {
    return weight[index];
}
#endif
#endif
#endif
