"""Stages: the columns of the board, from the first question to won or lost."""

import re

from switchboard.accounts.models import Caller
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Event
from switchboard.leads import repository_stages as repository
from switchboard.leads.errors import StageInUseError, StageUnknownError
from switchboard.leads.models import Stage, StageKind

MOST_STAGES = 20
LONGEST_TITLE = 40
DEFAULT_STAGES = (
    Stage("new", "New", 1, "open"),
    Stage("contacted", "Contacted", 2, "open"),
    Stage("qualified", "Qualified", 3, "open"),
    Stage("proposal", "Proposal", 4, "open"),
    Stage("won", "Won", 5, "won"),
    Stage("lost", "Lost", 6, "lost"),
)


async def install_stages(tx: Tx) -> None:
    """Give a new workspace its first stages; safe to repeat."""
    await repository.insert_stages(tx, DEFAULT_STAGES)


async def list_stages(tx: Tx) -> list[Stage]:
    """Every stage in the order of the board."""
    return await tx.remember("stages", repository.list_stages)


async def get_stage(tx: Tx, key: str) -> Stage:
    """The stage with that key; raises StageUnknownError with the keys there are."""
    stages = await list_stages(tx)
    found = next((stage for stage in stages if stage.key == key), None)
    if found is None:
        raise StageUnknownError(key, [stage.key for stage in stages])
    return found


def first_open(stages: list[Stage]) -> Stage:
    """Where a lead begins."""
    return next(stage for stage in stages if stage.is_open)


def find_by_words(stages: list[Stage], text: str | None) -> Stage | None:
    """The stage that a sender means by its key or title, in any case of letters."""
    wanted = (text or "").strip().casefold()
    if not wanted:
        return None
    return next((stage for stage in stages if wanted in (stage.key.casefold(), stage.title.casefold())), None)


async def add_stage(tx: Tx, caller: Caller, *, title: str, kind: StageKind) -> Stage:
    """Add a stage behind the others of its kind; raises InvalidError."""
    caller.require("admin")
    stages = await repository.lock_stages(tx)
    title = _checked_title(title, stages)
    if len(stages) >= MOST_STAGES:
        raise InvalidError(f"A workspace has at most {MOST_STAGES} stages.", problems=[Problem("title", "remove one")])
    stage = Stage(_new_key(title, stages), title, len(stages) + 1, kind)
    await repository.insert_stages(tx, [stage])
    await repository.write_order(tx, [each.key for each in _in_order([*stages, stage])])
    await _changed(tx, caller, stage.key)
    return stage


async def rename_stage(tx: Tx, caller: Caller, key: str, title: str) -> None:
    """Give a stage another title; its key, which rules and flows name, stays."""
    caller.require("admin")
    await get_stage(tx, key)
    stages = [stage for stage in await repository.lock_stages(tx) if stage.key != key]
    await repository.update_title(tx, key, _checked_title(title, stages))
    await _changed(tx, caller, key)


async def move_stage(tx: Tx, caller: Caller, key: str, step: int) -> None:
    """Move a stage one place to the left (-1) or right (1) among those of its kind."""
    caller.require("admin")
    await get_stage(tx, key)
    keys = [stage.key for stage in await repository.lock_stages(tx)]
    place = keys.index(key)
    other = place + step
    if not 0 <= other < len(keys):
        return
    keys[place], keys[other] = keys[other], keys[place]
    await repository.write_order(tx, keys)
    await _changed(tx, caller, key)


async def remove_stage(tx: Tx, caller: Caller, key: str) -> None:
    """Remove an empty stage; raises StageInUseError while leads stand in it, or when it is the last of its kind."""
    caller.require("admin")
    stage = await get_stage(tx, key)
    stages = await repository.lock_stages(tx)
    if sum(each.kind == stage.kind for each in stages) == 1:
        raise StageInUseError(f"{stage.title} is the last stage of its kind, and one is needed. Rename it instead.")
    if await repository.has_leads(tx, key):
        raise StageInUseError(f"Leads stand in {stage.title}. Move them to another stage first.")
    await repository.delete_stage(tx, key)
    await _changed(tx, caller, key)


def _in_order(stages: list[Stage]) -> list[Stage]:
    """Those still open before those that are not, each in the order they had."""
    return sorted(stages, key=lambda stage: not stage.is_open)


def _checked_title(title: str, others: list[Stage]) -> str:
    title = " ".join(title.split())
    problem = ""
    if not title or len(title) > LONGEST_TITLE:
        problem = f"give it a title of 1 to {LONGEST_TITLE} characters"
    elif any(stage.title.casefold() == title.casefold() for stage in others):
        problem = "another stage has that title"
    if problem:
        raise InvalidError("The stage cannot be saved.", problems=[Problem("title", problem)])
    return title


def _new_key(title: str, stages: list[Stage]) -> str:
    base = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or "stage"
    taken = {stage.key for stage in stages}
    numbered = (f"{base}_{number}" for number in range(2, MOST_STAGES + 3))
    return base if base not in taken else next(key for key in numbered if key not in taken)


async def _changed(tx: Tx, caller: Caller, key: str) -> None:
    await events.append(tx, [Event("stage.changed", actor=caller.actor, data={"stage": key})])
