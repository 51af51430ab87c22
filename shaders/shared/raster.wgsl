// Raster key of a cell: batch, x, y, z from the top, `depth` bits each for x, y and z.
#import key64
fn raster_key(batch: u32, cell: vec3<u32>, depth: u32) -> vec2<u32> {
    return key_shl(batch, 3u * depth) | key_shl(cell.x, 2u * depth) | key_shl(cell.y, depth) | vec2(0u, cell.z);
}
