"""Giving others their turn: all loops of a process share one thread, so long work in Python is cut into pieces.

A page must not wait until five hundred letters of a campaign have been thought about.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

Item = TypeVar("Item")

# Some fifty microseconds each, so that nobody waits for much more than a thousandth of a second.
AT_ONCE = 25


async def in_turns(items: Iterable[Item], at_once: int = AT_ONCE) -> AsyncIterator[Item]:
    """The items, in their order; after every `at_once` of them whoever else is ready goes first."""
    for place, item in enumerate(items):
        if place and place % at_once == 0:
            await asyncio.sleep(0)
        yield item
