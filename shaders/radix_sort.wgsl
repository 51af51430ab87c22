// radix_sort: one pass over one 4-bit digit of r rows of n 64-bit keys, each row by itself.
//   1 keys [r, n]   2 order [r, n] (scatter)   3 counts [r, 16, blocks] (count)
//   4 offsets [r * 16 * blocks + 1], the scan of `counts` (scatter)   5 keys_out [r, n]   6 order_out [r, n]
// A workgroup owns a block of 1024 consecutive keys of one row. `count` counts its digits. `scatter` ranks each key
// among the equal digits of its block in workgroup memory and moves it there. Counts lie [row][digit][block], so
// that one scan over all of them gives every block's place for every digit, and the sort is stable.
#import dispatch
#import key64
#import block_scan

const ITEMS = 4u;
const BLOCK = 1024u;
// The digit of a place past the end of the row.
const NONE = 16u;

struct Params {
    n: u32,
    rows: u32,
    // Blocks per row.
    blocks: u32,
    shift: u32,
    // The bits of this digit that belong to the key.
    digit_mask: u32,
    // 1 in the first pass, whose order is the identity.
    first: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> keys: array<vec2<u32>>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;
@group(0) @binding(4) var<storage, read> offsets: array<u32>;
@group(0) @binding(5) var<storage, read_write> keys_out: array<vec2<u32>>;
@group(0) @binding(6) var<storage, read_write> order_out: array<u32>;

var<workgroup> tally: array<atomic<u32>, 16>;
// Per key of the block its digit, later its place in the output.
var<workgroup> slots: array<u32, 1024>;
// [8][256]: how many of an invocation's four keys have digit d (low half) and d + 8 (high half); later the sums of
// all before.
var<workgroup> table: array<u32, 2048>;
// Per digit: the place of the block's first key of that digit, less its rank in the block.
var<workgroup> base: array<u32, 16>;

// The digit of key i of `row`, or NONE.
fn digit_at(row: u32, i: u32) -> u32 {
    if row >= params.rows || i >= params.n {
        return NONE;
    }
    return key_shr(keys[row * params.n + i], params.shift) & params.digit_mask;
}

// Where `digit` lies in a packed word of the table.
fn half_of(digit: u32) -> u32 {
    return (digit >> 3u) * 16u;
}

@compute @workgroup_size(256)
fn count(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let task = flat_group(group, groups);
    let row = task / params.blocks;
    let block = task % params.blocks;
    if local < 16u {
        atomicStore(&tally[local], 0u);
    }
    workgroupBarrier();
    for (var item = 0u; item < ITEMS; item += 1u) {
        let digit = digit_at(row, block * BLOCK + item * 256u + local);
        if digit != NONE {
            atomicAdd(&tally[digit], 1u);
        }
    }
    workgroupBarrier();
    if local < 16u && row < params.rows {
        counts[(row * 16u + local) * params.blocks + block] = atomicLoad(&tally[local]);
    }
}

@compute @workgroup_size(256)
fn scatter(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let task = flat_group(group, groups);
    let row = task / params.blocks;
    let block = task % params.blocks;
    for (var item = 0u; item < ITEMS; item += 1u) {
        let slot = item * 256u + local;
        slots[slot] = digit_at(row, block * BLOCK + slot);
    }
    for (var d = 0u; d < 8u; d += 1u) {
        table[d * 256u + local] = 0u;
    }
    workgroupBarrier();
    // Each invocation counts four consecutive keys: ranks then follow the order of the keys.
    for (var k = 0u; k < ITEMS; k += 1u) {
        let digit = slots[local * ITEMS + k];
        if digit != NONE {
            table[(digit & 7u) * 256u + local] += 1u << half_of(digit);
        }
    }
    workgroupBarrier();
    // Exclusive scan of the whole table, eight words per invocation, both halves at once: a block has 1024 keys,
    // so the low half never carries. Digits 8 to 15 come after all of 0 to 7.
    var sum = 0u;
    for (var k = 0u; k < 8u; k += 1u) {
        sum += table[local * 8u + k];
    }
    let inclusive = block_scan(local, sum);
    var running = inclusive - sum + (partial_sums[255] << 16u);
    for (var k = 0u; k < 8u; k += 1u) {
        let word = table[local * 8u + k];
        table[local * 8u + k] = running;
        running += word;
    }
    workgroupBarrier();
    if local < 16u && row < params.rows {
        let start = (table[(local & 7u) * 256u] >> half_of(local)) & 0xffffu;
        base[local] = offsets[(row * 16u + local) * params.blocks + block] - start;
    }
    workgroupBarrier();
    for (var k = 0u; k < ITEMS; k += 1u) {
        let digit = slots[local * ITEMS + k];
        if digit != NONE {
            let entry = (digit & 7u) * 256u + local;
            let rank = (table[entry] >> half_of(digit)) & 0xffffu;
            table[entry] += 1u << half_of(digit);
            slots[local * ITEMS + k] = base[digit] + rank;
        }
    }
    workgroupBarrier();
    for (var item = 0u; item < ITEMS; item += 1u) {
        let slot = item * 256u + local;
        let i = block * BLOCK + slot;
        if row < params.rows && i < params.n {
            let source = row * params.n + i;
            var index = i;
            if params.first == 0u {
                index = order[source];
            }
            keys_out[slots[slot]] = keys[source];
            order_out[slots[slot]] = index;
        }
    }
}
