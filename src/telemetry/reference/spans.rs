//! Every span and its attributes, for the documentation. A test compares them with the spans of real requests.

/// A kind of span.
pub(super) struct DocumentedSpan {
    /// What it represents.
    pub title: &'static str,
    /// Its name and kind.
    pub name: &'static str,
    /// Name, condition, meaning.
    pub attributes: &'static [(&'static str, &'static str, &'static str)],
}

const ALWAYS: &str = "always";

pub(super) const ALL: &[DocumentedSpan] = &[
    DocumentedSpan {
        title: "A request",
        name: "`METHOD route`, or the method alone if no route matches; a server span. Its status is an error for 5xx, \
               except a 501 from the gateway itself. Its event `gateway.decision` carries `gateway.outcome`, `gateway.plugin` and `gateway.reason`; an event `gateway.observed` carries what a plugin with `mode: observe` would have rejected; every log line of the request is also an event",
        attributes: &[
            ("http.request.method", ALWAYS, "the method; `_OTHER` for a non-standard one"),
            ("http.request.method_original", "for `_OTHER`", "the method as sent"),
            (
                "http.route",
                "a route matches",
                "the path of the route as configured, with its parameters; a prefix ends in `{*rest}`",
            ),
            ("http.response.status_code", "there was a response", "the status code"),
            (
                "error.type",
                "5xx except a 501 from the gateway itself, a failed call, or cut short",
                "the status code, the gRPC status, `client_left` or `response_cut_short`",
            ),
            ("rpc.system.name", "a gRPC call", "`grpc`"),
            ("rpc.method", "a gRPC call", "the requested method, `package.Service/Method`, cut at 1 KiB"),
            (
                "rpc.status_code",
                "a gRPC call that ended with a status",
                "its name, such as `UNAVAILABLE`. The span has the status error for `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, \
                 `INTERNAL`, `UNAVAILABLE` and `DATA_LOSS`",
            ),
            ("url.path", ALWAYS, "the path, cut at 1 KiB"),
            ("url.query", "there is one", "the query, secrets as `***`"),
            ("url.scheme", ALWAYS, "the scheme between the client and the outermost trusted hop"),
            ("server.address", "the request contains it", "the requested host"),
            ("server.port", "the request contains it", "the requested port"),
            ("network.protocol.version", ALWAYS, "1.0, 1.1 or 2"),
            ("client.address", ALWAYS, "the client address, as determined by the listener's `trusted_proxies`"),
            ("network.peer.address", ALWAYS, "the address of the peer; `unix:` on a Unix socket"),
            ("network.peer.port", "the peer has one", "the port of the TCP peer"),
            ("user_agent.original", "the request has it", "the `User-Agent`, cut at 1 KiB"),
            ("gateway.listener", ALWAYS, "the listener that accepted the connection"),
            ("gateway.route", "a route matches", "the name of the route"),
            (
                "gateway.target",
                "a route matches",
                "the target of the route, even if the request does not reach it: `resource NAME`, `upstream NAME`, `respond STATUS`, \
                 `redirect STATUS`, `service NAME`",
            ),
            ("gateway.generation", ALWAYS, "the generation of the configuration that serves the request"),
            ("gateway.outcome", "there was a response", "`passed`, `refused`, or `answered` by a plugin"),
            ("gateway.plugin", "a plugin decided", "its place, `LISTENER_OR_ROUTE/PLUGIN`"),
            ("gateway.reason", "it was rejected", "the reason, as one word"),
        ],
    },
    DocumentedSpan {
        title: "A plugin",
        name: "`plugin NAME`, below the request. It ends when the next plugin or the target starts; see `plugin_spans`",
        attributes: &[
            ("gateway.plugin", ALWAYS, "its place, `LISTENER_OR_ROUTE/PLUGIN`"),
            ("gateway.plugin.type", ALWAYS, "its type: `jwt`"),
            ("gateway.outcome", ALWAYS, "`passed`, `refused` or `answered`"),
            ("gateway.reason", "it rejected", "the reason, as one word"),
            ("gateway.plugin.response_ms", "from 1 ms", "the time it spent on the response, in milliseconds"),
        ],
    },
    DocumentedSpan {
        title: "A resource",
        name: "`OPERATION RESOURCE`, below the request. It contains one span per statement, and `hash password` or `verify password` if a \
               password is hashed",
        attributes: &[
            ("gateway.resource", ALWAYS, "the name of the resource"),
            (
                "gateway.operation",
                ALWAYS,
                "`list`, `read`, `create`, `update` or `delete`; of a `sign_in`: `login`, `refresh`, `logout` or `password`",
            ),
            (
                "gateway.rule",
                "the operation is not public",
                "the access rule that allowed or denied the request: `access.read`, `access.default`",
            ),
        ],
    },
    DocumentedSpan {
        title: "A statement",
        name: "`OPERATION TABLE`, below the resource; a client span. It includes the wait for the store",
        attributes: &[
            ("db.system.name", ALWAYS, "`sqlite`"),
            ("db.operation.name", ALWAYS, "`SELECT`, `INSERT`, `UPDATE` or `DELETE`"),
            ("db.collection.name", ALWAYS, "the table"),
            ("db.query.summary", ALWAYS, "the operation and the table"),
            ("db.query.text", ALWAYS, "the statement, with `?` for every value"),
            ("error.type", "it failed", "such as `unique`, `busy`, `deadline`, `unavailable`"),
        ],
    },
    DocumentedSpan {
        title: "A request to an upstream",
        name: "`METHOD UPSTREAM`, below the request; a client span, up to the response head, or for a gRPC call \
               up to the end of the response. The upstream receives its id. Its status is an error for 4xx, 5xx, a gRPC status \
               other than `OK`, and if there was no response",
        attributes: &[
            ("gateway.upstream", ALWAYS, "the name of the upstream"),
            ("http.request.method", ALWAYS, "the method; `_OTHER` for a non-standard one"),
            ("http.request.method_original", "for `_OTHER`", "the method as sent"),
            ("http.request.resend_count", "the request was resent", "how often"),
            ("http.response.status_code", "there was a response", "the status code"),
            (
                "error.type",
                "4xx, 5xx, a gRPC status other than `OK`, no response",
                "the status code, the gRPC status, or the failure: `upstream_connect`, `upstream_unresolved`, `upstream_tls`, `upstream_timeout`, `upstream_reset`",
            ),
            ("network.peer.address", "the host is a name that was looked up", "the IP address"),
            ("network.protocol.version", ALWAYS, "1.1 or 2"),
            ("rpc.status_code", "a gRPC call that ended with a status", "its name, such as `UNAVAILABLE`"),
            ("server.address", ALWAYS, "the host of the target"),
            ("server.port", ALWAYS, "the port of the target"),
            ("url.full", ALWAYS, "the requested URL, secrets as `***`"),
        ],
    },
    DocumentedSpan {
        title: "A mirrored copy",
        name: "`mirror UPSTREAM`, below the request, which it may outlive. It contains the request to the upstream",
        attributes: &[
            ("gateway.upstream", ALWAYS, "the name of the upstream"),
            ("gateway.outcome", "it was not cut off by a shutdown", "`sent`, or `failed`: 5xx or no response"),
            ("http.response.status_code", "there was a response", "the status code, or that of our own error"),
            ("error.type", "it failed", "the status code, or `timeout`"),
        ],
    },
];
