//! Shares in a configuration.

use gatewright_sdk::written::shown;
use gatewright_sdk::{Code, Fault, Written, written};
use std::fmt;
use std::str::FromStr;

/// A share of a whole: `20%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(u8);

impl Percent {
    /// `percent` of a whole, at most 100.
    pub const fn new(percent: u8) -> Self {
        Self(if percent > 100 { 100 } else { percent })
    }

    /// Out of 100.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl FromStr for Percent {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse().ok()).filter(|percent| *percent <= 100).map(Self).ok_or_else(|| {
            Fault::new("", format!("`{}` is not a valid share", shown(text)))
                .code(Code::WRONG_FORM)
                .help("write a percentage from `0%` to `100%`")
        })
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl Written for Percent {
    const FORMAT: &'static str = "percent";
    const STAND_IN: Option<&'static str> = Some("50%");
}

written!(Percent, "pattern": "^(100|[1-9]?[0-9])%$", "examples": ["20%"]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_whole_number_of_percent() {
        for (good, percent) in [("0%", 0), ("20%", 20), ("100%", 100)] {
            assert_eq!(good.parse::<Percent>().unwrap(), Percent::new(percent));
        }
        for bad in ["", "%", "20", "101%", "-1%", "+1%", "1.5%", "300%", " 1%"] {
            assert!(bad.parse::<Percent>().is_err(), "{bad}");
        }
    }
}
