//! Memory of a thread in which the CPU twins keep what never leaves a block of rows: written before it is read, and
//! kept from block to block. It is as large as the largest block, about a second-level cache.

use std::{array, cell::Cell};

thread_local! {
    static SCRATCH: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Floats of a cache line, on which every part starts.
const LINE: usize = 16;

/// Calls `work` with parts of these lengths, whose contents are unspecified.
pub(super) fn with_scratch<const PARTS: usize, R>(
    lengths: [usize; PARTS],
    work: impl FnOnce([&mut [f32]; PARTS]) -> R,
) -> R {
    // Taken, so that a twin that runs inside of another has its own.
    let mut memory = SCRATCH.take();
    let needed = lengths.iter().map(|length| length.next_multiple_of(LINE)).sum::<usize>() + LINE;
    if memory.len() < needed {
        memory.resize(needed, 0.0);
    }
    if cfg!(debug_assertions) {
        memory.fill(f32::NAN);
    }
    let start = memory.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
    let mut rest = &mut memory[start..];
    let parts = array::from_fn(|i| {
        let (part, tail) = std::mem::take(&mut rest).split_at_mut(lengths[i].next_multiple_of(LINE));
        rest = tail;
        &mut part[..lengths[i]]
    });
    let answer = work(parts);
    SCRATCH.set(memory);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_their_lengths_and_do_not_overlap() {
        with_scratch([5, 0, 40], |[a, b, c]| {
            assert_eq!([a.len(), b.len(), c.len()], [5, 0, 40]);
            a.fill(1.0);
            c.fill(2.0);
            // A twin inside of a twin.
            with_scratch([7], |[inner]| inner.fill(3.0));
            assert!(a.iter().all(|v| *v == 1.0) && c.iter().all(|v| *v == 2.0));
        });
    }
}
