//! A shaped array on a device.

use super::{Device, gpu::GpuBuffer, host_buffer::HostBuffer, pool::Pooled};
use crate::{Error, Result};
use bytemuck::{AnyBitPattern, NoUninit, Pod};
use std::sync::Arc;

/// Element type of a [`Tensor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// 32-bit unsigned integer; 64-bit keys are pairs of these, high word first.
    U32,
    /// 32-bit signed integer.
    I32,
    /// IEEE half floats, two to a word.
    F16,
    /// bfloat16, two to a word.
    BF16,
}

impl DType {
    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            Self::F32 | Self::U32 | Self::I32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }
}

/// A row-major array on a [`Device`]. Cloning shares the storage; the memory returns to the device's pool when the
/// last clone drops.
#[derive(Clone)]
pub struct Tensor {
    device: Device,
    shape: Shape,
    dtype: DType,
    storage: Storage,
}

/// Up to four dimensions, without an allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    sizes: [usize; 4],
    rank: usize,
}

#[derive(Clone)]
enum Storage {
    Cpu(Arc<Pooled<HostBuffer>>),
    Gpu(Arc<Pooled<GpuBuffer>>),
}

impl Tensor {
    /// A tensor whose contents are unspecified until a kernel writes them.
    pub(crate) fn uninit(device: &Device, shape: &[usize], dtype: DType) -> Result<Self> {
        let shape = Shape::new(shape)?;
        let bytes = shape.bytes(dtype)?;
        let storage = match device {
            Device::Cpu(cpu) => Storage::Cpu(Arc::new(cpu.acquire(bytes)?)),
            Device::Gpu(gpu) => Storage::Gpu(Arc::new(gpu.acquire(bytes)?)),
        };
        Ok(Self { device: device.clone(), shape, dtype, storage })
    }

    /// Copies `data` to the device.
    pub fn from_slice<T: Element>(device: &Device, shape: &[usize], data: &[T]) -> Result<Self> {
        Self::from_bytes(device, shape, T::DTYPE, bytemuck::cast_slice(data))
    }

    /// Copies raw little-endian elements to the device.
    pub fn from_bytes(device: &Device, shape: &[usize], dtype: DType, data: &[u8]) -> Result<Self> {
        let mut tensor = Self::uninit(device, shape, dtype)?;
        let wanted = tensor.byte_len();
        if data.len() != wanted {
            return Err(Error::Argument {
                what: format!("tensor {shape:?}"),
                problem: format!("{} bytes were given, {wanted} are needed", data.len()),
                advice: "Pass one element per place".into(),
            });
        }
        match &mut tensor.storage {
            Storage::Cpu(buffer) => {
                // A fresh tensor has one owner.
                if let Some(words) = Arc::get_mut(buffer) {
                    bytemuck::cast_slice_mut::<u32, u8>(words.get_mut())[..wanted].copy_from_slice(data);
                }
            }
            Storage::Gpu(buffer) => {
                let Device::Gpu(gpu) = device else { unreachable!("storage and device are made together") };
                gpu.upload(buffer.get(), data)?;
            }
        }
        Ok(tensor)
    }

