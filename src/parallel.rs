//! Work on many threads: rayon's. In a browser's module, which has one thread, the same methods work one after the other, and
//! a sixth of the module that would never do anything is not there.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use rayon::{current_num_threads, prelude};

#[cfg(target_arch = "wasm32")]
pub(crate) use prelude::current_num_threads;

#[cfg(target_arch = "wasm32")]
pub(crate) mod prelude {
    use std::slice::{Chunks, ChunksExact, ChunksExactMut, ChunksMut, Iter, IterMut, Windows};

    /// Threads that share the work.
    pub(crate) fn current_num_threads() -> usize {
        1
    }

    /// Rayon's methods of slices.
    pub(crate) trait Slice<T> {
        fn par_iter(&self) -> Iter<'_, T>;
        fn par_chunks(&self, size: usize) -> Chunks<'_, T>;
        fn par_chunks_exact(&self, size: usize) -> ChunksExact<'_, T>;
        fn par_windows(&self, size: usize) -> Windows<'_, T>;
    }

    impl<T> Slice<T> for [T] {
        fn par_iter(&self) -> Iter<'_, T> {
            self.iter()
        }

        fn par_chunks(&self, size: usize) -> Chunks<'_, T> {
            self.chunks(size)
        }

        fn par_chunks_exact(&self, size: usize) -> ChunksExact<'_, T> {
            self.chunks_exact(size)
        }

        fn par_windows(&self, size: usize) -> Windows<'_, T> {
            self.windows(size)
        }
    }

    /// Rayon's methods of slices that change.
    pub(crate) trait SliceMut<T> {
        fn par_iter_mut(&mut self) -> IterMut<'_, T>;
        fn par_chunks_mut(&mut self, size: usize) -> ChunksMut<'_, T>;
        fn par_chunks_exact_mut(&mut self, size: usize) -> ChunksExactMut<'_, T>;
        fn par_sort_unstable(&mut self)
        where
            T: Ord;
        fn par_sort_by_key<K: Ord>(&mut self, key: impl FnMut(&T) -> K);
    }

    impl<T> SliceMut<T> for [T] {
        fn par_iter_mut(&mut self) -> IterMut<'_, T> {
            self.iter_mut()
        }

        fn par_chunks_mut(&mut self, size: usize) -> ChunksMut<'_, T> {
            self.chunks_mut(size)
        }

        fn par_chunks_exact_mut(&mut self, size: usize) -> ChunksExactMut<'_, T> {
            self.chunks_exact_mut(size)
        }

        fn par_sort_unstable(&mut self)
        where
            T: Ord,
        {
            self.sort_unstable();
        }

        fn par_sort_by_key<K: Ord>(&mut self, key: impl FnMut(&T) -> K) {
            self.sort_by_key(key);
        }
    }

    /// Rayon's methods of what can be gone through.
    pub(crate) trait Whole: IntoIterator + Sized {
        fn into_par_iter(self) -> Self::IntoIter {
            self.into_iter()
        }
    }

    impl<I: IntoIterator> Whole for I {}

    /// Rayon's methods of iterators that others have not.
    pub(crate) trait Each: Iterator + Sized {
        /// One thread makes one value for all its items.
        fn for_each_init<V>(self, init: impl FnOnce() -> V, mut each: impl FnMut(&mut V, Self::Item)) {
            let mut value = init();
            self.for_each(|item| each(&mut value, item));
        }
    }

    impl<I: Iterator> Each for I {}
}
