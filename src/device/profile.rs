//! Timestamps: how long each dispatch took on the GPU.

/// Kernel, permutation and entry point of a dispatch.
pub(super) type Label = (&'static str, &'static str, &'static str);

/// Pairs per batch: two queries for each dispatch of a full batch.
const MAX_PAIRS: u32 = 256;

/// The GPU time of one dispatch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// The kernel.
    pub kernel: &'static str,
    /// Its permutation.
    pub variant: &'static str,
    /// Its entry point.
    pub entry: &'static str,
    /// Seconds.
    pub seconds: f64,
}

pub(super) struct Profiler {
    queries: wgpu::QuerySet,
    /// Nanoseconds per tick.
    period: f32,
    pending: Vec<Label>,
    /// Batches whose timestamps lie in a buffer that can be mapped.
    resolved: Vec<(wgpu::Buffer, Vec<Label>)>,
}

impl Profiler {
    pub(super) fn new(device: &wgpu::Device, period: f32) -> Self {
        let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("profiler"),
            ty: wgpu::QueryType::Timestamp,
            count: MAX_PAIRS * 2,
        });
        Self { queries, period, pending: Vec::new(), resolved: Vec::new() }
    }

    /// The timestamp pair of the dispatch `label`, which is the next one recorded.
    pub(super) fn next(&mut self, label: Label) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let pair = self.pending.len() as u32;
        if pair >= MAX_PAIRS {
            return None;
        }
        self.pending.push(label);
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
    pub(super) fn take(&mut self) -> (Vec<(wgpu::Buffer, Vec<Label>)>, f32) {
        (std::mem::take(&mut self.resolved), self.period)
    }
}
