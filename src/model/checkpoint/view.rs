//! A tensor as PyTorch stores it: elements of a storage, reached by an offset and one stride per dimension.

use safetensors::Dtype;

use super::value::Storage;

/// More dimensions no weight has.
const MAX_DIMENSIONS: usize = 8;

/// A tensor over a storage, all of whose elements lie within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) storage: StorageId,
    /// First element in the storage.
    pub(super) offset: u64,
    /// Elements of the storage from the first to the last, both included; 0 of an empty tensor.
    pub(super) span: u64,
    pub(super) shape: Vec<usize>,
    /// Elements of the storage from one index of a dimension to the next; `None` if they lie one behind the other.
    pub(super) strides: Option<Vec<usize>>,
    pub(super) dtype: Dtype,
}

/// Number of a storage among a pickle's objects.
pub(super) type StorageId = u32;

impl View {
    /// The tensor of `shape` over a storage.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn new(
        id: StorageId,
        storage: &Storage,
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) -> Result<Self, String> {
        let sizes = |numbers: &[i64]| numbers.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<usize>>>();
        let described = || format!("a tensor of size {shape:?}, strides {strides:?} and offset {offset}");
        if shape.len() != strides.len() || shape.len() > MAX_DIMENSIONS {
            let (sizes, strides) = (shape.len(), strides.len());
            return Err(format!("a tensor of {sizes} sizes and {strides} strides is none that PyTorch writes"));
        }
        let (Some(size), Some(steps), Ok(offset)) = (sizes(shape), sizes(strides), u64::try_from(offset)) else {
            return Err(format!("{} counts backwards", described()));
        };
        let passes_the_end =
            || format!("{} passes the end of its storage of {} elements", described(), storage.elements);
        let elements = size.iter().try_fold(1_u64, |product, &n| product.checked_mul(n as u64));
        let elements = elements.ok_or_else(passes_the_end)?;
        let span = match elements {
            0 => Some(0),
            _ => size.iter().zip(&steps).try_fold(1_u64, |sum, (&n, &step)| {
                (n as u64 - 1).checked_mul(step as u64).and_then(|part| sum.checked_add(part))
            }),
        };
        let end = span.and_then(|span| span.checked_add(offset));
        if end.is_none_or(|end| end > storage.elements) {
            return Err(passes_the_end());
        }
        // Also bounds what reading it takes: never more than what is in the file.
        if elements > storage.elements {
            return Err(format!(
                "{} repeats the {} elements of its storage; expanded tensors are not read",
                described(),
                storage.elements
            ));
        }
        let is_dense = lies_densely(&size, &steps);
        Ok(Self {
            storage: id,
            offset,
            span: span.unwrap_or(0),
            shape: size,
            strides: (!is_dense).then_some(steps),
            dtype: storage.dtype,
        })
    }
}

/// Whether the elements lie one behind the other, the last dimension fastest.
fn lies_densely(shape: &[usize], strides: &[usize]) -> bool {
    if shape.contains(&0) {
        return true;
    }
    let mut expected: usize = 1;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        // The stride of a dimension of one index is never taken.
        let fits = size == 1 || stride == expected;
        expected = usize::saturating_mul(expected, size);
        fits
    })
}

/// The values of a strided tensor, one behind the other. `bytes` starts with the tensor's first element and ends with its
/// last; `size` is the bytes of an element.
pub(in crate::model) fn gather(bytes: &[u8], size: usize, shape: &[usize], strides: &[usize]) -> Vec<u8> {
    let elements: usize = shape.iter().product();
    let mut values = Vec::with_capacity(elements * size);
    let mut index = vec![0; shape.len()];
    for _ in 0..elements {
        let element: usize = index.iter().zip(strides).map(|(i, stride)| i * stride).sum();
        values.extend_from_slice(bytes.get(element * size..(element + 1) * size).unwrap_or_default());
        for (i, &length) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < length {
                break;
            }
            *i = 0;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::value::Value;

    fn view(elements: u64, offset: i64, shape: &[i64], strides: &[i64]) -> Result<View, String> {
        View::new(0, &Storage { key: Value::None, dtype: Dtype::U8, elements }, offset, shape, strides)
    }

    #[test]
    fn strides_are_followed() {
        let columns = view(6, 0, &[3, 2], &[1, 3]).unwrap();
        assert_eq!((columns.span, columns.strides.as_deref()), (6, Some(&[1, 3][..])));
        assert_eq!(gather(&[0, 1, 2, 3, 4, 5], 1, &[3, 2], &[1, 3]), [0, 3, 1, 4, 2, 5]);
        assert_eq!(gather(&[0, 1, 2, 3, 4, 5], 2, &[3], &[1]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(gather(&[9], 1, &[], &[]), [9]);
        assert_eq!(view(6, 1, &[1, 5], &[77, 1]).unwrap().strides, None);
        assert_eq!(view(0, 0, &[0, 5], &[5, 1]).unwrap().span, 0);
        assert_eq!(view(1, 0, &[], &[]).unwrap().span, 1);
    }

    #[test]
    fn what_does_not_lie_in_the_storage_is_refused() {
        let cases: [(u64, i64, &[i64], &[i64]); 10] = [
            (6, 1, &[3, 2], &[2, 1]),
            (6, -1, &[3], &[1]),
            (6, 0, &[-3], &[1]),
            (6, 0, &[3], &[-1]),
            (6, 0, &[3], &[]),
            (6, 0, &[i64::MAX, i64::MAX], &[i64::MAX, 1]),
            (6, i64::MAX, &[2], &[i64::MAX]),
            (6, 0, &[1 << 40], &[0]),
            (6, 0, &[1 << 62, 4, 0], &[0, 0, 0]),
            (6, 0, &[1; 9], &[1; 9]),
        ];
        for (elements, offset, shape, strides) in cases {
            assert!(view(elements, offset, shape, strides).is_err(), "{shape:?}");
        }
    }
}
