//! The batches of a training run.

use super::{Batch, Dataset, Recipe, Sample};
use crate::{Error, Result, model::weights::Feature, synth::dice::Dice};
use std::sync::Arc;

/// Independent random numbers out of one seed: for the order of scans, for samples, for mixing.
const ORDER: u64 = 0x6f72_6465_7200_0001;
const SAMPLE: u64 = 0x7361_6d70_6c65_0002;
const MIX: u64 = 0x6d69_7800_0000_0003;

/// The batches of a training run, each a pure function of the data, the recipe, the seed and its step: a run that is
/// resumed at a step goes on as if it had never stopped.
///
/// A run goes through all scans in a random order, then through all in another, and so on without a break: a batch may
/// span two of these epochs, and all batches have the same number of scans.
#[derive(Debug, Clone)]
pub struct Loader {
    dataset: Arc<Dataset>,
    recipe: Recipe,
    features: Vec<Feature>,
    batch_size: u64,
    seed: u64,
}

impl Loader {
    /// Batches of `batch_size` scans with the inputs that a model reads (`ModelInfo::features`).
    ///
    /// # Errors
    /// [`Error::Argument`] for a batch of none, no features, or a recipe out of its range.
    pub fn new(
        dataset: Arc<Dataset>,
        recipe: Recipe,
        features: &[Feature],
        batch_size: usize,
        seed: u64,
    ) -> Result<Self> {
        recipe.validate()?;
        let refuse = |what: &str, problem: &str, advice: &str| {
            Err(Error::Argument { what: what.to_owned(), problem: problem.to_owned(), advice: advice.to_owned() })
        };
        if batch_size == 0 {
            return refuse("batch", "0 scans", "Give at least 1");
        }
        if features.is_empty() {
            return refuse(
                "features",
                "the model does not say what it reads",
                "Add `features` to the file's metadata, for example `coord,color,normal`",
            );
        }
        Ok(Self { dataset, recipe, features: features.to_vec(), batch_size: batch_size as u64, seed })
    }

    /// The scans.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Scans of a batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size as usize
    }

    /// The batch of a step, from 0.
    ///
    /// # Errors
    /// Those of [`Dataset::scan`] and [`Sample::augmented`].
    pub fn batch(&self, step: u64) -> Result<Batch> {
        let scans = self.scans(step);
        let first = step.wrapping_mul(self.batch_size);
        let sample = |(slot, index): (u64, usize)| {
            let scan = self.dataset.scan(index)?;
            let stream = first.wrapping_add(slot);
            Sample::augmented(&scan, &self.recipe, &self.features, self.seed ^ SAMPLE, stream)
                .map_err(|error| of_scan(&scan.name, error))
        };
        let samples = (0..).zip(scans).map(sample).collect::<Result<Vec<_>>>()?;
        let is_mixed = Dice::new(self.seed ^ MIX, step).chance(self.recipe.mix as f32);
        Ok(if is_mixed { Batch::mixed(&samples) } else { Batch::of(&samples) })
    }

    /// The scans of a step's batch, by their indices in the dataset.
    pub fn scans(&self, step: u64) -> Vec<usize> {
        let n = self.dataset.len() as u64;
        let first = step.wrapping_mul(self.batch_size);
        let mut order = (u64::MAX, Vec::new());
        let mut scans = Vec::with_capacity(self.batch_size());
        for place in (0..self.batch_size).map(|slot| first.wrapping_add(slot)) {
            let epoch = place / n;
            if order.0 != epoch || order.1.is_empty() {
                order = (epoch, self.order(epoch));
            }
            scans.push(order.1[(place % n) as usize]);
        }
        scans
    }

    /// Steps after which every scan has come at least `epochs` times.
    pub fn steps(&self, epochs: u64) -> u64 {
        epochs.saturating_mul(self.dataset.len() as u64).div_ceil(self.batch_size)
    }

    /// The epoch, from 0, that a step's first scan belongs to.
    pub fn epoch(&self, step: u64) -> u64 {
        step.saturating_mul(self.batch_size) / self.dataset.len() as u64
    }

    /// A permutation of the scans.
    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut dice = Dice::new(self.seed ^ ORDER, epoch);
        let mut order: Vec<usize> = (0..self.dataset.len()).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, dice.below(last + 1));
        }
        order
    }
}

