//! Checks the transfer coding of a request (RFC 9112 section 6.1): chunked, or none.

use super::{Checked, bad, closing};
use crate::field_list::elements;
use gatewright_sdk::Problem;
use http::header::TRANSFER_ENCODING;
use http::request::Parts;
use http::{StatusCode, Version};

/// Rejects any transfer coding besides `chunked`: hyper decodes the chunks and would pass on the rest as if it were the
/// content. hyper itself requires `chunked` to be the last coding.
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
