#!/usr/bin/env python3
"""Compares what TLS costs gatewright and nginx: handshakes per CPU second, and GiB per CPU second.

  cargo build --release
  benches/tls.py [--rounds 3] [--seconds 4] [--gib 1]

Builds nothing. Requires `nginx`, `openssl` and `curl`, and ports 19540 to 19548 on loopback. Both servers use the same
certificate and the same cipher suite, and take turns within each round; the first round is a warm-up.

  handshakes   `openssl s_time -new`: full TLS 1.3 handshakes without a request, for a certificate with an ECDSA P-256 key
               and for one with an RSA 2048 key
  download     one response of --gib GiB from an origin without TLS, AES-128-GCM to the client
  upload       one request of --gib GiB to that origin

CPU is the user and system time of the server's processes. `memory` is how much the resident set grew while the transfer ran.
`ratio` is gatewright's figure divided by nginx's: above 1 is better.
"""

import argparse
import contextlib
import http.server
import importlib.util
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
SPEC = importlib.util.spec_from_file_location("load", HERE / "load.py")
load = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(load)

ORIGIN = 19540
PORTS = {"ecdsa": (19541, 19542), "rsa": (19543, 19544)}         # gatewright, nginx
READY, SINK = 19545, 19548

GATEWAY = """
version: 1
reload: { watch: false }
health: { summary: /health, live: /health/live, ready: /health/ready }
telemetry: { logs: { format: json, level: error } }
listeners:
  ready: { address: "127.0.0.1:%(ready)d", chain: nothing }
  ecdsa: { address: "127.0.0.1:%(ecdsa)d", chain: nothing, tls: { certificates: [{ cert_file: ecdsa.pem, key_file: ecdsa.key }] } }
  rsa:   { address: "127.0.0.1:%(rsa)d", chain: nothing, tls: { certificates: [{ cert_file: rsa.pem, key_file: rsa.key }] } }
chains: { nothing: [] }
upstreams:
  origin: { targets: [{ url: "http://127.0.0.1:%(origin)d" }] }
  sink:   { targets: [{ url: "http://127.0.0.1:%(sink)d" }] }
routes:
  all:    { path_prefix: /, upstream: origin }
  upload: { path_prefix: /upload, upstream: sink, limits: { body_bytes: 16GiB } }
"""

NGINX = """
worker_processes 2;
daemon off;
pid FOLDER/NAME.pid;
user root root;
error_log stderr crit;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    client_max_body_size 0;
    SERVERS
}
"""

ORIGIN_SERVER = """
    server { listen 127.0.0.1:%d; root FOLDER/files; }
"""

