"""Who may be one person, and why."""

from uuid import UUID

import pytest

from switchboard.accounts.errors import RoleForbidsError
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database
from switchboard.kernel.jobs import JobLoop
from switchboard.people import identities, service, suggesting
from switchboard.people.errors import SuggestionNotFoundError
from switchboard.people.models import Sighting
from switchboard.people.repository_suggestions import Profile
from tests.people.conftest import see


def profile(
    number: int, name: str, company: str = "", emails: tuple[str, ...] = (), phones: tuple[str, ...] = ()
) -> Profile:
    return Profile(UUID(int=number), name, company, list(emails), list(phones))


@pytest.mark.parametrize(
    ("one", "other", "score"),
    [
        (profile(1, "Ann Lee", "Lee & Co"), profile(2, "ANN LEE", "Lee & Co"), 70),
        (profile(1, "Bob Ray", "Ray Ltd"), profile(2, "Robert Ray", "RAY LTD"), 65),
        (
            profile(1, "Ann Lee", emails=("ann.lee@a.example",)),
            profile(2, "Ann Lee", emails=("ann.lee@b.example",)),
            75,
        ),
        (profile(1, "Ann Lee", phones=("+49301234567",)), profile(2, "Anne Lee", phones=("+43301234567",)), 70),
        (profile(1, "Ann Lee", emails=("info@a.example",)), profile(2, "Ann Lee", emails=("info@b.example",)), 40),
        (profile(1, "Ann Lee", "Co", ("a@co.example",)), profile(2, "Ann Lee", "Co", ("ann2@co.example",)), 45),
        (profile(1, "Ann Lee", "Co"), profile(2, "Bea Moss", "Co"), 0),
        (profile(1, "", "Co"), profile(2, "", "Co"), 0),
    ],
)
def test_the_score_is_the_sum_of_its_reasons(one: Profile, other: Profile, score: int) -> None:
    pair = suggesting.compare(other, one)
    assert (pair.first_id, pair.second_id) == (one.id, other.id)
    assert pair.score == score == max(0, sum(reason.points for reason in pair.reasons))


async def run_jobs(database: Database) -> None:
    """Run the jobs that are due now, with the handlers of the assembly."""
    loop = JobLoop(database, {suggesting.JOB: suggesting.suggest})
    while (await loop.tick()).handled:
        pass


async def test_recognition_leaves_a_job_that_suggests_with_reasons(database: Database, owner: Caller) -> None:
    await see(database, owner, Sighting(name="Bob Ray", email="bob.ray@mail.example", company="Ray Ltd"))
    await see(database, owner, Sighting(name="Robert Ray", email="bob.ray@ray.example", company="Ray Ltd"))
    await see(database, owner, Sighting(name="Zoe Moss", email="zoe@moss.example", company="Ray Ltd"))
    await run_jobs(database)
    async with database.transaction(owner.workspace_id) as tx:
        (suggestion,) = await suggesting.list_suggestions(tx, owner)
        assert await tx.fetch_value("SELECT count(*) FROM app.job WHERE kind = %s", (suggesting.JOB,)) == 0
    assert suggestion.score == 95
    assert [(reason.text, reason.points) for reason in suggestion.reasons] == [
        ("One name is short for the other", 35),
        ("Both are at Ray Ltd", 25),
        ("Both e-mail addresses begin with bob.ray", 35),
    ]


async def test_what_was_dismissed_is_not_suggested_again(database: Database, owner: Caller, stranger: Caller) -> None:
    for phone in ("", "030 7654321"):
        await see(database, owner, Sighting(name="Ann Lee", company="Lee & Co", phone=phone))
    await run_jobs(database)
    async with database.transaction(owner.workspace_id) as tx:
        (suggestion,) = await suggesting.list_suggestions(tx, owner)
    async with database.transaction(stranger.workspace_id) as tx:
        assert await suggesting.list_suggestions(tx, stranger) == []
        with pytest.raises(SuggestionNotFoundError):
            await suggesting.dismiss(tx, stranger, suggestion.id)
    async with database.transaction(owner.workspace_id) as tx:
        await suggesting.dismiss(tx, owner, suggestion.id)
        with pytest.raises(SuggestionNotFoundError):
            await suggesting.dismiss(tx, owner, suggestion.id)
        await suggesting.enqueue(tx, [suggestion.first_id, suggestion.second_id])
    await run_jobs(database)
    async with database.transaction(owner.workspace_id) as tx:
        assert await suggesting.list_suggestions(tx, owner) == []


async def test_keeping_apart_marks_what_two_people_share(database: Database, owner: Caller, viewer: Caller) -> None:
    ann, bob = await see(
        database,
        owner,
        Sighting(name="Ann Lee", email="ann@lee.example"),
        Sighting(name="Bob Lee", phone="030 1234567"),
    )
    await see(database, owner, Sighting(name="Ann Lee", email="ann@lee.example", phone="030 1234567"))
    async with database.transaction(owner.workspace_id) as tx:
        (suggestion,) = await suggesting.list_suggestions(tx, owner)
        with pytest.raises(RoleForbidsError):
            await identities.keep_apart(tx, viewer, suggestion.id)
        await identities.keep_apart(tx, owner, suggestion.id)
    (ann_again, bob_again, cy) = await see(
        database, owner, *(Sighting(name=name, phone="030 1234567") for name in ("Ann Lee", "bob lee", "Cy Lee"))
    )
    assert (ann_again.contact_id, bob_again.contact_id) == (ann.contact_id, bob.contact_id)
    assert cy.is_new
    async with database.transaction(owner.workspace_id) as tx:
        assert await suggesting.list_suggestions(tx, owner) == []
        assert [row.id for row in await service.search_contacts(tx, "1234567 ann")] == [ann.contact_id]
