//! Request methods in a configuration.

use crate::written::shown;
use crate::{Code, Fault, Written, written};
use http::Method;
use std::str::FromStr;

/// A method of requests: `GET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestMethod(Method);

impl FromStr for RequestMethod {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let shown = shown(text);
        let invalid = |help: String| {
            Err(Fault::new("", format!("`{shown}` is not a valid method")).code(Code::INVALID_METHOD).help(help))
        };
        if matches!(text.to_ascii_uppercase().as_str(), "*" | "ANY" | "ALL") {
            return invalid("remove `methods`: without it, all methods match".to_owned());
        }
        let Ok(method) = Method::from_bytes(text.as_bytes()) else {
            return invalid("write a method such as `GET`".to_owned());
        };
        let upper = text.to_ascii_uppercase();
        if upper != text {
            return invalid(format!("use uppercase: `{upper}`"));
        }
        if matches!(method, Method::TRACE | Method::CONNECT) {
            return Err(Fault::new("", format!("method `{shown}` is always rejected"))
                .code(Code::INVALID_METHOD)
                .help("remove it"));
        }
        Ok(Self(method))
    }
}

impl Written for RequestMethod {
    const FORMAT: &'static str = "method";
    const STAND_IN: Option<&'static str> = Some("GET");
}

written!(RequestMethod as Method);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_those_that_can_be_served() {
        for good in ["GET", "PROPFIND", "PURGE", "X-OWN"] {
            assert_eq!(good.parse::<RequestMethod>().unwrap().to_string(), good);
        }
        for (bad, message, help) in [
            ("get", "`get` is not a valid method", "use uppercase: `GET`"),
            ("", "`` is not a valid method", "write a method such as `GET`"),
            ("A B", "`A B` is not a valid method", "write a method such as `GET`"),
            ("TRACE", "method `TRACE` is always rejected", "remove it"),
            ("connect", "`connect` is not a valid method", "use uppercase: `CONNECT`"),
        ] {
            let fault = bad.parse::<RequestMethod>().unwrap_err();
            assert_eq!((&*fault.message, fault.help.as_deref()), (message, Some(help)));
        }
    }
}
