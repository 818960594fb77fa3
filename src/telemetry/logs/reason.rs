//! Why a request was rejected, in words for people.

use std::borrow::Cow;

/// A reason, such as `token_missing`, in words. What follows a colon stays as it is: `claim_missing:team`.
pub(super) fn describe(reason: &str) -> Cow<'_, str> {
    let (word, detail) = reason.split_once(':').map_or((reason, None), |(word, detail)| (word, Some(detail)));
    let words: Cow<'_, str> = match word {
        "no_identity" | "token_missing" | "missing" => "no token was sent".into(),
        "bad_signature" => "the token's signature is not valid".into(),
        "algorithm" => "the token's algorithm is not allowed".into(),
        "issuer" => "the token is from another issuer".into(),
        "audience" => "the token is for another audience".into(),
        "expired" => "the token has expired".into(),
        "malformed" => "the token is malformed".into(),
        "several_credentials" => "more than one token was sent".into(),
        "unknown_key" => "the token's key is unknown".into(),
        "no_keys" => "no keys to verify tokens with".into(),
        "claim_missing" => "the token has no claim".into(),
        "role_missing" => "role missing".into(),
        "access_rule" => "denied by the resource's access rules".into(),
        "quota" => "rate limit exceeded".into(),
        "origin" => "origin not allowed".into(),
        "no_route" => "no route".into(),
        "validation_error" => "validation error".into(),
        "payload_too_large" => "request body too large".into(),
        "upstream_connect" => "cannot connect to the upstream".into(),
        "upstream_connect_timeout" => "connecting to the upstream timed out".into(),
        "upstream_timeout" => "the upstream did not respond in time".into(),
        "upstream_reset" => "the upstream closed the connection".into(),
        "upstream_invalid" => "the upstream sent an invalid response".into(),
        "upstream_no_websocket" => "the upstream does not support WebSockets over HTTP/2".into(),
        "client_left" => "the client disconnected".into(),
        "response_cut_short" => "the response was cut short".into(),
        other if other.contains('_') => other.replace('_', " ").into(),
        other => other.into(),
    };
    match detail {
        Some(detail) => format!("{words} `{detail}`").into(),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn every_reason_can_be_read() {
        assert_eq!(describe("token_missing"), "no token was sent");
        assert_eq!(describe("claim_missing:team"), "the token has no claim `team`");
        assert_eq!(describe("one_of_a_plugin"), "one of a plugin");
        assert_eq!(describe(""), "");
    }
}
