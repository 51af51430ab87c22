// A weight at binding 2: f32, or f16 or bf16 packed two to a word, four neighbouring columns to a quad. Quads lie
// [tap][inner][column quad], the last one of a row filled up with zeros.

#ifdef WEIGHT_F16
@group(0) @binding(2) var<storage, read> weight: array<vec2<u32>>;
fn weight_quad(index: u32) -> vec4<f32> {
    let words = weight[index];
    return vec4(unpack2x16float(words.x), unpack2x16float(words.y));
}
#else
#ifdef WEIGHT_BF16
@group(0) @binding(2) var<storage, read> weight: array<vec2<u32>>;
fn weight_quad(index: u32) -> vec4<f32> {
    let words = weight[index];
    return bitcast<vec4<f32>>(vec4(words.x << 16u, words.x & 0xffff0000u, words.y << 16u, words.y & 0xffff0000u));
}
#else
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
fn weight_quad(index: u32) -> vec4<f32> {
    return weight[index];
}
#endif
#endif
