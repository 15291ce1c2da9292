"""Connections that would keep the server waiting or fill its memory, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from switchboard.entrypoints.http_connection import BoundedConnection

LIMIT_SECONDS = 10.0


class HastyConnection(BoundedConnection):
    """The same with less patience."""

    head_seconds = 0.1
    silence_seconds = 0.1
    check_seconds = 0.02


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the length of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(protocol: type[Any]) -> AsyncIterator[int]:
    """A server on a free port, with the real one's settings."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(echo, http=protocol, ws="none", access_log=False, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def answer_to(port: int, *parts: bytes) -> bytes:
    """Whatever comes back until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), LIMIT_SECONDS)
    except ConnectionResetError:
        return b"reset"
    finally:
        writer.close()


async def test_a_head_without_end_is_refused() -> None:
    async with serving(BoundedConnection) as port:
        endless = [b"GET / HTTP/1.1\r\nHost: x\r\nX: ", *[b"a" * 65_536] * 20]
        assert (await answer_to(port, *endless))[:12] in {b"HTTP/1.1 431", b"reset"}
        many = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"x%d: y\r\n" % n for n in range(60_000))
        assert (await answer_to(port, many))[:12] in {b"HTTP/1.1 431", b"reset"}


async def test_headers_behind_a_body_without_end_are_refused() -> None:
    begin = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"
    async with serving(BoundedConnection) as port:
        assert (await answer_to(port, begin, *[b"X: " + b"a" * 65_536] * 20))[:12] in {b"HTTP/1.1 431", b"reset"}


async def test_a_large_body_in_many_parts_is_taken() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (50 * 65_536)
    async with serving(BoundedConnection) as port:
        assert (await answer_to(port, head, *[b"a" * 65_536] * 50)).endswith(b"\r\n\r\n3276800")
        chunked = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunks = b"1\r\na\r\n" * 50_000 + b"0\r\n\r\n"
        assert (await answer_to(port, chunked, chunks)).endswith(b"\r\n\r\n50000")


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"\r\n",
        b"GET / HTTP/1.1\r\nHost:",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET",
    ],
)
async def test_who_begins_and_says_no_more_is_cut_off(begun: bytes) -> None:
    async with serving(HastyConnection) as port:
        answer = await answer_to(port, begun)
    assert not answer or answer == b"reset" or answer.startswith(b"HTTP/1.1 200")
