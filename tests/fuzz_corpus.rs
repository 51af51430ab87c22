//! The entry functions of `fuzz/`, on its seeds and on mutations of them that are the same every time: a short run of what fuzzing
//! does for hours.

#![cfg(feature = "formats")]

#[path = "../fuzz/entries.rs"]
mod entries;
mod fuzz_seeds;

use std::fs;
use std::path::PathBuf;

use entries::ENTRIES;
use rand_pcg::{Pcg64, rand_core::Rng};

/// Mutations of every seed.
const MUTATIONS: usize = 150;
/// Bytes that readers stumble over: the ends of ranges, signs, line ends, and what opens and closes.
const AWKWARD: [u8; 12] = [0, 1, 0x7f, 0x80, 0xff, b'\n', b'-', b'9', b'"', b'{', b'e', b' '];

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// A few changes at places that the dice say.
fn mutated(seed: &[u8], dice: &mut Pcg64) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let mut below = |n: usize| (dice.next_u64() % n.max(1) as u64) as usize;
    for _ in 0..=below(4) {
        let at = below(bytes.len());
        let length = below(9).min(bytes.len() - at);
        match below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << below(8),
            1 => bytes[at..at + length].fill(AWKWARD[below(AWKWARD.len())]),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let copy = bytes[at..at + length].to_vec();
                let to = below(bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => bytes.insert(at, AWKWARD[below(AWKWARD.len())]),
        }
    }
    bytes
}

#[test]
fn no_seed_and_no_mutation_of_one_brings_a_parser_down() {
    for (target, entry) in ENTRIES {
        let seeds = seeds(target);
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for (number, (path, seed)) in seeds.iter().enumerate() {
            assert!(seed.len() < 8192, "{} is large for a seed", path.display());
            entry(seed);
            let mut dice = Pcg64::new(number as u128, 7);
            for _ in 0..MUTATIONS {
                entry(&mutated(seed, &mut dice));
            }
        }
    }
}

#[test]
fn seeds_are_files_that_are_read() {
    use pointtpa::scan::read_bytes;
    for (target, _) in ENTRIES.iter().filter(|(target, _)| !["safetensors", "checkpoint"].contains(target)) {
        for (path, seed) in seeds(target) {
            let bytes = if *target == "e57" { entries::with_checksums(&seed) } else { seed };
            let scan = read_bytes(&path, bytes).unwrap_or_else(|error| panic!("{error}"));
            assert!(!scan.cloud.is_empty(), "{}", path.display());
        }
    }
    for (path, seed) in seeds("checkpoint") {
        let tensors = pointtpa::model::tensor_file::TensorFile::from_bytes("seed.pth", seed);
        assert!(tensors.unwrap_or_else(|error| panic!("{}: {error}", path.display())).names().count() > 0);
    }
}

#[test]
#[ignore = "writes into the repository"]
fn write_the_seeds() {
    fuzz_seeds::write(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds"));
}
