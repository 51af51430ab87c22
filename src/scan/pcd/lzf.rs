//! Decompression of LZF, Marc Lehmann's `LibLZF`, which the payload of `binary_compressed` files goes through.
//!
//! A control byte below 32 is followed by that many literal bytes and one more. Any other is a copy from what came out
//! already: its upper three bits are the length less two (seven: a byte with more length follows), its lower five and the
//! next byte the distance less one.

/// The bytes that `input` unpacks to, at most `most`; `Err` is the place in `input` where it stops making sense.
///
/// The output grows as it comes, so a damaged size costs no memory.
pub(super) fn decompress(input: &[u8], most: usize) -> Result<Vec<u8>, usize> {
    const LITERAL: u8 = 32;
    const LONG: usize = 7;
    let mut out: Vec<u8> = Vec::new();
    let mut at = 0;
    while let Some(&control) = input.get(at) {
        let start = at;
        let wrong = start;
        at += 1;
        if control < LITERAL {
            let literal = input.get(at..=at + usize::from(control)).ok_or(wrong)?;
            out.extend_from_slice(literal);
            at += literal.len();
        } else {
            let mut length = usize::from(control >> 5);
            if length == LONG {
                length += usize::from(*input.get(at).ok_or(wrong)?);
                at += 1;
            }
            length += 2;
            let low = *input.get(at).ok_or(wrong)?;
            at += 1;
            let distance = (usize::from(control & 0x1f) << 8 | usize::from(low)) + 1;
            let from = out.len().checked_sub(distance).ok_or(wrong)?;
            // A copy may run into what it writes, so it goes byte by byte.
            for index in from..from + length {
                out.push(out[index]);
            }
        }
        if out.len() > most {
            return Err(start);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn literals_and_copies_come_out() {
        // "ab", then 5 bytes from 2 back, then one byte 7 back, the long form with 9 bytes from 1 back.
        let input = [1, b'a', b'b', 3 << 5, 1, 7 << 5, 0, 0];
        assert_eq!(decompress(&input, 100).unwrap(), b"abababaaaaaaaaaa");
        assert_eq!(decompress(&[], 0).unwrap(), b"");
    }

    #[test]
    fn what_does_not_fit_is_refused_where_it_stands() {
        assert_eq!(decompress(&[1, b'a'], 10), Err(0), "a literal that is cut off");
        assert_eq!(decompress(&[0, b'a', 32, 1], 10), Err(2), "a copy from before the beginning");
        assert_eq!(decompress(&[0, b'a', 224], 10), Err(2), "a copy without its length");
        assert_eq!(decompress(&[0, b'a', 224, 255, 0], 10), Err(2), "more than promised");
    }

    proptest! {
        #[test]
        fn no_bytes_bring_it_down(input: Vec<u8>, most in 0usize..1000) {
            if let Ok(out) = decompress(&input, most) {
                prop_assert!(out.len() <= most);
            }
        }
    }
}
