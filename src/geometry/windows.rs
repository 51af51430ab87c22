//! Attention windows: runs of the serialized order that attend to themselves.
//!
//! The flash rule of the reference (`SerializedAttention` with `enable_flash`): every scene is cut into windows of
//! `patch_size` ranks. A last window of r < `patch_size` ranks attends to the last `patch_size` ranks of its scene,
//! of which only the r are its queries. A scene of at most `patch_size` points is one window.

pub use crate::kernels::patch_attention::Window;

use crate::{Device, Error, Result, device::Tensor};

/// The windows of a stage.
#[derive(Clone, Debug)]
pub struct Windows {
    /// In order of their queries.
    pub list: Vec<Window>,
    /// `[w, 4]` u32: query start and count, key start and count.
    pub table: Tensor,
}

impl Windows {
    /// The windows of scenes that end at `offsets` (cumulative), for patches of `patch_size` points.
    pub fn new(device: &Device, offsets: &[usize], patch_size: usize) -> Result<Self> {
        if patch_size == 0 {
            return Err(Error::Argument {
                what: "patch size".into(),
                problem: "0 points make no window".into(),
                advice: "Use a patch size of at least 1".into(),
            });
        }
        let list = windows_of(offsets, patch_size);
        let words: Vec<u32> =
            list.iter().flat_map(|w| [w.query_start, w.query_count, w.key_start, w.key_count]).collect();
        Ok(Self { table: Tensor::from_slice(device, &[list.len(), 4], &words)?, list })
    }

    /// The reference's `pad`: the rank at every place of the padded sequence. A window's queries come first, then
    /// the ranks before them that it only attends to.
    pub fn pad(&self) -> Vec<u32> {
        self.list
            .iter()
            .flat_map(|w| (w.query_start..w.query_start + w.query_count).chain(w.key_start..w.query_start))
            .collect()
    }

    /// The reference's `unpad`: where in the padded sequence the query of every rank is.
    pub fn unpad(&self) -> Vec<u32> {
        let starts = self.cu_seqlens();
        self.list.iter().zip(starts).flat_map(|(w, start)| start..start + w.query_count).collect()
    }

    /// The reference's `cu_seqlens`: where in the padded sequence each window begins, and where the last ends.
    pub fn cu_seqlens(&self) -> Vec<u32> {
        let mut starts = vec![0];
        for (i, window) in self.list.iter().enumerate() {
            starts.push(starts[i] + window.key_count);
        }
        starts
    }
}

fn windows_of(offsets: &[usize], patch_size: usize) -> Vec<Window> {
    let mut list = Vec::new();
    let mut start = 0;
    for end in offsets {
        let mut query = start;
        while query < *end {
            let count = patch_size.min(end - query);
            // Short of keys, the last window reaches back, but not out of its scene.
            let key = (end.saturating_sub(patch_size)).clamp(start, query);
            list.push(Window {
                query_start: query as u32,
                query_count: count as u32,
                key_start: key as u32,
                key_count: (query + count - key) as u32,
            });
            query += count;
        }
        start = *end;
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn windows(offsets: &[usize], patch_size: usize) -> Windows {
        Windows::new(&Device::cpu(), offsets, patch_size).unwrap()
    }

    #[test]
    fn a_hand_worked_scene() {
        // Ten points in patches of four, then a scene of three.
        let windows = windows(&[10, 13], 4);
        let quads: Vec<_> =
            windows.list.iter().map(|w| [w.query_start, w.query_count, w.key_start, w.key_count]).collect();
        assert_eq!(quads, [[0, 4, 0, 4], [4, 4, 4, 4], [8, 2, 6, 4], [10, 3, 10, 3]]);
        assert_eq!(windows.pad(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 6, 7, 10, 11, 12]);
        assert_eq!(windows.unpad(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14]);
        assert_eq!(windows.cu_seqlens(), [0, 4, 8, 12, 15]);
    }

    #[test]
    fn no_points_have_no_windows_and_no_patch_is_refused() {
        assert_eq!(windows(&[0, 0], 4).cu_seqlens(), [0]);
        assert!(Windows::new(&Device::cpu(), &[3], 0).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn every_rank_is_a_query_once_and_every_window_is_full(
            sizes in prop::collection::vec(0usize..200, 1..5), patch_size in 1usize..70,
        ) {
            let offsets: Vec<usize> = sizes.iter().scan(0, |sum, n| { *sum += n; Some(*sum) }).collect();
            let windows = windows(&offsets, patch_size);
            let queries: Vec<u32> =
                windows.list.iter().flat_map(|w| w.query_start..w.query_start + w.query_count).collect();
            prop_assert_eq!(queries, (0..offsets[offsets.len() - 1] as u32).collect::<Vec<_>>());
            for w in &windows.list {
                let scene = offsets.iter().position(|end| (w.query_start as usize) < *end).unwrap();
                let start = offsets[scene] - sizes[scene];
                prop_assert!(w.key_start as usize >= start && w.key_start <= w.query_start);
                prop_assert_eq!(w.key_start + w.key_count, w.query_start + w.query_count);
                prop_assert_eq!(w.key_count as usize, patch_size.min(sizes[scene]));
            }
            prop_assert_eq!(windows.pad().len() as u32, *windows.cu_seqlens().last().unwrap());
        }
    }
}
