//! Dispatches: what a kernel hands to the recorder.

use super::{
    dispatch,
    gpu::Gpu,
    recorder::Record,
    shader_table::{Entry, Variant},
    tensor::Tensor,
};
use crate::{Error, Result};
use std::ops::Range;

/// A storage binding of a dispatch: a tensor, or a range of its rows.
pub(crate) struct Bind<'a> {
    tensor: &'a Tensor,
    bytes: Range<u64>,
}

impl<'a> Bind<'a> {
    pub(crate) fn all(tensor: &'a Tensor) -> Self {
        Self { tensor, bytes: tensor.byte_range(0..tensor.rows()) }
    }

    pub(crate) fn rows(tensor: &'a Tensor, rows: Range<usize>) -> Self {
        Self { tensor, bytes: tensor.byte_range(rows) }
    }
}

/// One dispatch, before it is recorded.
pub(crate) struct Dispatch<'a> {
    pub(crate) variant: &'static Variant,
    /// The entry point; `""` for the only one.
    pub(crate) entry: &'static str,
    /// Storage buffers in the order of their binding indices.
    pub(crate) bind: &'a [Bind<'a>],
    pub(crate) params: &'a [u8],
    pub(crate) groups: u32,
    pub(crate) work: Work,
}

/// What a kernel computes: bounds the work of one submit, and is what a measurement is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// Floating-point operations, a fused multiply-add counting as two.
    Flops(u64),
    /// Integer operations or bytes moved, of a kernel that computes nothing in floating point worth counting.
    Other(u64),
}

impl Work {
    pub(super) fn flops(self) -> u64 {
        match self {
            Self::Flops(flops) => flops,
            Self::Other(_) => 0,
        }
    }

    pub(super) fn amount(self) -> u64 {
        match self {
            Self::Flops(amount) | Self::Other(amount) => amount,
        }
    }
}

/// Bytes of tensors together, for [`super::cpu::Cpu::run`].
pub(crate) fn bytes_of(tensors: &[&Tensor]) -> u64 {
    tensors.iter().map(|tensor| tensor.byte_len() as u64).sum()
}

impl Gpu {
    /// Records one dispatch.
    pub(crate) fn dispatch(&self, dispatch: &Dispatch<'_>) -> Result<()> {
        self.check()?;
        if dispatch.groups == 0 {
            return Ok(());
        }
        let entry = entry_of(dispatch.variant, dispatch.entry);
        let pipeline = self.pipeline(dispatch.variant, entry);
        assert_eq!(
            dispatch.bind.len(),
            entry.storage.len(),
            "{}: one binding per storage buffer",
            dispatch.variant.kernel
        );
        for bind in dispatch.bind {
            let bytes = bind.bytes.end - bind.bytes.start;
            if bytes > self.max_binding() {
                return Err(Error::Shape {
                    kernel: dispatch.variant.kernel,
                    problem: format!(
                        "{:?} takes {bytes} bytes at once, the adapter binds {}. \
                         Use a coarser --grid, cut the scene into smaller pieces, or use `--device cpu`",
                        bind.tensor,
                        self.max_binding()
                    ),
                });
            }
        }
        let buffers: Vec<wgpu::BufferBinding<'_>> = dispatch
            .bind
            .iter()
            .map(|bind| wgpu::BufferBinding {
                buffer: &bind.tensor.buffer().0,
                offset: bind.bytes.start,
                // Storage bindings are whole words, and hold at least one element of the shader's array, which is a
                // vec4 at most.
                size: wgpu::BufferSize::new((bind.bytes.end - bind.bytes.start).next_multiple_of(4).max(16)),
            })
            .collect();
        let (device, _) = self.handles();
        let mut recorder = self.recorder();
        let label = (dispatch.variant.kernel, dispatch.variant.name, entry.name);
        let grid = dispatch::fold(dispatch.groups);
        let record = Record { label, params: dispatch.params, grid, flops: dispatch.work.flops() };
        recorder.record(device, &pipeline, entry, &buffers, &record);
        if recorder.is_full(dispatch.work.amount()) {
            self.submit_recorded(&mut recorder);
        }
        Ok(())
    }
}

fn entry_of(variant: &'static Variant, name: &str) -> &'static Entry {
    if name.is_empty() {
        return &variant.entries[0];
    }
    let found = variant.entries.iter().find(|entry| entry.name == name);
    found.unwrap_or_else(|| panic!("shaders/{}.wgsl has no entry point {name}", variant.kernel))
}