PEER_SERVER = """
    server {
        listen 127.0.0.1:%d ssl;
        ssl_certificate FOLDER/%s.pem;
        ssl_certificate_key FOLDER/%s.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        location / { proxy_pass http://127.0.0.1:%d; }
        location /upload { proxy_pass http://127.0.0.1:%d; }
    }
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of each series of handshakes")
    parser.add_argument("--gib", type=float, default=1, help="length of a transfer")
    parser.add_argument("--gateway", type=pathlib.Path, default=load.GATEWAY)
    return parser.parse_args()


def certificates(folder):
    keys = {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["rsa:2048"]}
    for name, key in keys.items():
        command = ["openssl", "req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=localhost", "-newkey", *key]
        command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        command += ["-out", folder / f"{name}.pem", "-keyout", folder / f"{name}.key"]
        subprocess.run(command, check=True, capture_output=True)
        (folder / f"{name}.key").chmod(0o600)


def nginx(stack, folder, name, servers, port):
    configuration = folder / f"{name}.conf"
    text = NGINX.replace("SERVERS", servers).replace("FOLDER", str(folder)).replace("NAME", name)
    configuration.write_text(text)
    command = ["nginx", "-c", configuration, "-p", folder, "-e", "stderr"]
    return load.start(stack, command, port, {"PATH": os.environ["PATH"] + ":/usr/sbin"})


class Sink(http.server.BaseHTTPRequestHandler):
    """Reads what is uploaded."""

    def do_POST(self):
        left, room = int(self.headers["Content-Length"]), memoryview(bytearray(2**20))
        while left:
            left -= self.rfile.readinto(room[: min(left, len(room))]) or sys.exit("the upload ended early")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def handshakes(pid, port, seconds):
    """Handshakes per CPU second, from two clients."""
    before = sum(load.cpu(pid))
    command = ["openssl", "s_time", "-new", "-time", str(seconds), "-connect", f"127.0.0.1:{port}", "-tls1_3"]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(2)]
    done = [int(re.search(r"(\d+) connections in [\d.]+ real", client.communicate()[0])[1]) for client in clients]
    return {"per_cpu_second": sum(done) / (sum(load.cpu(pid)) - before)}


class Watch:
    """How much the resident set of `pid` grows meanwhile, in MiB."""

    def __init__(self, pid):
        self.pid, self.start, self.most, self.ended = pid, load.resident(pid), 0, threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self):
        while not self.ended.wait(0.02):
            self.most = max(self.most, load.resident(self.pid) - self.start)

    def end(self):
        self.ended.set()
        self.thread.join()
        return self.most


def transfer(pid, port, gib, extra):
    """GiB per CPU second, of one transfer."""
    watch, before = Watch(pid), sum(load.cpu(pid))
    command = ["curl", "-sSf", "--http1.1", "--tlsv1.3", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256", "-k", "-o", "/dev/null"]
    ended = subprocess.run([*command, *(word.replace("PORT", str(port)) for word in extra)])
    if ended.returncode:
        sys.exit("the transfer failed: nothing to compare")
    return {"per_cpu_second": gib / (sum(load.cpu(pid)) - before), "memory": watch.end()}


def main():
    chosen = arguments()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatewright-tls-")))
        certificates(folder)
        (folder / "files").mkdir()
        with open(folder / "files" / "large", "wb") as file:
            file.truncate(int(chosen.gib * 2**30))
        nginx(stack, folder, "origin", ORIGIN_SERVER % ORIGIN, ORIGIN)
        sink = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", SINK), Sink))
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        stack.callback(sink.shutdown)
        peers = "".join(PEER_SERVER % (ports[1], name, name, ORIGIN, SINK) for name, ports in PORTS.items())
        peer = nginx(stack, folder, "peer", peers + ORIGIN_SERVER % (READY + 1), READY + 1)
        numbers = {"ready": READY, "origin": ORIGIN, "sink": SINK} | {name: ports[0] for name, ports in PORTS.items()}
        (folder / "gateway.yaml").write_text(GATEWAY % numbers)
        environment = {"GATEWRIGHT__ADMIN__ADDRESS": f"127.0.0.1:{READY + 2}"}
        gateway = load.start(stack, [chosen.gateway, "run", folder / "gateway.yaml"], READY, environment)
        upload = ["-T", str(folder / "files" / "large"), "-X", "POST", "https://127.0.0.1:PORT/upload"]
        tests = {
            "handshakes, ECDSA": (PORTS["ecdsa"], lambda pid, port: handshakes(pid, port, chosen.seconds)),
            "handshakes, RSA": (PORTS["rsa"], lambda pid, port: handshakes(pid, port, chosen.seconds)),
            "download, GiB": (PORTS["ecdsa"], lambda pid, port: transfer(pid, port, chosen.gib, ["https://127.0.0.1:PORT/large"])),
            "upload, GiB": (PORTS["ecdsa"], lambda pid, port: transfer(pid, port, chosen.gib, upload)),
        }
        print(f"{'':20} {'server':12} {'per CPU s':>10} {'memory MiB':>11} {'ratio':>6}")
        for name, (ports, test) in tests.items():
            sides = [("gatewright", gateway.pid, ports[0]), ("nginx", peer.pid, ports[1])]
            taken = {side: [] for side, _, _ in sides}
            for round_ in range(chosen.rounds + 1):
                for side, pid, port in sides if round_ % 2 else sides[::-1]:
                    result = test(pid, port)
                    if round_:
                        taken[side].append(result)
            rate = {side: statistics.median(one["per_cpu_second"] for one in all_) for side, all_ in taken.items()}
            for side, all_ in taken.items():
                memory = f"{max(one['memory'] for one in all_):11.1f}" if "memory" in all_[0] else " " * 11
                ratio = f"{rate['gatewright'] / rate['nginx']:6.2f}" if side == "gatewright" else ""
                print(f"{name:20} {side:12} {rate[side]:10.2f} {memory} {ratio}")


if __name__ == "__main__":
    main()
