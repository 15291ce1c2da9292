"""Signals over real sockets: plain ones by a call, the others through the application, and nobody can tell which."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from switchboard.accounts.models import system_caller
from switchboard.entrypoints.intake_connection import INTAKE, IntakeConnection
from switchboard.intake import repository, service
from switchboard.intake.app import IntakeApp
from switchboard.intake.batcher import Batcher
from switchboard.intake.doors import Doors
from switchboard.intake.models import NewSignal, Source
from switchboard.kernel.body_budget import BodyBudget
from switchboard.kernel.db import Database
from switchboard.kernel.ids import new_id
from tests.intake.conftest import count_signals, make_source

LIMIT_SECONDS = 10.0
Answer = tuple[int, dict[str, str], dict[str, object]]


@dataclass
class Desk:
    """A server with the product's connections, and what came to its application instead of going to intake."""

    intake: IntakeApp
    batcher: Batcher
    bodies: BodyBudget
    port: int
    called: list[str] = field(default_factory=list)
    stop: Callable[[], None] = lambda: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        self.called.append(scope["path"])
        await self.intake(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"][INTAKE] = self.intake
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})

    async def exchange(self, *parts: bytes, answers: int = 1) -> list[Answer]:
        """Send bytes over one connection and read so many answers."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            return [await asyncio.wait_for(_read(reader), LIMIT_SECONDS) for _ in range(answers)]
        finally:
            writer.close()

    async def warm(self, source: Source) -> None:
        """Let the source be known: the first request to it has to be looked up."""
        await self.exchange(_get(source))
        self.called.clear()


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    headers = dict(re.findall(r"^([a-z-]+): (.*)\r$", head, re.MULTILINE))
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(head.split(" ", 2)[1]), headers, json.loads(body) if body else {}


def _get(source: Source) -> bytes:
    return f"GET /in/{source.token} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def _post(source: Source, body: bytes, headers: Mapping[str, str] = {}, *, version: str = "1.1") -> bytes:
    named = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    lines = [f"POST /in/{source.token} HTTP/{version}", *(f"{name}: {value}" for name, value in named.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _person() -> bytes:
    return json.dumps({"email": f"{uuid4()}@x.example"}).encode()


@asynccontextmanager
async def serving(database: Database, *, most_waiting: int = 100) -> AsyncIterator[Desk]:
    """The server, ended as by SIGTERM."""
    batcher, bodies = Batcher(database, most_waiting=most_waiting), BodyBudget(most_bytes=200_000)
    batcher.start()
    listening = socket.create_server(("127.0.0.1", 0))
    desk = Desk(IntakeApp(Doors(database), batcher, bodies), batcher, bodies, listening.getsockname()[1])
    server = uvicorn.Server(
        uvicorn.Config(desk, http=IntakeConnection, ws="none", access_log=False, log_config=None, lifespan="on")
    )
    desk.stop = lambda: setattr(server, "should_exit", True)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield desk
    finally:
        desk.stop()
        await task
        await batcher.stop()


@pytest.fixture
async def source(database: Database, workspace_id: UUID) -> Source:
    return await make_source(database, workspace_id)


@pytest.fixture
async def desk(database: Database, source: Source) -> AsyncIterator[Desk]:
    async with serving(database) as desk:
        await desk.warm(source)
        yield desk


async def test_a_plain_signal_is_stored_and_answered_without_the_application(
    desk: Desk, database: Database, source: Source
) -> None:
    body = _person()
    ((status, headers, said),) = await desk.exchange(
        _post(source, body[:5], {"Content-Length": str(len(body))}), body[5:]
    )
    assert (status, said["accepted"], desk.called) == (202, 1, [])
    async with database.transaction(source.workspace_id) as tx:
        assert await tx.fetch_tuples("SELECT id, payload FROM app.signal") == [
            (UUID(said["ids"][0]), json.loads(body))  # type: ignore[index]
        ]
    assert desk.bodies.held_bytes == 0
    # What differs from the application's answer is the date at most.
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    chunked = {"Content-Length": "", "Transfer-Encoding": "chunked"}
    ((_, same_headers, again),) = await desk.exchange(_post(source, b"", chunked) + chunks)
    assert (again["duplicates"], again["ids"], desk.called) == (1, said["ids"], [f"/in/{source.token}"])
    assert list(same_headers) == list(headers)
    assert headers | {"date": ""} == same_headers | {"date": ""}


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({}, "1.0"),
        ({"Expect": "100-continue"}, "1.1"),
        ({"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}, "1.1"),
        ({"Content-Length": "70000"}, "1.1"),
    ],
)
async def test_what_is_not_plain_goes_to_the_application(
    desk: Desk, database: Database, source: Source, headers: dict[str, str], version: str
) -> None:
    body = b'{"email": "ann@x.example"}'.ljust(int(headers.get("Content-Length", "0")) or 1)
    answers = await desk.exchange(_post(source, body, headers, version=version), answers=1 + ("Expect" in headers))
    assert answers[-1][0] == (303 if "Accept" in headers else 202)
    assert desk.called == [f"/in/{source.token}"]
    assert await count_signals(database, source.workspace_id) == 1


async def test_signed_paused_and_unknown_sources_are_left_to_the_application(
    desk: Desk, database: Database, source: Source
) -> None:
    signed = await make_source(database, source.workspace_id, "Ads", "facebook")
    paused = await make_source(database, source.workspace_id, "Paused")
    async with database.transaction(source.workspace_id) as tx:
        await service.pause_source(tx, system_caller(source.workspace_id), paused.id)
    for other in (signed, paused):
        await desk.warm(other)
    answers = [(await desk.exchange(_post(other, _person())))[0] for other in (signed, paused)]
    assert [status for status, _, _ in answers] == [401, 404]
    assert desk.called == [f"/in/{signed.token}", f"/in/{paused.token}"]
    assert await count_signals(database, source.workspace_id) == 0


async def test_refusals_are_told_and_the_connection_goes_on(desk: Desk, database: Database, source: Source) -> None:
    requests = [_post(source, b"{"), _post(source, b"[1]"), _post(source, b"<x/>", {"Content-Type": "text/xml"})]
    too_long = _post(source, _person(), {"Idempotency-Key": "x" * 256})
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
    seen = []
    for request in [*requests, too_long, _post(source, _person())]:
        writer.write(request)
        status, headers, said = await asyncio.wait_for(_read(reader), LIMIT_SECONDS)
        seen.append((status, headers["content-type"], said.get("code")))
    writer.close()
    problem = "application/problem+json"
    assert seen == [
        (400, problem, "unreadable"),
        (422, problem, "invalid"),
        (415, problem, "unsupported_media_type"),
        (422, problem, "invalid"),
        (202, "application/json", None),
    ]
    assert (desk.called, desk.bodies.held_bytes) == ([], 0)
    assert await count_signals(database, source.workspace_id) == 1


async def test_a_full_buffer_and_too_many_bodies_ask_to_come_back(database: Database, source: Source) -> None:
    async with serving(database, most_waiting=1) as desk:
        await desk.warm(source)
        ((status, headers, said),) = await desk.exchange(_post(source, b"[%b, %b]" % (_person(), _person())))
        assert (status, said["code"], headers["retry-after"]) == (503, "intake_full", "1")
        desk.bodies.held_bytes = 200_000
        ((status, headers, said),) = await desk.exchange(_post(source, _person()))
        assert (status, said["code"], headers["retry-after"]) == (503, "unavailable", "2")
        assert (desk.called, desk.bodies.held_bytes) == ([], 200_000)
    assert await count_signals(database, source.workspace_id) == 0


async def test_requests_sent_at_once_are_answered_in_their_order(
    desk: Desk, database: Database, source: Source
) -> None:
    requests = [_post(source, b"[%b]" % b",".join(_person() for _ in range(number))) for number in (3, 1, 2)]
    answers = await desk.exchange(b"".join([*requests, _post(source, b"{"), requests[1]]), answers=5)
    assert [(status, said.get("accepted")) for status, _, said in answers] == [
        (202, 3),
        (202, 1),
        (202, 2),
        (400, None),
        (202, 0),
    ]
    assert await count_signals(database, source.workspace_id) == 6


async def test_who_asks_for_the_end_of_the_connection_gets_it(desk: Desk, source: Source) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
    writer.write(_post(source, _person(), {"Connection": "close"}))
    everything = await asyncio.wait_for(reader.read(), LIMIT_SECONDS)
    writer.close()
    assert everything.startswith(b"HTTP/1.1 202 ")
    assert b"\r\nconnection: close\r\n" in everything


async def test_a_bug_is_answered_and_logged(desk: Desk, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("switchboard.intake.app.new_signals", fail)
    with capture_logs() as logs:
        ((status, _, said),) = await desk.exchange(_post(source, _person()))
    assert (status, said["code"]) == (500, "internal")
    assert [entry["event"] for entry in logs] == ["intake.failed"]


@pytest.mark.parametrize("leaves", [True, False])
async def test_a_server_that_stops_answers_first_and_minds_nobody_who_has_left(
    database: Database, source: Source, leaves: bool
) -> None:
    key = uuid4()
    async with serving(database) as desk:
        await desk.warm(source)
        reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
        async with database.transaction(source.workspace_id) as tx:
            # A commit that waits for this transaction holds the answer back.
            await repository.insert_signals(tx, [NewSignal(new_id(), source.workspace_id, source.id, key, 60, "{}")])
            held = asyncio.create_task(
                desk.batcher.accept([NewSignal(new_id(), source.workspace_id, source.id, key, 60, "{}")])
            )
            await asyncio.wait([held], timeout=0.1)
            writer.write(_post(source, _person()))
            await asyncio.wait([held], timeout=0.1)
            if leaves:
                writer.close()
            desk.stop()
        if not leaves:
            everything = await asyncio.wait_for(reader.read(), LIMIT_SECONDS)
            assert everything.startswith(b"HTTP/1.1 202 ")
            writer.close()
        await held
    assert (desk.called, desk.bodies.held_bytes) == ([], 0)
    assert await count_signals(database, source.workspace_id) == 2
