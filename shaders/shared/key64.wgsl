// 64-bit keys: vec2(high word, low word).
fn key_less(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.x < b.x || (a.x == b.x && a.y < b.y);
}

fn key_equal(a: vec2<u32>, b: vec2<u32>) -> bool {
    return all(a == b);
}

// value << bits, for bits below 64. A shift by a whole word is undefined in WGSL.
fn key_shl(value: u32, bits: u32) -> vec2<u32> {
    if bits == 0u {
        return vec2(0u, value);
    }
    if bits >= 32u {
        return vec2(value << (bits - 32u), 0u);
    }
    return vec2(value >> (32u - bits), value << bits);
}

// The low word of key >> bits, for bits below 64.
fn key_shr(key: vec2<u32>, bits: u32) -> u32 {
    if bits == 0u {
        return key.y;
    }
    if bits >= 32u {
        return key.x >> (bits - 32u);
    }
    return (key.x << (32u - bits)) | (key.y >> bits);
}