    /// Its device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Sizes of its dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape.sizes[..self.shape.rank]
    }

    /// Its element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first dimension.
    pub fn rows(&self) -> usize {
        self.shape().first().copied().unwrap_or(1)
    }

    /// Elements per row: the product of all dimensions but the first.
    pub fn columns(&self) -> usize {
        self.shape().get(1..).unwrap_or_default().iter().product()
    }

    pub(crate) fn row_bytes(&self) -> usize {
        self.columns() * self.dtype.size()
    }

    pub(crate) fn byte_len(&self) -> usize {
        self.len() * self.dtype.size()
    }

    /// The same elements under another shape of equal size.
    pub(crate) fn reshaped(&self, shape: &[usize]) -> Result<Self> {
        let shape = Shape::new(shape)?;
        debug_assert_eq!(shape.sizes[..shape.rank].iter().product::<usize>(), self.len());
        Ok(Self { shape, ..self.clone() })
    }

    /// Copies the elements to the host; waits for the device.
    ///
    /// # Panics
    /// If `T` is not the tensor's element type.
    pub async fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        self.rows_to_vec(0..self.rows()).await
    }

    /// Copies a range of rows to the host.
    ///
    /// # Panics
    /// If `T` is not the tensor's element type, or a row does not exist.
    pub async fn rows_to_vec<T: Element>(&self, rows: std::ops::Range<usize>) -> Result<Vec<T>> {
        assert_eq!(T::DTYPE, self.dtype, "read back as another type than the tensor's");
        let columns = self.columns();
        match &self.storage {
            Storage::Cpu(_) => Ok(self.host::<T>()[rows.start * columns..rows.end * columns].to_vec()),
            Storage::Gpu(buffer) => {
                let Device::Gpu(gpu) = &self.device else { unreachable!("storage and device are made together") };
                let size = self.row_bytes() as u64;
                let bytes = gpu.read(buffer.get(), rows.start as u64 * size..rows.end as u64 * size).await?;
                Ok(bytemuck::pod_collect_to_vec(&bytes))
            }
        }
    }

    /// The elements of a CPU tensor.
    pub(crate) fn host<T: AnyBitPattern + NoUninit>(&self) -> &[T] {
        let Storage::Cpu(buffer) = &self.storage else { unreachable!("only CPU twins read a tensor's memory") };
        &bytemuck::cast_slice(bytemuck::cast_slice::<u32, u8>(&buffer.get()[..self.byte_len().div_ceil(4)]))
            [..self.len()]
    }

    /// The elements of a CPU tensor nobody else holds.
    pub(crate) fn host_mut<T: Pod>(&mut self) -> &mut [T] {
        let (words, len) = (self.byte_len().div_ceil(4), self.len());
        let Storage::Cpu(buffer) = &mut self.storage else { unreachable!("only CPU twins write a tensor's memory") };
        let buffer = Arc::get_mut(buffer).expect("a kernel writes only tensors it has just made").get_mut();
        &mut bytemuck::cast_slice_mut(bytemuck::cast_slice_mut::<u32, u8>(&mut buffer[..words]))[..len]
    }

    /// The buffer of a GPU tensor.
    pub(crate) fn buffer(&self) -> &GpuBuffer {
        let Storage::Gpu(buffer) = &self.storage else { unreachable!("only dispatches bind a tensor's buffer") };
        buffer.get()
    }

    /// Its elements as a storage binding for a pipeline of the application's ([`Device::from_wgpu`]); `None` on the CPU. The
    /// buffer can also be copied from. It is used for other tensors once the last clone of this one is dropped.
    pub fn wgpu_binding(&self) -> Option<wgpu::BufferBinding<'_>> {
        let Storage::Gpu(buffer) = &self.storage else { return None };
        let size = wgpu::BufferSize::new((self.byte_len() as u64).next_multiple_of(4));
        Some(wgpu::BufferBinding { buffer: &buffer.get().0, offset: 0, size })
    }

    /// Bytes of `rows`, as a range of the buffer.
    pub(crate) fn byte_range(&self, rows: std::ops::Range<usize>) -> std::ops::Range<u64> {
        let size = self.row_bytes() as u64;
        rows.start as u64 * size..rows.end as u64 * size
    }
}

impl std::fmt::Debug for Tensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tensor {:?} {:?} on {}", self.shape(), self.dtype, self.device.name())
    }
}

impl Shape {
    fn new(sizes: &[usize]) -> Result<Self> {
        let mut shape = Self { sizes: [1; 4], rank: sizes.len() };
        let fits = sizes.len() <= 4 && sizes.iter().try_fold(1usize, |n, s| n.checked_mul(*s)).is_some();
        if !fits {
            return Err(Error::Argument {
                what: format!("tensor {sizes:?}"),
                problem: "at most four dimensions and 2^64 elements are allowed".into(),
                advice: "Use a smaller scene or model".into(),
            });
        }
        shape.sizes[..sizes.len()].copy_from_slice(sizes);
        Ok(shape)
    }

    /// Bytes rounded up to whole words. Kernels index with `u32`, which bounds a tensor to 2^32 elements.
    fn bytes(self, dtype: DType) -> Result<u64> {
        let elements: usize = self.sizes[..self.rank].iter().product();
        if elements > u32::MAX as usize {
            return Err(Error::Argument {
                what: format!("tensor {:?}", &self.sizes[..self.rank]),
                problem: format!("{elements} elements, at most {} are addressable", u32::MAX),
                advice: "Cut the scene into smaller pieces".into(),
            });
        }
        Ok((elements as u64 * dtype.size() as u64).next_multiple_of(4))
    }
}

/// A Rust type that is a tensor's element.
pub trait Element: Pod {
    /// The matching element type.
    const DTYPE: DType;
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
}

impl Element for u32 {
    const DTYPE: DType = DType::U32;
}

impl Element for i32 {
    const DTYPE: DType = DType::I32;
}
