"""Which source a token leads to, when many ask at once."""

import asyncio

import pytest

from switchboard.intake.doors import Doors
from switchboard.intake.errors import UnknownTokenError
from switchboard.intake.models import Source
from switchboard.kernel.db import Database, recorded_queries


async def test_many_who_ask_at_once_ask_the_database_once(database: Database, source: Source) -> None:
    with recorded_queries() as alone:
        await Doors(database).find(source.token)
    doors = Doors(database)
    with recorded_queries() as together:
        found = await asyncio.gather(*(doors.find(source.token) for _ in range(20)))
    assert (len(together), {door.source_id for door in found}) == (len(alone), {source.id})
    with recorded_queries() as later:
        await doors.find(source.token)
    assert later == []


async def test_who_goes_away_takes_the_answer_from_nobody(database: Database, source: Source) -> None:
    doors = Doors(database)
    first, second = (asyncio.create_task(doors.find(source.token)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).source_id == source.id
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_all_who_ask_for_nobody_are_told_so(database: Database) -> None:
    doors = Doors(database)
    answers = await asyncio.gather(*(doors.find("nobody") for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [UnknownTokenError] * 3
