//! Matrix products of the CPU twins, through the `gemm` crate.
//!
//! The one audited use of `unsafe` in the library: the crate's entry point takes raw pointers and strides, which are
//! checked here against the slices they come from.

/// A matrix inside a slice: element (i, j) lies at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub(super) struct Strides {
    pub(super) row: usize,
    pub(super) column: usize,
}

impl Strides {
    /// Rows of `stride` elements, contiguous along the row.
    pub(super) fn rows(stride: usize) -> Self {
        Self { row: stride, column: 1 }
    }

    /// The transpose of [`Self::rows`].
    pub(super) fn transposed(stride: usize) -> Self {
        Self { row: 1, column: stride }
    }

    fn end(self, rows: usize, columns: usize) -> usize {
        if rows == 0 || columns == 0 { 0 } else { (rows - 1) * self.row + (columns - 1) * self.column + 1 }
    }
}

/// How `out` is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// out = scale · left right
    Set,
    /// out += scale · left right
    Add,
}

/// `out[m, n] (+)= scale · left[m, k] right[k, n]`, with `out` in rows of `out_stride`. The order of summation does
/// not depend on the number of threads.
pub(super) fn gemm(
    [m, n, k]: [usize; 3],
    out: &mut [f32],
    out_stride: usize,
    write: Write,
    (left, left_strides): (&[f32], Strides),
    (right, right_strides): (&[f32], Strides),
    scale: f32,
    parallel: bool,
) {
    let out_strides = Strides::rows(out_stride);
    assert!(out_stride >= n, "rows of the output must not overlap");
    assert!(out_strides.end(m, n) <= out.len(), "output [{m}, {n}] in rows of {out_stride} passes its slice");
    assert!(left_strides.end(m, k) <= left.len(), "left operand [{m}, {k}] passes its slice");
    assert!(right_strides.end(k, n) <= right.len(), "right operand [{k}, {n}] passes its slice");
    let parallelism = if parallel { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None };
    // SAFETY: the assertions above keep every element (i, j) that the product reads or writes inside its slice;
    // `out` is borrowed mutably, so it aliases neither operand, and its rows do not overlap.
    #[allow(unsafe_code, reason = "the crate has no safe entry point; bounds are asserted above")]
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            write == Write::Add,
            left.as_ptr(),
            left_strides.column as isize,
            left_strides.row as isize,
            right.as_ptr(),
            right_strides.column as isize,
            right_strides.row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_by_hand() {
        let left = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let right = [1.0, 0.0, 2.0, -1.0, 1.0, 0.5];
        let mut out = [10.0; 6];
        gemm(
            [2, 2, 3],
            &mut out,
            3,
            Write::Add,
            (&left, Strides::rows(3)),
            (&right, Strides::transposed(3)),
            2.0,
            false,
        );
        assert_eq!(out, [10.0 + 14.0, 10.0 + 5.0, 10.0, 10.0 + 32.0, 10.0 + 8.0, 10.0]);
    }

    #[test]
    #[should_panic(expected = "right operand")]
    fn an_operand_that_is_too_short_is_refused() {
        let mut out = [0.0; 4];
        gemm(
            [2, 2, 3],
            &mut out,
            2,
            Write::Set,
            (&[0.0; 6], Strides::rows(3)),
            (&[0.0; 5], Strides::rows(2)),
            1.0,
            false,
        );
    }
}
