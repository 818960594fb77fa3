#!/usr/bin/env python3
"""Many clients at once on the same items, against a running gateway: no request may fail, and the counts must be exact.

  tests/e2e/races.py GATEWAY [--clients 64] [--rounds 200] [--only creates,versions]
  .ci/postgres tests/e2e/races.py GATEWAY --postgres

Each client has a connection of its own. In each round all of them send their requests before any response is read, in a new order,
so the gateway has all of them at the same time. It needs nothing but Python. The store is a new SQLite file, or TEST_POSTGRES.

races:
  creates    the same new item: one 201, the others 409, and one item
  replaced   DELETE of an item, and creates with the unique value that it has: one 204, and at most one item is left
  versions   changes with the same `If-Match`: one 200, the others 412; the counter in the item counts the rounds
  keys       the same create with one `Idempotency-Key`: one item, and one response for all
  puts       the first PUT of an id that the client chooses: one 201, the others 200
  upserts    lists with the same item: 200 for all, and one item, which is one of those that were sent
  bulk       lists that share one item, each in another order: one 201 with all its items, the others 409 with none
  lenient    the same lists one by one: each item is created once
  deletes    DELETE and PATCH of one item: one 204; whoever comes later gets 404
  parents    DELETE of a list, and new items in it: 409, or the items are 400; no item is without its list
  cascades   DELETE of a folder, and new files in it: one 204, and no file is left
  renames    PATCH of different items to the same unique value: one 200, the others 409
  counted    creates of items whose ids are counted: 201 for all, each id once, and `X-Total-Count` is exact
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent


class Failed(Exception):
    """A promise was broken."""


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.status} {self.body[:300].decode(errors='replace')}"


class Client:
    """A connection that is kept."""

    def __init__(self, port):
        self.port, self.socket = port, None
        self.connect()

    def connect(self):
        if self.socket:
            self.socket.close()
        self.socket = socket.create_connection(("127.0.0.1", self.port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def send(self, method, path, body=None, headers=()):
        data = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "host: races", *(f"{name}: {value}" for name, value in headers)]
        if body is not None:
            lines += ["content-type: application/json", f"content-length: {len(data)}"]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)

    def more(self):
        data = self.socket.recv(65536)
        if not data:
            raise Failed("the gateway closed a connection instead of answering")
        self.buffer += data

    def read(self):
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        parts = (line.partition(": ") for line in lines)
        headers = {name.lower(): value for name, _, value in parts}
        length = int(headers.get("content-length", 0))
        while len(self.buffer) < length:
            self.more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(int(first.split()[1]), headers, body)

    def ask(self, *request, **more):
        self.send(*request, **more)
        return self.read()


class Race:
    """What the races share: the clients, and a word that no other round uses."""

    def __init__(self, clients, statuses):
        self.clients, self.statuses, self.one = clients, statuses, clients[0]

    def at_once(self, requests):
        """The responses to requests that are all sent before one is read, in the order of the requests."""
        pairs = list(zip(random.sample(self.clients, len(requests)), requests))
        for client, request in random.sample(pairs, len(pairs)):
            client.send(*request[:3], headers=request[3] if len(request) > 3 else ())
        answers = [client.read() for client, _ in pairs]
        for answer in answers:
            self.statuses[answer.status] += 1
            if answer.status >= 500:
                raise Failed(f"a server error: {answer}")
        return answers

    def made(self, path, body):
        answer = self.one.ask("POST", path, body)
        self.must(answer.status == 201, f"POST {path}: {answer}")
        return answer.json()["id"], answer.headers["etag"]

    def found(self, path, **filters):
        query = {f"filter[{name}]": value for name, value in filters.items()} | {"per_page": 100, "count": "exact"}
        answer = self.one.ask("GET", f"{path}?{urllib.parse.urlencode(query)}")
        self.must(answer.status == 200, f"GET {path}: {answer}")
        return int(answer.headers["x-total-count"])

    @staticmethod
    def must(holds, what):
        if not holds:
            raise Failed(what)

    def counts(self, answers, **expected):
        """Exactly so many of each status, which are written as `s201`."""
        found = collections.Counter(answer.status for answer in answers)
        wanted = {int(name[1:]): count for name, count in expected.items() if count}
        others = [str(answer) for answer in answers if answer.status not in wanted]
        self.must(found == wanted, f"{dict(found)} instead of {wanted} {others[:1]}")


def creates(race, round_):
    email = f"c{round_}@example.com"
    # Upper and lower case are one address.
    bodies = [{"email": email if at % 2 else email.upper()} for at in range(len(race.clients))]
    answers = race.at_once([("POST", "/accounts", body) for body in bodies])
    race.counts(answers, s201=1, s409=len(answers) - 1)
    race.must(race.found("/accounts", email=email) == 1, "more or less than one item")


def replaced(race, round_):
    email = f"r{round_}@example.com"
    key, _ = race.made("/accounts", {"email": email})
    half = len(race.clients) // 2
    answers = race.at_once([("DELETE", f"/accounts/{key}", None)] * half + [("POST", "/accounts", {"email": email})] * half)
    race.counts(answers[:half], s204=1, s404=half - 1)
    created = sum(answer.status == 201 for answer in answers[half:])
    race.counts(answers[half:], s201=created, s409=half - created)
    race.must(created <= 1, f"{created} items with one unique value")
    race.must(race.found("/accounts", email=email) == created, "an item that was not confirmed, or the other way around")


def versions(race, round_):
    if round_ == 0:
        race.state = (*race.made("/accounts", {"email": "versions@example.com"}), 0)
    key, tag, views = race.state
    request = ("PATCH", f"/accounts/{key}", {"views": views + 1}, [("if-match", tag)])
    answers = race.at_once([request] * len(race.clients))
    race.counts(answers, s200=1, s412=len(answers) - 1)
    winner = next(answer for answer in answers if answer.status == 200)
    now = race.one.ask("GET", f"/accounts/{key}")
    race.must(now.json()["views"] == views + 1, f"the counter is {now} after {views + 1} rounds")
    race.must(now.headers["etag"] == winner.headers["etag"], "the tag of the winner is not that of the item")
    race.state = (key, winner.headers["etag"], views + 1)


def keys(race, round_):
    body = {"round": round_}
    answers = race.at_once([("POST", "/tickets", body, [("idempotency-key", f"k{round_}")])] * len(race.clients))
    race.counts(answers, s201=len(answers))
    same = {(answer.body, answer.headers["location"], answer.headers["etag"]) for answer in answers}
    race.must(len(same) == 1, f"{len(same)} different responses to one key")
    first = sum("idempotency-replayed" not in answer.headers for answer in answers)
    race.must(first == 1, f"{first} responses are the first one")
    race.must(race.found("/tickets", round=round_) == 1, "more or less than one item")


def puts(race, round_):
    requests = [("PUT", f"/keys/k{round_}", {"writer": at}) for at in range(len(race.clients))]
    answers = race.at_once(requests)
    race.counts(answers, s201=1, s200=len(answers) - 1)
    writer = race.one.ask("GET", f"/keys/k{round_}").json()["writer"]
    race.must(writer in range(len(race.clients)), f"no one wrote {writer}")


def upserts(race, round_):
    slug = f"u{round_}"
    lists = [[{"slug": slug, "round": -round_ - 1, "writer": at}] for at in range(len(race.clients))]
    answers = race.at_once([("PUT", "/articles", items) for items in lists])
    race.counts(answers, s200=len(answers))
    ids = {answer.json()[0]["id"] for answer in answers}
    race.must(len(ids) == 1, f"{len(ids)} ids of one item")
    race.must(race.found("/articles", round=-round_ - 1) == 1, "more or less than one item")


def overlapping(race, round_, word):
    """Lists of five items, one of which all of them have."""
    lists = []
    for at in range(len(race.clients)):
        items = [{"slug": f"{word}{round_}-{at}-{number}", "round": round_, "writer": at} for number in range(4)]
        items.append({"slug": f"{word}{round_}-shared", "round": round_, "writer": at})
        random.shuffle(items)
        lists.append(items)
    return lists


def bulk(race, round_):
    answers = race.at_once([("POST", "/articles", items) for items in overlapping(race, round_, "b")])
    race.counts(answers, s201=1, s409=len(answers) - 1)
    race.must(race.found("/articles", round=round_) == 5, "not exactly the five items of the winner")


def lenient(race, round_):
    # Rounds of their own.
    number = 1_000_000 + round_
    lists = overlapping(race, number, "l")
    prefer = [("prefer", "handling=lenient")]
    answers = race.at_once([("POST", "/articles", items, prefer) for items in lists])
    race.counts(answers, s207=len(answers))
    statuses = collections.Counter(outcome["status"] for answer in answers for outcome in answer.json())
    wanted = {201: 4 * len(lists) + 1, 409: len(lists) - 1}
    race.must(statuses == {status: count for status, count in wanted.items() if count}, f"outcomes {dict(statuses)}")
    race.must(race.found("/articles", round=number) == wanted[201], "another number of items than was confirmed")


def deletes(race, round_):
    key, _ = race.made("/accounts", {"email": f"d{round_}@example.com"})
    half = len(race.clients) // 2
    changes = [("PATCH", f"/accounts/{key}", {"views": at + 1}) for at in range(half)]
    answers = race.at_once([("DELETE", f"/accounts/{key}", None)] * half + changes)
    race.counts(answers[:half], s204=1, s404=half - 1)
    done = sum(answer.status == 200 for answer in answers[half:])
    race.counts(answers[half:], s200=done, s404=half - done)
    race.must(race.one.ask("GET", f"/accounts/{key}").status == 404, "the item is still there")


def parents(race, round_):
    key, _ = race.made("/lists", {"name": str(round_)})
    half = len(race.clients) // 2
    answers = race.at_once([("DELETE", f"/lists/{key}", None)] * half + [("POST", "/items", {"list_id": key})] * half)
    deleted = sum(answer.status == 204 for answer in answers[:half])
    created = sum(answer.status == 201 for answer in answers[half:])
    left = race.found("/items", list_id=key)
    race.counts(answers[half:], s201=created, s400=half - created)
    race.must(left == created, f"{left} items, and {created} were confirmed")
    race.must((deleted, created) == (1, 0) or deleted == 0 < created, f"{deleted} deletes, {created} items")
    race.counts(answers[:half], s204=deleted, **({"s404": half - 1} if deleted else {"s409": half}))
    race.must(race.one.ask("GET", f"/lists/{key}").status == (404 if deleted else 200), "the list is there and is not")


def cascades(race, round_):
    key, _ = race.made("/folders", {"name": str(round_)})
    half = len(race.clients) // 2
    answers = race.at_once([("DELETE", f"/folders/{key}", None)] * half + [("POST", "/files", {"folder_id": key})] * half)
    created = sum(answer.status == 201 for answer in answers[half:])
    race.counts(answers[:half], s204=1, s404=half - 1)
    race.counts(answers[half:], s201=created, s400=half - created)
    race.must(race.found("/files", folder_id=key) == 0, "a file without its folder")


def renames(race, round_):
    if round_ == 0:
        names = [f"n{at}@example.com" for at in range(len(race.clients))]
        race.state = [race.made("/accounts", {"email": name})[0] for name in names]
    email = f"one{round_}@example.com"
    answers = race.at_once([("PATCH", f"/accounts/{key}", {"email": email}) for key in race.state])
    race.counts(answers, s200=1, s409=len(answers) - 1)
    race.must(race.found("/accounts", email=email) == 1, "more or less than one item")


def counted(race, round_):
    number = 1_000_000 + round_
    answers = race.at_once([("POST", "/tickets", {"round": number})] * len(race.clients))
    race.counts(answers, s201=len(answers))
    ids = {answer.json()["id"] for answer in answers}
    race.must(len(ids) == len(answers), "an id was given twice")
    race.must(race.found("/tickets", round=number) == len(answers), "another number of items than was confirmed")


RACES = [
    creates, replaced, versions, keys, puts, upserts, bulk, lenient, deletes, parents, cascades, renames, counted
]


def start(stack, gateway, store, port, folder):
    command = [gateway, "run", HERE / "races.yaml"]
    log = open(folder / "gateway.log", "w+")
    environment = os.environ | {"RACES_STORE": store, "PORT": str(port)}
    process = subprocess.Popen([str(word) for word in command], env=environment, stdout=log, stderr=subprocess.STDOUT)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    until = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return log
        if process.poll() is not None or time.monotonic() > until:
            log.seek(0)
            sys.exit(f"the gateway does not listen:\n{log.read()}")
        time.sleep(0.05)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    names = [race.__name__ for race in RACES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gateway", type=pathlib.Path, help="the program to test")
    parser.add_argument("--clients", type=int, default=64, help="an even number")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--only", default=",".join(names), help="some of the races")
    parser.add_argument("--postgres", action="store_true", help="store everything at TEST_POSTGRES")
    parser.add_argument("--seed", type=int, default=1, help="of the orders in which requests are sent")
    chosen = parser.parse_args()
    unknown = set(chosen.only.split(",")) - set(names)
    if unknown or chosen.clients < 4 or chosen.clients % 2:
        parser.error(f"no such race: {', '.join(sorted(unknown))}" if unknown else "--clients must be even and at least 4")
    random.seed(chosen.seed)
    failed = False
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatewright-races-")))
        store = f"sqlite://{folder}/races.db"
        if chosen.postgres:
            store = os.environ.get("TEST_POSTGRES") or parser.error("TEST_POSTGRES is not set: use .ci/postgres")
            store += "" if "?" in store else "?sslmode=disable"
        port = free_port()
        log = start(stack, chosen.gateway.resolve(), store, port, folder)
        clients = [Client(port) for _ in range(chosen.clients)]
        for race in (race for race in RACES if race.__name__ in chosen.only.split(",")):
            statuses, begun = collections.Counter(), time.monotonic()
            about, round_ = Race(clients, statuses), 0
            try:
                for round_ in range(chosen.rounds):
                    race(about, round_)
                result = "ok"
            except (Failed, OSError) as error:
                result, failed = f"FAIL in round {round_}: {error}", True
                for client in clients:
                    client.connect()
            seen = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
            print(f"{race.__name__:10} {time.monotonic() - begun:6.1f} s  {seen:48} {result}", flush=True)
        log.flush()
        complaints = (folder / "gateway.log").read_text()
        if complaints:
            print(f"the gateway logged:\n{complaints[:2000]}")
    kind = "PostgreSQL" if chosen.postgres else "SQLite"
    print(f"{chosen.clients} clients, {chosen.rounds} rounds, {kind}: {'FAILED' if failed else 'all as promised'}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
