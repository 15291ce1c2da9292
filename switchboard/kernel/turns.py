"""Giving others their turn: all loops of a process share one thread, so long work in Python is cut into pieces.

A page must not wait until five hundred letters of a campaign have been thought about.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")

# Some fifty microseconds each, so that nobody waits for much more than a thousandth of a second.
AT_ONCE = 25
# Of what takes some ten microseconds.
QUICK_AT_ONCE = 100


async def give_way() -> None:
    """Let whoever else is ready go first."""
    await asyncio.sleep(0)


async def in_turns(items: Sequence[Item], at_once: int = AT_ONCE) -> AsyncIterator[Sequence[Item]]:
    """The items in pieces of `at_once`, in their order; between two pieces whoever else is ready goes first."""
    for start in range(0, len(items), at_once):
        if start:
            await give_way()
        yield items[start : start + at_once]
