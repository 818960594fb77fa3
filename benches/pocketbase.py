#!/usr/bin/env python3
"""Compares gatewright with PocketBase v0.36.0, and prints the CPU time per request of each.

  cargo build --release
  GOBIN="$PWD/target/pocketbase" go install github.com/pocketbase/pocketbase/examples/base@v0.36.0
  benches/pocketbase.py [--only read,insert] [--rounds 5] [--seconds 4] [--connections 32] [--rows 20000] [--durability process]

Builds nothing. Requires `wrk`, and ports 19500 to 19539 on loopback. Both servers run at the same time, each with a SQLite database of its
own and the same rows, and take turns within each round, in alternating order; the first round is a warm-up. CPU is the user and system
time of the server divided by the responses that the client counted, as in benches/load.py. Results are medians over the rounds.
`ratio` is PocketBase's CPU time per request divided by gatewright's: above 1 is better.

scenarios:
  read           one of --rows rows by its id                   at least 10 times less
  insert         a new row                                      at least 10 times less
  list           the first 20 of --rows rows, and their total   at least 5 times less
  list-uncounted the same without the total

PocketBase runs as it comes, without its log of requests (`logs.maxDays: 0`), which gatewright does not keep either. gatewright runs with
the usual middleware of benches/gateway.yaml. It confirms a row when it is on disk (`synchronous = FULL`); PocketBase confirms it before
(`synchronous = NORMAL`). With `--durability process`, gatewright does the same.
"""

import argparse
import contextlib
import importlib.util
import json
import pathlib
import secrets
import shutil
import sqlite3
import statistics
import string
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
SPEC = importlib.util.spec_from_file_location("load", HERE / "load.py")
load = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(load)

POCKETBASE = HERE.parent / "target/pocketbase/base"
PORT = 19535
ADMIN = {"identity": "bench@example.com", "password": secrets.token_hex(16)}
ENTRY = {"name": "Entry 0", "rank": 0}
# scenario: the paths of both, and the ratio to reach, if any
SCENARIOS = {
    "read": ("/api/entries/", "/api/collections/entries/records/", 10),
    "insert": ("/api/orders", "/api/collections/orders/records", 10),
    "list": ("/api/entries", "/api/collections/entries/records?perPage=20", 5),
    "list-uncounted": ("/api/entries?count=none", "/api/collections/entries/records?perPage=20&skipTotal=1", None),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SCENARIOS), help="some of the scenarios")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each shot")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rows", type=int, default=20_000, help="of the table that is read and listed, at least 21")
    parser.add_argument("--durability", default="power", choices=["power", "process"], help="of the writes of gatewright")
    parser.add_argument("--gateway", type=pathlib.Path, default=load.GATEWAY)
    parser.add_argument("--pocketbase", type=pathlib.Path, default=POCKETBASE)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    chosen = parser.parse_args()
    chosen.only = chosen.only.split(",")
    unknown = set(chosen.only) - set(SCENARIOS)
    if unknown or chosen.rows < 21:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}" if unknown else "--rows must be at least 21")
    for program in (chosen.gateway, chosen.pocketbase):
        if not program.exists():
            parser.error(f"{program} is missing: build it first (see --help)")
    if not shutil.which("wrk"):
        parser.error("wrk is missing: apt-get install wrk")
    return chosen


def collection(token, name, number):
    """A collection that everyone may read and write, with the fields of benches/gateway.yaml."""
    fields = [
        {"name": "name", "type": "text", "required": True, "max": 100},
        {"name": number, "type": "number"},
        {"name": "created_at", "type": "autodate", "onCreate": True},
    ]
    rules = {rule: "" for rule in ("listRule", "viewRule", "createRule")}
    load.ask(PORT, "/api/collections", token, {"name": name, "type": "base", "fields": fields, **rules})


