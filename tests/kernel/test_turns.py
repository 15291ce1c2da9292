"""Long work in Python lets others have their turn."""

import asyncio

from switchboard.kernel.turns import in_turns


async def test_whoever_is_ready_goes_between_two_pieces() -> None:
    seen: list[int | str] = []

    async def other() -> None:
        seen.append("other")

    task = asyncio.create_task(other())
    async for piece in in_turns(range(5), at_once=2):
        seen += piece
    await task
    assert seen == [0, 1, "other", 2, 3, 4]
