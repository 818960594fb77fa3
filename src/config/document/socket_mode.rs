//! Permissions of Unix sockets.

use gatewright_sdk::written::shown;
use gatewright_sdk::{Code, Fault, Written, written};
use std::fmt;
use std::str::FromStr;

/// The permissions of a Unix socket, in octal: `0660`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketMode(u16);

impl SocketMode {
    /// The owner and the group may connect.
    pub const GROUP: Self = Self(0o660);
    /// Only the owner may connect.
    pub const OWNER: Self = Self(0o600);

    pub const fn get(self) -> u32 {
        self.0 as u32
    }
}

impl FromStr for SocketMode {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let digits = matches!(text.len(), 3 | 4) && text.bytes().all(|byte| byte.is_ascii_digit());
        let mode = u16::from_str_radix(text, 8).ok().filter(|mode| digits && *mode <= 0o777);
        mode.map(Self).ok_or_else(|| {
            Fault::new("", format!("`{}` is not a valid file mode", shown(text))).code(Code::WRONG_FORM).help(
                "write it in octal and in quotes: `\"0660\"` for the owner and the group, `\"0666\"` for all users",
            )
        })
    }
}

impl fmt::Display for SocketMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Written for SocketMode {
    const FORMAT: &'static str = "socket-mode";
    const STAND_IN: Option<&'static str> = Some("0660");
}

written!(SocketMode, "pattern": "^0?[0-7]{3}$", "examples": ["0660"]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_written_in_octal() {
        for (good, mode) in [("0660", 0o660), ("666", 0o666), ("0600", 0o600)] {
            assert_eq!(good.parse::<SocketMode>().unwrap().get(), mode);
        }
        for bad in ["", "0o660", "660x", "999", "1777", "06600", "+660", "rw-rw----"] {
            assert!(bad.parse::<SocketMode>().is_err(), "{bad}");
        }
    }
}
