//! Named tensors in a `.safetensors` file, read one at a time.
//!
//! Opening reads the header only, checks it against the size of the file, and leaves the data where it is; so a
//! model on its way to a device is never in memory twice. Layout: header length (u64, little endian), header
//! (JSON: name, type, shape and byte range of every tensor, and the text map `__metadata__`), data. A PyTorch
//! checkpoint, told apart by its first bytes, is read in the same way ([`super::checkpoint`]).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use half::{bf16, f16};
use safetensors::tensor::Metadata;

use super::checkpoint::{self, Checkpoint, starts_like_a_checkpoint};
use crate::scan::Format;
use crate::{Error, Result};

/// Bytes of the number that starts the file.
const LENGTH_BYTES: u64 = 8;
/// How much of a scan's beginning tells that it is one.
const SIGNATURE_BYTES: u64 = 256;
/// A header of a million tensors would be about this long; the base model's has 60 kB.
const MAX_HEADER_BYTES: u64 = 64 << 20;

/// Type of a tensor's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// 16-bit float (IEEE 754 binary16).
    F16,
    /// 16-bit float with the exponent of an f32.
    BF16,
    /// 64-bit signed integer.
    I64,
    /// 32-bit signed integer.
    I32,
    /// Byte.
    U8,
    /// Boolean, one byte.
    Bool,
}

/// A tensor in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTensor {
    /// Its name.
    pub name: String,
    /// Its shape, slowest dimension first.
    pub shape: Vec<usize>,
    /// Type of its values.
    pub dtype: Dtype,
    /// Its values, little endian, without gaps.
    pub bytes: Vec<u8>,
}

/// An open file of tensors.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    source: Source,
    data_start: u64,
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Entry>,
    checkpoint: Option<Checkpoint>,
}

#[derive(Debug)]
struct Entry {
    shape: Vec<usize>,
    dtype: safetensors::Dtype,
    place: Place,
}

/// Where a tensor's values are.
#[derive(Debug)]
enum Place {
    /// In the source, behind the header.
    Source { offset: u64, bytes: usize },
    /// In the source, with gaps or in another order: elements from one index of a dimension to the next.
    Strided { offset: u64, bytes: usize, strides: Vec<usize> },
    /// In a tensor that was laid over it.
    Over(Vec<u8>),
}

/// What is read from.
#[derive(Debug)]
pub(super) enum Source {
    File(Mutex<File>),
    Memory(Cow<'static, [u8]>),
}

impl Dtype {
    /// Bytes per value.
    pub fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::U8 | Self::Bool => 1,
        }
    }

    /// Its name in a safetensors header.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "F64",
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::I64 => "I64",
            Self::I32 => "I32",
            Self::U8 => "U8",
            Self::Bool => "BOOL",
        }
    }

    /// Whether weights may be stored in it.
    pub fn stores_weights(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16)
    }

    fn to_safetensors(self) -> safetensors::Dtype {
        use safetensors::Dtype as D;
        match self {
            Self::F64 => D::F64,
            Self::F32 => D::F32,
            Self::F16 => D::F16,
            Self::BF16 => D::BF16,
            Self::I64 => D::I64,
            Self::I32 => D::I32,
            Self::U8 => D::U8,
            Self::Bool => D::BOOL,
        }
    }

    fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        use safetensors::Dtype as D;
        Some(match dtype {
            D::F64 => Self::F64,
            D::F32 => Self::F32,
            D::F16 => Self::F16,
            D::BF16 => Self::BF16,
            D::I64 => Self::I64,
            D::I32 => Self::I32,
            D::U8 => Self::U8,
            D::BOOL => Self::Bool,
            _ => return None,
        })
    }
}

