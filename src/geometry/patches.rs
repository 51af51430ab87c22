//! SNG patches: the groups of neighbouring points that share one generated set of weights.
//!
//! A patch is a run of the serialized order of one scene. Three rules cut a scene into them: the released code's
//! modes `num` and `length` (for the `basis_mix` adapter), and the paper's sliding windows (for `low_rank`).

use crate::{Device, Error, Result, device::Tensor};

/// How the serialized order is cut into patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PatchRule {
    /// So many groups per scene, all as long as those of the largest scene of the batch. Means count the padding.
    Num(usize),
    /// Groups of this length, as many per scene as the largest of the batch needs. Means count the padding.
    Length(usize),
    /// Runs of `stride` points share a patch, whose feature is the mean over `window` points centred on the run,
    /// as far as the scene has them. A window of 0 makes the whole scene one patch.
    Sliding {
        /// Points whose mean is the patch's feature.
        window: usize,
        /// Points that the patch's weights apply to.
        stride: usize,
    },
}

/// The patches of a batch, numbered through its scenes. Ranks are places in the serialized order of the whole batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patches {
    /// The ranks `start..end` over which a patch's feature is summed.
    pub ranges: Vec<[u32; 2]>,
    /// What that sum is divided by.
    pub divisor: Vec<f32>,
    /// The patch of every rank.
    pub patch_of_rank: Vec<u32>,
    /// Where the ranks of each patch begin, and where the last one's end.
    pub starts: Vec<u32>,
}

/// [`Patches`] on a device.
#[derive(Clone, Debug)]
pub struct PatchTable {
    /// `[p, 2]` u32.
    pub ranges: Tensor,
    /// `[p]` f32.
    pub divisor: Tensor,
    /// `[n]` u32.
    pub patch_of_rank: Tensor,
    /// `[p + 1]` u32.
    pub starts: Tensor,
}

impl Patches {
    /// The patches of scenes that end at `offsets` (cumulative).
    pub fn new(rule: PatchRule, offsets: &[usize]) -> Result<Self> {
        if let PatchRule::Num(0) | PatchRule::Length(0) | PatchRule::Sliding { stride: 0, window: 1.. } = rule {
            return Err(Error::Argument {
                what: "patches".into(),
                problem: format!("{rule:?} makes none"),
                advice: "Use a number, a length or a stride of at least 1".into(),
            });
        }
        let scenes = || std::iter::once(0).chain(offsets.iter().copied()).zip(offsets.iter().copied());
        let largest = scenes().map(|(start, end)| end - start).max().unwrap_or(0);
        let mut patches = Self { starts: vec![0], ..Self::default() };
        for (start, end) in scenes() {
            match rule {
                PatchRule::Num(groups) => patches.padded(start, end, groups, largest.div_ceil(groups)),
                PatchRule::Length(length) => patches.padded(start, end, largest.div_ceil(length), length),
                PatchRule::Sliding { window: 0, .. } => patches.sliding(start, end, end - start, end - start),
                PatchRule::Sliding { window, stride } => patches.sliding(start, end, window, stride),
            }
        }
        Ok(patches)
    }

    /// `groups` patches of `length` slots; the slots past the scene's end are padding.
    fn padded(&mut self, start: usize, end: usize, groups: usize, length: usize) {
        for group in 0..groups {
            let from = (start + group * length).min(end);
            let to = (from + length).min(end);
            self.push(from..to, length, from..to);
        }
    }

    fn sliding(&mut self, start: usize, end: usize, window: usize, stride: usize) {
        // Rounded down, also where the window is shorter than the stride.
        let before = (window as i64 - stride as i64).div_euclid(2);
        let mut run = start;
        // An empty scene still has its one patch when scenes are patches.
        while run < end || (stride == 0 && run == end) {
            let from = (run as i64 - before).clamp(start as i64, end as i64) as usize;
            let to = (run as i64 - before + window as i64).clamp(start as i64, end as i64) as usize;
            self.push(from..to, to - from, run..(run + stride).min(end));
            run += stride.max(1);
        }
    }

    fn push(&mut self, mean: std::ops::Range<usize>, divisor: usize, members: std::ops::Range<usize>) {
        self.patch_of_rank.extend(members.map(|_| self.ranges.len() as u32));
        self.starts.push(self.patch_of_rank.len() as u32);
        self.ranges.push([mean.start as u32, mean.end as u32]);
        // The sum of no points is zero, whatever divides it.
        self.divisor.push(divisor.max(1) as f32);
    }

