//! Numbers in text, as the programs that write scans spell them.

/// Splits a line at blanks.
pub(crate) struct Tokens<'a> {
    pub(crate) line: &'a [u8],
    /// One past the last token taken.
    pub(crate) at: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let blanks = self.line[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let start = self.at + blanks;
        let length = self.line[start..].iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
        if length == 0 {
            return None;
        }
        self.at = start + length;
        Some(&self.line[start..self.at])
    }
}

/// A number, NaN and infinity among them.
pub(crate) fn parse_f64(token: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(token).ok()?;
    text.parse().ok().or_else(|| c_special(text))
}

/// What printf makes of NaN and infinity: `-nan(ind)`, `1.#QNAN`, `-1.#IND`, `1.#INF`.
pub(crate) fn c_special(text: &str) -> Option<f64> {
    let text = text.to_ascii_lowercase();
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text.as_str()), |text| (-1.0, text));
    if text.starts_with("1.#inf") {
        Some(sign * f64::INFINITY)
    } else if text.starts_with("1.#") || text.starts_with("nan(") {
        Some(f64::NAN)
    } else {
        None
    }
}

/// The beginning of a token, for messages.
pub(crate) fn shown(token: &[u8]) -> String {
    String::from_utf8_lossy(token).chars().take(40).collect()
}
