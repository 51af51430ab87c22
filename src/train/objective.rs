//! What a run makes smaller: the loss of a batch's logits, and its gradient.

use crate::{
    Result,
    device::{Device, Tensor},
    kernels::{accumulate::accumulate, cross_entropy::cross_entropy, lovasz::lovasz},
};

/// Which losses are added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LossKind {
    /// Cross-entropy.
    CrossEntropy,
    /// Cross-entropy and Lovász-softmax, the reference's recipe.
    #[default]
    CrossEntropyLovasz,
}

/// The loss of a run.
pub struct Objective {
    kind: LossKind,
    /// `[classes]`, for cross-entropy.
    class_weights: Option<Tensor>,
}

/// The losses of a batch, on the device, and the gradient of their sum.
pub(crate) struct Losses {
    /// `[1]`
    pub(crate) cross_entropy: Tensor,
    /// `[1]`
    pub(crate) lovasz: Option<Tensor>,
    /// `[n, classes]`
    pub(crate) gradient: Tensor,
}

impl Objective {
    /// A loss, with a weight for every class in its cross-entropy.
    pub fn new(device: &Device, kind: LossKind, class_weights: Option<&[f32]>) -> Result<Self> {
        let class_weights = class_weights.map(|weights| Tensor::from_slice(device, &[weights.len()], weights));
        Ok(Self { kind, class_weights: class_weights.transpose()? })
    }

    /// The losses of logits `[n, classes]` against labels `[n]` i32, -1 to ignore.
    pub(crate) fn of(&self, logits: &Tensor, labels: &Tensor) -> Result<Losses> {
        let entropy = cross_entropy(logits, labels, self.class_weights.as_ref())?;
        let mut gradient = entropy.gradient;
        let lovasz = match self.kind {
            LossKind::CrossEntropy => None,
            LossKind::CrossEntropyLovasz => {
                let loss = lovasz(logits, labels)?;
                accumulate(&mut gradient, 1.0, &loss.gradient)?;
                Some(loss.value)
            }
        };
        Ok(Losses { cross_entropy: entropy.value, lovasz, gradient })
    }
}
