"""The intake address over HTTP: what it takes, what it refuses, and that 202 means stored."""

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import httpx2
import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller, system_caller
from switchboard.intake import service
from switchboard.intake.app import IntakeApp
from switchboard.intake.batcher import Batcher
from switchboard.intake.doors import Doors
from switchboard.intake.models import Source
from switchboard.kernel.body_budget import BodyBudget
from switchboard.kernel.db import Database
from switchboard.kernel.events import Hub
from tests.intake.conftest import Sender, count_signals, make_source, recognise_all

ANN = {"name": "Ann", "email": "ann@x.example"}
HTML = {"Accept": "text/html,application/xhtml+xml"}


def _people(number: int) -> list[dict[str, str]]:
    return [{"email": f"p{index}@x.example"} for index in range(number)]


async def test_one_object_is_stored_before_the_answer(sender: Sender, database: Database, workspace_id: UUID) -> None:
    answer = await sender.post(json=ANN)
    assert answer.status_code == 202
    body = answer.json()
    assert (body["accepted"], body["duplicates"], len(body["ids"])) == (1, 0, 1)
    assert int(answer.headers["content-length"]) == len(answer.content)
    async with database.transaction(workspace_id) as tx:
        rows = await tx.fetch_tuples("SELECT id, payload FROM app.signal")
        due = await tx.fetch_tuples("SELECT signal_id FROM app.signal_due")
    assert rows == [(UUID(body["ids"][0]), ANN)]
    assert due == [(UUID(body["ids"][0]),)]


async def test_an_array_of_a_thousand_is_taken_whole(sender: Sender, database: Database, workspace_id: UUID) -> None:
    answer = await sender.post(json=_people(1_000))
    assert answer.status_code == 202
    assert (answer.json()["accepted"], len(set(answer.json()["ids"]))) == (1_000, 1_000)
    assert await count_signals(database, workspace_id) == 1_000


async def test_an_array_of_a_thousand_and_one_is_refused_whole(
    sender: Sender, database: Database, workspace_id: UUID
) -> None:
    answer = await sender.post(json=_people(1_001))
    assert answer.status_code == 413
    assert answer.json()["limit_rows"] == 1_000
    assert await count_signals(database, workspace_id) == 0


async def test_lines_of_json_are_one_signal_each(sender: Sender, database: Database, workspace_id: UUID) -> None:
    lines = b"\n".join(json.dumps(person).encode() for person in _people(3))
    answer = await sender.post(content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert (answer.status_code, answer.json()["accepted"]) == (202, 3)
    assert await count_signals(database, workspace_id) == 3


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
async def test_a_form_is_one_signal(sender: Sender, database: Database, workspace_id: UUID, kind: str) -> None:
    files = {"brochure": ("x.txt", b"text")} if kind == "multipart" else None
    answer = await sender.post(data=ANN, files=files)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    async with database.transaction(workspace_id) as tx:
        payload = await tx.fetch_value("SELECT payload FROM app.signal")
    assert {name: payload[name] for name in ANN} == ANN


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        ("https://www.acme.example/thanks?x=1", "https://www.acme.example/thanks?x=1"),
        ("https://evil.example/", "/thanks"),
        ("javascript:alert(1)", "/thanks"),
        ("", "/thanks"),
    ],
)
async def test_a_browser_goes_back_only_to_hosts_the_source_names(
    outside: httpx2.AsyncClient, database: Database, form: Source, target: str, seen: str
) -> None:
    async with database.transaction(form.workspace_id) as tx:
        await service.set_redirect_hosts(tx, system_caller(form.workspace_id), form.id, ["WWW.acme.example"])
    answer = await outside.post(f"/in/{form.token}", data={**ANN, "redirect": target}, headers=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, seen)
    assert await count_signals(database, form.workspace_id) == 1


async def test_a_filled_trap_is_accepted_and_becomes_junk(
    outside: httpx2.AsyncClient, database: Database, form: Source
) -> None:
    answer = await outside.post(f"/in/{form.token}", data={**ANN, "website_url_confirm": "http://spam.example"})
    assert answer.status_code == 202
    await recognise_all(database)
    async with database.transaction(form.workspace_id) as tx:
        outcome = await tx.fetch_tuples("SELECT outcome, lead_id IS NOT NULL FROM app.signal_outcome")
        lead = await tx.fetch_tuples("SELECT is_junk, owner_id FROM app.lead")
    assert outcome == [("junk", True)]
    assert lead == [(True, None)]


