#!/usr/bin/env python3
"""Compares gatewright with the same services written by hand, and prints the CPU time per request of each.

  cargo build --release && (cd benches/handwritten && cargo build --release)
  benches/load.py [--only chain,proxy] [--rounds 5] [--seconds 4] [--connections 32] [--rows 200000]

Builds nothing. Requires `wrk`, ports 19500 to 19539 on loopback, and for the proxy scenarios `nginx` (with `h2load` for
HTTP/2). All servers run at the same time and take turns within each round, in alternating order, so that other load on the
machine affects them alike; the first round is a warm-up. CPU is the user and system time of the server's processes divided by
the responses that the client counted: unlike throughput and latency, it hardly depends on other load. Results are medians over
the rounds. `ratio` is gatewright's CPU time per request divided by that peer's: below 1 is better.

scenarios:
  bare    a fixed response, without middleware        chain   the same behind the usual middleware
  jwt     the same behind a token check              users   one of 20,000 rows by its key
  proxy   an upstream's response                     list    the first 20 of --rows rows, with a link to the next page
  expand  the first 20 of 80,000 rows, each with the one of 2,000 that it refers to: a query for each table
  under   20 of the 40 rows that refer to one of 2,000, by its key, with a link to the next page
  create  a new row, on disk before the response     proxy-chain  an upstream's response behind the usual middleware
  users-postgres, list-postgres  one of 20,000 rows by its key, and the first 20, from PostgreSQL: `.ci/postgres benches/load.py
    --only users-postgres,list-postgres`. CPU is that of the gateway and of the peer, without the server
  proxy-http2  like proxy, with HTTP/2 from the client (nginx is the only peer)
  validated  a POST of an order in JSON to an upstream, behind `request_validation` by an OpenAPI file; its peer is the same route of
    the same gateway without the plugin

In `list`, `expand` and `under` gatewright also returns the total number of rows; the peer does not count. With --conditional the client sends the tag
of its copy and gatewright responds with 304; the peer has no tags and sends the list. In `create` both sides share commits
among concurrent requests.
"""

import argparse
import base64
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import re
import secrets
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid

HERE = pathlib.Path(__file__).resolve().parent
GATEWAY = HERE.parent / "target/release/gatewright"
PEER = HERE / "handwritten/target/release/handwritten"
NGINX = HERE / "nginx.conf"
WEB, PLAIN, HTTP2, VALIDATED, ORIGIN = 19500, 19501, 19502, 19503, 19510
TICKS = os.sysconf("SC_CLK_TCK")
ROWS = 20_000
AUTHORS, POSTS_EACH = 2_000, 40
EXPECTED = {"hello": "world"}

