"""What pages and commands show of rotas: who is on now, until when, and how much everybody holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from switchboard.accounts.models import Caller, Member
from switchboard.kernel.db import Tx
from switchboard.kernel.localtime import ONE_DAY, to_local
from switchboard.routing import repository, repository_rotas
from switchboard.routing.availability import Schedule
from switchboard.routing.hours import format_hours
from switchboard.routing.models import Override, Rota, RotaMember
from switchboard.routing.rosters import Colleagues, absence, load_colleagues, load_schedules, name_of
from switchboard.routing.rotas import access_rota

MOST_WAITING = 1_000
HOLIDAYS_AHEAD = 366 * ONE_DAY
MOST_HOLIDAYS = 12


@dataclass(frozen=True, slots=True)
class RotaSummary:
    """One rota in the list. `waiting` is counted up to MOST_WAITING."""

    rota: Rota
    members: int
    on_now: list[str]
    next_change: datetime | None
    waiting: int


@dataclass(frozen=True, slots=True)
class MemberView:
    """One member of a rota now. `hours` has a text for each weekday from Monday, as people write them."""

    user_id: UUID
    name: str
    weight: int
    capacity: int | None
    load: int
    assigned: int
    last_assigned_at: datetime | None
    is_on: bool
    presence: str
    hours: list[str]


@dataclass(frozen=True, slots=True)
class OverrideView:
    """One override with its times in words of the rota's zone."""

    id: UUID
    user_id: UUID
    name: str
    is_on: bool
    starts: str
    ends: str
    is_now: bool
    reason: str


@dataclass(frozen=True, slots=True)
class HolidayView:
    """One holiday to come; the country's own cannot be removed."""

    day: date
    name: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class RotaView:
    """A rota with everything its page shows. `others` are members of the workspace who could join it."""

    rota: Rota
    members: list[MemberView]
    overrides: list[OverrideView]
    holidays: list[HolidayView]
    next_change: datetime | None
    waiting: int
    has_shifts: bool
    colleagues: list[Member]
    others: list[Member]
    now: datetime


async def list_rota_summaries(tx: Tx, caller: Caller) -> list[RotaSummary]:
    """Every rota with who is on now, in eight queries however many there are."""
    caller.require("viewer")
    rotas = await repository_rotas.list_rotas(tx)
    rota_ids = [rota.id for rota in rotas]
    members = await repository_rotas.list_members(tx, rota_ids)
    schedules = await load_schedules(tx, rotas, await tx.now())
    colleagues = await load_colleagues(tx)
    waiting = await repository.count_waiting(tx, rota_ids, MOST_WAITING)
    summaries = []
    for rota in rotas:
        own = [member for member in members if member.rota_id == rota.id]
        summaries.append(_summary(rota, own, schedules[rota.id], colleagues, waiting.get(rota.id, 0)))
    return summaries


async def view_rota(tx: Tx, caller: Caller, rota_id: UUID) -> RotaView:
    """One rota with its members, hours and load; raises RotaNotFoundError."""
    rota = await access_rota(tx, caller, rota_id)
    members = await repository_rotas.list_members(tx, [rota_id])
    now = await tx.now()
    schedule = (await load_schedules(tx, [rota], now))[rota_id]
    colleagues = await load_colleagues(tx)
    in_rota = {member.user_id for member in members}
    loads = await repository.count_open(tx, list(in_rota))
    waiting = await repository.count_waiting(tx, [rota_id], MOST_WAITING)
    return RotaView(
        rota=rota,
        members=[_member(member, schedule, colleagues, loads.get(member.user_id, 0)) for member in members],
        overrides=[_override(override, schedule, colleagues) for override in schedule.overrides],
        holidays=_holidays(schedule),
        next_change=schedule.next_change(in_rota),
        waiting=waiting.get(rota_id, 0),
        has_shifts=bool(schedule.shifts),
        colleagues=list(colleagues.values()),
        others=[c for c in colleagues.values() if c.user_id not in in_rota and c.role != "viewer"],
        now=now,
    )


def _summary(
    rota: Rota, members: Sequence[RotaMember], schedule: Schedule, colleagues: Colleagues, waiting: int
) -> RotaSummary:
    on_now = [m.user_id for m in members if absence(m.user_id, colleagues, schedule) is None]
    return RotaSummary(
        rota=rota,
        members=len(members),
        on_now=[name_of(user_id, colleagues) for user_id in on_now],
        next_change=schedule.next_change([member.user_id for member in members]),
        waiting=waiting,
    )


def _member(member: RotaMember, schedule: Schedule, colleagues: Colleagues, load: int) -> MemberView:
    refusal = absence(member.user_id, colleagues, schedule)
    own = [shift for shift in schedule.shifts if shift.user_id == member.user_id]
    return MemberView(
        user_id=member.user_id,
        name=name_of(member.user_id, colleagues),
        weight=member.weight,
        capacity=member.capacity,
        load=load,
        assigned=member.assigned,
        last_assigned_at=member.last_assigned_at,
        is_on=refusal is None,
        presence=refusal.text if refusal else schedule.presence(member.user_id).text,
        hours=[format_hours([shift for shift in own if shift.weekday == weekday]) for weekday in range(1, 8)],
    )


def _override(override: Override, schedule: Schedule, colleagues: Colleagues) -> OverrideView:
    return OverrideView(
        id=override.id,
        user_id=override.user_id,
        name=name_of(override.user_id, colleagues),
        is_on=override.is_on,
        starts=schedule.words(override.starts_at),
        ends=schedule.words(override.ends_at),
        is_now=override.starts_at <= schedule.now < override.ends_at,
        reason=override.reason,
    )


def _holidays(schedule: Schedule) -> list[HolidayView]:
    today = to_local(schedule.now, schedule.time_zone).date()
    own = {holiday.day for holiday in schedule.own_holidays}
    coming = sorted((day, name) for day, name in schedule.holidays.items() if today <= day < today + HOLIDAYS_AHEAD)
    return [HolidayView(day, name, day in own) for day, name in coming[:MOST_HOLIDAYS]]
