#!/usr/bin/env python3
"""Makes requests to a gateway that exports to a real Jaeger, and checks what Jaeger then tells about them.

usage: jaeger.py JAEGER GATEWAY grpc|http/protobuf     (jaeger.sh finds or builds the programs)

One line per check; exit code 1 when one failed. SHOW=1 prints each trace as a tree.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import tempfile
import time

from stage import Gateway, Jaeger, Upstream, free_ports, wait_for

SERVICE = "gatewright-e2e"
SECRET = "k7Qm2vXr9TfB4nLs8WdZ1pYc6HgJ3eRu"
UNIQUE = "user_agent.original"  # each request has one of its own, which leads to its trace

YAML = """
version: 1
reload: { debounce: 20ms, poll: 200ms }
admin: { address: "127.0.0.1:%(admin)d" }
telemetry:
  service_name: gatewright-e2e
  resource: { deployment.environment.name: test }
  traces: { otlp: { endpoint: "%(otlp)s", protocol: %(protocol)s } }
  logs: { format: json, level: info, access: {} }
listeners:
  web: { address: "127.0.0.1:%(port)d", chain: edge, trusted_proxies: ["127.0.0.0/8"] }
stores: { main: { url: "sqlite://data/e2e.db" } }
plugins:
  request-id: { request_id: { header: x-request-id } }
  cors-web:   { cors: { allow_origins: ["https://app.example.com"], allow_methods: [GET, POST], max_age: 10m } }
  compress:   { compression: { algorithms: [gzip], min_size: 1KiB } }
  deadline:   { timeout: { request: 10s } }
  once:       { rate_limit: { key: client.ip, quota: 1, window: 1h } }
  login:      { jwt: { issuer: iss, audiences: [api], algorithms: [HS256], secret: "${env.JWT_SECRET}" } }
chains:
  edge: [request-id, cors-web, compress, deadline]
  api:  [login]
upstreams: { orders: { targets: [{ url: "http://127.0.0.1:%(upstream)d" }] } }
resources:
  notes: { store: main, access: { default: public }, fields: { title: { type: string, required: true, max: 200 } } }
routes:
  notes:   { path: /api/notes, chain: api, resource: notes }
  limited: { path: /limited, plugins: [once], respond: { text: once } }
  orders:  { path_prefix: /orders, upstream: orders }
