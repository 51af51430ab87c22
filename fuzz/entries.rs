//! What fuzzing calls, and the short run of it among the tests: a function for every parser of what a user may be sent. None may
//! panic, hang, or take memory for what the bytes only promise; what they answer does not matter.

use std::io;
use std::path::Path;

use pointtpa::LabelSet;
use pointtpa::model::config::Config;
use pointtpa::model::parameters::count;
use pointtpa::model::tensor_file::TensorFile;
use pointtpa::model::weights::ModelFile;
use pointtpa::scan::read_bytes;

/// What takes any bytes.
pub(crate) type Entry = fn(&[u8]);

/// The parsers by the names of their targets and of the folders of their seeds.
pub(crate) const ENTRIES: [(&str, Entry); 9] = [
    ("ply", ply),
    ("pcd", pcd),
    ("las", las),
    ("text", text),
    ("e57", e57),
    ("npy", npy),
    ("gzip", gzip),
    ("safetensors", safetensors),
    ("checkpoint", checkpoint),
];

/// PLY: read, described and written back.
pub(crate) fn ply(bytes: &[u8]) {
    scan("fuzz.ply", bytes.to_vec());
}

/// PCD.
pub(crate) fn pcd(bytes: &[u8]) {
    scan("fuzz.pcd", bytes.to_vec());
}

/// LAS and LAZ.
pub(crate) fn las(bytes: &[u8]) {
    scan("fuzz.las", bytes.to_vec());
}

/// Text of points.
pub(crate) fn text(bytes: &[u8]) {
    scan("fuzz.xyz", bytes.to_vec());
}

/// NPY and NPZ.
pub(crate) fn npy(bytes: &[u8]) {
    scan("fuzz.npy", bytes.to_vec());
}

/// Whatever is within gzip.
pub(crate) fn gzip(bytes: &[u8]) {
    scan("fuzz.ply.gz", bytes.to_vec());
}

/// E57, of bytes without checksums, which would keep all damage out.
pub(crate) fn e57(bytes: &[u8]) {
    scan("fuzz.e57", with_checksums(bytes));
}

/// A model file, and its header alone, as text without the length before it.
pub(crate) fn safetensors(bytes: &[u8]) {
    model("fuzz.safetensors", bytes.to_vec());
    model("fuzz.safetensors", [&(bytes.len() as u64).to_le_bytes(), bytes].concat());
    if let Ok(config) =
        std::str::from_utf8(bytes).map_err(|_| ()).and_then(|text| Config::from_json(text).map_err(|_| ()))
    {
        let _ = count(&config);
    }
}

/// A PyTorch checkpoint of either layout.
pub(crate) fn checkpoint(bytes: &[u8]) {
    model("fuzz.pth", bytes.to_vec());
}

fn scan(name: &str, bytes: Vec<u8>) {
    let Ok(scan) = read_bytes(Path::new(name), bytes) else { return };
    let _ = scan.describe().to_string();
    let n = scan.cloud.len();
    let written = scan.labelled_to(&mut io::sink(), &vec![0; n], &vec![0.5; n], &LabelSet::rooms(), true);
    written.expect("what was read can be written");
}

fn model(name: &str, bytes: Vec<u8>) {
    let Ok(tensors) = TensorFile::from_bytes(name, bytes) else { return };
    for name in tensors.names() {
        let _ = tensors.read(name);
    }
    let Ok(model) = ModelFile::from_tensors(tensors) else { return };
    let _ = model.check_against(model.config(), true);
}

/// Pages of 1020 bytes, the last one filled up, each with its CRC-32C.
pub(crate) fn with_checksums(plain: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(plain.len() / 1020 * 1024 + 1024);
    for page in plain.chunks(1020) {
        let mut page = page.to_vec();
        page.resize(1020, 0);
        bytes.extend_from_slice(&page);
        bytes.extend_from_slice(&crc32c(&page).to_be_bytes());
    }
    bytes
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}
