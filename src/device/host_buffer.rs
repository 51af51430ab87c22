//! Memory of the CPU's tensors.

use std::ops::{Deref, DerefMut};

/// Words of host memory, zeroed when they are made.
///
/// Large buffers come from the operating system directly, in huge pages where it offers them: a kernel that streams
/// through tens of megabytes otherwise spends as long on looking up addresses as on its arithmetic.
pub(crate) enum HostBuffer {
    /// From the allocator.
    Heap(Vec<u32>),
    /// From the operating system.
    #[cfg(not(target_arch = "wasm32"))]
    Mapped(memmap2::MmapMut),
}

/// From this size on, buffers are mapped: the size of a huge page on common machines.
#[cfg(not(target_arch = "wasm32"))]
const MAPPED: usize = 2 << 20;

impl HostBuffer {
    /// `words` zeros; `None` where there is no memory for them.
    pub(super) fn new(words: usize) -> Option<Self> {
        #[cfg(not(target_arch = "wasm32"))]
        if words * 4 >= MAPPED {
            let mapped = memmap2::MmapMut::map_anon(words * 4).ok()?;
            // Advice that the system may not know; without it the memory is only slower.
            #[cfg(target_os = "linux")]
            let _ = mapped.advise(memmap2::Advice::HugePage);
            return Some(Self::Mapped(mapped));
        }
        let mut heap: Vec<u32> = Vec::new();
        heap.try_reserve_exact(words).ok()?;
        heap.resize(words, 0);
        Some(Self::Heap(heap))
    }
}

impl Deref for HostBuffer {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match self {
            Self::Heap(words) => words,
            #[cfg(not(target_arch = "wasm32"))]
            // A mapping starts at a page, and so is aligned.
            Self::Mapped(bytes) => bytemuck::cast_slice(bytes),
        }
    }
}

impl DerefMut for HostBuffer {
    fn deref_mut(&mut self) -> &mut [u32] {
        match self {
            Self::Heap(words) => words,
            #[cfg(not(target_arch = "wasm32"))]
            Self::Mapped(bytes) => bytemuck::cast_slice_mut(bytes),
        }
    }
}
