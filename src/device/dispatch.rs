//! Sizes of dispatches: folding into two dimensions, and splitting by rows.

use std::ops::Range;

/// WebGPU's limit of workgroups per dimension.
pub(super) const MAX_GROUPS: u32 = 65_535;

/// `groups` workgroups as a two-dimensional grid; the shader recovers the flat index with
/// `flat_group` and returns early, before any barrier only if the whole group does, where it is past the end.
pub(crate) fn fold(groups: u32) -> [u32; 3] {
    if groups <= MAX_GROUPS {
        return [groups, 1, 1];
    }
    // As square as needed: the surplus is less than one row of groups.
    let rows = groups.div_ceil(MAX_GROUPS);
    [groups.div_ceil(rows), rows, 1]
}

/// Work of one dispatch: some 100 ms on a slow integrated GPU. Operating systems reset a GPU that does not answer.
pub(crate) const MAX_WORK: u64 = 20_000_000_000;

/// Splits `rows` so that no operand's range passes `limit` bytes and no dispatch passes [`MAX_WORK`]. Cuts fall on
/// multiples of 64 rows, which keeps every range at the 256-byte alignment of bindings for rows of whole words.
pub(crate) fn row_chunks(
    rows: usize,
    widest_row_bytes: usize,
    work_per_row: u64,
    limit: u64,
) -> impl Iterator<Item = Range<usize>> {
    let fitting = (limit / widest_row_bytes.max(1) as u64).min(MAX_WORK / work_per_row.max(1)) as usize;
    let step = (fitting / 64 * 64).max(64);
    (0..rows.max(1)).step_by(step).map(move |start| start..rows.min(start + step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folded_dispatch_covers_every_group_within_the_limits() {
        for groups in [0, 1, 65_535, 65_536, 131_071, 4_000_000, 100_000_000] {
            let [x, y, z] = fold(groups);
            assert!(x <= MAX_GROUPS && y <= MAX_GROUPS && z == 1);
            assert!(u64::from(x) * u64::from(y) >= u64::from(groups));
            assert!(u64::from(x) * u64::from(y) < u64::from(groups) + u64::from(y.max(1)));
        }
    }

    #[test]
    fn chunks_cover_the_rows_in_order_and_stay_aligned() {
        let chunks: Vec<_> = row_chunks(1000, 400, 1, 64 * 400 * 3 + 17).collect();
        assert_eq!(chunks, [0..192, 192..384, 384..576, 576..768, 768..960, 960..1000]);
        assert_eq!(row_chunks(200, 4, MAX_WORK / 64, u64::MAX).count(), 4);
        assert_eq!(row_chunks(0, 4, 1, 1 << 20).collect::<Vec<_>>(), vec![0..0]);
    }
}
