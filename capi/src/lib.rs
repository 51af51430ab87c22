//! `pointtpa` for C: everything is in [`pointtpa::ffi`]; this package makes libraries of it that a linker takes.

pub use pointtpa::ffi::*;
