"""The statements about rotas, their members and hours."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.routing.models import Holiday, Override, Rota, RotaMember, Shift

_ROTA = "id, name, time_zone, strategy, holiday_country, supervisor_id, version"
_MEMBER = "rota_id, user_id, position, weight, capacity, assigned, last_assigned_at, last_turn, credit"


async def list_rotas(tx: Tx) -> list[Rota]:
    """Every rota in use, by name; a workspace has at most some dozens."""
    # By the partial unique index rota_name.
    return await tx.fetch_all(
        Rota,
        f"SELECT {_ROTA} FROM app.rota WHERE workspace_id = %s AND archived_at IS NULL ORDER BY lower(name)",
        (tx.workspace_id,),
    )


async def find_rotas(tx: Tx, rota_ids: Sequence[UUID]) -> dict[UUID, Rota]:
    """Those of the rotas that are in use."""
    # By primary key.
    found = await tx.fetch_all(
        Rota,
        f"SELECT {_ROTA} FROM app.rota WHERE workspace_id = %s AND id = ANY(%s) AND archived_at IS NULL",
        (tx.workspace_id, list(rota_ids)),
    )
    return {rota.id: rota for rota in found}


async def find_rota_by_name(tx: Tx, name: str) -> Rota | None:
    """The rota in use with that name, in any case of letters."""
    # Along the workspace's part of the index rota_name: row security keeps lower() from being looked up in it.
    return await tx.find_one(
        Rota,
        f"SELECT {_ROTA} FROM app.rota WHERE workspace_id = %s AND lower(name) = lower(%s) AND archived_at IS NULL",
        (tx.workspace_id, name),
    )


async def insert_rota(tx: Tx, rota: Rota) -> bool:
    """False when the name is taken."""
    # Adds a rota once a name; by the partial unique index rota_name.
    added = await tx.execute(
        """
        INSERT INTO app.rota (id, workspace_id, name, time_zone, strategy, holiday_country, supervisor_id)
        VALUES (%s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (workspace_id, lower(name)) WHERE archived_at IS NULL DO NOTHING
        """,
        (
            rota.id,
            tx.workspace_id,
            rota.name,
            rota.time_zone,
            rota.strategy,
            rota.holiday_country,
            rota.supervisor_id,
        ),
    )
    return added == 1


async def update_rota(tx: Tx, rota: Rota) -> None:
    """Write the settings of a rota."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.rota SET name = %s, time_zone = %s, strategy = %s, holiday_country = %s, supervisor_id = %s
        WHERE workspace_id = %s AND id = %s
        """,
        (
            rota.name,
            rota.time_zone,
            rota.strategy,
            rota.holiday_country,
            rota.supervisor_id,
            tx.workspace_id,
            rota.id,
        ),
    )


async def advance_version(tx: Tx, rota_id: UUID) -> None:
    """Count a change of the rota, and lock it against another at the same time."""
    # By primary key.
    await tx.execute(
        "UPDATE app.rota SET version = version + 1 WHERE workspace_id = %s AND id = %s", (tx.workspace_id, rota_id)
    )


async def archive_rota(tx: Tx, rota_id: UUID) -> None:
    """Take a rota out of use; decisions go on naming it."""
    # By primary key.
    await tx.execute(
        "UPDATE app.rota SET archived_at = app.now() WHERE workspace_id = %s AND id = %s", (tx.workspace_id, rota_id)
    )


async def lock_members(tx: Tx, rota_ids: Sequence[UUID]) -> list[RotaMember]:
    """The members of these rotas, in the order of each rota, locked together with their places in other rotas.

    A person's capacity counts in all their rotas, so whoever hands out anything to a person holds all their places.
    """
    # The people by primary key prefix, their places by the index rota_member_by_user; sorted against deadlocks.
    found = await tx.fetch_all(
        RotaMember,
        f"""
        SELECT {_MEMBER} FROM app.rota_member WHERE workspace_id = %(workspace)s AND user_id IN (
            SELECT user_id FROM app.rota_member WHERE rota_id = ANY(%(rotas)s) AND workspace_id = %(workspace)s
        )
        ORDER BY user_id, rota_id FOR UPDATE
        """,
        {"workspace": tx.workspace_id, "rotas": list(rota_ids)},
    )
    return sorted((m for m in found if m.rota_id in rota_ids), key=lambda member: member.position)


async def list_members(tx: Tx, rota_ids: Sequence[UUID]) -> list[RotaMember]:
    """The members of these rotas, in the order of each rota."""
    # By primary key prefix.
    return await tx.fetch_all(
        RotaMember,
        f"""
        SELECT {_MEMBER} FROM app.rota_member WHERE workspace_id = %s AND rota_id = ANY(%s)
        ORDER BY rota_id, position, user_id
        """,
        (tx.workspace_id, list(rota_ids)),
    )


async def upsert_member(tx: Tx, rota_id: UUID, user_id: UUID, weight: int, capacity: int | None) -> None:
    """Add a member at the end of the rota, or change their weight and capacity; a new weight starts afresh."""
    # By primary key; the end is found by its prefix.
    await tx.execute(
        """
        INSERT INTO app.rota_member AS old (rota_id, workspace_id, user_id, weight, capacity, position)
        SELECT %(rota)s, %(workspace)s, %(user)s, %(weight)s, %(capacity)s, coalesce(max(position), 0) + 1
        FROM app.rota_member WHERE rota_id = %(rota)s
        ON CONFLICT (rota_id, user_id) DO UPDATE SET weight = excluded.weight, capacity = excluded.capacity
        """,
        {
            "rota": rota_id,
            "workspace": tx.workspace_id,
            "user": user_id,
            "weight": weight,
            "capacity": capacity,
        },
    )


async def clear_credits(tx: Tx, rota_id: UUID) -> None:
    """Forget what smooth weighting owes, because the weights or the strategy have changed."""
    # By primary key prefix.
    await tx.execute(
        "UPDATE app.rota_member SET credit = 0 WHERE workspace_id = %s AND rota_id = %s", (tx.workspace_id, rota_id)
    )


async def delete_member(tx: Tx, rota_id: UUID, user_id: UUID) -> None:
    """Take a person out of a rota, with their hours in it."""
    # By the index rota_shift_by_rota.
    await tx.execute("DELETE FROM app.rota_shift WHERE rota_id = %s AND user_id = %s", (rota_id, user_id))
    # By the index rota_override_by_rota.
    await tx.execute("DELETE FROM app.rota_override WHERE rota_id = %s AND user_id = %s", (rota_id, user_id))
    # By primary key.
    await tx.execute("DELETE FROM app.rota_member WHERE rota_id = %s AND user_id = %s", (rota_id, user_id))


async def write_order(tx: Tx, rota_id: UUID, user_ids: Sequence[UUID]) -> None:
    """Put the members in this order."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.rota_member AS m SET position = new.position
        FROM unnest(%s::uuid[]) WITH ORDINALITY AS new (user_id, position)
        WHERE m.workspace_id = %s AND m.rota_id = %s AND m.user_id = new.user_id
        """,
        (list(user_ids), tx.workspace_id, rota_id),
    )


async def list_shifts(tx: Tx, rota_ids: Sequence[UUID]) -> list[Shift]:
    """The weekly hours of these rotas."""
    # By the index rota_shift_by_rota.
    return await tx.fetch_all(
        Shift,
        """
        SELECT rota_id, user_id, weekday, starts, ends FROM app.rota_shift
        WHERE workspace_id = %s AND rota_id = ANY(%s) ORDER BY rota_id, weekday, starts
        """,
        (tx.workspace_id, list(rota_ids)),
    )


async def replace_shifts(tx: Tx, rota_id: UUID, shifts: Sequence[tuple[UUID, Shift]]) -> None:
    """Write the rota's weekly hours anew, each with its id."""
    # By the index rota_shift_by_rota.
    await tx.execute("DELETE FROM app.rota_shift WHERE workspace_id = %s AND rota_id = %s", (tx.workspace_id, rota_id))
    # One row a shift.
    await tx.execute(
        """
        INSERT INTO app.rota_shift (id, rota_id, workspace_id, user_id, weekday, starts, ends)
        SELECT id, %s, %s, user_id, weekday, starts, ends
        FROM unnest(%s::uuid[], %s::uuid[], %s::smallint[], %s::time[], %s::time[])
            AS new (id, user_id, weekday, starts, ends)
        """,
        (
            rota_id,
            tx.workspace_id,
            [shift_id for shift_id, _ in shifts],
            [shift.user_id for _, shift in shifts],
            [shift.weekday for _, shift in shifts],
            [shift.starts for _, shift in shifts],
            [shift.ends for _, shift in shifts],
        ),
    )


async def list_overrides(tx: Tx, rota_ids: Sequence[UUID]) -> list[Override]:
    """The overrides of these rotas that hold now or later, by their start."""
    # By the index rota_override_by_rota.
    return await tx.fetch_all(
        Override,
        """
        SELECT id, rota_id, user_id, is_on, starts_at, ends_at, reason FROM app.rota_override
        WHERE workspace_id = %s AND rota_id = ANY(%s) AND ends_at > app.now() ORDER BY starts_at, id
        """,
        (tx.workspace_id, list(rota_ids)),
    )


async def insert_override(tx: Tx, override: Override) -> None:
    """Add an override."""
    # One row.
    await tx.execute(
        """
        INSERT INTO app.rota_override (id, rota_id, workspace_id, user_id, is_on, starts_at, ends_at, reason)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (
            override.id,
            override.rota_id,
            tx.workspace_id,
            override.user_id,
            override.is_on,
            override.starts_at,
            override.ends_at,
            override.reason,
        ),
    )


async def delete_override(tx: Tx, rota_id: UUID, override_id: UUID) -> None:
    """Take an override back."""
    # By primary key.
    await tx.execute(
        "DELETE FROM app.rota_override WHERE workspace_id = %s AND rota_id = %s AND id = %s",
        (tx.workspace_id, rota_id, override_id),
    )


async def list_holidays(tx: Tx, rota_ids: Sequence[UUID], since: date) -> list[Holiday]:
    """The rotas' own holidays from `since` on, by day."""
    # By primary key prefix.
    return await tx.fetch_all(
        Holiday,
        """
        SELECT rota_id, day, name FROM app.rota_holiday
        WHERE workspace_id = %s AND rota_id = ANY(%s) AND day >= %s ORDER BY rota_id, day
        """,
        (tx.workspace_id, list(rota_ids), since),
    )


async def upsert_holiday(tx: Tx, holiday: Holiday) -> None:
    """Add a holiday, or rename the one of that day."""
    # By primary key.
    await tx.execute(
        """
        INSERT INTO app.rota_holiday (rota_id, workspace_id, day, name) VALUES (%s, %s, %s, %s)
        ON CONFLICT (rota_id, day) DO UPDATE SET name = excluded.name
        """,
        (holiday.rota_id, tx.workspace_id, holiday.day, holiday.name),
    )


async def delete_holiday(tx: Tx, rota_id: UUID, day: date) -> None:
    """Make that day an ordinary one."""
    # By primary key.
    await tx.execute(
        "DELETE FROM app.rota_holiday WHERE workspace_id = %s AND rota_id = %s AND day = %s",
        (tx.workspace_id, rota_id, day),
    )