/// Says which scan an error is about.
fn of_scan(name: &str, error: Error) -> Error {
    match error {
        Error::Argument { what, problem, advice } => {
            Error::Argument { what: format!("scan {name}: {what}"), problem, advice }
        }
        other => other,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{LabelSet, train::augment::testing::scene};

    pub(in crate::train) fn loader(scans: usize, batch_size: usize, seed: u64) -> Loader {
        let scans = (0..scans).map(|i| scene(300 + i)).collect();
        let dataset = Dataset::from_scans(scans, LabelSet::rooms()).unwrap();
        let features = [Feature::Coord, Feature::Color, Feature::Normal];
        Loader::new(Arc::new(dataset), Recipe::reference(), &features, batch_size, seed).unwrap()
    }

    #[test]
    fn a_batch_depends_on_its_step_and_seed_alone() {
        let loader_a = loader(5, 2, 7);
        let forward: Vec<Batch> = (0..12).map(|step| loader_a.batch(step).unwrap()).collect();
        let loader_b = loader(5, 2, 7);
        for step in (0..12).rev() {
            assert_eq!(loader_b.batch(step).unwrap(), forward[step as usize], "step {step}");
        }
        assert!((0..12).all(|i| (0..i).all(|j| forward[i] != forward[j])));
        assert_ne!(loader(5, 2, 8).batch(0).unwrap(), forward[0]);
    }

    #[test]
    fn every_epoch_has_every_scan_once_in_an_order_of_its_own() {
        for (n, batch_size) in [(7, 3), (3, 4), (1, 2), (6, 2)] {
            let loader = loader(n, batch_size, 1);
            let scans: Vec<usize> = (0..60).flat_map(|step| loader.scans(step)).collect();
            let epochs: Vec<&[usize]> = scans.chunks_exact(n).collect();
            for epoch in &epochs {
                let mut sorted = epoch.to_vec();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..n).collect::<Vec<_>>());
            }
            // Of seven scans there are 5040 orders, and of twenty epochs two hardly have the same.
            assert!(n < 7 || epochs.windows(2).all(|pair| pair[0] != pair[1]));
            assert_eq!(loader.steps(4), (4 * n).div_ceil(batch_size) as u64);
            assert_eq!((loader.epoch(0), loader.epoch(loader.steps(4))), (0, 4));
        }
    }

    #[test]
    fn batches_are_the_same_on_every_platform() {
        // FNV-1a over all bits of four batches, mixed ones among them. Another value here means that a run which is
        // resumed goes on with other batches than it would have had.
        let loader = loader(5, 3, 11);
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut take = |bits: u32| hash = (hash ^ u64::from(bits)).wrapping_mul(0x0000_0100_0000_01b3);
        for step in 0..4 {
            let batch = loader.batch(step).unwrap();
            batch.grid_coord.iter().flatten().for_each(|v| take(*v as u32));
            batch.features.iter().for_each(|v| take(v.to_bits()));
            batch.labels.iter().for_each(|v| take(*v as u32));
            batch.offsets.iter().for_each(|v| take(*v as u32));
        }
        assert_eq!(hash, 0x00ab_4d57_ef9e_f320, "{hash:#x}");
    }

    #[test]
    fn batches_are_mixed_as_often_as_the_recipe_says() {
        let loader = loader(4, 4, 3);
        let mixed = (0..200).filter(|step| loader.batch(*step).unwrap().offsets.len() == 2).count();
        // 160 expected; five standard errors are 5 * sqrt(200 * 0.8 * 0.2).
        assert!(mixed.abs_diff(160) < 29, "{mixed}");
    }

    #[test]
    fn what_makes_no_batch_is_refused() {
        let dataset = loader(1, 1, 0).dataset().clone();
        let of = |recipe, features: &[Feature], batch| {
            Loader::new(dataset.clone(), recipe, features, batch, 0).unwrap_err().to_string()
        };
        assert!(of(Recipe::none(), &[Feature::Coord], 0).starts_with("batch: 0 scans"));
        assert!(of(Recipe::none(), &[], 1).starts_with("features:"));
        assert!(of(Recipe { flip: 2.0, ..Recipe::none() }, &[Feature::Coord], 1).starts_with("flip:"));
    }

    #[test]
    fn a_scan_that_does_not_fit_the_grid_is_named() {
        let mut wide = scene(10);
        wide.coord[0] = [5000.0, 0.0, 0.0];
        wide.name = "hall".into();
        let dataset = Arc::new(Dataset::from_scans(vec![wide], LabelSet::rooms()).unwrap());
        let loader = Loader::new(dataset, Recipe::none(), &[Feature::Coord], 1, 0).unwrap();
        let error = loader.batch(0).unwrap_err().to_string();
        assert!(error.starts_with("scan hall: grid size:"), "{error}");
    }
}
