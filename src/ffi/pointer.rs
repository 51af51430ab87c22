//! What C points to, as Rust sees it: the one place that trusts a pointer.

use super::status::Failure;
use std::{
    ffi::{CStr, c_char},
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A handle or a structure.
pub(super) unsafe fn shared<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Failure> {
    // SAFETY: null is told apart; the caller of the C function keeps what it points to alive during the call.
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::argument(what, "is null"))
}

/// Where a result goes; it may be uninitialised.
pub(super) fn out<T>(pointer: *mut T, what: &str) -> Result<*mut T, Failure> {
    if pointer.is_null() { Err(Failure::argument(what, "is null")) } else { Ok(pointer) }
}

/// Puts a result there.
pub(super) unsafe fn put<T>(pointer: *mut T, value: T) {
    // SAFETY: `out` has told null apart; the caller owns the place. What was there is not dropped, as C may not have set it.
    unsafe { pointer.write(value) }
}

/// A new handle goes there.
pub(super) unsafe fn put_handle<T>(pointer: *mut *mut T, value: T) {
    // SAFETY: as for `put`.
    unsafe { put(pointer, Box::into_raw(Box::new(value))) }
}

/// Frees a handle; null is nothing.
pub(super) unsafe fn free<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: it was made by `put_handle`, and the caller frees it once.
        let handle = unsafe { Box::from_raw(pointer) };
        // There is nobody to tell of a panic, and it must not reach C.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(handle)));
    }
}

/// Text.
pub(super) unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Failure> {
    if pointer.is_null() {
        return Err(Failure::argument(what, "is null"));
    }
    // SAFETY: it is not null, and the caller ends it with a zero.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Failure::argument(what, "is not UTF-8"))
}

/// `n` rows of three floats; `None` for null.
pub(super) unsafe fn rows<'a>(pointer: *const f32, n: usize, what: &str) -> Result<Option<&'a [[f32; 3]]>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    if !pointer.is_aligned() {
        return Err(Failure::argument(what, "is not aligned to floats"));
    }
    if n > isize::MAX as usize / size_of::<[f32; 3]>() {
        return Err(Failure::argument(what, &format!("cannot have {n} rows")));
    }
    // SAFETY: it is aligned and not null, the size is one that memory can have, and the caller has `n` rows there.
    Ok(Some(unsafe { std::slice::from_raw_parts(pointer.cast(), n) }))
}

/// Copies `from` to a place for `n` values, which must be as many.
pub(super) unsafe fn copy<T: Copy>(from: &[T], to: *mut T, n: usize, what: &str) -> Result<(), Failure> {
    if n != from.len() {
        return Err(Failure::argument(what, &format!("has room for {n} values, and there are {}", from.len())));
    }
    let to = out(to, what)?;
    if !to.is_aligned() {
        return Err(Failure::argument(what, "is not aligned"));
    }
    // SAFETY: both have `n` values, and what is C's does not overlap what is this library's.
    unsafe { to.copy_from_nonoverlapping(from.as_ptr(), n) };
    Ok(())
}
