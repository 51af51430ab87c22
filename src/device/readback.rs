//! Copying from the GPU to the host: the one place where the lower floors wait.

use super::{
    gpu::{Gpu, GpuBuffer},
    profile::Timing,
};
use crate::{Error, Result};
use std::{
    future::poll_fn,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    task::{Poll, Waker},
};

/// Bytes copied at a time: the staging memory of a large tensor is not taken twice.
const PIECE: u64 = 64 << 20;

impl Gpu {
    /// Copies a byte range of `buffer` to the host. The range may start at any word.
    pub(super) async fn read(&self, buffer: &GpuBuffer, range: Range<u64>) -> Result<Vec<u8>> {
        self.submit()?;
        let size = range.end - range.start;
        if size == 0 {
            return Ok(Vec::new());
        }
        let (device, queue) = self.handles();
        let start = range.start / 4 * 4;
        let copied = range.end.next_multiple_of(4) - start;
        let mut bytes = Vec::with_capacity(copied as usize);
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = self.allocate("readback", copied.min(PIECE), usage)?;
        let mut done = 0;
        while done < copied {
            let piece = PIECE.min(copied - done);
            let mut encoder =
                device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("readback") });
            encoder.copy_buffer_to_buffer(&buffer.0, start + done, &staging, 0, piece);
            #[cfg(test)]
            self.lose_on_purpose(true);
            queue.submit([encoder.finish()]);
            self.map(&staging, piece, |mapped| bytes.extend_from_slice(mapped)).await?;
            done += piece;
        }
        let skipped = (range.start - start) as usize;
        bytes.drain(..skipped);
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    /// Maps the first `size` bytes of `buffer`, shows them to `read`, and unmaps it.
    async fn map(&self, buffer: &wgpu::Buffer, size: u64, read: impl FnOnce(&[u8])) -> Result<()> {
        let state: Arc<Mutex<(Option<bool>, Option<Waker>)>> = Arc::default();
        let sender = Arc::clone(&state);
        buffer.slice(..size).map_async(wgpu::MapMode::Read, move |result| {
            let mut state = sender.lock().unwrap_or_else(PoisonError::into_inner);
            state.0 = Some(result.is_ok());
            if let Some(waker) = state.1.take() {
                waker.wake();
            }
        });
        // Native: runs the queue dry and the callback with it. In the browser the event loop calls back.
        self.wait(wgpu::PollType::wait_indefinitely())?;
        let mapped = poll_fn(|context| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.1 = Some(context.waker().clone());
            state.0.map_or(Poll::Pending, Poll::Ready)
        })
        .await;
        self.check()?;
        let lost = |reason: String| Error::DeviceLost { reason };
        if !mapped {
            return Err(lost("a buffer could not be mapped for reading".into()));
        }
        {
            let view = buffer.slice(..size).get_mapped_range().map_err(|e| lost(e.to_string()))?;
            read(&view);
        }
        buffer.unmap();
        Ok(())
    }

    /// The GPU times of all dispatches since the last call, in order; empty without a profiler.
    pub(super) async fn take_timings(&self) -> Result<Vec<Timing>> {
        self.submit()?;
        let Some((batches, period)) = self.recorder().profiler().map(super::profile::Profiler::take) else {
            return Ok(Vec::new());
        };
        let mut timings = Vec::new();
        for (buffer, labels) in batches {
            let mut ticks: Vec<u64> = Vec::new();
            self.map(&buffer, buffer.size(), |bytes| ticks = bytemuck::pod_collect_to_vec(bytes)).await?;
            timings.extend(labels.iter().zip(ticks.chunks_exact(2)).map(|(pending, pair)| {
                pending.took(pair[1].saturating_sub(pair[0]) as f64 * f64::from(period) * 1e-9)
            }));
        }
        Ok(timings)
    }
}
