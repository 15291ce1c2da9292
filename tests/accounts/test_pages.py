"""Settings, as a member's browser sees and changes them."""

from dataclasses import replace

import pytest
from starlette.applications import Starlette

from switchboard.accounts import service
from switchboard.accounts.models import Caller, ChannelCap
from switchboard.kernel.db import Database, recorded_queries
from switchboard.kernel.errors import InvalidError
from tests.conftest import PASSWORD
from tests.pages import anonymous, signed_in

WORKSPACE = {
    "name": "Acme Berlin",
    "time_zone": "Asia/Tokyo",
    "default_region": "jp",
    "mail_from": "hello@acme.example",
    "first_response_minutes": "30",
    "quiet_start": "22:00",
    "quiet_end": "07:30",
    "cap_messages": "2",
    "cap_days": "14",
    "cap_email_messages": "1",
    "cap_email_days": "2",
    "supervisor_id": "",
}


async def test_an_owner_changes_every_setting(app: Starlette, database: Database, owner: Caller) -> None:
    async with signed_in(app, database, owner) as browser:
        typed = {**WORKSPACE, "supervisor_id": str(owner.user_id), "is_consent_required": "on"}
        answer = await browser.post("/settings", typed)
        assert answer.headers["location"] == "/settings"
        shown = await browser.get("/settings")
    assert "Acme Berlin" in shown.text
    assert "Settings saved." in shown.text
    async with database.transaction(owner.workspace_id) as tx:
        stored = await service.get_workspace(tx)
    assert (stored.time_zone, stored.default_region, stored.cap_days) == ("Asia/Tokyo", "JP", 14)
    assert (stored.supervisor_id, stored.is_consent_required) == (owner.user_id, True)
    assert stored.channel_caps == {"email": ChannelCap(1, 2)}


async def test_a_channels_own_cap_is_left_out_whole_or_given_whole(
    app: Starlette, database: Database, owner: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        assert (await browser.post("/settings", WORKSPACE)).status_code == 303
        assert 'name="cap_email_messages" type="number" value="1"' in (await browser.get("/settings")).text
        halved = await browser.post("/settings", {**WORKSPACE, "cap_email_days": ""})
        beyond = await browser.post("/settings", {**WORKSPACE, "cap_email_messages": "101"})
        async with database.transaction(owner.workspace_id) as tx:
            assert (await service.get_workspace(tx)).channel_caps == {"email": ChannelCap(1, 2)}
        none = {**WORKSPACE, "cap_email_messages": "", "cap_email_days": ""}
        assert (await browser.post("/settings", none)).status_code == 303
    assert (halved.status_code, beyond.status_code) == (422, 422)
    assert "expected a whole number from 1 to 100" in beyond.text
    async with database.transaction(owner.workspace_id) as tx:
        assert (await service.get_workspace(tx)).channel_caps == {}


async def test_a_cap_of_an_unknown_channel_or_beyond_bounds_is_refused(database: Database, owner: Caller) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        caps = {"pigeon": ChannelCap(1, 1), "email": ChannelCap(0, 366)}
        with pytest.raises(InvalidError) as refused:
            await service.update_workspace(tx, owner, replace(await service.get_workspace(tx), channel_caps=caps))
        assert refused.value.by_field() == {
            "channel_caps": "pigeon is no channel; expected email",
            "cap_email_messages": "expected from 1 to 100 messages",
            "cap_email_days": "expected from 1 to 365 days",
        }
        assert (await service.get_workspace(tx)).channel_caps == {}


async def test_mail_to_a_new_sender_comes_in_and_another_workspaces_is_refused(
    app: Starlette, database: Database, owner: Caller, stranger: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        assert (await browser.post("/settings", WORKSPACE)).status_code == 303
    async with signed_in(app, database, stranger) as browser:
        refused = await browser.post("/settings", WORKSPACE)
    assert refused.status_code == 422
    assert "another workspace receives mail at this address" in refused.text
    async with database.directory() as tx:
        found = await service.find_address(tx, "mail", "hello@acme.example")
    assert found == (owner.workspace_id, None)


async def test_what_is_wrong_stands_beside_its_field_and_nothing_is_saved(
    app: Starlette, database: Database, owner: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        answer = await browser.post("/settings", {**WORKSPACE, "time_zone": "Mars/Base", "mail_from": "nonsense"})
    assert answer.status_code == 422
    assert "expected an IANA zone" in answer.text
    async with database.transaction(owner.workspace_id) as tx:
        assert (await service.get_workspace(tx)).name == "Acme"


async def test_agents_and_viewers_read_settings_but_do_not_change_them(
    app: Starlette, database: Database, owner: Caller, agent: Caller, viewer: Caller
) -> None:
    for caller in (agent, viewer):
        async with signed_in(app, database, caller) as browser:
            shown = await browser.get("/settings")
            assert shown.status_code == 200
            assert "Save settings" not in shown.text
            assert (await browser.post("/settings", WORKSPACE)).status_code == 403
            new = {"email": "x@acme.example", "password": PASSWORD, "role": "viewer"}
            assert (await browser.post("/settings/members", new)).status_code == 403
    async with database.transaction(owner.workspace_id) as tx:
        assert (await service.get_workspace(tx)).name == "Acme"
        assert len(await service.list_members(tx)) == 3


async def test_a_stranger_sees_only_their_own_workspace(
    app: Starlette, database: Database, owner: Caller, stranger: Caller
) -> None:
    async with signed_in(app, database, stranger) as browser:
        shown = await browser.get("/settings")
    assert "Rival" in shown.text
    assert "olga@acme.example" not in shown.text


async def test_an_owner_adds_a_member_who_can_sign_in(app: Starlette, database: Database, owner: Caller) -> None:
    new = {"email": "nina@acme.example", "name": "Nina", "password": "a long enough one", "role": "agent"}
    async with signed_in(app, database, owner) as browser:
        assert (await browser.post("/settings/members", new)).status_code == 303
    async with anonymous(app) as browser:
        answer = await browser.post("/sign-in", {"email": "nina@acme.example", "password": "a long enough one"})
    assert answer.status_code == 303


async def test_a_short_password_of_a_new_member_is_said_beside_the_field(
    app: Starlette, database: Database, owner: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        answer = await browser.post(
            "/settings/members", {"email": "n@acme.example", "password": "short", "role": "agent"}
        )
    assert answer.status_code == 422
    assert "use 10 characters or more" in answer.text
    assert 'value="n@acme.example"' in answer.text


async def test_a_member_changes_their_password_knowing_the_old_one(
    app: Starlette, database: Database, agent: Caller
) -> None:
    async with signed_in(app, database, agent) as browser:
        wrong = await browser.post("/settings/profile", {"present": "not it", "password": "another long one"})
        right = await browser.post("/settings/profile", {"present": PASSWORD, "password": "another long one"})
    assert (wrong.status_code, right.status_code) == (422, 303)
    async with anonymous(app) as browser:
        answer = await browser.post("/sign-in", {"email": "amir@acme.example", "password": "another long one"})
    assert answer.status_code == 303


async def test_the_settings_page_asks_the_database_a_bounded_number_of_questions(
    app: Starlette, database: Database, owner: Caller
) -> None:
    async with signed_in(app, database, owner) as browser:
        with recorded_queries() as statements:
            await browser.get("/settings")
    assert len(statements) <= 12
