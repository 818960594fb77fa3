#!/usr/bin/env python3
"""Measures the cost of telemetry: the same chain with telemetry off, and with each part of it on, in one run.

  cargo build --release
  benches/telemetry.py [--only off,traced,unsampled,metrics,access] [--rounds 5] [--seconds 3] [--connections 32]

Builds nothing. Requires `wrk`, and ports 19519 to 19549 on loopback. All gateways run at the same time and take turns within
each round, in varying order; the first round is a warm-up. CPU is the user and system time of the whole process, including the
threads that export and write, divided by the responses that wrk counted. `more` is the median over the rounds of the difference
to `off` in the same round. The receiver of spans only reads and accepts. `dropped` is the share of spans that did not arrive; it
must be small for the full cost of a span to be visible.
"""

import argparse
import contextlib
import http.server
import json
import pathlib
import random
import re
import shutil
import statistics
import sys
import tempfile
import threading
import urllib.request

import load

FIRST = 19519
TOKEN = "bench-admin-token-0123456789-0123456789"
OTLP = "otlp: { endpoint: \"http://127.0.0.1:19549\", protocol: http/protobuf }"
VARIANTS = {
    "off": "",
    "traced": f"traces: {{ {OTLP}, sampler: always_on }}",
    "traced-plugins": f"traces: {{ {OTLP}, sampler: always_on, plugin_spans: always }}",
    "unsampled": f"traces: {{ {OTLP}, sampler: {{ parentbased_traceidratio: 0.0 }} }}",
    "metrics": "metrics: { prometheus: { path: /metrics } }",
    "access": "logs: { format: json, level: info, access: { sample: 1.0 } }",
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default=",".join(VARIANTS), help="variants, of " + ",".join(VARIANTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each shot")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--gateway", type=pathlib.Path, default=load.GATEWAY)
    chosen = parser.parse_args()
    chosen.only = ["off", *(name for name in chosen.only.split(",") if name != "off")]
    unknown = set(chosen.only) - set(VARIANTS)
    if unknown:
        parser.error(f"no such variant: {', '.join(sorted(unknown))}")
    return chosen


class Receiver(http.server.BaseHTTPRequestHandler):
    """Accepts everything."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def configuration(name, port):
    text = (load.HERE / "gateway.yaml").read_text()
    # The gateways run side by side, so each gets ports of its own.
    for at, listener in enumerate((load.WEB, load.PLAIN, load.HTTP2, load.VALIDATED)):
        text = text.replace(f"127.0.0.1:{listener}", f"127.0.0.1:{port + at}")
    written = VARIANTS[name]
    logs = "" if "logs:" in written else "  logs: { format: json, level: warn }\n"
    telemetry = f"telemetry:\n  service_name: bench-{name}\n{logs}" + (f"  {written}\n" if written else "")
    admin = f'admin: {{ address: "127.0.0.1:{port + 4}", token: {TOKEN} }}\n'
    text, changed = re.subn(r"(?m)^telemetry:\n(  .*\n)+", lambda _: telemetry + admin, text)
    assert changed == 1, "benches/gateway.yaml has another form"
    return text


def counters(port):
    request = urllib.request.Request(f"http://127.0.0.1:{port + 4}/status", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)["telemetry"]


def main():
    chosen = arguments()
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 19549), Receiver)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    shots = {name: [] for name in chosen.only}
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatewright-bench-")))
        sides = []
        for index, name in enumerate(chosen.only):
            port = FIRST + 5 * index
            place = folder / name
            place.mkdir()
            (place / "gateway.yaml").write_text(configuration(name, port))
            shutil.copy(load.HERE / "orders.yml", place)
            environment = {"BENCH_DATA": str(place), "BENCH_SECRET": "0123456789abcdef0123456789abcdef"}
            log = stack.enter_context((place / "log").open("w"))
            process = load.start(stack, [chosen.gateway, "run", place / "gateway.yaml"], port, environment, log)
            sides.append((name, process.pid, port))
        for round_ in range(chosen.rounds + 1):
            random.shuffle(sides)
            for name, pid, port in sides:
                taken = load.shot(pid, f"http://127.0.0.1:{port}/chain", load.ORIGIN_HEADER, None, chosen, name)
                if round_:
                    shots[name].append(taken)
        seen = {name: counters(port) for name, _, port in sides}
    print(f"{'variant':15} {'cpu us/req':>10} {'more us':>8} {'more %':>7} {'req/s':>8} {'p99 ms':>7} {'rss MiB':>8} {'dropped':>8}")
    for name in chosen.only:
        more = [x["cpu_us"] - off["cpu_us"] for x, off in zip(shots[name], shots["off"], strict=True)]
        middle = {key: statistics.median(x[key] for x in shots[name]) for key in shots[name][0]}
        off = statistics.median(x["cpu_us"] for x in shots["off"])
        print(
            f"{name:15} {middle['cpu_us']:10.2f} {statistics.median(more):+8.2f} {statistics.median(more) / off * 100:+7.1f} "
            f"{middle['per_second']:8.0f} {middle['p99_ms']:7.2f} {middle['rss_mib']:8.1f} {dropped(seen[name]):>8}"
        )


def dropped(telemetry):
    spans = telemetry["traces"]
    made = sum(spans[key] for key in ("exported", "failed", "dropped", "waiting"))
    return f"{(spans['failed'] + spans['dropped']) / made:.0%}" if made else ""


if __name__ == "__main__":
    sys.exit(main())
