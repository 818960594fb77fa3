//! Names of header fields in a configuration.

use gatewright_sdk::written::shown;
use gatewright_sdk::{Code, Fault, Written, written};
use http::HeaderName;
use std::str::FromStr;

/// The name of a header field, case-insensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName(HeaderName);

impl FieldName {
    /// A name in the program itself, in lower case.
    pub const fn of(name: &'static str) -> Self {
        Self(HeaderName::from_static(name))
    }
}

impl FromStr for FieldName {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        HeaderName::from_bytes(text.as_bytes()).map(Self).map_err(|_| {
            Fault::new("", format!("`{}` is not a valid header name", shown(text)))
                .code(Code::INVALID_HEADER_NAME)
                .help("use letters, digits and `-`")
        })
    }
}

impl Written for FieldName {
    const FORMAT: &'static str = "field-name";
    const STAND_IN: Option<&'static str> = Some("x-stand-in");
}

written!(FieldName as HeaderName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_header_fields() {
        assert_eq!("X-Request-Id".parse::<FieldName>().unwrap(), FieldName::of("x-request-id"));
        for bad in ["", "x a", ":", "x:", "é", "a\n"] {
            let fault = bad.parse::<FieldName>().unwrap_err();
            assert!(fault.message.ends_with("is not a valid header name"), "{bad}");
            assert!(fault.help.is_some());
        }
    }
}
