//! The tape: what a forward pass leaves behind for the gradient to come back along.
//!
//! An operation pushes one node, with what it saved and how its gradient is found, only when one of its operands wants
//! a gradient: a parameter that is trained, or something computed from one. In inference nothing is pushed, and every
//! tensor goes back to the pool as soon as it is dead. A frozen weight gets no gradient, and passes gradients on.

use crate::{
    Result,
    device::Tensor,
    kernels::{accumulate::accumulate, add::add},
};
use std::ops::Deref;

/// A tensor of a forward pass, and its place on the tape if it wants a gradient.
#[derive(Clone)]
pub(crate) struct Var {
    tensor: Tensor,
    node: Option<Node>,
}

/// A place on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node(usize);

/// A parameter that is trained, by its place in the model's list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ParameterId(pub(crate) usize);

/// Turns the gradient of an operation's result into those of its operands.
type Backward<'a> = Box<dyn FnOnce(&Tensor, &mut Gradients) -> Result<()> + 'a>;

/// The operations of a forward pass that want gradients, in order.
#[derive(Default)]
pub(crate) struct Tape<'a> {
    nodes: Vec<Backward<'a>>,
}

/// Gradients on their way back.
pub(crate) struct Gradients {
    /// Of the results on the tape, as far as they have come.
    nodes: Vec<Option<Tensor>>,
    /// Of the parameters that are trained.
    parameters: Vec<Option<Tensor>>,
}

impl Var {
    /// A tensor that wants no gradient.
    pub(crate) fn constant(tensor: Tensor) -> Self {
        Self { tensor, node: None }
    }

    pub(super) fn node(&self) -> Option<Node> {
        self.node
    }

    pub(super) fn wants_gradient(&self) -> bool {
        self.node.is_some()
    }

    pub(crate) fn into_tensor(self) -> Tensor {
        self.tensor
    }
}

impl Deref for Var {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.tensor
    }
}

impl<'a> Tape<'a> {
    pub(super) fn push(
        &mut self,
        result: Tensor,
        backward: impl FnOnce(&Tensor, &mut Gradients) -> Result<()> + 'a,
    ) -> Var {
        self.nodes.push(Box::new(backward));
        Var { tensor: result, node: Some(Node(self.nodes.len() - 1)) }
    }

    /// Goes back from `end`, whose gradient is given, to the `parameters` parameters. A parameter that had no part in
    /// it has no gradient.
    ///
    /// What the forward pass saved is let go on the way, node by node.
    pub(crate) fn backward(self, end: &Var, gradient: Tensor, parameters: usize) -> Result<Vec<Option<Tensor>>> {
        let mut gradients = Gradients { nodes: vec![None; self.nodes.len()], parameters: vec![None; parameters] };
        gradients.add(end, gradient)?;
        for (at, backward) in self.nodes.into_iter().enumerate().rev() {
            if let Some(gradient) = gradients.nodes[at].take() {
                backward(&gradient, &mut gradients)?;
            }
        }
        Ok(gradients.parameters)
    }
}

impl Gradients {
    /// Adds to the gradient of a variable, if it wants one.
    pub(super) fn add(&mut self, to: &Var, gradient: Tensor) -> Result<()> {
        self.add_to(to.node(), gradient)
    }

    /// [`Self::add`] by place.
    pub(super) fn add_to(&mut self, to: Option<Node>, gradient: Tensor) -> Result<()> {
        self.fold(to, |before| match before {
            // Shapes may differ between views of the same elements.
            Some(before) => add(before, &gradient.reshaped(before.shape())?),
            None => Ok(gradient),
        })
    }

    /// Replaces the gradient of a place by what `next` makes of it: an operation that can add to what is there while
    /// it computes saves a pass over memory.
    pub(super) fn fold(
        &mut self,
        to: Option<Node>,
        next: impl FnOnce(Option<&Tensor>) -> Result<Tensor>,
    ) -> Result<()> {
        if let Some(Node(at)) = to {
            let before = self.nodes[at].take();
            self.nodes[at] = Some(next(before.as_ref())?);
        }
        Ok(())
    }

    /// Adds to the gradient of a parameter.
    pub(super) fn add_parameter(&mut self, ParameterId(at): ParameterId, gradient: Tensor) -> Result<()> {
        match &mut self.parameters[at] {
            Some(before) => accumulate(before, 1.0, &gradient),
            none => {
                *none = Some(gradient);
                Ok(())
            }
        }
    }
}