    /// Copies the patches to a device.
    pub fn upload(&self, device: &Device) -> Result<PatchTable> {
        Ok(PatchTable {
            ranges: Tensor::from_slice(device, &[self.ranges.len(), 2], self.ranges.as_flattened())?,
            divisor: Tensor::from_slice(device, &[self.divisor.len()], &self.divisor)?,
            patch_of_rank: Tensor::from_slice(device, &[self.patch_of_rank.len()], &self.patch_of_rank)?,
            starts: Tensor::from_slice(device, &[self.starts.len()], &self.starts)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn num_gives_every_scene_the_groups_of_the_largest() {
        // Scenes of 7 and 2 points, three groups of ceil(7 / 3) = 3 slots each.
        let patches = Patches::new(PatchRule::Num(3), &[7, 9]).unwrap();
        assert_eq!(patches.ranges, [[0, 3], [3, 6], [6, 7], [7, 9], [9, 9], [9, 9]]);
        assert_eq!(patches.divisor, [3.0; 6]);
        assert_eq!(patches.patch_of_rank, [0, 0, 0, 1, 1, 1, 2, 3, 3]);
        assert_eq!(patches.starts, [0, 3, 6, 7, 9, 9, 9]);
    }

    #[test]
    fn length_gives_every_scene_as_many_groups_as_the_largest_needs() {
        let patches = Patches::new(PatchRule::Length(4), &[2, 9]).unwrap();
        assert_eq!(patches.ranges, [[0, 2], [2, 2], [2, 6], [6, 9]]);
        assert_eq!(patches.divisor, [4.0; 4]);
        assert_eq!(patches.patch_of_rank, [0, 0, 2, 2, 2, 2, 3, 3, 3]);
    }

    #[test]
    fn windows_slide_centred_on_their_runs() {
        // Window 5, stride 2: one point before the run (3 / 2 rounded down), two after.
        let patches = Patches::new(PatchRule::Sliding { window: 5, stride: 2 }, &[5, 8]).unwrap();
        assert_eq!(patches.ranges, [[0, 4], [1, 5], [3, 5], [5, 8], [6, 8]]);
        assert_eq!(patches.divisor, [4.0, 4.0, 2.0, 3.0, 2.0]);
        assert_eq!(patches.patch_of_rank, [0, 0, 1, 1, 2, 3, 3, 4]);
    }

    #[test]
    fn window_zero_is_a_patch_per_scene() {
        let patches = Patches::new(PatchRule::Sliding { window: 0, stride: 0 }, &[3, 3, 5]).unwrap();
        assert_eq!(patches.ranges, [[0, 3], [3, 3], [3, 5]]);
        assert_eq!(patches.divisor, [3.0, 1.0, 2.0]);
        assert_eq!(patches.patch_of_rank, [0, 0, 0, 2, 2]);
    }

    #[test]
    fn empty_rules_are_refused() {
        for rule in [PatchRule::Num(0), PatchRule::Length(0), PatchRule::Sliding { window: 3, stride: 0 }] {
            assert!(Patches::new(rule, &[3]).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn every_rank_has_a_patch_of_its_scene(
            sizes in prop::collection::vec(0usize..100, 1..4), a in 1usize..40, b in 0usize..40,
        ) {
            let offsets: Vec<usize> = sizes.iter().scan(0, |sum, n| { *sum += n; Some(*sum) }).collect();
            for rule in [PatchRule::Num(a), PatchRule::Length(a), PatchRule::Sliding { window: b, stride: a }] {
                let patches = Patches::new(rule, &offsets).unwrap();
                prop_assert_eq!(patches.patch_of_rank.len(), offsets[offsets.len() - 1]);
                prop_assert!(patches.patch_of_rank.is_sorted());
                for (patch, ranks) in patches.starts.windows(2).enumerate() {
                    let members = &patches.patch_of_rank[ranks[0] as usize..ranks[1] as usize];
                    prop_assert!(members.iter().all(|p| *p as usize == patch));
                }
                // What `segment_mean_backward` finds a rank's ranges by.
                prop_assert!(patches.ranges.is_sorted_by_key(|r| r[0]) && patches.ranges.is_sorted_by_key(|r| r[1]));
                for (rank, patch) in patches.patch_of_rank.iter().enumerate() {
                    let end = *offsets.iter().find(|end| rank < **end).unwrap() as u32;
                    let [from, to] = patches.ranges[*patch as usize];
                    prop_assert!(from <= to && to <= end);
                    if matches!(rule, PatchRule::Num(_) | PatchRule::Length(_)) {
                        prop_assert!((from..to).contains(&(rank as u32)));
                    }
                }
            }
        }
    }
}