async def test_an_address_nobody_has_and_a_paused_one_are_answered_alike(
    outside: httpx2.AsyncClient, database: Database, source: Source
) -> None:
    unknown = await outside.post("/in/nobody", json=ANN)
    async with database.transaction(source.workspace_id) as tx:
        await service.pause_source(tx, system_caller(source.workspace_id), source.id)
    paused = await outside.post(f"/in/{source.token}", json=ANN)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_source")
    assert paused.json() == unknown.json()
    assert await count_signals(database, source.workspace_id) == 0


async def test_after_a_new_token_the_old_address_is_nobodys(
    app: Starlette, outside: httpx2.AsyncClient, database: Database, source: Source
) -> None:
    async with database.transaction(source.workspace_id) as tx:
        renewed = await service.rotate_token(tx, system_caller(source.workspace_id), source.id)
    assert (await outside.post(f"/in/{source.token}", json=ANN)).status_code == 404
    assert (await outside.post(f"/in/{renewed.token}", json=ANN)).status_code == 202


@pytest.mark.parametrize(
    ("content", "kind", "refusal"),
    [
        (b"{", "application/json", (400, "unreadable")),
        (b"", "application/json", (400, "unreadable")),
        (b"<lead/>", "text/xml", (415, "unsupported_media_type")),
        (b'{"a":"' + b"x" * (1 << 20) + b'"}', "application/json", (413, "too_large")),
        (b"[1]", "application/json", (422, "invalid")),
    ],
)
async def test_what_cannot_be_read_is_refused(
    sender: Sender, database: Database, content: bytes, kind: str, refusal: tuple[int, str]
) -> None:
    answer = await sender.post(content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == refusal
    assert answer.headers["content-type"] == "application/problem+json"
    assert await count_signals(database, sender.workspace_id) == 0


async def test_a_bad_row_is_named_and_nothing_of_the_array_is_taken(
    sender: Sender, database: Database, workspace_id: UUID
) -> None:
    answer = await sender.post(json=[ANN, "not an object"])
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "rows.1"
    assert await count_signals(database, workspace_id) == 0


async def test_a_wrong_header_is_named(sender: Sender, database: Database, workspace_id: UUID) -> None:
    answer = await sender.post(json=ANN, headers={"Idempotency-Key": "x" * 256})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert await count_signals(database, workspace_id) == 0


async def test_an_endless_body_is_refused_when_it_passes_the_limit(sender: Sender) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(12):
            yield b" " * (1 << 20)

    answer = await sender.post(content=endless(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["limit_bytes"]) == (413, 10 << 20)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_other_methods_are_told_to_post(sender: Sender, method: str) -> None:
    answer = await sender.client.request(method, sender.path)
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST, OPTIONS"


async def test_scripts_of_any_site_may_post(sender: Sender) -> None:
    asked = await sender.client.options(sender.path, headers={"Origin": "https://www.acme.example"})
    assert (asked.status_code, asked.content) == (204, b"")
    assert asked.headers["access-control-allow-origin"] == "*"
    assert "POST" in asked.headers["access-control-allow-methods"]
    posted = await sender.post(json=ANN)
    assert posted.headers["access-control-allow-origin"] == "*"


async def test_an_idempotency_key_makes_two_requests_one_signal_whatever_they_say(
    sender: Sender, database: Database, workspace_id: UUID
) -> None:
    first = await sender.post(json=ANN, headers={"Idempotency-Key": "k1"})
    same = await sender.post(json=ANN, headers={"Idempotency-Key": "k1"})
    other_body = await sender.post(json={"email": "bob@x.example"}, headers={"Idempotency-Key": "k1"})
    other_key = await sender.post(json=ANN, headers={"Idempotency-Key": "k2"})
    assert (same.json()["duplicates"], same.json()["ids"]) == (1, first.json()["ids"])
    assert (other_body.json()["duplicates"], other_body.json()["ids"]) == (1, first.json()["ids"])
    assert other_key.json()["accepted"] == 1
    assert await count_signals(database, workspace_id) == 2


async def test_the_senders_own_id_makes_two_bodies_one_signal(
    sender: Sender, database: Database, workspace_id: UUID
) -> None:
    await sender.post(json={**ANN, "submission_id": "s-1"})
    again = await sender.post(json={**ANN, "submission_id": "s-1", "utm_source": "late"})
    assert again.json()["duplicates"] == 1
    assert await count_signals(database, workspace_id) == 1


async def test_equal_content_is_one_signal_whatever_its_order(
    sender: Sender, database: Database, workspace_id: UUID
) -> None:
    body = [ANN, {"email": "ann@x.example", "name": "Ann"}, {**ANN, "message": "another"}]
    answer = await sender.post(json=body)
    assert (answer.json()["accepted"], answer.json()["duplicates"]) == (2, 1)
    assert answer.json()["ids"][0] == answer.json()["ids"][1]
    assert await count_signals(database, workspace_id) == 2


def _signed(body: bytes, secret: str) -> dict[str, str]:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json"}


FACEBOOK_LEAD = json.dumps(
    {
        "id": "1",
        "created_time": "2026-03-01T12:00:00+0000",
        "field_data": [{"name": "email", "values": ["ann@x.example"]}],
    }
).encode()


async def test_facebook_shakes_hands_with_the_token_and_signs_with_the_secret(
    outside: httpx2.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    source = await make_source(database, workspace_id, "Ads", "facebook")
    path = f"/in/{source.token}"
    unsigned = await outside.post(path, content=FACEBOOK_LEAD, headers=_signed(FACEBOOK_LEAD, ""))
    assert (unsigned.status_code, await count_signals(database, workspace_id)) == (401, 0)
    async with database.transaction(workspace_id) as tx:
        renewed = await service.set_signing_secret(tx, system_caller(workspace_id), source.id, "app secret")
        renewed = await service.rotate_token(tx, system_caller(workspace_id), renewed.id)
    path = f"/in/{renewed.token}"
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": renewed.token}
    shaken = await outside.get(path, params=query)
    assert (shaken.status_code, shaken.text) == (200, "1158201444")
    assert shaken.headers["x-content-type-options"] == "nosniff"
    refused = await outside.get(path, params={**query, "hub.verify_token": "guess"})
    assert refused.status_code == 401
    forged = await outside.post(path, content=FACEBOOK_LEAD, headers=_signed(FACEBOOK_LEAD, "guess"))
    assert (forged.status_code, await count_signals(database, workspace_id)) == (401, 0)
    taken = await outside.post(path, content=FACEBOOK_LEAD, headers=_signed(FACEBOOK_LEAD, "app secret"))
    assert (taken.status_code, await count_signals(database, workspace_id)) == (202, 1)


@asynccontextmanager
async def _client(intake: IntakeApp) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=intake)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


async def test_a_full_buffer_asks_to_come_back(database: Database, source: Source) -> None:
    batcher = Batcher(database, most_waiting=2)
    batcher.start()
    async with _client(IntakeApp(Doors(database), batcher)) as client:
        answer = await client.post(f"/in/{source.token}", json=_people(3))
    await batcher.stop()
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "intake_full", "1")
    assert await count_signals(database, source.workspace_id) == 0


async def test_bodies_in_flight_share_a_budget_and_give_it_back(database: Database, source: Source) -> None:
    batcher, bodies = Batcher(database, most_waiting=100), BodyBudget(most_bytes=100)
    batcher.start()
    async with _client(IntakeApp(Doors(database), batcher, bodies)) as client:
        refused = await client.post(f"/in/{source.token}", content=b"x" * 101)
        taken = await client.post(f"/in/{source.token}", json=ANN)
    await batcher.stop()
    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "unavailable", "2")
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert (taken.status_code, taken.headers["x-content-type-options"]) == (202, "nosniff")
    assert bodies.held_bytes == 0


async def test_a_failing_commit_is_never_acknowledged(
    database: Database, source: Source, urls: object, agent: Caller
) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1", Hub(), max_connections=2)
    batcher = Batcher(away, most_waiting=100)
    batcher.start()
    async with _client(IntakeApp(Doors(database), batcher)) as client:
        answer = await client.post(f"/in/{source.token}", json=ANN)
    await batcher.stop()
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert await count_signals(database, source.workspace_id) == 0