# scenario: gatewright's port, the hand-written peer's port or None, path, extra headers
ORIGIN_HEADER = {"Origin": "https://app.example.com"}
SCENARIOS = {
    "bare": (PLAIN, 19520, "/bare", {}),
    "chain": (WEB, 19521, "/chain", ORIGIN_HEADER),
    "jwt": (WEB, 19522, "/jwt", ORIGIN_HEADER),
    "users": (WEB, 19523, "/api/users", ORIGIN_HEADER),
    "proxy": (PLAIN, 19524, "/proxy", {}),
    "list": (WEB, 19525, "/api/entries", ORIGIN_HEADER),
    "create": (WEB, 19526, "/api/orders", ORIGIN_HEADER),
    "proxy-chain": (WEB, 19527, "/proxy", ORIGIN_HEADER),
    "proxy-http2": (HTTP2, None, "/proxy", {}),
    "users-postgres": (WEB, 19528, "/api/people", ORIGIN_HEADER),
    "list-postgres": (WEB, 19529, "/api/people", ORIGIN_HEADER),
    "expand": (WEB, 19533, "/api/posts?expand=author_id", ORIGIN_HEADER),
    "under": (WEB, 19534, "/api/authors", ORIGIN_HEADER),
    "validated": (VALIDATED, None, "/proxy/orders", {}),
}
POSTGRES = {"users-postgres", "list-postgres"}
NGINX_PORTS = {"proxy": 19530, "proxy-chain": 19531, "proxy-http2": 19532}
ORDER = {"name": "Order", "amount": 3}
LONG_ORDER = {
    "customer": "2eb8aa08-aa98-11ea-b4aa-73b441d16380",
    "email": "ada@example.com",
    "due": "2026-11-30",
    "note": "Leave it at the door.",
    "lines": [{"sku": f"TEA-{number:04}", "count": number + 1, "gift": number % 2 == 0} for number in range(5)],
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="chain,jwt,users,proxy,proxy-chain,proxy-http2", help="scenarios, of " + ",".join(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of each shot")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rows", type=int, default=200_000, help="of the table that `list` reads, at least 21")
    parser.add_argument("--conditional", action="store_true", help="`list` asks with If-None-Match")
    parser.add_argument("--gateway", type=pathlib.Path, default=GATEWAY)
    parser.add_argument("--peer", type=pathlib.Path, default=PEER)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    chosen = parser.parse_args()
    chosen.only = chosen.only.split(",")
    unknown = set(chosen.only) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    for program in (chosen.gateway, chosen.peer):
        if not program.exists():
            parser.error(f"{program} is missing: build it first (see --help)")
    if chosen.rows < 21:
        parser.error("--rows must be at least 21: the first page is to be full")
    required = {"wrk": "wrk"}
    if set(chosen.only) & set(NGINX_PORTS):
        required["nginx"] = "nginx"
    if POSTGRES & set(chosen.only):
        required["psql"] = "postgresql-client"
        if "TEST_POSTGRES" not in os.environ:
            parser.error("TEST_POSTGRES, the URL of a PostgreSQL server, is not set: use .ci/postgres benches/load.py")
    if "proxy-http2" in chosen.only:
        required["h2load"] = "nghttp2-client"
    for program, package in required.items():
        if not shutil.which(program):
            parser.error(f"{program} is missing: apt-get install {package}")
    return chosen


def token(secret):
    def part(value):
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    now = int(time.time())
    claims = {"sub": "bench", "iss": "iss", "aud": "api", "iat": now, "nbf": now - 10, "exp": now + 3600}
    signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    return (signed + b"." + part(hmac.digest(secret.encode(), signed, hashlib.sha256))).decode()


def ask(port, path, headers, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = headers | ({"Content-Type": "application/json"} if data else {})
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def wait_for(process, port):
    """Waits until `port` responds with anything."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended with {process.returncode}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"{process.args[0]} does not answer on port {port}")


def start(stack, command, port, environment, output=None):
    process = subprocess.Popen([str(word) for word in command], env=os.environ | environment, stdout=output)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    wait_for(process, port)
    return process


def start_nginx(stack, folder):
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.read_text().replace("FOLDER", str(folder)))
    command = ["nginx", "-c", configuration, "-p", folder, "-e", "stderr"]
    return start(stack, command, NGINX_PORTS["proxy"], {"PATH": os.environ["PATH"] + ":/usr/sbin"})


def seed(gateway_database, peer_database):
    """Multiplies the user that gatewright stored, which works with any table layout; the peer gets the same rows."""
    ids = [str(uuid.UUID(int=secrets.randbits(128), version=4)) for _ in range(ROWS)]
    with contextlib.closing(sqlite3.connect(gateway_database, timeout=30)) as ours:
        ours.row_factory = sqlite3.Row
        row = dict(ours.execute("SELECT * FROM users").fetchone())
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)

        def copies():
            for number, key in enumerate(ids):
                changed = row | {"id": key, "email": f"user{number}@example.com", "name": f"User {number}"}
                yield list(changed.values())

        with ours:
            ours.executemany(f"INSERT INTO users ({names}) VALUES ({marks})", copies())
        count = ours.execute("SELECT count(*) FROM users").fetchone()[0]
        rows = ours.execute("SELECT id, email, name, created_at FROM users").fetchall()
    with contextlib.closing(sqlite3.connect(peer_database)) as theirs, theirs:
        theirs.execute("PRAGMA journal_mode = WAL")
        columns = "id TEXT PRIMARY KEY NOT NULL, email TEXT UNIQUE, name TEXT, created_at TEXT"
        theirs.execute(f"CREATE TABLE users ({columns}) STRICT, WITHOUT ROWID")
        theirs.executemany("INSERT INTO users VALUES (?, ?, ?, ?)", map(tuple, rows))
    assert count == len(rows) >= ROWS
    return ids


def seed_entries(gateway_database, peer_database, rows):
    """Like `seed`, for the table that is listed."""
    with contextlib.closing(sqlite3.connect(gateway_database, timeout=60)) as ours:
        ours.row_factory = sqlite3.Row
        row = dict(ours.execute("SELECT * FROM entries").fetchone())
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)

        def copies():
            for number in range(1, rows):
                key = str(uuid.UUID(int=secrets.randbits(128), version=4))
                yield list((row | {"id": key, "name": f"Entry {number}", "rank": number}).values())

        with ours:
            ours.executemany(f"INSERT INTO entries ({names}) VALUES ({marks})", copies())
        stored = ours.execute("SELECT id, name, rank, created_at FROM entries").fetchall()
    with contextlib.closing(sqlite3.connect(peer_database)) as theirs, theirs:
        theirs.execute("PRAGMA journal_mode = WAL")
        columns = "id TEXT PRIMARY KEY NOT NULL, name TEXT, rank INTEGER, created_at TEXT"
        theirs.execute(f"CREATE TABLE entries ({columns}) STRICT, WITHOUT ROWID")
        theirs.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", map(tuple, stored))
    assert len(stored) == rows


def seed_posts(gateway_database, peer_database):
    """Like `seed`, for authors and their posts; the ids of the authors."""
    with contextlib.closing(sqlite3.connect(gateway_database, timeout=60)) as ours:
        ours.row_factory = sqlite3.Row

        def copy(table, changes):
            row = dict(ours.execute(f"SELECT * FROM {table}").fetchone())
            names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" for _ in row)
            new = lambda change: list((row | {"id": str(uuid.UUID(int=secrets.randbits(128), version=4))} | change).values())
            with ours:
                ours.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", map(new, changes))

        copy("authors", [{"name": f"Author {number}"} for number in range(1, AUTHORS)])
        ids = [row[0] for row in ours.execute("SELECT id FROM authors")]
        # The first author already has a post.
        copy("posts", [{"author_id": one, "title": f"Post {n}"} for one in ids for n in range(POSTS_EACH)])
        authors = ours.execute("SELECT id, name FROM authors").fetchall()
        posts = ours.execute("SELECT id, author_id, title FROM posts").fetchall()
    with contextlib.closing(sqlite3.connect(peer_database)) as theirs, theirs:
        theirs.execute("PRAGMA journal_mode = WAL")
        theirs.execute("CREATE TABLE authors (id TEXT PRIMARY KEY NOT NULL, name TEXT) STRICT, WITHOUT ROWID")
        columns = "id TEXT PRIMARY KEY NOT NULL, author_id TEXT NOT NULL REFERENCES authors, title TEXT"
        theirs.execute(f"CREATE TABLE posts ({columns}) STRICT, WITHOUT ROWID")
        theirs.executemany("INSERT INTO authors VALUES (?, ?)", map(tuple, authors))
        theirs.executemany("INSERT INTO posts VALUES (?, ?, ?)", map(tuple, posts))
        theirs.execute("CREATE INDEX posts_of ON posts (author_id, id)")
    assert len(authors) == AUTHORS and len(posts) == AUTHORS * POSTS_EACH + 1
    return ids


def seed_people(url):
    """Both sides read the table that gatewright made."""
    ask(WEB, "/api/people", {}, {"email": "first@example.com", "name": "First"})
    copies = (
        "INSERT INTO people (id, email, name, created_at) "
        "SELECT gen_random_uuid(), 'user' || n || '@example.com', 'User ' || n, now() + n * interval '1 microsecond' "
        f"FROM generate_series(1, {ROWS}) n; ANALYZE people; SELECT id FROM people ORDER BY random()"
    )
    out = subprocess.run(["psql", "-XqAt", "-c", copies, url], capture_output=True, text=True, check=True).stdout
    return out.split()


def script(folder, ids, collection="users", below=""):
    """For wrk: a different item each time, or what is below it."""
    path = folder / f"{collection}.lua"
    chosen = ", ".join(f'"{key}"' for key in ids[:: max(len(ids) // 4000, 1)])
    path.write_text(
        f"local ids = {{ {chosen} }}\nlocal at = 0\n"
        "function request()\n  at = at % #ids + 1\n"
        f'  return wrk.format("GET", "/api/{collection}/" .. ids[at] .. "{below}")\nend\n'
    )
    return path


def post(folder, name, order):
    """For wrk: the same new order each time."""
    path = folder / f"{name}.lua"
    body = json.dumps(order).replace("\\", "\\\\").replace("'", "\\'")
    path.write_text(f"wrk.method = 'POST'\nwrk.body = '{body}'\nwrk.headers['Content-Type'] = 'application/json'\n")
    return path


def tag_of(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.headers.get("ETag") or sys.exit(f"port {port}{path}: a list without an entity tag")


def same(name, path, ports, headers, ids):
    """All must return the same response, or the comparison is meaningless."""
    if name == "create":
        answers = [ask(port, path, headers, ORDER) for port in ports]
        answers = [{key: value for key, value in answer.items() if key != "id"} for answer in answers]
        expected = ORDER
    else:
        probe = f"{path}/{ids[0]}" if name.startswith("users") else path
        probe = f"{path}/{ids[-1]}/posts" if name == "under" else probe
        answers = [ask(port, probe, headers, LONG_ORDER if name == "validated" else None) for port in ports]
        stored = name.startswith(("users", "list", "expand", "under"))
        expected = answers[-1] if stored else EXPECTED
    if any(answer != expected for answer in answers):
        sys.exit(f"{name}: the answers differ: {answers}")


def refuses(port, path):
    """The plugin must look at the body, or there is nothing to measure."""
    try:
        ask(port, path, {}, LONG_ORDER | {"lines": []})
    except urllib.error.HTTPError as error:
        if error.code == 400:
            return
    sys.exit(f"port {port}{path}: an order that is not as described passes")


def family(pid):
    """The process and its children: nginx has workers."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def cpu(pid):
    """User and system time in seconds."""
    stats = [pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split() for one in family(pid)]
    return [sum(int(fields[at]) for fields in stats) / TICKS for at in (11, 12)]


def resident(pid):
    statuses = [pathlib.Path(f"/proc/{one}/status").read_text() for one in family(pid)]
    return sum(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) for status in statuses) / 1024


def milliseconds(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]


def wrk(url, headers, lua, chosen):
    command = ["wrk", "-t1", f"-c{chosen.connections}", f"-d{chosen.seconds}s", "--latency"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    if lua:
        command += ["-s", str(lua)]
    out = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", out)
    if failed:
        sys.exit(f"{url}: {failed[0]}: nothing to compare")
    return {
        "count": int(re.search(r"(\d+) requests in", out)[1]),
        "per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
        "p99_ms": milliseconds(re.search(r"(?m)^\s+99%\s+(\S+)", out)[1]),
    }


def h2load(url, chosen):
    """Four connections, so that each server's two threads get some, with the same number of requests in flight as wrk."""
    command = ["h2load", "-t1", "-c4", f"-m{chosen.connections // 4}", f"-D{chosen.seconds}", url]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    done, failed = re.search(r"requests: .* (\d+) succeeded, (\d+) failed", out).groups()
    if int(failed):
        sys.exit(f"{url}: {failed} requests failed: nothing to compare")
    return {
        "count": int(done),
        "per_second": float(re.search(r"finished in .*, ([\d.]+) req/s", out)[1]),
        "p99_ms": float("nan"),
    }


def shot(pid, url, headers, lua, chosen, name):
    before = cpu(pid)
    taken = h2load(url, chosen) if name == "proxy-http2" else wrk(url, headers, lua, chosen)
    user, system = (after - start for after, start in zip(cpu(pid), before))
    count = taken.pop("count")
    used = {"cpu_us": (user + system) / count * 1e6, "user_us": user / count * 1e6}
    return used | taken | {"rss_mib": resident(pid)}


def measure(sides, path, headers, lua, chosen, name):
    shots = {side: [] for side, _, _ in sides}
    for round_ in range(chosen.rounds + 1):
        order = sides if round_ % 2 else sides[::-1]
        for side, pid, port in order:
            taken = shot(pid, f"http://127.0.0.1:{port}{path}", headers, lua, chosen, name)
            if round_:
                shots[side].append(taken)
    return {side: {key: statistics.median(x[key] for x in taken) for key in taken[0]} for side, taken in shots.items()}


def main():
    chosen = arguments()
    secret = secrets.token_hex(32)
    login = {"Authorization": f"Bearer {token(secret)}"}
    results = {}
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatewright-bench-")))
        server = os.environ.get("TEST_POSTGRES", "") if POSTGRES & set(chosen.only) else ""
        environment = {"BENCH_DATA": str(folder), "BENCH_SECRET": secret}
        # Without TLS, as the peer connects.
        environment |= {"BENCH_POSTGRES": server + "?sslmode=disable"} if server else {}
        start(stack, [chosen.peer, "upstream", ORIGIN], ORIGIN, {})
        gateway = start(stack, [chosen.gateway, "run", HERE / "gateway.yaml"], WEB, environment)
        lua, ids = {}, []
        if "users" in chosen.only:
            ask(WEB, "/api/users", {}, {"email": "first@example.com", "name": "First"})
            ids = seed(folder / "bench.db", folder / "peer.db")
            lua["users"] = script(folder, ids)
        if "list" in chosen.only:
            ask(WEB, "/api/entries", {}, {"name": "Entry 0", "rank": 0})
            seed_entries(folder / "bench.db", folder / "peer-entries.db", chosen.rows)
        authors = []
        if {"expand", "under"} & set(chosen.only):
            author = ask(WEB, "/api/authors", {}, {"name": "Author 0"})["id"]
            ask(WEB, "/api/posts", {}, {"author_id": author, "title": "Post"})
            authors = seed_posts(folder / "bench.db", folder / "peer-posts.db")
            lua["under"] = script(folder, authors, "authors", "/posts")
        people = seed_people(server) if server else []
        if server:
            lua["users-postgres"] = script(folder, people, "people")
        if "create" in chosen.only:
            lua["create"] = post(folder, "create", ORDER)
        if "validated" in chosen.only:
            lua["validated"] = post(folder, "validated", LONG_ORDER)
        extra = {
            "jwt": [secret],
            "users": [folder / "peer.db"],
            "proxy": [f"127.0.0.1:{ORIGIN}"],
            "list": [folder / "peer-entries.db"],
            "create": [folder / "peer-orders.db"],
            "expand": [folder / "peer-posts.db"],
            "under": [folder / "peer-posts.db"],
            "proxy-chain": [f"127.0.0.1:{ORIGIN}"],
            "users-postgres": [server],
            "list-postgres": [server],
        }
        nginx = start_nginx(stack, folder) if set(chosen.only) & set(NGINX_PORTS) else None
        for name in chosen.only:
            ours, theirs, path, headers = SCENARIOS[name]
            headers = headers | (login if name == "jwt" else {})
            with contextlib.ExitStack() as scope:
                sides = [("gatewright", gateway.pid, ours)]
                if theirs:
                    peer = start(scope, [chosen.peer, name, theirs, *extra.get(name, [])], theirs, {})
                    sides.append(("handwritten", peer.pid, theirs))
                if name == "validated":
                    sides.append(("unvalidated", gateway.pid, PLAIN))
                    refuses(ours, path)
                if name in NGINX_PORTS:
                    sides.append(("nginx", nginx.pid, NGINX_PORTS[name]))
                if name != "proxy-http2":                        # urllib speaks HTTP/1.1; h2load counts failures
                    keys = people if name in POSTGRES else authors if name == "under" else ids
                    same(name, path, [port for _, _, port in sides], headers, keys)
                if name == "list" and chosen.conditional:
                    headers = headers | {"If-None-Match": tag_of(ours, path)}
                results[name] = measure(sides, path, headers, lua.get(name), chosen, name)
    for result in results.values():
        for side, x in result.items():
            if side != "gatewright":
                x["ratio"] = result["gatewright"]["cpu_us"] / x["cpu_us"]
    if chosen.json:
        print(json.dumps(results, indent=2))
        return
    print(
        f"{'scenario':14} {'server':12} {'cpu us/req':>10} {'user us':>8} {'req/s':>9} {'p99 ms':>8} {'rss MiB':>8} {'ratio':>6}"
    )
    for name, result in results.items():
        for side, x in result.items():
            ratio = f"{x['ratio']:6.2f}" if "ratio" in x else ""
            print(
                f"{name:14} {side:12} {x['cpu_us']:10.2f} {x['user_us']:8.2f} {x['per_second']:9.0f} {x['p99_ms']:8.2f} "
                f"{x['rss_mib']:8.1f} {ratio}"
            )


if __name__ == "__main__":
    main()
