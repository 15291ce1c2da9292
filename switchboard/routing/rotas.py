"""Setting rotas up: their members, weekly hours, overrides and holidays."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID
from zoneinfo import available_timezones

from switchboard.accounts.models import Caller
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id
from switchboard.kernel.queues import wake
from switchboard.routing import repository, repository_rotas, repository_rules
from switchboard.routing.calendars import country_holidays
from switchboard.routing.errors import RotaInUseError, RotaNameTakenError, RotaNotFoundError
from switchboard.routing.models import STRATEGIES, Holiday, Override, Rota, RotaMember, RuleTarget, Shift
from switchboard.routing.placing import WAITING_QUEUE
from switchboard.routing.rosters import load_colleagues
from switchboard.routing.rules import create_default_rule

LONGEST_NAME = 100
HEAVIEST = 100
MOST_CAPACITY = 10_000


async def access_rota(tx: Tx, caller: Caller, rota_id: UUID) -> Rota:
    """A rota the caller may see; raises RotaNotFoundError, for a stranger's rota too."""
    caller.require("viewer")
    found = await repository_rotas.find_rotas(tx, [rota_id])
    if rota_id not in found:
        raise RotaNotFoundError
    return found[rota_id]


async def create_rota(tx: Tx, caller: Caller, rota: Rota) -> UUID:
    """Add a rota under an id of its own; the workspace's first one also takes everything that no rule does.

    `rota.id` and `rota.version` are not used. Raises InvalidError with each field, RotaNameTakenError.
    """
    caller.require("admin")
    settled = await _checked(tx, rota, new_id())
    if not await repository_rotas.insert_rota(tx, settled):
        raise RotaNameTakenError
    await events.append(tx, [_event(caller, "created", settled.id, name=settled.name)])
    await create_default_rule(tx, caller, RuleTarget(rota_id=settled.id))
    return settled.id


async def change_rota(tx: Tx, caller: Caller, rota: Rota) -> None:
    """Save a rota's settings; raises RotaNotFoundError, RotaNameTakenError, InvalidError with each field."""
    caller.require("admin")
    before = await access_rota(tx, caller, rota.id)
    settled = await _checked(tx, rota, rota.id)
    twin = await repository_rotas.find_rota_by_name(tx, settled.name)
    if twin is not None and twin.id != rota.id:
        raise RotaNameTakenError
    await repository_rotas.update_rota(tx, settled)
    if before.strategy != settled.strategy:
        await repository_rotas.clear_credits(tx, rota.id)
    await _changed(tx, caller, rota.id, "settings")


async def archive_rota(tx: Tx, caller: Caller, rota_id: UUID) -> None:
    """Take a rota out of use; raises RotaInUseError while rules send to it or subjects wait for it."""
    caller.require("admin")
    rota = await access_rota(tx, caller, rota_id)
    if rules := await repository_rules.list_rules_to_rota(tx, rota_id):
        names = ", ".join(rule.name for rule in rules)
        raise RotaInUseError(f"Rules send to this rota: {names}. Let them send elsewhere first.")
    if await repository.find_waiting_rotas(tx, [rota_id], []):
        raise RotaInUseError("Somebody still waits for this rota. Assign those who wait first.")
    await repository_rotas.archive_rota(tx, rota_id)
    await events.append(tx, [_event(caller, "archived", rota_id, name=rota.name)])


async def set_member(
    tx: Tx, caller: Caller, rota_id: UUID, user_id: UUID, *, weight: int = 1, capacity: int | None = None
) -> None:
    """Add a member at the end of a rota, or change their weight and capacity; raises InvalidError with each field."""
    caller.require("admin")
    await access_rota(tx, caller, rota_id)
    colleague = (await load_colleagues(tx)).get(user_id)
    problems = _member_problems(weight, capacity)
    if colleague is None:
        problems.append(Problem("user_id", "there is no such member; choose one of the list"))
    elif colleague.role == "viewer":
        problems.append(
            Problem("user_id", f"{colleague.name} is a viewer and cannot work leads; change the role first")
        )
    if problems:
        raise InvalidError("The member cannot be saved.", problems=problems)
    await repository_rotas.upsert_member(tx, rota_id, user_id, weight, capacity)
    await repository_rotas.clear_credits(tx, rota_id)
    await _changed(tx, caller, rota_id, "members", user_id=user_id)


async def remove_member(tx: Tx, caller: Caller, rota_id: UUID, user_id: UUID) -> None:
    """Take somebody out of a rota; what they hold they keep."""
    caller.require("admin")
    await access_rota(tx, caller, rota_id)
    await repository_rotas.delete_member(tx, rota_id, user_id)
    await repository_rotas.clear_credits(tx, rota_id)
    await _changed(tx, caller, rota_id, "members", user_id=user_id)


async def move_member(tx: Tx, caller: Caller, rota_id: UUID, user_id: UUID, *, places: int) -> None:
    """Move a member down the rota's order by `places`, up when negative."""
    caller.require("admin")
    await access_rota(tx, caller, rota_id)
    order = [member.user_id for member in await repository_rotas.list_members(tx, [rota_id])]
    if user_id not in order:
        raise InvalidError("They are not in this rota.", problems=[Problem("user_id", "choose a member of the rota")])
    place = max(0, order.index(user_id) + places)
    order.remove(user_id)
    order.insert(place, user_id)
    await repository_rotas.write_order(tx, rota_id, order)
    await _changed(tx, caller, rota_id, "members")


