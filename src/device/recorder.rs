//! Records dispatches into one command encoder and submits them in bounded batches.

use super::{
    dispatch::MAX_WORK,
    pipeline::Pipeline,
    profile::{Label, Profiler},
    shader_table::Entry,
};

/// WebGPU's alignment of dynamic uniform offsets.
const UNIFORM_ALIGNMENT: usize = 256;
/// Dispatches per submit; also the size of the uniform arena.
const MAX_DISPATCHES: usize = 256;
/// Uploads between submits: every queue write holds a staging buffer until the next submit.
const MAX_UPLOADS: usize = 64;
const MAX_UPLOAD_BYTES: u64 = 64 << 20;

pub(super) struct Recorder {
    open: Option<Open>,
    /// The uniforms of the dispatches recorded since the last submit, one slot each.
    uniforms: Vec<u8>,
    arena: wgpu::Buffer,
    work: u64,
    uploads: usize,
    upload_bytes: u64,
    profiler: Option<Profiler>,
    /// The last batch handed to the GPU.
    submitted: Option<wgpu::SubmissionIndex>,
}

/// What a dispatch is, beside its pipeline and buffers.
pub(super) struct Record<'a> {
    pub(super) label: Label,
    pub(super) params: &'a [u8],
    pub(super) grid: [u32; 3],
    pub(super) flops: u64,
}

/// Bytes of the buffers, those bound more than once counted once.
fn distinct_bytes(buffers: &[wgpu::BufferBinding<'_>]) -> u64 {
    let size = |binding: &wgpu::BufferBinding<'_>| binding.size.map_or(0, std::num::NonZero::get);
    let same = |a: &wgpu::BufferBinding<'_>, b: &wgpu::BufferBinding<'_>| a.buffer == b.buffer && a.offset == b.offset;
    let first = |i: usize| !buffers[..i].iter().any(|before| same(before, &buffers[i]));
    (0..buffers.len()).filter(|i| first(*i)).map(|i| size(&buffers[i])).sum()
}

/// The encoder being recorded, and its compute pass.
struct Open {
    // Dropped, and so ended, before the encoder finishes.
    pass: Option<wgpu::ComputePass<'static>>,
    encoder: wgpu::CommandEncoder,
}

impl Recorder {
    pub(super) fn new(device: &wgpu::Device, profiler: Option<Profiler>) -> Self {
        let arena = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("uniform arena"),
            size: (MAX_DISPATCHES * UNIFORM_ALIGNMENT) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self {
            open: None,
            uniforms: Vec::new(),
            arena,
            work: 0,
            uploads: 0,
            upload_bytes: 0,
            profiler,
            submitted: None,
        }
    }

    pub(super) fn record(
        &mut self,
        device: &wgpu::Device,
        pipeline: &Pipeline,
        entry: &Entry,
        buffers: &[wgpu::BufferBinding<'_>],
        &Record { label, params, grid, flops }: &Record<'_>,
    ) {
        let offset = self.uniforms.len();
        self.uniforms.extend_from_slice(params);
        self.uniforms.resize(offset + UNIFORM_ALIGNMENT, 0);

        let uniform = wgpu::BufferBinding {
            buffer: &self.arena,
            offset: 0,
            size: wgpu::BufferSize::new(params.len().next_multiple_of(16) as u64),
        };
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(uniform) }];
        entries.extend(entry.storage.iter().zip(buffers).map(|(binding, buffer)| wgpu::BindGroupEntry {
            binding: binding.index,
            resource: wgpu::BindingResource::Buffer(buffer.clone()),
        }));
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(label.0),
            layout: &pipeline.layout,
            entries: &entries,
        });

        let open = self.open.get_or_insert_with(|| Open {
            pass: None,
            encoder: device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("batch") }),
        });
        let timestamps =
            self.profiler.as_mut().and_then(|profiler| profiler.next(label, flops, distinct_bytes(buffers)));
        if timestamps.is_some() {
            // A timestamp pair belongs to a pass: a measured dispatch gets one of its own.
            open.pass = None;
        }
        let encoder = &mut open.encoder;
        let pass = open.pass.get_or_insert_with(|| {
            let descriptor = wgpu::ComputePassDescriptor { label: Some(label.0), timestamp_writes: timestamps };
            encoder.begin_compute_pass(&descriptor).forget_lifetime()
        });
        pass.set_pipeline(&pipeline.pipeline);
        pass.set_bind_group(0, &group, &[offset as u32]);
        pass.dispatch_workgroups(grid[0], grid[1], grid[2]);
    }

    /// Whether the batch is to be submitted, `work` more being recorded.
    pub(super) fn is_full(&mut self, work: u64) -> bool {
        self.work += work;
        self.work >= MAX_WORK || self.uniforms.len() >= MAX_DISPATCHES * UNIFORM_ALIGNMENT
    }

    /// Bounds the staging memory of queue writes.
    pub(super) fn note_upload(&mut self, queue: &wgpu::Queue, bytes: u64) {
        self.uploads += 1;
        self.upload_bytes += bytes;
        if self.uploads >= MAX_UPLOADS || self.upload_bytes >= MAX_UPLOAD_BYTES {
            queue.submit([]);
            (self.uploads, self.upload_bytes) = (0, 0);
        }
    }

    pub(super) fn submit(&mut self, device: &wgpu::Device, queue: &wgpu::Queue) {
        let Some(mut open) = self.open.take() else { return };
        open.pass = None;
        if let Some(profiler) = &mut self.profiler {
            profiler.resolve(device, &mut open.encoder);
        }
        // The write is ordered after the batches that read the arena before, and before this one.
        queue.write_buffer(&self.arena, 0, &self.uniforms);
        self.submitted = Some(queue.submit([open.encoder.finish()]));
        self.uniforms.clear();
        (self.work, self.uploads, self.upload_bytes) = (0, 0, 0);
    }

    /// Whether something is recorded that has not been submitted.
    #[cfg(test)]
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The last batch handed to the GPU, once.
    pub(super) fn take_submitted(&mut self) -> Option<wgpu::SubmissionIndex> {
        self.submitted.take()
    }

    pub(super) fn profiler(&mut self) -> Option<&mut Profiler> {
        self.profiler.as_mut()
    }
}
