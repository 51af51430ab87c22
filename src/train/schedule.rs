//! Learning rates and beta1 over the steps of a run.
//!
//! A schedule gives a share of the largest learning rate, and every group of parameters multiplies it by its own.

use std::f64::consts::PI;

/// The largest learning rates of the reference's two groups of parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Of parameters in blocks, adapters among them.
    pub block: f64,
    /// Of all others: embedding, pooling, head.
    pub other: f64,
}

impl Rates {
    /// The reference's recipe.
    pub const REFERENCE: Self = Self { block: 1e-4, other: 1e-3 };

    /// The rate of the parameter `name`: the reference looks for "block" in it.
    pub fn of(&self, name: &str) -> f64 {
        if name.contains("block") { self.block } else { self.other }
    }
}

/// What a schedule sets for one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// What a group's largest learning rate is multiplied by.
    pub share: f64,
    /// `AdamW`'s beta1.
    pub beta1: f64,
}

impl Setting {
    /// Along half a cosine, from this setting at progress 0 to `end` at 1.
    fn towards(self, end: Self, progress: f64) -> Self {
        let along = |from: f64, to: f64| to + (from - to) / 2.0 * (1.0 + (PI * progress).cos());
        Self { share: along(self.share, end.share), beta1: along(self.beta1, end.beta1) }
    }
}

/// How learning rate and beta1 go over a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// One cycle.
    OneCycle(OneCycle),
    /// From the largest rate down along half a cosine.
    Cosine(Cosine),
    /// The same at every step.
    Constant(Setting),
}

impl Schedule {
    /// The setting of a step, from 0. Steps after the last keep its setting.
    pub fn at(&self, step: u64) -> Setting {
        match self {
            Self::OneCycle(schedule) => schedule.at(step),
            Self::Cosine(schedule) => schedule.at(step),
            Self::Constant(setting) => *setting,
        }
    }
}

/// Warm-up and descent, both along half a cosine (Smith and Topin, "Super-Convergence", 2018), as torch's `OneCycleLR`:
/// the share goes from `1 / start_divisor` up to 1 and down to `1 / (start_divisor · end_divisor)`, and beta1 from
/// `beta1_high` down to `beta1_low` and up again.
///
/// The top is at step `warm_up · steps - 1`. Where that is not after step 0 (20 steps and less at the reference's 5 %;
/// torch divides by zero at exactly 20) there is no warm-up, and the run begins at or just past the top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// Steps of the run.
    pub steps: u64,
    /// Share of the steps that warm up.
    pub warm_up: f64,
    /// The largest rate over the first.
    pub start_divisor: f64,
    /// The first rate over the last.
    pub end_divisor: f64,
    /// At the largest rate.
    pub beta1_low: f64,
    /// At the first and the last step.
    pub beta1_high: f64,
}

impl OneCycle {
    /// The reference's recipe over a number of steps.
    pub fn reference(steps: u64) -> Self {
        Self { steps, warm_up: 0.05, start_divisor: 10.0, end_divisor: 1000.0, beta1_low: 0.85, beta1_high: 0.95 }
    }

    /// The setting of a step, from 0.
    pub fn at(&self, step: u64) -> Setting {
        let last = self.steps.max(1) as f64 - 1.0;
        let step = (step as f64).min(last);
        let top = self.warm_up * self.steps as f64 - 1.0;
        let first = 1.0 / self.start_divisor;
        let peak = Setting { share: 1.0, beta1: self.beta1_low };
        if top > 0.0 && step <= top {
            let start = Setting { share: first, beta1: self.beta1_high };
            return start.towards(peak, step / top);
        }
        let end = Setting { share: first / self.end_divisor, beta1: self.beta1_high };
        // A run that is all warm-up ends at its top.
        let descent = last - top;
        peak.towards(end, if descent > 0.0 { (step - top) / descent } else { 0.0 })
    }
}

/// torch's `CosineAnnealingLR` over a whole run: the share goes from 1 at the first step to `end` after the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine {
    /// Steps of the run.
    pub steps: u64,
    /// The share after the last step.
    pub end: f64,
    /// Of every step.
    pub beta1: f64,
}

