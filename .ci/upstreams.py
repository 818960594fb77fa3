#!/usr/bin/env python3
"""Requests every mode of the hostile upstream through the proxy, with GET and POST: each response must be complete.

usage: upstreams.py CHECKS_FOLDER [PORT]      requires the gateway on PORT, evil_upstream.py on 19400 at /upstream

A valid response is 2xx, 3xx or 4xx from the upstream, 502, 503 or 504 in our JSON form, or a connection that ends after
the head. After each mode, 5 good requests must get the right upstream response. No POST may reach the upstream twice.
"""

import ast
import http.client
import json
import sys
import urllib.request

PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 18080
MODES = """ok slow/0.2 drip/2 close rst half shortbody longbody big/200000 earlyclose keepclose badcl twocl clte te10
badchunk hugechunk noheaders_end headers/100000 bigheader/10000000 crlf 1xx/100000 101 status/500 status/204 garbage http09
gzipbomb setcookie/50 echo hang""".split()


def ask(method, path, timeout=15):
    """Returns status and body, or "cut" if the connection broke after the head, or the error."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=timeout)
    try:
        connection.request(method, path, b"x" * 10 if method == "POST" else None)
        answer = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        return f"no response: {error!r}", b"", {}
    try:
        return answer.status, answer.read(), dict(answer.getheaders())
    except (OSError, http.client.HTTPException):
        return "cut", b"", {}
    finally:
        connection.close()


def count():
    return ast.literal_eval(urllib.request.urlopen("http://127.0.0.1:19400/count").read().decode())


def fault(mode, method):
    name = mode.split("/")[0]
    before = count().get(name, 0)
    status, body, headers = ask(method, f"/upstream/{mode}")
    if isinstance(status, str) and status != "cut":
        return status
    if status in (502, 503, 504):
        try:
            if not {"error", "message"} <= json.loads(body).keys():
                return f"{status} without our form: {body[:80]}"
        except ValueError:
            return f"{status} without our form: {body[:80]}"
    if method == "POST" and count().get(name, 0) - before > 1:
        return "the POST reached the upstream more than once"
    for _ in range(5):
        good, body, headers = ask("GET", "/upstream/ok")
        if good != 200 or body != b"ok" or "X-Poison" in headers or b"EVIL" in body:
            return f"the next request got {good} {body[:40]} {headers}"
    return None


faults = [(mode, method, fault(mode, method)) for mode in MODES for method in ("GET", "POST")]
for mode, method, what in faults:
    if what:
        print(f"FAIL {method} {mode}: {what}")
bad = sum(bool(what) for _, _, what in faults)
print(f"{len(faults) - bad} passed, {bad} failed")
sys.exit(1 if bad else 0)
