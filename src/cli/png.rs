//! Pictures to PNG.

use std::io;

/// `pixels` `[height, width, 3]`, 8 bits each, as a PNG file.
///
/// # Panics
/// If there are not that many pixels, or none.
pub(crate) fn encode(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut write = || -> Result<(), ::png::EncodingError> {
        let mut encoder = ::png::Encoder::new(io::Cursor::new(&mut bytes), width, height);
        encoder.set_color(::png::ColorType::Rgb);
        encoder.set_depth(::png::BitDepth::Eight);
        encoder.set_compression(::png::Compression::Balanced);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        writer.finish()
    };
    write().expect("memory takes every byte of a picture whose size fits its pixels");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_what_is_decoded() {
        let pixels: Vec<u8> = (0..5 * 3 * 3).map(|i| i * 5).collect();
        let bytes = encode(5, 3, &pixels);
        let mut reader = ::png::Decoder::new(io::Cursor::new(bytes)).read_info().unwrap();
        let mut decoded = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut decoded).unwrap();
        assert_eq!((info.width, info.height, decoded), (5, 3, pixels));
    }
}
