//! What the losses share: their result, the checks of their operands, and the twin of the softmax of a row.

use super::expect::{self, Size::Any, Size::Is};
use crate::{
    Error, Result,
    device::{DType, Tensor},
};

/// A loss and its gradient, computed together.
#[derive(Clone, Debug)]
pub struct Loss {
    /// `[1]`: the loss.
    pub value: Tensor,
    /// `[n, c]`: d loss / d logits, zero in ignored rows.
    pub gradient: Tensor,
}

/// Checks logits `[n, c]`, c at least 1, and labels `[n]` i32.
pub(super) fn check(kernel: &'static str, logits: &Tensor, labels: &Tensor) -> Result<()> {
    expect::operand(kernel, "logits", logits, logits.device(), DType::F32, &[Any, Any])?;
    expect::operand(kernel, "labels", labels, logits.device(), DType::I32, &[Is(logits.rows())])?;
    if logits.columns() == 0 {
        return Err(Error::Shape { kernel, problem: format!("logits {:?} have no columns", logits.shape()) });
    }
    Ok(())
}

/// The class of a label among `columns`, unless its row is ignored.
pub(super) fn class_of(label: i32, columns: usize) -> Option<usize> {
    usize::try_from(label).ok().filter(|class| *class < columns)
}

/// Writes the softmax of a row of `logits`, and returns its largest logit and the sum of exp(logit - largest).
pub(super) fn softmax(logits: &[f32], out: &mut [f32]) -> (f32, f32) {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    for (p, v) in out.iter_mut().zip(logits) {
        *p = (v - largest).exp();
    }
    let total: f32 = out.iter().sum();
    for p in out {
        *p /= total;
    }
    (largest, total)
}
