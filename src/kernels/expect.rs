//! Shape checks of the kernels' operands.

use crate::{
    Error, Result,
    device::{DType, Device, Tensor},
};

/// One size of an operand: fixed by the others, or free.
#[derive(Clone, Copy)]
pub(crate) enum Size {
    Is(usize),
    Any,
}

/// Checks that `tensor` lives on `device` and has `dtype` and `shape`.
pub(crate) fn operand(
    kernel: &'static str,
    name: &str,
    tensor: &Tensor,
    device: &Device,
    dtype: DType,
    shape: &[Size],
) -> Result<()> {
    let fits = tensor.shape().len() == shape.len()
        && tensor.shape().iter().zip(shape).all(|(actual, size)| match size {
            Size::Is(expected) => actual == expected,
            Size::Any => true,
        });
    let problem = if !fits || tensor.dtype() != dtype {
        let sizes: Vec<String> = shape
            .iter()
            .map(|size| match size {
                Size::Is(expected) => expected.to_string(),
                Size::Any => "_".into(),
            })
            .collect();
        format!("{name} must be [{}] {dtype:?}, it is {tensor:?}", sizes.join(", "))
    } else if !tensor.device().is(device) {
        format!("{name} must be on {device:?} with the others, it is {tensor:?} of another device")
    } else {
        return Ok(());
    };
    Err(Error::Shape { kernel, problem })
}

/// Refuses an operand of `bytes` that one binding of `limit` bytes must hold whole.
pub(crate) fn one_binding(kernel: &'static str, name: &str, bytes: usize, limit: u64) -> Result<()> {
    if bytes as u64 <= limit {
        return Ok(());
    }
    Err(Error::Shape {
        kernel,
        problem: format!(
            "{name} takes {bytes} bytes and cannot be split, the adapter binds {limit}. \
             Use a coarser --grid, cut the scene into smaller pieces, or use `--device cpu`"
        ),
    })
}
