#!/usr/bin/env python3
"""Measures how much time gatewright and nginx add to a proxied request when they are half busy.

  cargo build --release && (cd benches/handwritten && cargo build --release)
  benches/latency.py [--rounds 5] [--seconds 4] [--connections 16] [--rate 10000]

Builds nothing. Requires `wrk`, `nginx` and `h2load`, and the ports of benches/load.py, whose `proxy` scenario this is. Requests
are sent at a fixed rate: by default half of what the slower of the two proxies reaches. The origin itself, gatewright and nginx
take turns within each round; the first round is a warm-up. `added` is the median minus that of the origin.
"""

import argparse
import contextlib
import importlib.util
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SPEC = importlib.util.spec_from_file_location("load", HERE / "load.py")
load = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(load)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each shot")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rate", type=int, help="requests per second")
    parser.add_argument("--gateway", type=pathlib.Path, default=load.GATEWAY)
    parser.add_argument("--peer", type=pathlib.Path, default=load.PEER)
    return parser.parse_args()


def shot(port, rate, chosen, log):
    """The times of all requests, in microseconds, sorted."""
    log.unlink(missing_ok=True)
    command = ["h2load", "--h1", "-t1", f"-c{chosen.connections}", f"-D{chosen.seconds}"]
    command += [f"--rps={rate / chosen.connections:.1f}", f"--log-file={log}", f"http://127.0.0.1:{port}/proxy"]
    subprocess.run(command, check=True, capture_output=True)
    lines = [line.split() for line in log.read_text().splitlines()]
    if not lines or any(status != "200" for _, status, _ in lines):
        sys.exit(f"port {port}: some requests failed: nothing to compare")
    return sorted(int(time) for _, _, time in lines)


def main():
    chosen = arguments()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatewright-latency-")))
        environment = {"BENCH_DATA": str(folder), "BENCH_SECRET": "0" * 32}
        load.start(stack, [chosen.peer, "upstream", load.ORIGIN], load.ORIGIN, {})
        load.start(stack, [chosen.gateway, "run", HERE / "gateway.yaml"], load.WEB, environment)
        load.start_nginx(stack, folder)
        ports = {"origin": load.ORIGIN, "gatewright": load.PLAIN, "nginx": load.NGINX_PORTS["proxy"]}
        rate = chosen.rate
        if not rate:
            proxies = [ports["gatewright"], ports["nginx"]]
            peaks = [load.wrk(f"http://127.0.0.1:{port}/proxy", {}, None, chosen)["per_second"] for port in proxies]
            rate = int(min(peaks) / 2)
        taken = {name: [] for name in ports}
        for round_ in range(chosen.rounds + 1):
            for name in list(ports)[:: 1 if round_ % 2 else -1]:
                times = shot(ports[name], rate, chosen, folder / "log")
                if round_:
                    taken[name].append((times[len(times) // 2], times[len(times) * 99 // 100]))
        print(f"{rate} requests per second\n{'server':12} {'p50 us':>8} {'p99 us':>8} {'added':>8}")
        middle = {name: [statistics.median(values) for values in zip(*all_)] for name, all_ in taken.items()}
        for name, (p50, p99) in middle.items():
            print(f"{name:12} {p50:8.0f} {p99:8.0f} {p50 - middle['origin'][0]:8.0f}")


if __name__ == "__main__":
    main()