impl HostTensor {
    /// A tensor of f32 values.
    pub fn from_f32(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name: name.to_owned(), shape: shape.to_vec(), dtype: Dtype::F32, bytes }
    }

    /// The values of a float tensor as f32; f64 is rounded.
    ///
    /// # Errors
    /// [`Error::Argument`] if it holds integers.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        Ok(match self.dtype {
            Dtype::F64 => self.values(|b| f64::from_le_bytes(b) as f32),
            Dtype::F32 => self.values(f32::from_le_bytes),
            Dtype::F16 => self.values(|b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => self.values(|b| bf16::from_le_bytes(b).to_f32()),
            _ => return Err(self.wrong_type("floats")),
        })
    }

    /// The values of an f64 tensor, or of any other float tensor, as f64.
    ///
    /// # Errors
    /// [`Error::Argument`] if it holds integers.
    pub fn to_f64(&self) -> Result<Vec<f64>> {
        match self.dtype {
            Dtype::F64 => Ok(self.values(f64::from_le_bytes)),
            _ => Ok(self.to_f32()?.into_iter().map(f64::from).collect()),
        }
    }

    /// The values of an integer tensor.
    ///
    /// # Errors
    /// [`Error::Argument`] if it holds floats.
    pub fn to_i64(&self) -> Result<Vec<i64>> {
        Ok(match self.dtype {
            Dtype::I64 => self.values(i64::from_le_bytes),
            Dtype::I32 => self.values(|b| i64::from(i32::from_le_bytes(b))),
            Dtype::U8 | Dtype::Bool => self.values(|[b]| i64::from(b)),
            _ => return Err(self.wrong_type("integers")),
        })
    }

    /// The tensor with its values stored as `dtype`, one of f32, f16 and bf16, rounded to nearest, ties to even.
    ///
    /// # Errors
    /// [`Error::Argument`] if it holds integers, or a finite value too large for `dtype`.
    pub fn converted(&self, dtype: Dtype) -> Result<Cow<'_, Self>> {
        if self.dtype == dtype {
            return Ok(Cow::Borrowed(self));
        }
        let values = self.to_f32()?;
        self.check_range(&values)?;
        let bytes = match dtype {
            Dtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Dtype::F16 => {
                self.packed(&values, |v| f16::from_f32(v).to_le_bytes(), |v| f16::from_f32(v).is_finite(), dtype)?
            }
            Dtype::BF16 => {
                self.packed(&values, |v| bf16::from_f32(v).to_le_bytes(), |v| bf16::from_f32(v).is_finite(), dtype)?
            }
            _ => {
                return Err(Error::Argument {
                    what: "dtype".to_owned(),
                    problem: format!("is {}, weights are stored as F32, F16 or BF16", dtype.name()),
                    advice: "Choose one of these".to_owned(),
                });
            }
        };
        Ok(Cow::Owned(Self { name: self.name.clone(), shape: self.shape.clone(), dtype, bytes }))
    }

    /// Refuses a finite value of 64 bits that is infinite in the 32 bits of `values`.
    fn check_range(&self, values: &[f32]) -> Result<()> {
        if self.dtype != Dtype::F64 {
            return Ok(());
        }
        match self.to_f64()?.into_iter().zip(values).find(|(exact, value)| exact.is_finite() && !value.is_finite()) {
            None => Ok(()),
            Some((exact, _)) => Err(Error::Argument {
                what: self.name.clone(),
                problem: format!("holds {exact:e}, which is too large for F32"),
                advice: "Give a model whose weights 32 bits can hold".to_owned(),
            }),
        }
    }

    fn packed(
        &self,
        values: &[f32],
        pack: impl Fn(f32) -> [u8; 2],
        fits: impl Fn(f32) -> bool,
        dtype: Dtype,
    ) -> Result<Vec<u8>> {
        if let Some(value) = values.iter().find(|v| v.is_finite() && !fits(**v)) {
            return Err(Error::Argument {
                what: self.name.clone(),
                problem: format!("holds {value:e}, which is too large for {}", dtype.name()),
                advice: "Store the model as F32 or BF16".to_owned(),
            });
        }
        Ok(values.iter().flat_map(|&v| pack(v)).collect())
    }

    fn values<const SIZE: usize, T>(&self, from_bytes: impl Fn([u8; SIZE]) -> T) -> Vec<T> {
        self.bytes.as_chunks::<SIZE>().0.iter().map(|&chunk| from_bytes(chunk)).collect()
    }

    fn wrong_type(&self, expected: &str) -> Error {
        Error::Argument {
            what: self.name.clone(),
            problem: format!("holds {}, {expected} are needed", self.dtype.name()),
            advice: "Store it in another type".to_owned(),
        }
    }
}

