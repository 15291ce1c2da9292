"""Putting a process together: which room hears which events, which pages there are, and which loops run."""

from collections.abc import Mapping, Sequence

from starlette.routing import Route

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Hub

# Rooms whose templates pages may name, as in `leads/list.html`.
ROOMS_WITH_PAGES: tuple[str, ...] = ()


def build_hub() -> Hub:
    """Everything that travels upwards between rooms, wired in one place."""
    return Hub()


def page_routes() -> list[Route]:
    """The pages of every room."""
    return []


def contact_holders() -> Sequence[object]:
    """The rooms that hold rows of a contact, which a merge moves and an undo moves back."""
    return ()


def subject_kinds() -> Mapping[str, object]:
    """What flows can be about."""
    return {}


async def shell_counts(_tx: Tx, _caller: Caller) -> Mapping[str, int]:
    """The numbers in the rail of every page."""
    return {}
