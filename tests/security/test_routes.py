"""Every route there is, asked by those who should get nothing: nobody, a stranger, a viewer, another site's form.

The routes are read from the application, so that a new one is tested by being there. What may be asked without signing
in, or by a viewer, is listed here with the reason.
"""

from collections.abc import Mapping

import httpx2
from starlette.applications import Starlette

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from tests.conftest import PASSWORD, Urls, make_member
from tests.leads.conftest import meet
from tests.pages import Browser, anonymous, signed_in
from tests.security.world import FLOW, LETTER, MARK, Door, doors, fingerprint, made_up

# Asked without a session, each with the reason.
PUBLIC = {
    Door("GET", "/sign-in"): "the way in",
    Door("POST", "/sign-in"): "the way in",
    Door("GET", "/health"): "asked by load balancers",
    Door("GET", "/api/health"): "asked by load balancers",
    Door("GET", "/health/ready"): "asked by load balancers",
    Door("GET", "/metrics"): "asked by Prometheus; figures of the whole instance without any name",
    Door("GET", "/thanks"): "where a visitor of somebody's site lands",
    Door("POST", "/inbound/mail"): "asked by a mail provider, which signs",
    Door("GET", "/u/{token}"): "asked by whoever holds the mail, the token is signed",
    Door("POST", "/u/{token}"): "asked by whoever holds the mail, the token is signed",
}
# Forms that change nothing of the workspace, or only what is the viewer's own.
OPEN_TO_VIEWERS = {
    Door("POST", "/sign-out"): "their own session",
    Door("POST", "/settings/profile"): "their own password",
    Door("POST", "/flows/check"): "says what is wrong with a text, keeps nothing",
    Door("POST", "/templates/check"): "says what is wrong with a text, keeps nothing",
    Door("POST", "/templates/preview"): "shows a text, keeps nothing",
}


# Whom to put a tag on, or to fill a list with.
CROWD = {"tag": "fair", "from": "tag", "of": "vip"}


def form_of(door: Door, ids: Mapping[str, str]) -> dict[str, str]:
    """A form that the route accepts from somebody who may."""
    owner = ids["owner"]
    base = {
        "name": "A name",
        "email": "new@client.example",
        "title": "A title",
        "body": "A text",
        "subject": "A line",
        "kind": "email",
        "value": "new@client.example",
        "address": "new@client.example",
        "proof": "They said so",
        "user_id": owner,
        "away_id": owner,
        "owner_id": owner,
        "target": f"user:{owner}",
        "ids": ids["lead"],
        "weight": "1",
        "places": "1",
        "step": "1",
        "seen_version": "1",
        "condition": "true",
        "stage": "new",
        "time_zone": "Europe/Berlin",
        "strategy": "round_robin",
        "is_on": "on",
        "is_enabled": "on",
        "role": "agent",
        "starts": "2027-01-01T10:00",
        "ends": "2027-01-02T10:00",
        "day": "2027-02-02",
        "holiday_name": "A day",
        "override_id": ids["owner"],
        "reason": "A reason",
        "mapping": "{}",
        "until": "tomorrow",
        "format": "generic",
        "present": PASSWORD,
        "password": "an entirely new one",
        "default_region": "DE",
        "mail_from": "a@b.example",
        "first_response_minutes": "5",
        "quiet_start": "21:00",
        "quiet_end": "08:00",
        "cap_messages": "3",
        "cap_days": "7",
        "currency": "EUR",
        **CROWD,
        "variant": "1",
        "states": "failed",
        "source": ids["source"],
    }
    if door.path.endswith("/value"):
        return {**base, "value": "12.50"}
    if door.path.startswith("/flows"):
        return {**base, "source": FLOW.replace("hostile", "another", 1) if door.path == "/flows/new" else FLOW}
    if door.path.startswith("/templates"):
        return {**base, **LETTER, "name": "another" if door.path == "/templates" else "hostile"}
    if door.path == "/settings/stages":
        return {**base, "kind": "open"}
    return base


async def ask(browser: Browser, door: Door, ids: Mapping[str, str], **headers: str) -> httpx2.Response:
    if door.method == "GET":
        return await browser.get(door.of(ids), **headers)
    if door.path == "/imports":
        file = {"file": ("leads.csv", b"name,email\nBo,bo@client.example\n")}
        data = {"csrf_token": browser.csrf_token, "source": ids["source"]}
        return await browser.client.post("/imports", data=data, files=file, headers=headers)
    query = f"?first={ids['lead']}&last={ids['lead']}" if door.path == "/leads/undo" else ""
    return await browser.post(door.of(ids) + query, form_of(door, ids), **headers)


