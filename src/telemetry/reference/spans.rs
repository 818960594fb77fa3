//! Every span and its attributes, for the documentation. A test compares them with the spans of a broad run.

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
        name: "`METHOD route`, or the method alone where no route takes it; a server span. Its status is an error for 5xx. Its event \
               `gateway.decision` carries `gateway.outcome`, `gateway.plugin` and `gateway.reason`; every log line of the request is an event, too",
        attributes: &[
            ("http.request.method", ALWAYS, "the method; `_OTHER` for one that no standard knows"),
            ("http.request.method_original", "for `_OTHER`", "the method as it was sent"),
            (
                "http.route",
                "a route takes it",
                "the path of the route as it is written, with its parameters; behind a prefix stands `{*rest}`",
            ),
            ("http.response.status_code", "there was a response", "the status code"),
            ("error.type", "5xx, or cut short", "the status code, `client_left` or `response_cut_short`"),
            ("url.path", ALWAYS, "the path, cut at 1 KiB"),
            ("url.query", "there is one", "the query, secrets as `***`"),
            ("url.scheme", ALWAYS, "how the client spoke to the outermost trusted hop"),
            ("server.address", "the request names it", "the host it was sent to"),
            ("server.port", "the request names it", "the port it was sent to"),
            ("network.protocol.version", ALWAYS, "1.0, 1.1 or 2"),
            ("client.address", ALWAYS, "the client, by the listener's `trusted_proxies`"),
            ("network.peer.address", ALWAYS, "the other end of the connection"),
            ("network.peer.port", ALWAYS, "its port"),
            ("user_agent.original", "the request has it", "the `User-Agent`, cut at 1 KiB"),
            ("gateway.listener", ALWAYS, "the listener that accepted the connection"),
            ("gateway.route", "a route takes it", "the name of the route"),
            (
                "gateway.target",
                "a route takes it",
                "what the route leads to, whether or not the request gets there: `resource NAME`, `upstream NAME`, `respond STATUS`, \
                 `redirect STATUS`, `service NAME`",
            ),
            ("gateway.generation", ALWAYS, "the generation of the configuration that serves it"),
            ("gateway.outcome", "there was a response", "`passed`, `refused`, or `answered` by a plugin itself"),
            ("gateway.plugin", "a plugin decided", "its place, `LISTENER_OR_ROUTE/PLUGIN`"),
            ("gateway.reason", "it was refused", "why, in a word"),
        ],
    },
    DocumentedSpan {
        title: "A plugin",
        name: "`plugin NAME`, below the request. It lasts from the plugin's turn to that of what is behind it; see `plugin_spans`",
        attributes: &[
            ("gateway.plugin", ALWAYS, "its place, `LISTENER_OR_ROUTE/PLUGIN`"),
            ("gateway.plugin.type", ALWAYS, "its type: `jwt`"),
            ("gateway.outcome", ALWAYS, "`passed`, `refused` or `answered`"),
            ("gateway.reason", "it refused", "why, in a word"),
            ("gateway.plugin.response_ms", "from 1 ms on", "its own time with the response, in milliseconds"),
        ],
    },
    DocumentedSpan {
        title: "A resource",
        name: "`OPERATION RESOURCE`, below the request. Below it one span per statement, and `hash password` where one is hashed",
        attributes: &[
            ("gateway.resource", ALWAYS, "the name of the resource"),
            ("gateway.operation", ALWAYS, "`list`, `read`, `create`, `update` or `delete`"),
        ],
    },
    DocumentedSpan {
        title: "A statement",
        name: "`OPERATION TABLE`, below the resource; a client span. It includes the time that was waited for the store",
        attributes: &[
            ("db.system.name", ALWAYS, "`sqlite`"),
            ("db.operation.name", ALWAYS, "`SELECT`, `INSERT`, `UPDATE` or `DELETE`"),
            ("db.collection.name", ALWAYS, "the table"),
            ("db.query.summary", ALWAYS, "the operation and the table"),
            ("db.query.text", ALWAYS, "the statement, with `?` for every value"),
            ("error.type", "it failed", "`unique`, `busy`, `deadline`, `unavailable` and so on"),
        ],
    },
    DocumentedSpan {
        title: "A request to an upstream",
        name: "`METHOD UPSTREAM`, below the request; a client span, up to the head of the response. Its id is what the upstream gets. Its \
               status is an error for 4xx, 5xx and where there was no answer",
        attributes: &[
            ("gateway.upstream", ALWAYS, "the name of the upstream"),
            ("http.request.method", ALWAYS, "the method; `_OTHER` for one that no standard knows"),
            ("http.request.method_original", "for `_OTHER`", "the method as it was sent"),
            ("http.request.resend_count", "it was sent again", "how often"),
            ("http.response.status_code", "there was an answer", "the status code"),
            ("error.type", "4xx, 5xx, no answer", "the status code, or what went wrong: `upstream_connect`"),
            ("network.protocol.version", ALWAYS, "1.1"),
            ("server.address", ALWAYS, "the target that was asked"),
            ("server.port", ALWAYS, "its port"),
            ("url.full", ALWAYS, "the URL that was asked, secrets as `***`"),
        ],
    },
];