async def list_rota_members(tx: Tx, caller: Caller, rota_id: UUID) -> list[RotaMember]:
    """The members of a rota in its order; raises RotaNotFoundError."""
    await access_rota(tx, caller, rota_id)
    return await repository_rotas.list_members(tx, [rota_id])


async def set_shifts(tx: Tx, caller: Caller, rota_id: UUID, shifts: Sequence[Shift]) -> None:
    """Write the weekly hours anew; without any the rota is always on. Raises InvalidError."""
    caller.require("admin")
    await access_rota(tx, caller, rota_id)
    members = {member.user_id for member in await repository_rotas.list_members(tx, [rota_id])}
    if any(shift.user_id not in members for shift in shifts):
        raise InvalidError("Hours are for members of the rota.", problems=[Problem("shifts", "add the member first")])
    await repository_rotas.replace_shifts(tx, rota_id, [(new_id(), shift) for shift in shifts])
    await _changed(tx, caller, rota_id, "shifts")


async def add_override(
    tx: Tx,
    caller: Caller,
    rota_id: UUID,
    user_id: UUID,
    *,
    is_on: bool,
    starts_at: datetime,
    ends_at: datetime,
    reason: str = "",
) -> UUID:
    """Put somebody on, or off, for a while, whatever the shifts say. Members may do so for themselves."""
    caller.require("agent" if user_id == caller.user_id else "admin")
    await access_rota(tx, caller, rota_id)
    if user_id not in {member.user_id for member in await repository_rotas.list_members(tx, [rota_id])}:
        raise InvalidError("They are not in this rota.", problems=[Problem("user_id", "choose a member of the rota")])
    if starts_at >= ends_at:
        raise InvalidError("That is no time.", problems=[Problem("ends", "choose an end after the start")])
    override = Override(new_id(), rota_id, user_id, is_on, starts_at, ends_at, reason.strip()[:200])
    await repository_rotas.insert_override(tx, override)
    await _changed(tx, caller, rota_id, "overrides", user_id=user_id)
    return override.id


async def remove_override(tx: Tx, caller: Caller, rota_id: UUID, override_id: UUID) -> None:
    """Take an override back. Members may do so for themselves."""
    await access_rota(tx, caller, rota_id)
    overrides = await repository_rotas.list_overrides(tx, [rota_id])
    owners = [override.user_id for override in overrides if override.id == override_id]
    caller.require("agent" if owners == [caller.user_id] else "admin")
    await repository_rotas.delete_override(tx, rota_id, override_id)
    await _changed(tx, caller, rota_id, "overrides")


async def add_holiday(tx: Tx, caller: Caller, rota_id: UUID, day: date, name: str) -> None:
    """Let no shift begin on that day; raises InvalidError."""
    caller.require("admin")
    await access_rota(tx, caller, rota_id)
    if not name.strip():
        raise InvalidError("The holiday needs a name.", problems=[Problem("name", "fill this in")])
    await repository_rotas.upsert_holiday(tx, Holiday(rota_id, day, name.strip()[:LONGEST_NAME]))
    await _changed(tx, caller, rota_id, "holidays")


async def remove_holiday(tx: Tx, caller: Caller, rota_id: UUID, day: date) -> None:
    """Make one of the rota's own holidays an ordinary day."""
    caller.require("admin")
    await access_rota(tx, caller, rota_id)
    await repository_rotas.delete_holiday(tx, rota_id, day)
    await _changed(tx, caller, rota_id, "holidays")


async def _checked(tx: Tx, rota: Rota, rota_id: UUID) -> Rota:
    country = (rota.holiday_country or "").strip().upper() or None
    problems = _setting_problems(rota)
    if country is not None:
        try:
            country_holidays(country, (await tx.now()).year)
        except InvalidError as error:
            problems += error.problems
    if rota.supervisor_id is not None and rota.supervisor_id not in await load_colleagues(tx):
        problems.append(Problem("supervisor_id", "there is no such member; choose one of the list"))
    if problems:
        raise InvalidError("The rota cannot be saved.", problems=problems)
    return Rota(rota_id, rota.name.strip(), rota.time_zone, rota.strategy, country, rota.supervisor_id, rota.version)


def _setting_problems(rota: Rota) -> list[Problem]:
    problems = []
    if not 0 < len(rota.name.strip()) <= LONGEST_NAME:
        problems.append(Problem("name", f"give the rota a name of at most {LONGEST_NAME} characters"))
    if rota.time_zone not in available_timezones():
        problems.append(Problem("time_zone", "expected an IANA zone such as Europe/Berlin"))
    if rota.strategy not in STRATEGIES:
        problems.append(Problem("strategy", f"expected one of {', '.join(STRATEGIES)}"))
    return problems


def _member_problems(weight: int, capacity: int | None) -> list[Problem]:
    problems = []
    if not 1 <= weight <= HEAVIEST:
        problems.append(Problem("weight", f"expected a whole number from 1 to {HEAVIEST}"))
    if capacity is not None and not 0 <= capacity <= MOST_CAPACITY:
        problems.append(
            Problem("capacity", f"expected a whole number from 0 to {MOST_CAPACITY}, or nothing for no limit")
        )
    return problems


async def _changed(tx: Tx, caller: Caller, rota_id: UUID, what: str, **data: object) -> None:
    await repository_rotas.advance_version(tx, rota_id)
    await events.append(tx, [_event(caller, "changed", rota_id, what=what, **data)])
    # Somebody may be on now who was not.
    await wake(tx, WAITING_QUEUE)


def _event(caller: Caller, verb: str, rota_id: UUID, **data: object) -> Event:
    return Event(f"rota.{verb}", subject_id=rota_id, actor=caller.actor, data=data)
