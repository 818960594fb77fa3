"""The programs that a test against a real Jaeger needs: Jaeger, the gateway, an upstream. All on free ports of 127.0.0.1."""

import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

PATIENCE = 60  # seconds until anything that is waited for is given up; never what is measured

JAEGER = """
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines: { traces: { receivers: [otlp], exporters: [jaeger_storage_exporter] } }
  telemetry: { metrics: { level: none }, logs: { level: warn } }
extensions:
  jaeger_storage: { backends: { memory: { memory: { max_traces: 10000 } } } }
  jaeger_query:
    storage: { traces: memory }
    http: { endpoint: "127.0.0.1:%(query)d" }
    grpc: { endpoint: "127.0.0.1:%(query_grpc)d" }
receivers:
  otlp:
    protocols: { grpc: { endpoint: "127.0.0.1:%(otlp_grpc)d" }, http: { endpoint: "127.0.0.1:%(otlp_http)d" } }
exporters:
  jaeger_storage_exporter: { trace_storage: memory }
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(what, attempt, seen=lambda: ""):
    """Calls `attempt` until it gives something; when patience ends, the test ends with what was `seen` instead."""
    until = time.monotonic() + PATIENCE
    while True:
        found = attempt()
        if found:
            return found
        if time.monotonic() > until:
            sys.exit(f"FAIL waited {PATIENCE} s for {what}\n     seen: {seen()}")
        time.sleep(0.05)


def call(method, url, headers=None, body=None):
    """Status, header fields (names in lower case) and body; status 0 while nobody listens."""
    request = urllib.request.Request(url, method=method, headers=headers or {}, data=body)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, {k.lower(): v for k, v in answer.headers.items()}, answer.read().decode()
    except OSError:
        return 0, {}, ""


class Upstream(http.server.ThreadingHTTPServer):
    """Answers every GET and keeps the header fields that it saw."""

    def __init__(self):
        self.seen = []
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        body = b'{"order":7}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Program:
    """A program that runs in `folder` until the block ends; its output goes to a file there."""

    def __init__(self, name, arguments, folder, environment):
        self.name, self.log = name, pathlib.Path(folder, name + ".log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                arguments, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def wait_until(self, what, attempt):
        def alive():
            if self.process.poll() is not None:
                sys.exit(f"FAIL {self.name} ended by itself:\n{self.log.read_text()[-4000:]}")
            return attempt()

        return wait_for(what, alive)


class Jaeger(Program):
    def __init__(self, binary, folder):
        names = ["query", "query_grpc", "otlp_grpc", "otlp_http"]
        self.ports = dict(zip(names, free_ports(len(names))))
        pathlib.Path(folder, "jaeger.yaml").write_text(JAEGER % self.ports)
        super().__init__("jaeger", [binary, "--config", "jaeger.yaml"], folder, clean_environment())
        self.wait_until("Jaeger to start", lambda: call("GET", self.url("/api/services"))[0] == 200)

    def url(self, path, **query):
        return f"http://127.0.0.1:{self.ports['query']}{path}?{urllib.parse.urlencode(query)}"

    def ask(self, path, **query):
        status, _, body = call("GET", self.url(path, **query))
        return json.loads(body)["data"] or [] if status == 200 else []

    def endpoint(self, protocol):
        return "http://127.0.0.1:%d" % self.ports["otlp_grpc" if protocol == "grpc" else "otlp_http"]

    def tell(self, service, trace, span, name):
        """Exports one finished span, as a caller of the gateway would."""
        now = time.time_ns()
        span = {
            "traceId": trace, "spanId": span, "name": name, "kind": 3,
            "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 1_000_000_000),
        }
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
        spans = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}
        url = f"http://127.0.0.1:{self.ports['otlp_http']}/v1/traces"
        return call("POST", url, {"content-type": "application/json"}, json.dumps(spans).encode())[0]


class Gateway(Program):
    def __init__(self, binary, folder, port, yaml, **variables):
        self.file, self.base = pathlib.Path(folder, "gateway.yaml"), f"http://127.0.0.1:{port}"
        self.file.write_text(yaml)
        super().__init__("gateway", [binary, "run", "gateway.yaml"], folder, clean_environment() | variables)
        self.wait_until("the gateway to start", lambda: call("GET", self.base + "/health/ready")[0] == 200)

    def call(self, method, path, headers=None, body=None):
        return call(method, self.base + path, headers, body)


def clean_environment():
    """The environment without what would change the programs."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "GATEWRIGHT", "RUST_LOG"))}
