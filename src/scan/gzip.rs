//! Files within gzip.

#[cfg(feature = "formats")]
use std::io::Read;

use super::source::Source;
use crate::Result;

/// Whether a file starts like gzip.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// The content, refused where it is so much larger than the file that it can be no scan.
#[cfg(feature = "formats")]
pub(crate) fn unpack(source: &Source) -> Result<Vec<u8>> {
    let limit = super::expansion::limit(source.bytes.len());
    let mut decoder = flate2::bufread::MultiGzDecoder::new(source.bytes);
    let mut content = Vec::new();
    // One more than allowed tells that there would be more.
    let read = decoder.by_ref().take(limit as u64 + 1).read_to_end(&mut content);
    let at = format!("byte {}", source.bytes.len() - decoder.get_ref().len());
    if let Err(error) = read {
        let problem = format!("the gzip'd content is damaged or cut short: {error}");
        return Err(source.error(&at, &problem, "Copy the file again, or pack it again with gzip"));
    }
    if content.len() > limit {
        let problem =
            format!("the {} bytes of this gzip file hold more than {limit}, as no scan does", source.bytes.len());
        return Err(source.error(&at, &problem, "If the file is to be trusted, unpack it with gunzip first"));
    }
    Ok(content)
}

/// This build does not unpack.
#[cfg(not(feature = "formats"))]
pub(crate) fn unpack(source: &Source) -> Result<Vec<u8>> {
    Err(source.error("byte 0", "the file is gzip'd, which this build does not read", "Unpack it first"))
}

/// The first bytes of the content of a file that starts so; of a file that is not gzip'd, these bytes.
pub(crate) fn start(bytes: Vec<u8>, most: usize) -> Vec<u8> {
    #[cfg(feature = "formats")]
    if is_gzip(&bytes) {
        let mut content = Vec::new();
        // The bytes end somewhere within the file: what was unpacked until there is enough.
        let _ = flate2::bufread::MultiGzDecoder::new(bytes.as_slice()).take(most as u64).read_to_end(&mut content);
        return content;
    }
    let _ = most;
    bytes
}

#[cfg(all(test, feature = "formats"))]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::scan::read_bytes;

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> Result<Vec<u8>> {
        unpack(&Source { path: Path::new("a.ply.gz"), bytes })
    }

    #[test]
    fn members_one_after_the_other_are_one_content() {
        let bytes = [packed(b"first "), packed(b"second")].concat();
        assert_eq!(unpacked(&bytes).unwrap(), b"first second");
        assert_eq!(start(bytes, 3), b"fir");
        assert_eq!(start(b"plain".to_vec(), 3), b"plain");
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = packed(&vec![0; 16 << 20]);
        assert!(bomb.len() < 20_000);
        let error = unpacked(&bomb).unwrap_err().to_string();
        assert!(error.contains("as no scan does") && error.contains("gunzip"), "{error}");
    }

    #[test]
    fn a_cut_or_damaged_file_is_refused_with_its_place() {
        let mut bytes = packed(&(0..=255).collect::<Vec<u8>>());
        let cut = unpacked(&bytes[..bytes.len() - 9]).unwrap_err().to_string();
        assert!(cut.starts_with("a.ply.gz: byte ") && cut.contains("cut short"), "{cut}");
        let last = bytes.len() - 5;
        bytes[last] ^= 1;
        assert!(unpacked(&bytes).is_err(), "the checksum differs");
    }

    #[test]
    fn a_scan_within_is_read_and_said_to_be_so() {
        for (content, format) in [
            (&b"ply\nformat ascii 1.0\nelement vertex 1\nproperty int x\nproperty int y\nproperty int z\nend_header\n1 2 3"[..],
             "ply ascii, gzip'd"),
            (b"1 2 3\n", "text separated by blanks: coordinates, gzip'd"),
        ] {
            let scan = read_bytes(Path::new("-"), packed(content)).unwrap();
            assert_eq!(scan.describe().format, format);
            assert_eq!(scan.cloud.positions, [[1.0, 2.0, 3.0]]);
        }
        let twice = read_bytes(Path::new("a.ply.gz"), packed(&packed(b"1 2 3\n"))).unwrap_err().to_string();
        assert!(twice.contains("the content is no scan format known here"), "{twice}");
    }

    proptest! {
        #[test]
        fn no_damage_to_a_file_brings_the_reader_down(at: usize, byte: u8, cut in 0usize..64) {
            let mut file = packed("0.5 1.5 2.5 10 20 30\n".repeat(50).as_bytes());
            let index = at % file.len();
            file[index] = byte;
            file.truncate(file.len() - cut.saturating_sub(32));
            let _ = read_bytes(Path::new("a.xyz.gz"), file);
        }
    }
}
