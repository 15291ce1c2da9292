"""Bringing a batch's rotas together with their hours and loads, so that it can be decided in memory."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Member
from switchboard.kernel.db import Tx
from switchboard.kernel.localtime import ONE_DAY
from switchboard.routing import repository, repository_rotas
from switchboard.routing.availability import Schedule
from switchboard.routing.models import Holiday, Override, Rota, RotaMember, Shift
from switchboard.routing.picking import Refusal, Roster, Standing, absence_of

Colleagues = Mapping[UUID, Member]
FORMER_MEMBER = "A former member"


@dataclass(frozen=True, slots=True)
class Batch:
    """Which contacts a batch is about, and which subjects: their own rows are no history of the contact."""

    contact_ids: Sequence[UUID] = ()
    subject_ids: Sequence[UUID] = ()


@dataclass(frozen=True, slots=True)
class _Hours:
    """When people are on, of some rotas."""

    shifts: Sequence[Shift]
    overrides: Sequence[Override]
    holidays: Sequence[Holiday]


async def load_colleagues(tx: Tx) -> Colleagues:
    """The members of the workspace by id."""
    return {member.user_id: member for member in await tx.remember("members", accounts.list_members)}


async def open_rosters(
    tx: Tx, rota_ids: Sequence[UUID], colleagues: Colleagues, batch: Batch, *, is_locked: bool = True
) -> dict[UUID, Roster]:
    """The rosters of these rotas at `tx.now()`; when locked, nobody else hands out anything to their members."""
    if not rota_ids:
        return {}
    # What others have handed out is read after the lock: each statement sees what was committed before it.
    take = repository_rotas.lock_members if is_locked else repository_rotas.list_members
    members = await take(tx, rota_ids)
    in_use = {rota.id: rota for rota in await tx.remember("rotas", repository_rotas.list_rotas)}
    rotas = {rota_id: in_use[rota_id] for rota_id in rota_ids if rota_id in in_use}
    now = await tx.now()
    schedules = await load_schedules(tx, list(rotas.values()), now)
    loads = await _count_loads(tx, rotas, members)
    queued = await repository.find_waiting_rotas(tx, list(rotas), batch.subject_ids)
    former_owners = await _load_former_owners(tx, list(rotas.values()), batch)
    rosters = {}
    for rota in rotas.values():
        own = [member for member in members if member.rota_id == rota.id]
        standings = [_standing(member, colleagues, schedules[rota.id]) for member in own]
        rosters[rota.id] = Roster(rota, standings, loads, former_owners, rota.id in queued)
    return rosters


async def _count_loads(tx: Tx, rotas: Mapping[UUID, Rota], members: Sequence[RotaMember]) -> Counter[UUID]:
    """The open subjects of those whose load decides anything: counting them all grows with what they have."""
    balanced = {rota.id for rota in rotas.values() if rota.strategy == "least_loaded"}
    counted = {member.user_id for member in members if member.capacity is not None or member.rota_id in balanced}
    return Counter(await repository.count_open(tx, list(counted)) if counted else {})


async def load_schedules(tx: Tx, rotas: Sequence[Rota], now: datetime) -> dict[UUID, Schedule]:
    """The hours of these rotas round `now`."""
    rota_ids = [rota.id for rota in rotas]
    since = (now - 2 * ONE_DAY).date()

    async def read(tx: Tx) -> _Hours:
        # What is over by now is read no more, and what is over later does no harm.
        return _Hours(
            await repository_rotas.list_shifts(tx, rota_ids),
            await repository_rotas.list_overrides(tx, rota_ids),
            await repository_rotas.list_holidays(tx, rota_ids, since),
        )

    hours = await tx.remember(f"hours of {sorted(rota_ids)}", read)
    return {
        rota.id: Schedule(
            rota.time_zone,
            now,
            [shift for shift in hours.shifts if shift.rota_id == rota.id],
            [override for override in hours.overrides if override.rota_id == rota.id],
            [holiday for holiday in hours.holidays if holiday.rota_id == rota.id],
            rota.holiday_country,
        )
        for rota in rotas
    }


def absence(user_id: UUID, colleagues: Colleagues, schedule: Schedule) -> Refusal | None:
    """Why a member of a rota cannot be given anything now, whatever their load."""
    colleague = colleagues.get(user_id)
    if colleague is None:
        return Refusal("left", "is no longer a member of the workspace")
    if colleague.role == "viewer":
        return Refusal("role", "has the role viewer, which cannot work leads")
    return absence_of(schedule.presence(user_id))


def name_of(user_id: UUID, colleagues: Colleagues) -> str:
    """How people are shown, also when they have left."""
    return colleagues[user_id].name if user_id in colleagues else FORMER_MEMBER


def _standing(member: RotaMember, colleagues: Colleagues, schedule: Schedule) -> Standing:
    return Standing(
        user_id=member.user_id,
        name=name_of(member.user_id, colleagues),
        position=member.position,
        weight=member.weight,
        capacity=member.capacity,
        assigned=member.assigned,
        last_turn=member.last_turn,
        credit=member.credit,
        absence=absence(member.user_id, colleagues, schedule),
    )


async def _load_former_owners(tx: Tx, rotas: Sequence[Rota], batch: Batch) -> dict[UUID, UUID]:
    if not batch.contact_ids or all(rota.strategy != "sticky" for rota in rotas):
        return {}
    return await repository.find_former_owners(tx, batch.contact_ids, batch.subject_ids)
