//! Sizes of memory on the command line: `4G`, `512M`, `1.5GiB`, `1000000`.

use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemorySize(pub(crate) u64);

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("'{text}' is no size of memory: write bytes, or a number with K, M, G or T");
        let upper = text.trim().to_ascii_uppercase();
        let digits = upper.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(upper.len());
        let number: f64 = upper[..digits].parse().map_err(|_| refused())?;
        let power = match upper[digits..].trim_start().trim_end_matches('B').trim_end_matches('I') {
            "" => 0,
            "K" => 1,
            "M" => 2,
            "G" => 3,
            "T" => 4,
            _ => return Err(refused()),
        };
        let bytes = number * 1024_f64.powi(power);
        if bytes >= 1.0 { Ok(Self(bytes as u64)) } else { Err(refused()) }
    }
}

/// Bytes for people.
pub(crate) fn spoken(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["bytes", "KiB", "MiB"] {
        if value < 1024.0 {
            return if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.2} GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_powers_of_1024() {
        let size = |text: &str| text.parse::<MemorySize>().map(|size| size.0);
        assert_eq!(size("4G"), Ok(4 << 30));
        assert_eq!(size("512m"), Ok(512 << 20));
        assert_eq!(size("1.5 KiB"), Ok(1536));
        assert_eq!(size("2TB"), Ok(2 << 40));
        assert_eq!(size("1000"), Ok(1000));
        for wrong in ["", "G", "-1", "0", "4X", "1e9", "1..2", "4 G G", "NaN"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_are_spoken_in_the_largest_unit_that_fits() {
        assert_eq!(spoken(17), "17 bytes");
        assert_eq!(spoken(1536), "1.5 KiB");
        assert_eq!(spoken(5 << 30), "5.00 GiB");
    }
}
