//! What a measured run is made of: every dispatch with its GPU time, every run of a twin with its time on the CPU.

use super::command::Work;
use std::time::Duration;

/// Kernel, permutation and entry point of a dispatch.
pub(super) type Label = (&'static str, &'static str, &'static str);

/// Pairs per batch: two queries for each dispatch of a full batch.
const MAX_PAIRS: u32 = 256;

/// One dispatch on a GPU, or one run of a kernel's twin on the CPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// The part of the run it belongs to, as counted by [`super::Device::mark`].
    pub part: usize,
    /// The kernel.
    pub kernel: &'static str,
    /// Its permutation; `twin` on the CPU.
    pub variant: &'static str,
    /// Its entry point; empty on the CPU.
    pub entry: &'static str,
    /// Seconds.
    pub seconds: f64,
    /// Floating-point operations; 0 for kernels that only move data.
    pub flops: u64,
    /// Bytes of the operands it read and wrote.
    pub bytes: u64,
}

/// What a dispatch is known by before its time is.
#[derive(Clone, Copy)]
pub(super) struct Pending {
    pub(super) label: Label,
    pub(super) part: usize,
    pub(super) flops: u64,
    pub(super) bytes: u64,
}

impl Pending {
    pub(super) fn took(self, seconds: f64) -> Timing {
        let Self { label: (kernel, variant, entry), part, flops, bytes } = self;
        Timing { part, kernel, variant, entry, seconds, flops, bytes }
    }
}

/// The stopwatch of the CPU's twins.
#[derive(Default)]
pub(super) struct Stopwatch {
    part: usize,
    timings: Vec<Timing>,
}

impl Stopwatch {
    pub(super) fn mark(&mut self) {
        self.part += 1;
    }

    pub(super) fn note(&mut self, kernel: &'static str, work: Work, bytes: u64, took: Duration) {
        let pending = Pending { label: (kernel, "twin", ""), part: self.part, flops: work.flops(), bytes };
        self.timings.push(pending.took(took.as_secs_f64()));
    }

    pub(super) fn take(&mut self) -> Vec<Timing> {
        self.part = 0;
        std::mem::take(&mut self.timings)
    }
}

pub(super) struct Profiler {
    queries: wgpu::QuerySet,
    /// Nanoseconds per tick.
    period: f32,
    part: usize,
    pending: Vec<Pending>,
    /// Batches whose timestamps lie in a buffer that can be mapped.
    resolved: Vec<(wgpu::Buffer, Vec<Pending>)>,
}

impl Profiler {
    pub(super) fn new(device: &wgpu::Device, period: f32) -> Self {
        let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("profiler"),
            ty: wgpu::QueryType::Timestamp,
            count: MAX_PAIRS * 2,
        });
        Self { queries, period, part: 0, pending: Vec::new(), resolved: Vec::new() }
    }

    /// What follows belongs to the next part of the run.
    pub(super) fn mark(&mut self) {
        self.part += 1;
    }

    /// The timestamp pair of the dispatch `label`, which is the next one recorded.
    pub(super) fn next(
        &mut self,
        label: Label,
        flops: u64,
        bytes: u64,
    ) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let pair = self.pending.len() as u32;
        if pair >= MAX_PAIRS {
            return None;
        }
        self.pending.push(Pending { label, part: self.part, flops, bytes });
        Some(wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(pair * 2),
            end_of_pass_write_index: Some(pair * 2 + 1),
        })
    }

    pub(super) fn resolve(&mut self, device: &wgpu::Device, encoder: &mut wgpu::CommandEncoder) {
        if self.pending.is_empty() {
            return;
        }
        let count = self.pending.len() as u32 * 2;
        let buffer = |usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("timestamps"),
                size: u64::from(count) * 8,
                usage,
                mapped_at_creation: false,
            })
        };
        let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
        let mapped = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        encoder.resolve_query_set(&self.queries, 0..count, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &mapped, 0, u64::from(count) * 8);
        self.resolved.push((mapped, std::mem::take(&mut self.pending)));
    }

    /// The resolved batches, oldest first, and the tick in nanoseconds.
    pub(super) fn take(&mut self) -> (Vec<(wgpu::Buffer, Vec<Pending>)>, f32) {
        self.part = 0;
        (std::mem::take(&mut self.resolved), self.period)
    }
}