def start_pocketbase(stack, program, folder):
    data = folder / "pocketbase"
    account = ["superuser", "upsert", ADMIN["identity"], ADMIN["password"], f"--dir={data}"]
    subprocess.run([program, *account], check=True, capture_output=True)
    command = [program, "serve", f"--http=127.0.0.1:{PORT}", f"--dir={data}"]
    process = load.start(stack, command, PORT, {}, subprocess.DEVNULL)
    answer = load.ask(PORT, "/api/collections/_superusers/auth-with-password", {}, ADMIN)
    token = {"Authorization": answer["token"]}
    body = json.dumps({"logs": {"maxDays": 0}}).encode()
    headers = token | {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/api/settings", body, headers, method="PATCH")
    urllib.request.urlopen(request, timeout=5).close()
    collection(token, "entries", "rank")
    collection(token, "orders", "amount")
    return process, data / "data.db"


def multiply(database, rows, new_id):
    """Makes copies of the one row in `entries`; the ids of all."""
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as stored:
        stored.row_factory = sqlite3.Row
        row = dict(stored.execute("SELECT * FROM entries").fetchone())
        names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" for _ in row)
        copies = ({**row, "id": new_id(), "name": f"Entry {number}", "rank": number} for number in range(1, rows))
        with stored:
            stored.executemany(f"INSERT INTO entries ({names}) VALUES ({marks})", (list(copy.values()) for copy in copies))
        ids = [row[0] for row in stored.execute("SELECT id FROM entries")]
    assert len(ids) == rows
    return ids


def reads(folder, side, path, ids):
    """For wrk: a different row each time."""
    file = folder / f"{side}.lua"
    chosen = ", ".join(f'"{key}"' for key in ids[:: max(len(ids) // 4000, 1)])
    file.write_text(
        f"local ids = {{ {chosen} }}\nlocal at = 0\n"
        f'function request()\n  at = at % #ids + 1\n  return wrk.format("GET", "{path}" .. ids[at])\nend\n'
    )
    return file


def check(name, paths, ids):
    """Both must return the same rows, apart from ids and times, or the comparison is meaningless."""
    ours, theirs = paths
    if name == "insert":
        answers = [load.ask(load.WEB, ours, {}, load.ORDER), load.ask(PORT, theirs, {}, load.ORDER)]
        good = all({key: answer[key] for key in load.ORDER} == load.ORDER for answer in answers)
    elif name == "read":
        answers = [load.ask(load.WEB, ours + ids[0][0], {}), load.ask(PORT, theirs + ids[1][0], {})]
        good = all(set(answer) >= {"id", "name", "rank", "created_at"} for answer in answers)
    else:
        answers = [load.ask(load.WEB, ours, {}), load.ask(PORT, theirs, {})["items"]]
        good = all(len(answer) == 20 for answer in answers)
    if not good:
        sys.exit(f"{name}: the answers differ: {answers}")


def main():
    chosen = arguments()
    results = {}
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatewright-bench-")))
        environment = {"BENCH_DATA": str(folder), "BENCH_SECRET": secrets.token_hex(32), "BENCH_DURABILITY": chosen.durability}
        gateway = load.start(stack, [chosen.gateway, "run", HERE / "gateway.yaml"], load.WEB, environment)
        pocketbase, database = start_pocketbase(stack, chosen.pocketbase, folder)
        load.ask(load.WEB, "/api/entries", {}, ENTRY)
        load.ask(PORT, "/api/collections/entries/records", {}, ENTRY)
        letters = string.ascii_lowercase + string.digits
        ids = (
            multiply(folder / "bench.db", chosen.rows, lambda: str(load.uuid.UUID(int=secrets.randbits(128), version=4))),
            multiply(database, chosen.rows, lambda: "".join(secrets.choice(letters) for _ in range(15))),
        )
        sides = [("gatewright", gateway.pid, load.WEB), ("pocketbase", pocketbase.pid, PORT)]
        for name in chosen.only:
            paths = SCENARIOS[name][:2]
            check(name, paths, ids)
            lua = {}
            for (side, _, _), path, known in zip(sides, paths, ids):
                lua[side] = reads(folder, side, path, known) if name == "read" else None
                lua[side] = load.post(folder, "insert", load.ORDER) if name == "insert" else lua[side]
            shots = {side: [] for side, _, _ in sides}
            turns = list(zip(sides, paths))
            for round_ in range(chosen.rounds + 1):
                for (side, pid, port), path in turns if round_ % 2 else turns[::-1]:
                    taken = load.shot(pid, f"http://127.0.0.1:{port}{path}", {}, lua[side], chosen, name)
                    if round_:
                        shots[side].append(taken)
            middle = {side: {key: statistics.median(x[key] for x in all_) for key in all_[0]} for side, all_ in shots.items()}
            middle["ratio"] = middle["pocketbase"]["cpu_us"] / middle["gatewright"]["cpu_us"]
            results[name] = middle
    if chosen.json:
        print(json.dumps(results, indent=2))
        return
    print(f"{'scenario':15} {'server':11} {'cpu us/req':>10} {'req/s':>9} {'p99 ms':>8} {'rss MiB':>8} {'ratio':>6} {'wanted':>7}")
    for name, result in results.items():
        for side in ("gatewright", "pocketbase"):
            x, wanted = result[side], SCENARIOS[name][2]
            ratio = f"{result['ratio']:6.1f} {wanted or '':>7}" if side == "pocketbase" else ""
            print(
                f"{name:15} {side:11} {x['cpu_us']:10.2f} {x['per_second']:9.0f} {x['p99_ms']:8.2f} {x['rss_mib']:8.1f} {ratio}"
            )


if __name__ == "__main__":
    main()
