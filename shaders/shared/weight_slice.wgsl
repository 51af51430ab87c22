// Stages a slice of the weight for shared/tile_product: columns from `first_column`, inner elements from `k`, the row
// of column c starting at c * stride + base. `part` (0..64) says which four columns and inner elements are the
// caller's to load.
#import tile_product
#import inner_quads

fn stage_weight(part: u32, first_column: u32, columns: u32, stride: u32, base: u32, k: u32, inner: u32) {
    var loaded: mat4x4<f32>;
    for (var i = 0u; i < 4u; i++) {
        let column = first_column + part / 4u * 4u + i;
        loaded[i] = vec4(0.0);
        if column < columns {
            loaded[i] = w_quad(column * stride + base, k + part % 4u * 4u, inner);
        }
    }
    stage_right(part / 4u, part % 4u, loaded);
}
