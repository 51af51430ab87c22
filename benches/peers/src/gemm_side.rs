//! The `gemm` crate's side, on the CPU.

use std::cell::RefCell;

use gemm::Parallelism;

use crate::{
    compare::{ReadBack, Side},
    shapes::{Product, ProductOperands},
};

/// As many threads as rayon has, which are those of our side.
const ALL_THREADS: Parallelism = Parallelism::Rayon(0);

pub(crate) fn product(shape: &Product, operands: &ProductOperands) -> Side {
    let Product { rows, inner, outputs } = *shape;
    let (x, weight) = (operands.x.clone(), operands.weight.clone());
    // Kept between calls, as our pool keeps buffers.
    let out = RefCell::new(vec![0.0f32; rows * outputs]);
    Box::new(move |read| {
        let mut out = out.borrow_mut();
        multiply(&x, &weight, &mut out, [rows, inner, outputs]);
        match read {
            ReadBack::FirstRow => out[..outputs].to_vec(),
            ReadBack::Whole => out.clone(),
        }
    })
}

/// `x` `[rows, inner]` · `weight` `[outputs, inner]`ᵀ → `out` `[rows, outputs]`.
#[expect(unsafe_code, reason = "the crate takes pointers and strides")]
fn multiply(x: &[f32], weight: &[f32], out: &mut [f32], [rows, inner, outputs]: [usize; 3]) {
    assert_eq!([x.len(), weight.len(), out.len()], [rows * inner, outputs * inner, rows * outputs]);
    let [row_of_x, row_of_weight, row_of_out] = [inner, inner, outputs].map(usize::cast_signed);
    // SAFETY: the lengths are those that the strides reach, as asserted; `out` is initialised and borrowed exclusively.
    unsafe {
        gemm::gemm(
            rows,
            outputs,
            inner,
            out.as_mut_ptr(),
            1,
            row_of_out,
            false,
            x.as_ptr(),
            1,
            row_of_x,
            weight.as_ptr(),
            row_of_weight,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            ALL_THREADS,
        );
    }
}
