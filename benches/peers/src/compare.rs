//! Two sides that do the same work, measured in turns.

use std::time::{Duration, Instant};

/// How far results may be apart: operands are in -1..1, and the longest sum has 1536 terms.
pub(crate) const TOLERANCE: f32 = 1e-3;
/// Turns before the measured ones. What is tuned by trying is tuned by then: the first call does it and waits.
const WARM_UP: usize = 3;
/// Short work is repeated for at least this long, however few turns are asked for.
const AT_LEAST: Duration = Duration::from_secs(1);

/// How much of a result is copied to the host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadBack {
    /// Enough to know that the work is done.
    FirstRow,
    /// All of it, in our layout.
    Whole,
}

/// Computes the result once more, from operands that are on the device already.
pub(crate) type Side = Box<dyn Fn(ReadBack) -> Vec<f32>>;

/// One row of a table, before it is measured.
pub(crate) struct Comparison {
    pub(crate) name: String,
    /// Floating-point operations of one result.
    pub(crate) flops: u64,
    pub(crate) ours: Side,
    pub(crate) peer: Side,
}

/// One row of a table.
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) flops: u64,
    /// Seconds.
    pub(crate) ours: Quartiles,
    pub(crate) peer: Quartiles,
    /// Over turns, the peer's time divided by ours: above 1, ours is faster.
    pub(crate) ratio: Quartiles,
    /// Largest difference between the results.
    pub(crate) difference: f32,
    /// Measured turns.
    pub(crate) turns: usize,
}

/// Checks that both sides agree, then times at least `runs` turns.
pub(crate) fn measure(comparison: Comparison, runs: usize) -> Result<Measured, String> {
    let Comparison { name, flops, ours, peer } = comparison;
    eprintln!("{name}");
    let difference = largest_difference(&ours(ReadBack::Whole), &peer(ReadBack::Whole));
    let agreed = difference.filter(|difference| *difference <= TOLERANCE);
    let difference =
        agreed.ok_or_else(|| format!("{name}: results differ by {difference:?}, at most {TOLERANCE} is allowed"))?;
    for _ in 0..WARM_UP {
        ours(ReadBack::FirstRow);
        peer(ReadBack::FirstRow);
    }
    let turns = take_turns(&ours, &peer, runs);
    Ok(Measured {
        name,
        flops,
        ours: Quartiles::of(turns.iter().map(|turn| turn.ours)),
        peer: Quartiles::of(turns.iter().map(|turn| turn.peer)),
        ratio: Quartiles::of(turns.iter().map(|turn| turn.peer / turn.ours)),
        difference,
        turns: turns.len(),
    })
}

/// Seconds of both sides, one right after the other.
struct Turn {
    ours: f64,
    peer: f64,
}

fn take_turns(ours: &Side, peer: &Side, runs: usize) -> Vec<Turn> {
    let start = Instant::now();
    let mut turns = Vec::new();
    while turns.len() < runs || start.elapsed() < AT_LEAST {
        // Neither is always the one that finds the caches as the other has left them.
        turns.push(if turns.len() % 2 == 0 {
            let ours = seconds(ours);
            Turn { ours, peer: seconds(peer) }
        } else {
            let peer = seconds(peer);
            Turn { ours: seconds(ours), peer }
        });
    }
    turns
}

fn seconds(side: &Side) -> f64 {
    let start = Instant::now();
    std::hint::black_box(side(ReadBack::FirstRow));
    start.elapsed().as_secs_f64()
}

/// `None` where the results are empty or of different sizes; NaN where one has a NaN.
fn largest_difference(a: &[f32], b: &[f32]) -> Option<f32> {
    if a.len() != b.len() {
        return None;
    }
    // In the total order NaN comes last, which `f32::max` would drop.
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp)
}

/// Where a quarter, half and three quarters of the numbers lie below: what was measured, and how steady it was.
#[derive(Clone, Copy)]
pub(crate) struct Quartiles {
    pub(crate) lower: f64,
    pub(crate) median: f64,
    pub(crate) upper: f64,
}

impl Quartiles {
    fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |quarters: usize| {
            // The mean of the two neighbours where the place is between them.
            let place = quarters * (sorted.len() - 1);
            f64::midpoint(sorted[place / 4], sorted[place.div_ceil(4)])
        };
        Self { lower: at(1), median: at(2), upper: at(3) }
    }
}
