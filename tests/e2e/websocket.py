#!/usr/bin/env python3
"""WebSockets through the gateway, between the client and the server of the package `websockets`, over reloads and a shutdown. Once with
HTTP/1.1 to the upstream, and once with HTTP/2 (RFC 8441), where HAProxy is the upstream and the server is behind it.

websocket.py GATEWAY     the program to test; needs haproxy and `pip install websockets`
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

COUNT = 50


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def yaml(gateway, admin, upstream, protocol):
    return f"""version: 1
admin: {{ address: "127.0.0.1:{admin}" }}
shutdown: {{ drain: 2s }}
listeners: {{ web: {{ address: "127.0.0.1:{gateway}" }} }}
upstreams:
  chat: {{ targets: [{{ url: "http://127.0.0.1:{upstream}" }}], protocol: {protocol}, timeouts: {{ stream_idle: 5s }} }}
routes:
  chat: {{ path_prefix: /chat, upstream: chat }}
  none: {{ path_prefix: /none, upstream: chat, upgrades: [] }}
"""


async def handle(connection):
    async for message in connection:
        if message == "close":
            await connection.close(4000, "as asked")
            return
        await connection.send(message)


@contextlib.asynccontextmanager
async def over_http1(port):
    async with serve(handle, "127.0.0.1", port, subprotocols=["chat.v2"], ping_interval=1, max_size=None):
        yield


async def listens(port):
    for _ in range(100):
        try:
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
            return
        except OSError:
            await asyncio.sleep(0.1)


HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend web
  bind 127.0.0.1:{port} proto h2
  default_backend chat
backend chat
  server chat 127.0.0.1:{behind}
"""


@contextlib.asynccontextmanager
async def over_http2(port):
    behind = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(HAPROXY.format(port=port, behind=behind))
        file.flush()
        haproxy = await asyncio.create_subprocess_exec("haproxy", "-q", "-db", "-f", file.name)
        try:
            await listens(port)
            async with over_http1(behind):
                yield
        finally:
            haproxy.kill()
            await haproxy.wait()


async def talk(connection, turns):
    for turn in range(turns):
        message = f"{turn} " + "é" * (turn * 997 % 5000) if turn % 2 else os.urandom(turn * 1009 % 70000 + 1)
        await connection.send(message)
        assert await connection.recv() == message, turn
        await asyncio.wait_for(await connection.ping(), 10)


async def check(program, folder, server, protocol):
    gateway, admin, upstream = free_port(), free_port(), free_port()
    file = os.path.join(folder, "gateway.yaml")
    with open(file, "w", encoding="utf-8") as out:
        out.write(yaml(gateway, admin, upstream, protocol))
    url = f"ws://127.0.0.1:{gateway}/chat?room=1"
    options = {"subprotocols": ["chat.v1", "chat.v2"], "ping_interval": 1, "max_size": None}
    async with server(upstream):
        environment = {**os.environ, "XDG_STATE_HOME": folder}
        process = await asyncio.create_subprocess_exec(
            program, "run", file, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, env=environment
        )
        try:
            await listens(gateway)
            first = await connect(url, **options)
            await first.send("one byte at a time " * 100_000)
            assert len(await first.recv()) == 1_900_000
            await first.close()
            assert first.close_code == 1000

            clients = [await connect(url, **options) for _ in range(COUNT)]
            assert all(client.subprotocol == "chat.v2" for client in clients)
            talking = asyncio.gather(*(talk(client, 40) for client in clients))
            while not talking.done():
                process.send_signal(signal.SIGHUP)
                await asyncio.sleep(0.1)
            await talking
            print(f"{protocol}: {COUNT} WebSockets kept over reloads")

            await clients[0].send("close")
            try:
                await clients[0].recv()
                raise AssertionError("the connection is still open")
            except ConnectionClosed as closed:
                assert (closed.rcvd.code, closed.rcvd.reason) == (4000, "as asked"), closed
            try:
                await connect(url.replace("/chat", "/none"))
                raise AssertionError("it was upgraded")
            except InvalidStatus as refused:
                assert refused.response.status_code == 403, refused
            # Idle for longer than `stream_idle`, but for the pings.
            await asyncio.sleep(6)
            await talk(clients[1], 3)

            process.terminate()
            await asyncio.sleep(0.5)
            await asyncio.gather(*(talk(client, 3) for client in clients[1:]))
            await asyncio.gather(*(client.close() for client in clients[1:]))
            assert await asyncio.wait_for(process.wait(), 10) == 0
            print(f"{protocol}: WebSockets talk during the drain and close normally")
        finally:
            if process.returncode is None:
                process.kill()


if len(sys.argv) != 2:
    sys.exit(__doc__)
for start, over in [(over_http1, "http1"), (over_http2, "http2")]:
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(check(os.path.abspath(sys.argv[1]), place, start, over))
