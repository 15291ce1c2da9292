"""The pages of sources, their log, the mapping editor and imports, for each role and for strangers."""

import re
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.intake import importing, service
from switchboard.intake.models import Source
from switchboard.intake.wiring import job_handlers
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.jobs import JobLoop
from tests.intake.conftest import recognise_all, store
from tests.pages import Browser, signed_in

ANN = {"name": "Ann Lee", "email": "ann@x.example"}
JSON = "application/json"
NOWHERE = "01890000-0000-7000-8000-000000000000"


async def test_a_source_is_made_and_shows_an_address_that_works(
    app: Starlette, database: Database, owner: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        made = await browser.post("/sources", {"name": "Site", "format": "webform"})
        assert made.status_code == 303
        shown = await browser.get(made.headers["location"])
        listed = await browser.get("/sources")
        address = re.search(r"action=&#34;http://127\.0\.0\.1:8000(/in/[\w-]+)&#34;", shown.text)
        assert address is not None
        posted = await browser.client.post(address[1], json=ANN)
    assert (shown.status_code, listed.status_code, posted.status_code) == (200, 200, 202)
    assert "website_url_confirm" in shown.text
    assert "curl http://127.0.0.1:8000/in/" in shown.text
    assert ">Site<" in listed.text


@pytest.mark.parametrize(
    "typed",
    [{"name": "", "format": "webform"}, {"name": "New", "format": "fax"}, {"name": "SITE", "format": "generic"}],
)
async def test_a_form_with_a_mistake_is_shown_again(
    app: Starlette, database: Database, owner: Caller, source: Source, typed: dict[str, str]
) -> None:
    async with signed_in(app, database, owner) as browser:
        refused = await browser.post("/sources", typed)
    assert refused.status_code == 422
    assert 'aria-invalid="true"' in refused.text
    async with database.transaction(owner.workspace_id) as tx:
        assert await service.list_sources(tx, owner) == [source]


async def test_a_test_is_followed_from_station_to_station(
    app: Starlette, database: Database, agent: Caller, source: Source
) -> None:
    async with signed_in(app, database, agent) as browser:
        sent = await browser.post(f"/sources/{source.id}/test")
        path = sent.headers["location"]
        before = await browser.get(path)
        await recognise_all(database)
        after = await browser.get(path)
    assert (sent.status_code, before.status_code, after.status_code) == (303, 200, 200)
    assert "Waiting to be read" in before.text
    assert "Open the lead of" in after.text
    assert "amir+test-" in after.text
    async with database.transaction(agent.workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.lead") == 1


async def test_the_log_shows_what_failed_and_runs_it_again(
    app: Starlette, database: Database, agent: Caller, source: Source
) -> None:
    (bad,) = await store(database, source, {"message": "<b>nobody</b>"})
    await recognise_all(database)
    base = f"/sources/{source.id}/signals"
    async with signed_in(app, database, agent) as browser:
        failed = await browser.get(f"{base}?show=failed")
        one = await browser.get(f"{base}/{bad}")
        again = await browser.post(f"{base}/{bad}/again")
        all_again = await browser.post(f"{base}/again")
    assert "No e-mail address or phone number" in failed.text
    assert "&lt;b&gt;nobody&lt;/b&gt;" in one.text
    assert (again.status_code, all_again.status_code) == (303, 303)
    assert await recognise_all(database) == 1


async def test_the_log_takes_a_bounded_number_of_queries(
    app: Starlette, database: Database, agent: Caller, source: Source
) -> None:
    await store(database, source, *({"email": f"p{number}@x.example"} for number in range(60)))
    await recognise_all(database)
    async with signed_in(app, database, agent) as browser:
        with recorded_queries() as statements:
            first = await browser.get(f"/sources/{source.id}/signals")
        older = re.search(r'rel="next" href="([^"]+)"', first.text)
        assert older is not None
        second = await browser.get(older[1])
    assert len(statements) <= 16
    assert (first.text.count("data-row"), second.text.count("data-row")) == (50, 10)


async def test_a_mapping_is_tried_while_it_is_typed_and_saved(
    app: Starlette, database: Database, owner: Caller, source: Source
) -> None:
    await store(database, source, {"mail": "ann@x.example", "topic": "Prices"})
    base = f"/sources/{source.id}/mapping"
    async with signed_in(app, database, owner) as browser:
        shown = await browser.get(base)
        tried = await browser.post(f"{base}/try", {"mapping": '{"message": "topic"}'}, **{"HX-Request": "true"})
        wrong = await browser.post(base, {"mapping": '{"nonsense": "topic"}'})
        no_json = await browser.post(f"{base}/try", {"mapping": "{"}, **{"HX-Request": "true"})
        saved = await browser.post(base, {"mapping": '{"message": "topic"}'})
    assert "all can be read" in shown.text
    assert "1 would change" in tried.text
    assert "<html" not in tried.text
    assert (wrong.status_code, saved.status_code) == (422, 303)
    assert "Not a field of ours" in wrong.text
    assert "This is not JSON" in no_json.text
    async with database.transaction(owner.workspace_id) as tx:
        assert (await service.access_source(tx, owner, source.id)).mapping == {"message": "topic"}


async def test_settings_are_saved_together_or_not_at_all(
    app: Starlette, database: Database, owner: Caller, form: Source
) -> None:
    base = f"/sources/{form.id}/settings"
    async with signed_in(app, database, owner) as browser:
        refused = await browser.post(base, {"name": "New name", "redirect_hosts": "https://x.example/"})
        async with database.transaction(owner.workspace_id) as tx:
            assert await service.access_source(tx, owner, form.id) == form
        saved = await browser.post(base, {"name": "New name", "redirect_hosts": "x.example\nwww.x.example"})
        shown = await browser.get(base)
    assert (refused.status_code, saved.status_code, shown.status_code) == (422, 303, 200)
    assert 'value="New name"' in refused.text
    async with database.transaction(owner.workspace_id) as tx:
        source = await service.access_source(tx, owner, form.id)
    assert (source.name, source.settings) == ("New name", {"redirect_hosts": ["www.x.example", "x.example"]})


async def test_a_source_is_paused_and_resumed_and_gets_a_new_address(
    app: Starlette, database: Database, owner: Caller, source: Source
) -> None:
    async with signed_in(app, database, owner) as browser:
        await browser.post(f"/sources/{source.id}/pause")
        paused = await browser.get(f"/sources/{source.id}")
        refused = await browser.post(f"/sources/{source.id}/test", Accept="application/json")
        await browser.post(f"/sources/{source.id}/resume")
        await browser.post(f"/sources/{source.id}/token")
        moved = await browser.get(f"/sources/{source.id}")
    assert "senders are told that there is nobody" in paused.text
    assert refused.status_code == 409
    assert source.token not in moved.text


async def test_the_payloads_of_a_lead_are_shown_with_it(
    app: Starlette, database: Database, viewer: Caller, source: Source
) -> None:
    await store(database, source, ANN)
    await recognise_all(database)
    async with database.transaction(viewer.workspace_id) as tx:
        lead_id = await tx.fetch_value("SELECT id FROM app.lead")
    async with signed_in(app, database, viewer) as browser:
        whole = await browser.get(f"/leads/{lead_id}/payloads")
        piece = await browser.get(f"/leads/{lead_id}/payloads", **{"HX-Request": "true"})
    assert "ann@x.example" in whole.text
    assert "ann@x.example" in piece.text
    assert ("<html" in whole.text, "<html" in piece.text) == (True, False)
    assert "Run again" not in piece.text


async def _upload(browser: Browser, source: Source, content: bytes, name: str = "leads.csv") -> UUID:
    answer = await browser.client.post(
        "/imports",
        data={"csrf_token": browser.csrf_token, "source": str(source.id)},
        files={"file": (name, content)},
    )
    assert answer.status_code == 303
    return UUID(answer.headers["location"].rpartition("/")[2])


async def _work(database: Database) -> None:
    loop = JobLoop(database, job_handlers(database))
    while (await loop.tick()).handled:
        pass
    await recognise_all(database)


async def test_a_file_goes_from_upload_to_report(
    app: Starlette, database: Database, owner: Caller, source: Source
) -> None:
    content = b"Name,Mail,Firm\nAnn,ann@x.example,Acme\n=1+1,nobody,Acme\n"
    async with signed_in(app, database, owner) as browser:
        import_id = await _upload(browser, source, content)
        path = f"/imports/{import_id}"
        assert "Reading the file" in (await browser.get(path)).text
        await _work(database)
        ready = await browser.get(path)
        data = {"csrf_token": browser.csrf_token, "column": ["", "email", "company"]}
        mapped = await browser.client.post(f"{path}/columns", data=data)
        preview = await browser.get(path)
        started = await browser.post(f"{path}/start")
        running = await browser.get(path)
        await _work(database)
        report = await browser.get(path)
        errors = await browser.get(f"{path}/errors.csv")
        listed = await browser.get("/imports")
    assert "Import 2 rows" in ready.text
    assert (mapped.status_code, started.status_code) == (303, 303)
    assert '<td dir="auto">Ann</td>' in ready.text
    assert '<td dir="auto">Ann</td>' not in preview.text
    assert "<progress" in running.text
    assert "Done" in report.text
    assert errors.headers["content-disposition"] == 'attachment; filename="not-imported.csv"'
    assert errors.content.decode("utf-8-sig").splitlines()[1].startswith("3,")
    assert "'=1+1" in errors.text
    assert ">leads.csv<" in listed.text
    async with database.transaction(owner.workspace_id) as tx:
        assert await tx.fetch_tuples("SELECT name, company FROM app.contact") == [("", "Acme")]


async def test_an_import_nobody_could_be_reached_by_does_not_start(
    app: Starlette, database: Database, owner: Caller, source: Source
) -> None:
    async with signed_in(app, database, owner) as browser:
        import_id = await _upload(browser, source, b"color,size\nred,10\n")
        await _work(database)
        refused = await browser.post(f"/imports/{import_id}/start")
        stopped = await browser.post(f"/imports/{import_id}/cancel")
    assert (refused.status_code, stopped.status_code) == (422, 303)
    assert "Choose the column that holds e-mail addresses" in refused.text


async def test_a_file_over_the_limit_is_refused_before_it_is_read(
    app: Starlette, database: Database, owner: Caller, source: Source
) -> None:
    async with signed_in(app, database, owner) as browser:
        answer = await browser.client.post(
            "/imports", content=b"x", headers={"Content-Length": str(300 << 20), "Accept": "application/json"}
        )
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


READS = [
    "/sources/{source}",
    "/sources/{source}/signals",
    "/sources/{source}/signals?show=failed",
    "/sources/{source}/signals/{signal}",
    "/sources/{source}/mapping",
    "/leads/{lead}/payloads",
    "/imports/{import_}",
    "/imports/{import_}/errors.csv",
]
AGENT_WRITES = [
    "/sources/{source}/test",
    "/sources/{source}/signals/again",
    "/sources/{source}/signals/{signal}/again",
]
ADMIN_WRITES = [
    "/sources/{source}/mapping",
    "/sources/{source}/mapping/try",
    "/sources/{source}/settings",
    "/sources/{source}/token",
    "/sources/{source}/pause",
    "/sources/{source}/resume",
    "/imports/{import_}/columns",
    "/imports/{import_}/reading",
    "/imports/{import_}/start",
    "/imports/{import_}/cancel",
]


@pytest.fixture
async def places(database: Database, source: Source, owner: Caller) -> dict[str, str]:
    """Ids of one of each thing."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"email\na@x.example\n"

    (signal_id,) = await store(database, source, ANN)
    await recognise_all(database)
    async with database.transaction(owner.workspace_id) as tx:
        import_ = await importing.upload(tx, owner, source.id, "x.csv", parts())
        lead_id = await tx.fetch_value("SELECT id FROM app.lead")
    return {"source": str(source.id), "signal": str(signal_id), "import_": str(import_.id), "lead": str(lead_id)}


async def _statuses(browser: Browser, places: dict[str, str]) -> tuple[set[int], set[int], set[int]]:
    reads = {(await browser.get(path.format(**places), Accept=JSON)).status_code for path in READS}
    agent = {(await browser.post(path.format(**places), Accept=JSON)).status_code for path in AGENT_WRITES}
    admin = {(await browser.post(path.format(**places), Accept=JSON)).status_code for path in ADMIN_WRITES}
    return reads, agent, admin


async def test_what_each_role_may_do(
    app: Starlette, database: Database, places: dict[str, str], agent: Caller, viewer: Caller
) -> None:
    async with signed_in(app, database, viewer) as browser:
        assert await _statuses(browser, places) == ({200}, {403}, {403})
    async with signed_in(app, database, agent) as browser:
        assert await _statuses(browser, places) == ({200}, {303}, {403})
        assert (await browser.get("/sources/new", Accept="application/json")).status_code == 403
        upload = await browser.client.post("/imports", headers={"Accept": "application/json"}, content=b"x")
        assert upload.status_code == 403


async def test_a_stranger_is_told_that_there_is_nothing(
    app: Starlette, database: Database, places: dict[str, str], stranger: Caller
) -> None:
    async with signed_in(app, database, stranger) as browser:
        assert await _statuses(browser, places) == ({404}, {404}, {404})
        missing = dict.fromkeys(places, NOWHERE)
        assert await _statuses(browser, missing) == ({404}, {404}, {404})
        assert places["source"] not in (await browser.get("/sources")).text
        assert places["import_"] not in (await browser.get("/imports")).text


async def test_a_browser_that_posted_a_form_is_thanked(app: Starlette, database: Database, owner: Caller) -> None:
    async with signed_in(app, database, owner) as browser:
        answer = await browser.get("/thanks")
    assert (answer.status_code, "Thank you" in answer.text) == (200, True)
