//! Names of cookies in a configuration.

use gatewright_sdk::written::shown;
use gatewright_sdk::{Code, Fault, Written, written};
use http::HeaderName;
use std::str::FromStr;

/// The name of a cookie, case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieName(Box<str>);

impl FromStr for CookieName {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        // A cookie name is a token, like that of a header field (RFC 6265 section 4.1.1).
        HeaderName::from_bytes(text.as_bytes()).map(|_| Self(text.into())).map_err(|_| {
            Fault::new("", format!("`{}` is not a valid cookie name", shown(text)))
                .code(Code::WRONG_FORM)
                .help("use letters, digits, `-` and `_`")
        })
    }
}

impl Written for CookieName {
    const FORMAT: &'static str = "cookie-name";
    const STAND_IN: Option<&'static str> = Some("stand-in");
}

written!(CookieName as str, "pattern": "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", "examples": ["canary"]);
