//! The `pointtpa` program.

fn main() {}
