"""Putting a process together: which room hears which events, which pages there are, and which loops run."""

from collections.abc import Mapping, Sequence

from starlette.routing import Route

from switchboard.accounts import pages as accounts_pages
from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.events import Hub
from switchboard.kernel.jobs import JobLoop
from switchboard.kernel.queues import Loop
from switchboard.kernel.settings import Settings

# Rooms whose templates pages may name, as in `leads/list.html`.
ROOMS_WITH_PAGES: tuple[str, ...] = ("accounts",)


def build_hub() -> Hub:
    """Everything that travels upwards between rooms, wired in one place."""
    return Hub()


def page_routes() -> list[Route]:
    """The pages of every room."""
    return [*accounts_pages.routes]


def contact_holders() -> Sequence[object]:
    """The rooms that hold rows of a contact, which a merge moves and an undo moves back."""
    return ()


def subject_kinds() -> Mapping[str, object]:
    """What flows can be about."""
    return {}


def build_loops(_settings: Settings, database: Database) -> list[Loop]:
    """Every queue of one process, in the order of a signal's life."""
    return [JobLoop(database, {})]


async def shell_counts(_tx: Tx, _caller: Caller) -> Mapping[str, int]:
    """The numbers in the rail of every page."""
    return {}