async def test_nobody_gets_past_a_route_that_is_not_listed_as_public(
    app: Starlette, urls: Urls, ids: dict[str, str]
) -> None:
    before = fingerprint(urls)
    let_in = []
    async with anonymous(app) as browser:
        for door in doors(app):
            if door in PUBLIC:
                continue
            answer = await ask(browser, door, ids)
            spoken = await ask(browser, door, ids, Accept="application/json")
            is_sent_away = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next=")
            if spoken.status_code != 401 or not (is_sent_away if door.method == "GET" else answer.status_code == 401):
                let_in.append((door, answer.status_code, spoken.status_code))
    assert let_in == []
    assert fingerprint(urls) == before
    assert set(PUBLIC) - set(doors(app)) == set()


async def test_a_strangers_ids_get_the_answer_of_ids_that_do_not_exist(
    app: Starlette, database: Database, urls: Urls, ids: dict[str, str], stranger: Caller
) -> None:
    nothing = made_up(ids)
    before = fingerprint(urls)
    told = []
    async with signed_in(app, database, stranger) as browser:
        for door in doors(app):
            if not door.names_something or door in PUBLIC:
                continue
            theirs, missing = await ask(browser, door, ids), await ask(browser, door, nothing)
            said = [_without_ids(theirs.text, ids), _without_ids(missing.text, nothing)]
            # A stage is named, and a wrong name is a mistake in the form.
            expected = 422 if door.path.startswith("/settings/stages/") else 404
            if not (theirs.status_code == missing.status_code == expected and said[0] == said[1]):
                told.append((door, theirs.status_code, missing.status_code))
    assert told == []
    assert fingerprint(urls) == before


def _without_ids(text: str, ids: Mapping[str, str]) -> str:
    for one in ids.values():
        text = text.replace(one, "…")
    return text


async def test_a_strangers_ids_in_forms_change_nothing_of_theirs(
    app: Starlette, database: Database, urls: Urls, ids: dict[str, str], stranger: Caller
) -> None:
    before = fingerprint(urls)
    accepted = []
    async with signed_in(app, database, stranger) as browser:
        for door in (Door("POST", path) for path in NAMED_IN_FORMS):
            answer = await ask(browser, door, ids)
            if answer.status_code not in {404, 422}:
                accepted.append((door, answer.status_code))
    assert accepted == []
    assert fingerprint(urls) == before


NAMED_IN_FORMS = ("/leads/bulk/assign", "/leads/bulk/stage", "/leads/bulk/junk", "/imports", "/rules")


async def test_a_viewer_changes_nothing(
    app: Starlette, database: Database, urls: Urls, ids: dict[str, str], viewer: Caller
) -> None:
    before = fingerprint(urls)
    allowed = []
    async with signed_in(app, database, viewer) as browser:
        for door in doors(app):
            if door.method != "POST" or door in PUBLIC or door in OPEN_TO_VIEWERS:
                continue
            answer = await ask(browser, door, ids)
            if answer.status_code != 403:
                allowed.append((door, answer.status_code))
    assert allowed == []
    assert fingerprint(urls) == before


async def test_no_form_is_taken_without_the_sessions_token_or_from_another_site(
    app: Starlette, database: Database, urls: Urls, ids: dict[str, str], owner: Caller
) -> None:
    before = fingerprint(urls)
    taken = []
    async with signed_in(app, database, owner) as browser:
        for door in doors(app):
            if door.method != "POST" or door in PUBLIC:
                continue
            elsewhere = await ask(browser, door, ids, Origin="https://evil.example")
            browser.csrf_token, kept = "made-up", browser.csrf_token
            forged = await ask(browser, door, ids)
            browser.csrf_token = kept
            if (elsewhere.status_code, forged.status_code) != (403, 403):
                taken.append((door, elsewhere.status_code, forged.status_code))
    assert taken == []
    assert fingerprint(urls) == before


async def test_whatever_came_from_outside_is_shown_as_text_on_every_page(
    app: Starlette, database: Database, ids: dict[str, str], owner: Caller
) -> None:
    wrong, shown = [], 0
    async with signed_in(app, database, owner) as browser:
        for door in doors(app):
            if door.method != "GET" or door.path == "/live":
                continue
            for headers in ({}, {"HX-Request": "true"}):
                answer = await ask(browser, door, ids, **headers)
                kind = answer.headers.get("content-type", "")
                is_download = answer.headers.get("content-disposition", "").startswith("attachment")
                shown += "&lt;img src=x onerror" in answer.text
                is_frame = "sandbox" in answer.headers["content-security-policy"]
                if answer.status_code != 200 or "default-src 'none'" not in answer.headers["content-security-policy"]:
                    wrong.append((door, answer.status_code, "unexpected answer"))
                elif MARK in answer.text and "html" in kind and not (is_download or is_frame):
                    wrong.append((door, answer.status_code, answer.text[answer.text.index(MARK) - 200 :][:400]))
    assert wrong == []
    assert shown > 50


