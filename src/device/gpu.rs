//! One opened GPU adapter.

use super::{
    fault::{Fault, Faults},
    pipeline::{Pipeline, create_pipeline},
    pool::{Pool, Pooled},
    profile::{Label, Profiler},
    recorder::Recorder,
    shader_table::{Entry, Variant},
    tier::{self, Tier},
};
use crate::{Error, Result};
use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A GPU allocation of one size class.
pub(crate) struct GpuBuffer(pub(super) wgpu::Buffer);

/// The GPU side of a [`super::Device`].
pub struct Gpu {
    pub(super) info: wgpu::AdapterInfo,
    pub(super) tier: Tier,
    device: wgpu::Device,
    queue: wgpu::Queue,
    limits: wgpu::Limits,
    max_binding: u64,
    pool: Arc<Pool<GpuBuffer>>,
    poison: bool,
    pipelines: Mutex<HashMap<Label, Arc<Pipeline>>>,
    recorder: Mutex<Recorder>,
    faults: Faults,
    #[cfg(test)]
    pub(super) losses: super::injection::Losses,
}

/// Options of [`Gpu::open`].
pub(super) struct Options {
    pub(super) tier: Tier,
    pub(super) budget: u64,
    pub(super) poison: bool,
    pub(super) max_binding: Option<u64>,
    pub(super) profile: bool,
}

impl Gpu {
    /// Opens an adapter.
    pub(super) async fn open(adapter: &wgpu::Adapter, options: &Options) -> Result<Self> {
        let info = adapter.get_info();
        let refuse = |problem: String| Error::Adapter { adapter: info.name.clone(), problem };
        if let Some(problem) = tier::shortfall(&adapter.limits()) {
            return Err(refuse(problem));
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("pointtpa"),
            required_features: options.tier.features(adapter.features()),
            required_limits: options.tier.limits(&adapter.limits()),
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(|e| refuse(e.to_string()))?;
        let gpu = Self::over(device, queue, options)?;
        gpu.listen();
        Ok(gpu)
    }

    /// Takes a device that is open.
    pub(super) fn over(device: wgpu::Device, queue: wgpu::Queue, options: &Options) -> Result<Self> {
        let (info, limits) = (device.adapter_info(), device.limits());
        if let Some(problem) = tier::shortfall(&limits) {
            return Err(Error::Adapter { adapter: info.name, problem });
        }
        let offered = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let profiler = (options.profile && device.features().contains(wgpu::Features::TIMESTAMP_QUERY))
            .then(|| Profiler::new(&device, queue.get_timestamp_period()));
        Ok(Self {
            tier: options.tier,
            max_binding: options.max_binding.unwrap_or(offered).min(offered),
            pool: Pool::new(info.name.clone(), options.budget),
            poison: options.poison,
            pipelines: Mutex::default(),
            recorder: Mutex::new(Recorder::new(&device, profiler)),
            faults: Faults::default(),
            #[cfg(test)]
            losses: super::injection::Losses::default(),
            info,
            device,
            queue,
            limits,
        })
    }

    /// Hears what the driver reports.
    fn listen(&self) {
        let faults = self.faults.clone();
        self.device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| faults.report_error(&error)));
        let faults = self.faults.clone();
        self.device.set_device_lost_callback(move |_, message| faults.report(Fault::Lost(message)));
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(super) fn pool(&self) -> &Arc<Pool<GpuBuffer>> {
        &self.pool
    }

    /// Bytes that one binding can cover; a kernel splits larger operands by rows.
    pub(crate) fn max_binding(&self) -> u64 {
        self.max_binding
    }

    /// Whether the adapter is a program on a CPU, where loads that all invocations share are cheap and workgroup memory
    /// is not; the portable tier takes the kernels of real GPUs there, too.
    pub(crate) fn broadcasts(&self) -> bool {
        self.tier == Tier::Native && self.info.device_type == wgpu::DeviceType::Cpu
    }

    /// The fault of the driver, if it reported one.
    pub(crate) fn check(&self) -> Result<()> {
        self.faults.error(|| self.pool.refused(0)).map_or(Ok(()), Err)
    }

    pub(super) fn acquire(&self, bytes: u64) -> Result<Pooled<GpuBuffer>> {
        self.check()?;
        let make = |class| self.create_buffer(class);
        let buffer = match self.pool.acquire(bytes, make) {
            Err(Error::OutOfMemory { .. }) => {
                // Freed buffers are really free once nothing recorded or running names them any more.
                self.submit()?;
                self.pool.trim();
                self.wait(wgpu::PollType::wait_indefinitely())?;
                self.pool.acquire(bytes, make)?
            }
            answer => answer?,
        };
        if self.poison {
            let noise = super::POISON.to_le_bytes().repeat(buffer.get().0.size() as usize / 4);
            self.upload(buffer.get(), &noise)?;
        }
        Ok(buffer)
    }

