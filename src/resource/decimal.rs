//! Exact decimals: parsed from text, written in one canonical form, compared without rounding.

use std::cmp::Ordering;

/// A decimal number in parts. The whole part has no leading zeros; the fraction is as long as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    whole: String,
    fraction: String,
}

/// Longer texts are rejected without parsing: 38 digits, a sign and a point.
const LONGEST: usize = 40;

impl Decimal {
    /// Reads `-12.50`: no exponent, no plus sign, digits on both sides of a point.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = match digits.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (digits, ""),
        };
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0').to_owned();
        let zero = whole.is_empty() && fraction.bytes().all(|b| b == b'0');
        Some(Self { negative: negative && !zero, whole, fraction: fraction.to_owned() })
    }

    /// Whether it fits `precision` digits with `scale` of them after the point. Trailing zeros do not count.
    pub fn fits(&self, precision: u32, scale: u32) -> bool {
        let length = |part: &str| u32::try_from(part.len()).unwrap_or(u32::MAX);
        length(self.fraction.trim_end_matches('0')) <= scale && length(&self.whole) <= precision.saturating_sub(scale)
    }

    /// One text per value: exactly `scale` digits after the point.
    pub fn canonical(&self, scale: u32) -> String {
        let scale = usize::try_from(scale).unwrap_or(usize::MAX);
        let whole = if self.whole.is_empty() { "0" } else { &self.whole };
        let sign = if self.negative { "-" } else { "" };
        let fraction = self.fraction.get(..scale).unwrap_or(&self.fraction);
        if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction:0<scale$}") }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let size = |a: &Self, b: &Self| {
            let whole = a.whole.len().cmp(&b.whole.len()).then_with(|| a.whole.cmp(&b.whole));
            let fraction = |d: &Self| d.fraction.trim_end_matches('0').to_owned();
            whole.then_with(|| fraction(a).cmp(&fraction(b)))
        };
        Some(match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => size(self, other),
            (true, true) => size(other, self),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_text() {
        let canonical = |text: &str| Decimal::parse(text).unwrap().canonical(2);
        assert_eq!(canonical("012.5"), "12.50");
        assert_eq!(canonical("-0.00"), "0.00");
        assert_eq!(canonical("7"), "7.00");
        assert_eq!(canonical("1.500"), "1.50");
        for bad in ["", "-", ".5", "5.", "1e3", "+1", "1,5", "NaN", " 1", "1.2.3"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn digits_are_counted_and_order_is_exact() {
        let of = |text: &str| Decimal::parse(text).unwrap();
        assert!(of("9999999999.99").fits(12, 2));
        assert!(!of("10000000000").fits(12, 2));
        assert!(!of("0.001").fits(12, 2));
        assert!(of("-2") < of("-1.5") && of("-1.5") < of("0") && of("0.09") < of("0.1") && of("9") < of("10"));
        assert_eq!(of("1.50").partial_cmp(&of("1.5")), Some(Ordering::Equal));
    }
}