async def test_most_of_these_forms_are_such_as_are_accepted(
    app: Starlette, database: Database, ids: dict[str, str], owner: Caller
) -> None:
    """The other tests would say little if the forms were refused for what stands in them."""
    accepted = 0
    async with signed_in(app, database, owner) as browser:
        for door in doors(app):
            if door.method == "POST" and door not in PUBLIC and door.path != "/sign-out":
                answer = await ask(browser, door, ids)
                assert answer.status_code < 500, door
                accepted += answer.status_code < 400
    # The rest is in conflict with what was sent before it.
    assert accepted > 60


QUERY_NAMES = (
    "after back before condition contact earlier first from images last lead member more newer next older owner page q "
    "reason show source state stage step tab version view"
).split()
RUBBISH = (
    *("", "x" * 600, "9" * 30, "-1", "1e999", "\u202e\U0001f47e", "[[[[", "%", "{{"),
    *("0001-01-01T00:00", "9999-12-31T23:59"),
)


async def test_no_rubbish_in_a_form_breaks_a_page(
    app: Starlette, database: Database, ids: dict[str, str], owner: Caller
) -> None:
    broken = []
    async with signed_in(app, database, owner) as browser:
        for door in doors(app):
            if door.method != "POST" or door.path in {"/sign-in", "/sign-out", "/settings/profile"}:
                continue
            for rubbish in RUBBISH:
                form = dict.fromkeys(form_of(door, ids), rubbish)
                answer = await browser.post(door.of(ids), {**form, "csrf_token": browser.csrf_token})
                if answer.status_code >= 500:
                    broken.append((door, rubbish))
    assert broken == []


async def test_no_rubbish_in_a_query_breaks_a_page(
    app: Starlette, database: Database, ids: dict[str, str], owner: Caller
) -> None:
    broken = []
    async with signed_in(app, database, owner) as browser:
        for door in doors(app):
            if door.method != "GET" or door.path == "/live":
                continue
            for rubbish in RUBBISH:
                answer = await browser.client.get(door.of(ids), params=dict.fromkeys(QUERY_NAMES, rubbish))
                if answer.status_code >= 500:
                    broken.append((door, rubbish))
    assert broken == []


async def test_nobody_of_another_workspace_is_put_in_charge_of_anything(
    app: Starlette, database: Database, urls: Urls, ids: dict[str, str], owner: Caller
) -> None:
    async with database.directory() as tx:
        workspace_id = await accounts.create_workspace(
            tx, name="Rival", time_zone="UTC", default_region="US", mail_domain="switchboard.localhost"
        )
    them = str((await make_member(database, workspace_id, "rita@rival.example", "Rita Rival", "owner")).user_id)
    named = {**ids, "owner": them}
    before = fingerprint(urls)
    accepted = []
    async with signed_in(app, database, owner) as browser:
        for door in (Door("POST", path) for path in PUTS_IN_CHARGE):
            form = {**form_of(door, named), "supervisor_id": them}
            answer = await browser.post(door.of(ids).replace("nobody", them), form)
            if answer.status_code not in {404, 409, 422}:
                accepted.append((door, answer.status_code))
    assert accepted == []
    assert fingerprint(urls) == before


PUTS_IN_CHARGE = (
    *("/settings", "/rotas", "/rotas/{id}", "/rotas/{id}/members", "/rotas/{id}/overrides", "/rules", "/rules/{id}"),
    *("/leads/{id}/assign", "/leads/bulk/assign", "/inbox/{id}/assign", "/inbox/{id}/assign-back/{owner_id}"),
)


async def test_a_lead_of_another_workspace_is_not_written_beside_a_message(
    app: Starlette, database: Database, ids: dict[str, str], stranger: Caller
) -> None:
    async with database.transaction(stranger.workspace_id) as tx:
        contact_id = await meet(tx, "Somebody Else")
    async with signed_in(app, database, stranger) as browser:
        form = {"body": "Hello", "subject": "Hello", "lead_id": ids["lead"]}
        await browser.post(f"/inbox/of-contact/{contact_id}/reply", form)
    async with database.transaction(stranger.workspace_id) as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.message WHERE lead_id = %s", (ids["lead"],)) == 0