impl Cosine {
    /// Down to nothing, with `AdamW`'s usual beta1.
    pub fn new(steps: u64) -> Self {
        Self { steps, end: 0.0, beta1: 0.9 }
    }

    /// The setting of a step, from 0.
    pub fn at(&self, step: u64) -> Setting {
        let progress = (step as f64 / self.steps.max(1) as f64).min(1.0);
        let start = Setting { share: 1.0, beta1: self.beta1 };
        start.towards(Setting { share: self.end, ..start }, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Table {
        total_steps: u64,
        /// Step, rate of the first group, rate of the blocks, beta1.
        rows: Vec<[f64; 4]>,
    }

    #[test]
    fn one_cycle_is_the_references() {
        let table: Table = serde_json::from_str(include_str!("../../tests/goldens/onecycle.json")).unwrap();
        let schedule = Schedule::OneCycle(OneCycle::reference(table.total_steps));
        assert_eq!(table.rows.len(), 200);
        for [step, other, block, beta1] in table.rows {
            let setting = schedule.at(step as u64);
            // torch's rounding differs, in the last places of an f64.
            let close = |actual: f64, expected: f64| (actual - expected).abs() < 1e-14;
            assert!(close(setting.share * Rates::REFERENCE.of("seg_head.weight"), other), "step {step}: {setting:?}");
            assert!(
                close(setting.share * Rates::REFERENCE.of("enc.enc0.block1.up"), block),
                "step {step}: {setting:?}"
            );
            assert!(close(setting.beta1, beta1), "step {step}: {setting:?}");
        }
    }

    #[test]
    fn the_recorded_recipe_has_these_rates() {
        // grads_pointtpa, `recipe3`: 100 steps in all.
        let schedule = OneCycle::reference(100);
        let log = [
            (0.000_100_000_000_000_000_05, 0.95),
            (0.000_231_801_948_466_053_65, 0.935_355_339_059_327_3),
            (0.00055, 0.9),
        ];
        for (step, (rate, beta1)) in (0..).zip(log) {
            let setting = schedule.at(step);
            assert!(
                (setting.share * 1e-3 - rate).abs() < 1e-15 && (setting.beta1 - beta1).abs() < 1e-14,
                "{setting:?}"
            );
        }
    }

    #[test]
    fn short_runs_have_rates_too() {
        for steps in 0..50 {
            let schedule = OneCycle::reference(steps);
            for step in 0..steps + 3 {
                let Setting { share, beta1 } = schedule.at(step);
                assert!((1e-4 - 1e-12..=1.0).contains(&share), "step {step} of {steps}: {share}");
                assert!((0.85..=0.95).contains(&beta1), "step {step} of {steps}: {beta1}");
            }
            assert_eq!(schedule.at(steps + 9), schedule.at(steps.max(1) - 1));
        }
        // No warm-up left: at the top where torch divides by zero, and all warm-up at the other end.
        assert_eq!(OneCycle::reference(20).at(0).share, 1.0);
        let rising = OneCycle { warm_up: 1.0, ..OneCycle::reference(7) };
        assert!((rising.at(0).share - 0.1).abs() < 1e-15 && (rising.at(6).share - 1.0).abs() < 1e-15);
    }

    #[test]
    fn a_cosine_goes_down_by_half_in_the_middle() {
        let schedule = Cosine { end: 0.1, ..Cosine::new(40) };
        let shares: Vec<f64> = (0..=50).map(|step| schedule.at(step).share).collect();
        assert!(
            (shares[0] - 1.0).abs() < 1e-15 && (shares[20] - 0.55).abs() < 1e-15 && (shares[40] - 0.1).abs() < 1e-15
        );
        assert!(shares.windows(2).all(|pair| pair[1] <= pair[0]) && shares[50] == shares[40]);
        assert_eq!(Schedule::Cosine(Cosine::new(0)).at(0), Setting { share: 1.0, beta1: 0.9 });
    }
}