"""
# What the edit adds.
EDITED = "  fresh:   { path: /fresh, respond: { text: fresh } }\n"


def token(seconds):
    encode = lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=")
    claims = {"iss": "iss", "aud": "api", "sub": "ada", "exp": int(time.time()) + seconds}
    parts = b".".join(encode(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return (parts + b"." + encode(hmac.new(SECRET.encode(), parts, hashlib.sha256).digest())).decode()


def bearer(seconds):
    return {"authorization": "Bearer " + token(seconds)}


class Trace:
    """A trace as the query API tells it."""

    def __init__(self, raw):
        self.id, self.processes = raw["traceID"], raw["processes"]
        self.spans = {span["spanID"]: span for span in sorted(raw["spans"], key=lambda span: span["startTime"])}
        for span in self.spans.values():
            span["attributes"] = {tag["key"]: tag["value"] for tag in span["tags"]}

    def parent(self, span):
        ids = [each["spanID"] for each in span["references"] if each["refType"] == "CHILD_OF"]
        return ids[0] if ids else None

    def find(self, kind=None, has=None, below=None):
        """The first span of that kind, with that attribute, whose parent is `below`; or None."""
        for span in self.spans.values():
            told = span["attributes"]
            if kind in (None, told.get("span.kind")) and (has is None or has in told):
                if below is None or self.parent(span) == below["spanID"]:
                    return span
        return None

    def process(self, span):
        process = self.processes[span["processID"]]
        return {tag["key"]: tag["value"] for tag in process["tags"]} | {"service.name": process["serviceName"]}

    def tree(self, parent=None, depth=0):
        """The trace as text; spans without a known parent stand on the left."""
        lines = []
        for span in self.spans.values():
            up = self.parent(span)
            if up == parent or (parent is None and up not in self.spans):
                told = ", ".join(f"{key}={value}" for key, value in sorted(span["attributes"].items()))
                lines.append(f"{'  ' * depth}{span['operationName']}  {span['duration'] / 1000:.2f} ms  {told}")
                for log in span["logs"]:
                    fields = " ".join(f"{field['key']}={field['value']}" for field in log["fields"])
                    lines.append(f"{'  ' * depth}  * {fields}")
                lines += self.tree(span["spanID"], depth + 1)
        return lines


class Report:
    def __init__(self, protocol):
        self.protocol, self.count, self.failed = protocol, 0, 0

    def check(self, what, good, seen):
        self.count += 1
        if good:
            print(f"ok   {self.protocol}: {what}")
        else:
            self.failed += 1
            print(f"FAIL {self.protocol}: {what}\n     seen: {seen}")

    def equal(self, what, seen, wanted):
        self.check(what, seen == wanted, f"{seen!r} instead of {wanted!r}")

    def told(self, what, trace, span, **wanted):
        """Checks attributes; `_` in a name stands for a dot."""
        wanted = {name.replace("_", ".").replace("status.code", "status_code"): value for name, value in wanted.items()}
        attributes = span["attributes"] if span else {}
        wrong = [name for name, value in wanted.items() if str(attributes.get(name)) != str(value)]
        shown = ", ".join(f"{name}={value}" for name, value in wanted.items())
        self.check(f"{what} tells {shown}", not wrong, "\n     ".join([f"wrong: {wrong}", *trace.tree()]))


class World:
    def __init__(self, jaeger, gateway, upstream, report):
        self.jaeger, self.gateway, self.upstream, self.report = jaeger, gateway, upstream, report
        self.traces = []

    def request(self, what, status, method, path, headers=None, body=None, operation=None, spans=1):
        """Makes a request, finds its trace of at least `spans` spans by operation and agent; also the server span."""
        agent = "e2e " + what
        seen, fields, text = self.gateway.call(method, path, {"user-agent": agent} | (headers or {}), body)
        self.report.equal(f"{what}: the answer's status", seen, status)
        operation = operation or f"{method} {path}"

        def find():
            raw = self.jaeger.ask("/api/traces", service=SERVICE, operation=operation, limit=100)
            for trace in map(Trace, raw):
                server = next((s for s in trace.spans.values() if s["attributes"].get(UNIQUE) == agent), None)
                if server and len(trace.spans) >= spans:
                    return trace, server
            return None

        trace, server = wait_for(f"a trace `{operation}` of {spans} spans for: {what}", find,
                                 lambda: self.jaeger.ask(f"/api/services/{SERVICE}/operations"))
        self.traces.append((what, trace))
        if status >= 400:
            wanted = f"00-{trace.id}-{server['spanID']}-01"
            self.report.equal(f"{what}: the answer's traceresponse leads to its trace", fields.get("traceresponse"), wanted)
        if os.environ.get("SHOW"):
            print("\n".join(["", f"# {what}: {method} {path} -> {seen}, trace {trace.id}", *trace.tree(), ""]))
        return trace, server, fields


def json_body(value):
    return {"content-type": "application/json"} | bearer(600), json.dumps(value).encode()


def check_resource(world):
    report = world.report
    headers, body = json_body({"title": "traced"})
    trace, server, _ = world.request("a create", 201, "POST", "/api/notes", headers, body, spans=3)
    report.told("a create: the server span", trace, server, span_kind="server", http_route="/api/notes",
                http_request_method="POST", http_response_status_code=201, gateway_route="notes",
                gateway_listener="web", gateway_generation=1)
    check_sql(report, "a create", trace, server, "INSERT")
    trace, server, _ = world.request("a list", 200, "GET", "/api/notes", bearer(600), spans=3)
    report.told("a list: the server span", trace, server, http_route="/api/notes", gateway_route="notes",
                http_response_status_code=200, gateway_generation=1)
    check_sql(report, "a list", trace, server, "SELECT")


def check_sql(report, what, trace, server, verb):
    sql = trace.find(kind="client", has="db.query.text")
    text = sql["attributes"]["db.query.text"] if sql else ""
    report.check(f"{what}: a span tells the SQL", verb in text and "traced" not in text, trace.tree())
    resource = trace.spans.get(trace.parent(sql)) if sql else None
    above = trace.parent(resource) if resource else None
    report.check(f"{what}: the SQL is below the resource, which is below the server span",
                 bool(resource) and resource is not server and above == server["spanID"], trace.tree())


def decisions(span):
    events = [{field["key"]: field["value"] for field in log["fields"]} for log in span["logs"]]
    return [event for event in events if event.get("event") == "gateway.decision"]


def check_refusals(world):
    report = world.report
    trace, server, _ = world.request("a rejected token", 401, "GET", "/api/notes", bearer(-600))
    report.told("a rejected token: the server span", trace, server, gateway_plugin="notes/login", gateway_reason="expired",
                gateway_outcome="refused", gateway_route="notes", http_response_status_code=401, gateway_generation=1)
    plugin = trace.find(has="gateway.plugin.type", below=server)
    report.told("a rejected token: the span of the plugin", trace, plugin, gateway_plugin="notes/login", gateway_reason="expired",
                gateway_outcome="refused")
    report.equal("a rejected token: the server span has the decision as an event", decisions(server),
                 [{"event": "gateway.decision", "gateway.plugin": "notes/login", "gateway.reason": "expired",
                   "gateway.outcome": "refused"}])
    report.check("a rejected token: the store was not asked", trace.find(has="db.query.text") is None, trace.tree())
    trace, server, _ = world.request("no token", 401, "GET", "/api/notes")
    report.told("no token: the server span", trace, server, gateway_plugin="notes/login", gateway_reason="missing")
    world.request("within the limit", 200, "GET", "/limited")
    trace, server, _ = world.request("a rate limit", 429, "GET", "/limited")
    report.told("a rate limit: the server span", trace, server, gateway_plugin="limited/once", gateway_reason="quota",
                gateway_route="limited", http_response_status_code=429)
    trace, server, _ = world.request("no route", 404, "GET", "/nowhere/else", operation="GET")
    report.told("no route: the server span", trace, server, gateway_reason="no_route", http_response_status_code=404)
    report.check("no route: there is no http.route", "http.route" not in server["attributes"], trace.tree())
    preflight = {"origin": "https://app.example.com", "access-control-request-method": "POST"}
    trace, server, _ = world.request("a preflight", 200, "OPTIONS", "/api/notes", preflight)
    report.told("a preflight: the server span", trace, server, http_request_method="OPTIONS", http_route="/api/notes",
                gateway_plugin="web/cors-web", gateway_outcome="answered")


def check_upstream(world):
    report = world.report
    trace, server, _ = world.request("a proxied call", 200, "GET", "/orders/7", operation="GET /orders/{*rest}", spans=2)
    report.told("a proxied call: the server span", trace, server, gateway_route="orders", http_response_status_code=200)
    client = trace.find(kind="client", below=server)
    report.told("a proxied call: the client span", trace, client, http_request_method="GET",
                http_response_status_code=200, server_address="127.0.0.1", server_port=world.upstream.server_port)
    seen = world.upstream.seen[-1].get("traceparent")
    wanted = f"00-{trace.id}-{client['spanID']}-01" if client else None
    report.equal("a proxied call: the upstream saw the id of the client span", seen, wanted)

    caller = (os.urandom(16).hex(), os.urandom(8).hex())
    world.jaeger.tell("e2e-caller", *caller, "the caller")
    headers = {"traceparent": f"00-{caller[0]}-{caller[1]}-01"}
    trace, server, _ = world.request("a caller's trace", 200, "GET", "/orders/8", headers, operation="GET /orders/{*rest}", spans=3)
    report.equal("a caller's trace goes on: the trace and the parent of the server span", (trace.id, trace.parent(server)), caller)
    client = trace.find(kind="client", below=server)
    seen = world.upstream.seen[-1].get("traceparent")
    report.equal("a caller's trace goes on to the upstream", seen, client and f"00-{caller[0]}-{client['spanID']}-01")


def check_edit(world):
    gateway = world.gateway
    gateway.file.write_text(gateway.file.read_text() + EDITED)
    gateway.wait_until("the edit to be taken over", lambda: gateway.call("GET", "/fresh")[0] == 200)
    trace, server, _ = world.request("after an edit", 200, "GET", "/fresh")
    world.report.told("after an edit: the server span", trace, server, gateway_route="fresh", gateway_generation=2)


def check_all_traces(world):
    report, jaeger = world.report, world.jaeger
    report.check("/api/services names the service", SERVICE in jaeger.ask("/api/services"), jaeger.ask("/api/services"))
    for what, trace in world.traces:
        again = [Trace(raw) for raw in jaeger.ask("/api/traces/" + trace.id)]
        same = len(again) == 1 and set(trace.spans) <= set(again[0].spans)
        report.check(f"{what}: /api/traces/ID gives the same trace", same, [each.tree() for each in again])
        trace = again[0] if same else trace
        roots = [span for span in trace.spans.values() if trace.parent(span) is None]
        lost = [span for span in trace.spans.values() if trace.parent(span) not in [None, *trace.spans]]
        warned = [span["warnings"] for span in trace.spans.values() if span.get("warnings")]
        report.check(f"{what}: one root, every parent is in the trace, no warning of Jaeger",
                     (len(roots), lost, warned) == (1, [], []), [warned, *trace.tree()])
        ours = [trace.process(span) for span in trace.spans.values()]
        ours = [process for process in ours if process["service.name"] != "e2e-caller"]
        good = all(p["service.name"] == SERVICE and p.get("service.version")
                   and p.get("deployment.environment.name") == "test" for p in ours)
        report.check(f"{what}: the process tells service, version and the configured resource", bool(ours) and good, ours)


def main():
    sys.stdout.reconfigure(line_buffering=True)
    jaeger_binary, gateway_binary, protocol = sys.argv[1:]
    report, upstream = Report(protocol), Upstream()
    with tempfile.TemporaryDirectory() as folder, Jaeger(jaeger_binary, folder) as jaeger:
        port, admin = free_ports(2)
        yaml = YAML % {"port": port, "admin": admin, "upstream": upstream.server_port,
                       "otlp": jaeger.endpoint(protocol), "protocol": protocol}
        with Gateway(gateway_binary, folder, port, yaml, JWT_SECRET=SECRET, OTEL_BSP_SCHEDULE_DELAY="100",
                     OTEL_EXPORTER_OTLP_COMPRESSION=os.environ.get("OTEL_EXPORTER_OTLP_COMPRESSION", "none")) as gateway:
            world = World(jaeger, gateway, upstream, report)
            check_resource(world)
            check_refusals(world)
            check_upstream(world)
            check_edit(world)
            check_all_traces(world)
    print(f"{protocol}: {report.count - report.failed} of {report.count} checks hold")
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
