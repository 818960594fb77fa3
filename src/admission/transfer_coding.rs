//! How the body of a request is coded for its way here (RFC 9112 section 6.1): in chunks, or not at all.

use super::{Checked, bad, closing};
use crate::field_list::elements;
use gatewright_sdk::Problem;
use http::header::TRANSFER_ENCODING;
use http::request::Parts;
use http::{StatusCode, Version};

/// Refuses a body that is coded in more ways than chunks: the library takes the chunks apart and hands the rest on as if
/// it were the content. That the last coding is `chunked` is its own rule.
pub(super) fn check(head: &Parts) -> Checked {
    if head.version != Version::HTTP_11 || !head.headers.contains_key(TRANSFER_ENCODING) {
        return Ok(());
    }
    let codings = || elements(&head.headers, &TRANSFER_ENCODING);
    if codings().filter(|coding| coding.eq_ignore_ascii_case(b"chunked")).count() > 1 {
        return Err(bad("transfer-encoding: `chunked` must be given once"));
    }
    if codings().count() > 1 {
        let message = "No transfer coding but chunked is supported";
        let problem = Problem::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", message);
        return Err(closing(problem.reason("transfer_coding_unsupported")));
    }
    Ok(())
}