impl TensorFile {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::Model`] if it is not a complete safetensors file or checkpoint, or a
    /// checkpoint that holds more than data.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::Io { action: "open", path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let information = file.metadata().map_err(io)?;
        if information.is_dir() {
            return Err(io(io::ErrorKind::IsADirectory.into()));
        }
        Self::from_source(path.to_owned(), Source::File(Mutex::new(file)), information.len())
    }

    /// Reads a file that is in memory; `name` stands for its path in messages.
    ///
    /// # Errors
    /// [`Error::Model`] as [`TensorFile::open`].
    pub fn from_bytes(name: &str, bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self> {
        let bytes = bytes.into();
        let length = bytes.len() as u64;
        Self::from_source(PathBuf::from(name), Source::Memory(bytes), length)
    }

    /// A file without tensors, to lay some over; `name` stands for its path in messages.
    pub fn empty(name: &str) -> Self {
        Self {
            path: PathBuf::from(name),
            source: Source::Memory(Cow::Borrowed(&[])),
            data_start: 0,
            metadata: BTreeMap::new(),
            tensors: BTreeMap::new(),
            checkpoint: None,
        }
    }

    fn from_source(path: PathBuf, source: Source, length: u64) -> Result<Self> {
        let malformed = |problem: String| Error::Model {
            path: path.clone(),
            problem,
            advice: "Give a complete .safetensors file, for example one written by `pointtpa init`, or a PyTorch \
                     checkpoint (.pth, .pt, .ckpt)"
                .to_owned(),
        };
        let read = |offset, bytes| {
            source.read(offset, bytes).map_err(|source| Error::Io { action: "read", path: path.clone(), source })
        };
        if length < LENGTH_BYTES {
            return Err(malformed(format!("has {length} bytes, too few for a safetensors file")));
        }
        let first = read(0, LENGTH_BYTES as usize)?;
        // The length of a header may start like a pickle; then it ends in zeros, and the header follows.
        if starts_like_a_checkpoint(&first) && !(first[4..] == [0; 4] && read(8, length.min(9) as usize - 8)? == *b"{")
        {
            return Self::from_checkpoint(path, source, length);
        }
        let header_bytes = number(&first);
        if header_bytes > length - LENGTH_BYTES || header_bytes > MAX_HEADER_BYTES {
            if let Some(format) = Format::of_content(&read(0, length.min(SIGNATURE_BYTES) as usize)?) {
                return Err(malformed(format!("is a scan ({}), not a model", format.name())));
            }
            return Err(malformed(format!(
                "is no safetensors file: its first 8 bytes announce a header of {header_bytes} bytes, the file has {length}"
            )));
        }
        let header = read(LENGTH_BYTES, header_bytes as usize)?;
        let header: Metadata = serde_json::from_slice(&header)
            .map_err(|e| malformed(format!("has a header that does not describe tensors: {e}")))?;
        let data_start = LENGTH_BYTES + header_bytes;
        let (promised, present) = (header.data_len() as u64, length - data_start);
        if promised != present {
            return Err(malformed(format!("promises {promised} bytes of tensors but holds {present}")));
        }
        let tensors = header.tensors().into_iter().map(|(name, info)| {
            let (start, end) = info.data_offsets;
            let place = Place::Source { offset: start as u64, bytes: end - start };
            (name, Entry { shape: info.shape.clone(), dtype: info.dtype, place })
        });
        let tensors = tensors.collect();
        let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(Self { path, source, data_start, metadata, tensors, checkpoint: None })
    }

    fn from_checkpoint(path: PathBuf, source: Source, length: u64) -> Result<Self> {
        let (checkpoint, placed) = checkpoint::read(&path, &source, length)?;
        let tensors = placed.into_iter().map(|(name, tensor)| {
            let (offset, bytes) = (tensor.offset, tensor.bytes);
            let place = match tensor.strides {
                None => Place::Source { offset, bytes },
                Some(strides) => Place::Strided { offset, bytes, strides },
            };
            (name, Entry { shape: tensor.shape, dtype: tensor.dtype, place })
        });
        let tensors = tensors.collect();
        Ok(Self { path, source, data_start: 0, metadata: BTreeMap::new(), tensors, checkpoint: Some(checkpoint) })
    }

    /// The same file with `tensors` laid over it: they stand in the place of those of their names, or beside them. What
    /// they do not cover stays where it is.
    #[must_use]
    pub fn overlaid(mut self, tensors: impl IntoIterator<Item = HostTensor>) -> Self {
        for HostTensor { name, shape, dtype, bytes } in tensors {
            self.tensors.insert(name, Entry { shape, dtype: dtype.to_safetensors(), place: Place::Over(bytes) });
        }
        self
    }

    /// Where it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the file says of itself if it is a PyTorch checkpoint. Its tensors then have the names that they have in a
    /// model file.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Puts a text into the metadata.
    pub(super) fn set_metadata(&mut self, key: &str, text: String) {
        self.metadata.insert(key.to_owned(), text);
    }

    /// The text under `key` in the header's metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// All keys of the header's metadata, sorted.
    pub fn metadata_keys(&self) -> impl Iterator<Item = &str> {
        self.metadata.keys().map(String::as_str)
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Type of a tensor's values; `None` also for a type that this program never uses.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.get(name).and_then(|entry| Dtype::from_safetensors(entry.dtype))
    }

    /// Size of a tensor's data.
    pub fn byte_length(&self, name: &str) -> Option<usize> {
        self.tensors.get(name).map(|entry| match &entry.place {
            Place::Source { bytes, .. } => *bytes,
            Place::Strided { .. } => entry.shape.iter().product::<usize>() * (entry.dtype.bitsize() / 8),
            Place::Over(bytes) => bytes.len(),
        })
    }

    /// Reads one tensor.
    ///
    /// # Errors
    /// [`Error::Model`] if there is no such tensor or its type is not one of [`Dtype`], [`Error::Io`] if the data
    /// cannot be read.
    pub fn read(&self, name: &str) -> Result<HostTensor> {
        let unusable =
            |problem| Error::Model { path: self.path.clone(), problem, advice: "Give a file that holds it".to_owned() };
        let entry = self.tensors.get(name).ok_or_else(|| unusable(format!("has no tensor {name}")))?;
        let dtype = Dtype::from_safetensors(entry.dtype)
            .ok_or_else(|| unusable(format!("holds {name} as {}, which is not supported", entry.dtype)))?;
        let source = |offset: u64, bytes| {
            let failed = |source| Error::Io { action: "read", path: self.path.clone(), source };
            self.source.read(self.data_start + offset, bytes).map_err(failed)
        };
        let bytes = match &entry.place {
            Place::Over(bytes) => bytes.clone(),
            Place::Source { offset, bytes } => source(*offset, *bytes)?,
            Place::Strided { offset, bytes, strides } => {
                checkpoint::gather(&source(*offset, *bytes)?, dtype.size(), &entry.shape, strides)
            }
        };
        Ok(HostTensor { name: name.to_owned(), shape: entry.shape.clone(), dtype, bytes })
    }
}

/// A number of 64 bits, little endian, as both layouts of files announce lengths.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

impl Source {
    /// Reads `length` bytes at `offset`. The caller has checked both against the size of the source, so `length`
    /// may size an allocation.
    pub(super) fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::File(file) => {
                // A reader that panicked leaves only the position behind, and every read sets it.
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(offset))?;
                let mut bytes = vec![0; length];
                file.read_exact(&mut bytes)?;
                Ok(bytes)
            }
            Self::Memory(bytes) => usize::try_from(offset)
                .ok()
                .and_then(|start| bytes.get(start..start.checked_add(length)?))
                .map(<[u8]>::to_vec)
                .ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    const TWO: &str = r#"{"__metadata__":{"note":"n"},"b":{"dtype":"F32","shape":[2],"data_offsets":[2,10]},
        "a":{"dtype":"F16","shape":[1,1],"data_offsets":[0,2]}}"#;

    #[test]
    fn tensors_are_read_by_name() {
        let data: Vec<u8> = [&[0x00, 0x3e][..], &1.0_f32.to_le_bytes(), &(-2.5_f32).to_le_bytes()].concat();
        let file = TensorFile::from_bytes("memory", file(TWO, &data)).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(file.metadata("note"), Some("n"));
        assert_eq!(file.read("b").unwrap().to_f32().unwrap(), [1.0, -2.5]);
        assert_eq!(file.read("a").unwrap().to_f32().unwrap(), [1.5]);
        assert_eq!(file.read("a").unwrap().shape, [1, 1]);
        assert!(matches!(file.read("c"), Err(Error::Model { .. })));
        assert!(matches!(file.read("a").unwrap().to_i64(), Err(Error::Argument { .. })));
    }

    #[test]
    fn tensors_can_be_laid_over_a_file() {
        let over = [HostTensor::from_f32("b", &[1, 3], &[7.0, 8.0, 9.0]), HostTensor::from_f32("c", &[1], &[4.0])];
        let file = TensorFile::from_bytes("memory", file(TWO, &[0; 10])).unwrap().overlaid(over.clone());
        assert_eq!(file.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!((file.shape("b"), file.byte_length("b")), (Some(&[1, 3][..]), Some(12)));
        assert_eq!((file.shape("a"), file.dtype("a")), (Some(&[1, 1][..]), Some(Dtype::F16)));
        assert_eq!([file.read("b").unwrap(), file.read("c").unwrap()], over);
        assert_eq!(file.read("a").unwrap().bytes, [0, 0]);
    }

    #[test]
    fn hostile_headers_are_refused() {
        let entry = |text: &str| file(&format!(r#"{{"a":{text}}}"#), &[0; 8]);
        let cases: Vec<Vec<u8>> = vec![
            vec![],
            vec![1, 2, 3],
            u64::MAX.to_le_bytes().to_vec(),
            file("{", &[]),
            file("[]", &[]),
            file("\u{0}", &[]),
            file(&"[".repeat(100_000), &[]),
            entry(r#"{"dtype":"F32","shape":[3],"data_offsets":[0,12]}"#),
            entry(r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#),
            entry(r#"{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#),
            entry(r#"{"dtype":"F32","shape":[18446744073709551615,3],"data_offsets":[0,8]}"#),
            entry(r#"{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}"#),
            entry(r#"{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}"#),
            entry(r#"{"dtype":"F31","shape":[2],"data_offsets":[0,8]}"#),
            entry(r#"{"dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,18446744073709551615]}"#),
        ];
        for (i, bytes) in cases.into_iter().enumerate() {
            let error = TensorFile::from_bytes("memory", bytes).unwrap_err();
            assert!(matches!(error, Error::Model { .. }), "case {i}: {error}");
        }
    }

    #[test]
    fn a_missing_file_is_an_io_error() {
        assert!(matches!(TensorFile::open(Path::new("no/such/file")), Err(Error::Io { action: "open", .. })));
    }

    #[test]
    fn conversions_round_to_even_and_refuse_overflow() {
        let tensor = HostTensor::from_f32("w", &[3], &[1.0 + 1.0 / 2048.0, 1.0 + 3.0 / 2048.0, 65504.0]);
        let half = tensor.converted(Dtype::F16).unwrap();
        assert_eq!(half.to_f32().unwrap(), [1.0, 1.0 + 4.0 / 2048.0, 65504.0]);
        let brain = HostTensor::from_f32("w", &[1], &[1.0 + 1.0 / 256.0]);
        assert_eq!(brain.converted(Dtype::BF16).unwrap().to_f32().unwrap(), [1.0]);
        let large = HostTensor::from_f32("w", &[1], &[65520.0]);
        let error = large.converted(Dtype::F16).unwrap_err().to_string();
        assert!(error.starts_with("w: holds 6.552e4"), "{error}");
        assert!(large.converted(Dtype::BF16).is_ok());
        assert!(large.converted(Dtype::I64).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_file_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = TensorFile::from_bytes("memory", bytes);
        }

        #[test]
        fn any_damage_to_a_file_gives_a_file_or_an_error(at in 0..200_usize, byte: u8, cut in 0..200_usize) {
            let mut bytes = file(TWO, &[0; 10]);
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(length - cut % length);
            if let Ok(file) = TensorFile::from_bytes("memory", bytes) {
                for name in file.names() {
                    let _ = file.read(name);
                }
            }
        }
    }
}
