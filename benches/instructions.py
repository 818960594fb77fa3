#!/usr/bin/env python3
"""Counts the instructions that each program executes per request, in user space.

  CARGO_PROFILE_RELEASE_STRIP=none cargo build --release && (cd benches/handwritten && cargo build --release)
  benches/instructions.py [--only proxy-chain,users] [--requests 2000] [--functions 20] [GATEWAY ...]

Builds nothing. Requires `valgrind` and `h2load`, and ports 19500 to 19539 on loopback. Each program runs under callgrind, and one connection
sends it requests, after as many to warm up. CPU times depend on what else the machine does; this figure is the same within 1 %
each time. So it shows small changes of the code, when two programs are given. What the kernel does, and what waits for memory,
it does not see: that is for benches/load.py. `users` and `list` differ by up to 10 %: under callgrind, SQLite is so slow that some reads
change their thread.

--functions also prints those that execute most, without the functions that they call. It needs a program with symbols.
"""

import argparse
import collections
import contextlib
import importlib.util
import pathlib
import re
import secrets
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SPEC = importlib.util.spec_from_file_location("load", HERE / "load.py")
load = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(load)

SCENARIOS = ("bare", "chain", "jwt", "users", "list", "proxy", "proxy-chain", "proxy-http2")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="chain,jwt,users,proxy,proxy-chain", help="scenarios of benches/load.py, of " + ",".join(SCENARIOS))
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--functions", type=int, default=0, metavar="N")
    parser.add_argument("--peer", type=pathlib.Path, default=load.PEER, help="the upstream of proxies")
    parser.add_argument("gateways", type=pathlib.Path, nargs="*", default=[load.GATEWAY], metavar="GATEWAY")
    chosen = parser.parse_args()
    chosen.only = chosen.only.split(",")
    unknown = set(chosen.only) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    for program in (*chosen.gateways, chosen.peer):
        if not program.exists():
            parser.error(f"{program} is missing: build it first (see --help)")
    for program, package in {"valgrind": "valgrind", "h2load": "nghttp2-client"}.items():
        if not shutil.which(program):
            parser.error(f"{program} is missing: apt-get install {package}")
    return chosen


def control(pid, *words):
    subprocess.run(["callgrind_control", *words, str(pid)], check=True, capture_output=True)


def send(scenario, url, headers, count):
    command = ["h2load", "-t1", "-c1", "-n", str(count), *([] if scenario == "proxy-http2" else ["--h1"])]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    out = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if f"status codes: {count} 2xx" not in out:
        raise SystemExit(f"{url}: not every response was 2xx: nothing to count")


def functions(profile):
    """The instructions of each function itself, of the newest part of a profile."""
    names, own, current = {}, collections.Counter(), None
    lines = iter(profile.read_text(errors="replace").splitlines())

    def named(text):
        number, name = re.match(r"\((\d+)\)(?: (.*))?", text).groups()
        return names.setdefault(number, name)

    for line in lines:
        if line.startswith("fn="):
            current = named(line[3:])
        elif line.startswith("cfn="):
            named(line[4:])
        elif line.startswith("calls="):
            next(lines)                                         # what the call cost is counted where it is executed
        elif current and (cost := re.match(r"[+\-*\d]\S* (\d+)$", line)):
            own[current] += int(cost[1])
    return own


def count(stack, gateway, chosen):
    """The instructions of each function, by scenario."""
    folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatewright-bench-")))
    secret, profile = secrets.token_hex(32), folder / "profile"
    options = [f"--callgrind-out-file={profile}", "--instr-atstart=no"]
    command = ["valgrind", "-q", "--tool=callgrind", *options, gateway, "run", HERE / "gateway.yaml"]
    environment = {"BENCH_DATA": str(folder), "BENCH_SECRET": secret}
    process = load.start(stack, command, load.WEB, environment, subprocess.DEVNULL)
    user = load.ask(load.WEB, "/api/users", {}, {"email": "first@example.com", "name": "First"})
    for number in range(20):
        load.ask(load.WEB, "/api/entries", {}, {"name": f"Entry {number}", "rank": number})
    counted = {}
    for part, scenario in enumerate(chosen.only, 1):
        port, _, path, headers = load.SCENARIOS[scenario]
        headers = headers | ({"Authorization": f"Bearer {load.token(secret)}"} if scenario == "jwt" else {})
        url = f"http://127.0.0.1:{port}{path}" + (f"/{user['id']}" if scenario == "users" else "")
        send(scenario, url, headers, chosen.requests)
        control(process.pid, "--instr=on")
        control(process.pid, "--zero")
        send(scenario, url, headers, chosen.requests)
        control(process.pid, "--instr=off")
        control(process.pid, "--dump")
        counted[scenario] = functions(folder / f"profile.{part}")
    return counted


def main():
    chosen = arguments()
    results = {}
    for gateway in chosen.gateways:
        with contextlib.ExitStack() as stack:
            load.start(stack, [chosen.peer, "upstream", load.ORIGIN], load.ORIGIN, {})
            results[gateway] = count(stack, gateway, chosen)
    print(f"{'scenario':14} {'instructions/req':>16} {'change':>7}  program")
    for scenario in chosen.only:
        first = None
        for gateway, counted in results.items():
            each = sum(counted[scenario].values()) / chosen.requests
            first = first or each
            change = f"{each / first - 1:+7.1%}" if gateway != chosen.gateways[0] else ""
            print(f"{scenario:14} {each:16.0f} {change:>7}  {gateway}")
            for name, own in counted[scenario].most_common(chosen.functions):
                print(f"  {own / chosen.requests:8.0f}  {name}")


if __name__ == "__main__":
    main()
