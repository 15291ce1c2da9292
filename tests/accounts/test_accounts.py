"""Signing in and belonging to a workspace, at the service's promise."""

from datetime import timedelta
from uuid import UUID

import pytest

from switchboard.accounts import service
from switchboard.accounts.errors import EmailTakenError, RoleForbidsError, SessionMissingError, WrongPasswordError
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError, ThrottledError
from tests.conftest import PASSWORD, Urls, move_clock

LENGTH = timedelta(days=1)


async def test_sign_in_opens_a_session_for_the_users_workspace(database: Database, owner: Caller) -> None:
    token = await service.sign_in(database, " Olga@Acme.example ", PASSWORD, origin="::1", length=LENGTH)
    async with database.directory() as tx:
        session, caller = await service.resume_session(tx, token)
    assert caller == owner
    assert session.user_email == "olga@acme.example"


async def test_a_session_ends_when_its_time_is_up(database: Database, owner: Caller, urls: Urls) -> None:
    token = await service.sign_in(database, "olga@acme.example", PASSWORD, origin="::1", length=LENGTH)
    await move_clock(urls, "25 hours")
    with pytest.raises(SessionMissingError):
        async with database.directory() as tx:
            await service.resume_session(tx, token)


@pytest.mark.parametrize(
    ("email", "password"), [("olga@acme.example", "wrong password"), ("nobody@x.example", PASSWORD)]
)
async def test_a_wrong_password_and_a_missing_user_are_told_the_same(
    database: Database, owner: Caller, email: str, password: str
) -> None:
    with pytest.raises(WrongPasswordError):
        await service.sign_in(database, email, password, origin="::1", length=LENGTH)


async def test_the_eleventh_try_is_throttled_even_with_the_right_password(database: Database, owner: Caller) -> None:
    for _ in range(10):
        with pytest.raises(WrongPasswordError):
            await service.sign_in(database, "olga@acme.example", "wrong password", origin="::1", length=LENGTH)
    with pytest.raises(ThrottledError):
        await service.sign_in(database, "olga@acme.example", PASSWORD, origin="::1", length=LENGTH)


async def test_members_of_another_workspace_are_invisible(database: Database, owner: Caller, stranger: Caller) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        assert [member.email for member in await service.list_members(tx)] == ["olga@acme.example"]
    async with database.transaction(stranger.workspace_id) as tx:
        assert [member.email for member in await service.list_members(tx)] == ["rita@rival.example"]


async def test_an_agent_cannot_add_members_and_nothing_changes(
    database: Database, owner: Caller, agent: Caller
) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        with pytest.raises(RoleForbidsError):
            await service.create_member(tx, agent, email="x@acme.example", name="X", password=PASSWORD, role="agent")
    async with database.transaction(owner.workspace_id) as tx:
        assert len(await service.list_members(tx)) == 2


async def test_an_address_is_one_user(database: Database, owner: Caller) -> None:
    async with database.transaction(owner.workspace_id) as tx:
        with pytest.raises(EmailTakenError):
            await service.create_member(
                tx, owner, email="OLGA@acme.example", name="Again", password=PASSWORD, role="agent"
            )


async def test_every_wrong_setting_of_a_workspace_is_named(database: Database) -> None:
    async with database.directory() as tx:
        with pytest.raises(InvalidError) as caught:
            await service.create_workspace(
                tx, name=" ", time_zone="Mars/Base", default_region="XX", mail_domain="switchboard.localhost"
            )
    assert [problem.field for problem in caught.value.problems] == ["name", "time_zone", "default_region"]


async def test_without_a_workspace_no_tenant_row_is_visible(database: Database, workspace_id: UUID) -> None:
    async with database.directory() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.workspace") == 0
        assert await tx.fetch_value("SELECT count(*) FROM app.event") == 0
    async with database.queue_loop() as tx:
        assert await tx.fetch_value("SELECT count(*) FROM app.workspace") == 0
