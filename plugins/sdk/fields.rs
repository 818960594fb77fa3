//! Header fields that no configuration may set: they are the server's own.

/// Fields that belong to one connection or say where a message ends (RFC 9110 section 7.6.1), and those that the server
/// writes itself. In lower case.
pub const SERVER_OWNED: [&str; 12] = [
    "connection",
    "content-length",
    "date",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
