//! The path that a rewrite makes, as written.

use super::redirect_to::{RedirectPiece, RedirectTo};
use gatewright_sdk::{Code, Fault, Written, written};
use std::fmt;
use std::str::FromStr;

/// A path with parameters: `/v2/{rest}`. It never contains a host or a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTo(RedirectTo);

impl PathTo {
    pub fn pieces(&self) -> &[RedirectPiece] {
        &self.0.path
    }
}

impl FromStr for PathTo {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let fault = |message: &str, help: &str| Fault::new("", message).code(Code::REWRITE).help(help);
        if !text.starts_with('/') || text.starts_with("//") {
            return Err(fault("the new path must start with one slash", "write `/path`"));
        }
        if text.contains(['?', '#']) {
            let help = "remove `?` and `#`; the query of the request is kept";
            return Err(fault("the new path must not contain a query or fragment", help));
        }
        let in_path = |fault: Fault| {
            let message = fault.message.replace("the URL `to`", "the new path").replace("`to`", "the new path");
            Fault { message, ..fault }.code(Code::REWRITE)
        };
        text.parse().map(Self).map_err(in_path)
    }
}

impl fmt::Display for PathTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Written for PathTo {
    const FORMAT: &'static str = "path-to";
    const STAND_IN: Option<&'static str> = Some("/");
}

written!(PathTo, "examples": ["/v2/{rest}"]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_never_contains_a_host_or_a_query() {
        for good in ["/", "/{rest}", "/a/{b}/c{d}", "/%7B"] {
            assert_eq!(good.parse::<PathTo>().unwrap().to_string(), good);
        }
        for bad in ["", "a", "{a}", "//a", "http://a/", "/a?b", "/a#b", "/{a", "/a b", "/%zz", "/é", "/\\a"] {
            let fault = bad.parse::<PathTo>().unwrap_err();
            assert!(fault.help.is_some() && !fault.message.contains("`to`"), "{bad}: {fault}");
        }
    }
}
