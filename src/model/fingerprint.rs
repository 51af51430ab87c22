//! A fingerprint of tensors: what an adapter knows its base by.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::tensor_file::TensorFile;
use crate::Result;

/// SHA-256, in hexadecimal, over the tensors `names` of a file in the order of their names: of each its name, its type,
/// its shape and its values as they are stored.
///
/// # Errors
/// As [`TensorFile::read`].
pub fn fingerprint<'a>(file: &TensorFile, names: impl IntoIterator<Item = &'a str>) -> Result<String> {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let mut hash = Sha256::new();
    for name in names {
        let tensor = file.read(name)?;
        // Every part has its length before it, so that no two lists of tensors read alike.
        let number = |n: usize| (n as u64).to_le_bytes();
        for text in [name, tensor.dtype.name()] {
            hash.update(number(text.len()));
            hash.update(text);
        }
        hash.update(number(tensor.shape.len()));
        tensor.shape.iter().for_each(|size| hash.update(number(*size)));
        hash.update(&tensor.bytes);
    }
    Ok(hash.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tensor_file::{Dtype, HostTensor};

    fn file(tensors: impl IntoIterator<Item = HostTensor>) -> TensorFile {
        TensorFile::empty("f").overlaid(tensors)
    }

    #[test]
    fn every_part_of_a_tensor_counts_and_order_does_not() {
        let a = HostTensor::from_f32("a", &[2], &[1.0, 2.0]);
        let b = HostTensor::from_f32("b", &[1], &[3.0]);
        let all = file([a.clone(), b.clone()]);
        let print = fingerprint(&all, ["a", "b"]).unwrap();
        // By Python's hashlib over the same bytes.
        assert_eq!(print, "86acea69bd262108cfd07ee7462519f2a5f5cf78865c450a8a89ff37cb8f9a2f");
        assert_eq!(fingerprint(&all, ["b", "a", "b"]).unwrap(), print);
        let others = [
            HostTensor { name: "c".to_owned(), ..a.clone() },
            HostTensor { shape: vec![1, 2], ..a.clone() },
            HostTensor { dtype: Dtype::I32, ..a.clone() },
            HostTensor::from_f32("a", &[2], &[1.0, 2.5]),
        ];
        for other in others {
            let name = other.name.clone();
            let changed = file([other, b.clone()]);
            assert_ne!(fingerprint(&changed, [name.as_str(), "b"]).unwrap(), print);
        }
        assert_ne!(fingerprint(&all, ["a"]).unwrap(), print);
        assert!(fingerprint(&all, ["z"]).is_err());
    }
}