    fn create_buffer(&self, size: u64) -> Result<GpuBuffer> {
        if size > self.limits.max_buffer_size {
            // A size class above the limit is an ordinary shortage of memory to the caller.
            return Err(self.pool.refused(size));
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        self.allocate("tensor", size, usage).map(GpuBuffer)
    }

    /// A buffer, or the error that the GPU has no memory for it.
    pub(super) fn allocate(&self, label: &str, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer> {
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        self.within_memory(size, || self.device.create_buffer(&descriptor))
    }

    /// Does what takes `bytes` of the GPU's memory, or says that it has not so many; then the device can be used further.
    #[cfg(not(target_arch = "wasm32"))]
    fn within_memory<R>(&self, bytes: u64, take: impl FnOnce() -> R) -> Result<R> {
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let taken = take();
        match pollster::block_on(scope.pop()) {
            None => Ok(taken),
            Some(_) => Err(self.pool.refused(bytes)),
        }
    }

    /// In the browser the answer comes later, and an exhausted device reports itself through [`Self::check`].
    #[cfg(target_arch = "wasm32")]
    fn within_memory<R>(&self, _: u64, take: impl FnOnce() -> R) -> Result<R> {
        Ok(take())
    }

    /// Writes `data` to the start of `buffer`.
    pub(super) fn upload(&self, buffer: &GpuBuffer, data: &[u8]) -> Result<()> {
        // A queue write overtakes commands that are recorded and not yet submitted, and those may still read what
        // this pooled buffer held before.
        self.submit()?;
        let whole = data.len() / 4 * 4;
        // A write is staged in memory of its own.
        self.within_memory(data.len() as u64, || {
            self.queue.write_buffer(&buffer.0, 0, &data[..whole]);
            if whole < data.len() {
                let mut word = [0; 4];
                word[..data.len() - whole].copy_from_slice(&data[whole..]);
                self.queue.write_buffer(&buffer.0, whole as u64, &word);
            }
        })?;
        self.recorder().note_upload(&self.queue, data.len() as u64);
        Ok(())
    }

    /// Hands everything recorded to the GPU.
    pub(crate) fn submit(&self) -> Result<()> {
        self.submit_recorded(&mut self.recorder());
        self.check()
    }

    pub(super) fn submit_recorded(&self, recorder: &mut Recorder) {
        #[cfg(test)]
        self.lose_on_purpose(recorder.is_open());
        recorder.submit(&self.device, &self.queue);
    }

    /// A test may lose the GPU where `work` is about to be submitted.
    #[cfg(test)]
    pub(super) fn lose_on_purpose(&self, work: bool) {
        if !work {
            return;
        }
        let (is_said, is_real) = (self.losses.said.strikes(), self.losses.real.strikes());
        if is_said || is_real {
            // The order in which a driver's loss shows: it is said, and from then on nothing works.
            self.faults.report(Fault::Lost("on purpose".into()));
        }
        if is_real {
            self.device.destroy();
        }
    }

    pub(super) fn mark(&self) {
        if let Some(profiler) = self.recorder().profiler() {
            profiler.mark();
        }
    }

    /// Hands over what is recorded, and waits for what was handed over before: the GPU always has the next batch, and
    /// the host is never more than one ahead of it. In the browser it does not wait.
    pub(super) fn pace(&self) -> Result<()> {
        let before = self.recorder().take_submitted();
        self.submit()?;
        if let Some(before) = before {
            self.wait(wgpu::PollType::Wait { submission_index: Some(before), timeout: None })?;
        }
        Ok(())
    }

    /// Waits for the GPU, and lets its callbacks run. In the browser, whose event loop does that, it returns at once.
    pub(super) fn wait(&self, what: wgpu::PollType) -> Result<()> {
        // wgpu panics where a GPU is lost while it is waited for.
        let polled = catch_unwind(AssertUnwindSafe(|| self.device.poll(what)));
        // What the driver has said is the cause of what went wrong here.
        self.check()?;
        let lost = |reason: String| Error::DeviceLost { reason };
        polled.map_err(|_| lost("waiting for it failed".into()))?.map_err(|error| lost(error.to_string()))?;
        Ok(())
    }

    pub(super) fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn handles(&self) -> (&wgpu::Device, &wgpu::Queue) {
        (&self.device, &self.queue)
    }

    /// Creates the pipelines of `variants` that are not there yet, side by side: a driver compiles each for some
    /// milliseconds to tenths of a second, on one core.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn prepare(&self, variants: &[&'static Variant]) {
        use crate::parallel::prelude::*;
        use std::collections::BTreeMap;

        let entries = variants.iter().flat_map(|variant| variant.entries.iter().map(move |entry| (*variant, entry)));
        let wanted: BTreeMap<Label, _> =
            entries.map(|(v, entry)| ((v.kernel, v.name, entry.name), (v, entry))).collect();
        let missing: Vec<_> = {
            let pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.into_iter().filter(|(label, _)| !pipelines.contains_key(label)).collect()
        };
        let made: Vec<_> = missing
            .into_par_iter()
            .map(|(label, (variant, entry))| (label, Arc::new(create_pipeline(&self.device, variant, entry))))
            .collect();
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).extend(made);
    }

    /// Kernel, permutation and entry point of everything that has run or is ready to.
    #[cfg(test)]
    pub(crate) fn pipelines_made(&self) -> Vec<Label> {
        self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// The pipeline of an entry point, created on first use.
    pub(super) fn pipeline(&self, variant: &'static Variant, entry: &'static Entry) -> Arc<Pipeline> {
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (variant.kernel, variant.name, entry.name);
        Arc::clone(pipelines.entry(key).or_insert_with(|| Arc::new(create_pipeline(&self.device, variant, entry))))
    }
}
