"""What a merge would do, before anybody does it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.people import repository
from switchboard.people.errors import ContactNotFoundError, MergeRefusedError
from switchboard.people.merging import ContactHolder, Moved, combine, move_rows
from switchboard.people.models import Contact, ContactRow, Identity

_LABELS = {
    "name": "Name",
    "company": "Company",
    "country": "Country",
    "time_zone": "Time zone",
    "locale": "Language",
}


@dataclass(frozen=True, slots=True)
class ColumnPreview:
    """One fact about a person: what each contact says, and what will stand; empty texts where nothing is known."""

    label: str
    kept: str
    lost: str
    result: str


@dataclass(frozen=True, slots=True)
class MovePreview:
    """How many rows of one kind will move to the kept contact."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class MergePreview:
    """Both contacts side by side, and the one that will remain."""

    kept: Contact
    lost: Contact
    kept_identities: Sequence[Identity]
    lost_identities: Sequence[Identity]
    columns: Sequence[ColumnPreview]
    moves: Sequence[MovePreview]


class _TakenBackError(Exception):
    """Ends a savepoint without keeping what was done in it."""

    def __init__(self, moved: Moved) -> None:
        super().__init__()
        self.moved = moved


async def preview(
    tx: Tx, caller: Caller, kept_id: UUID, lost_id: UUID, holders: Sequence[ContactHolder]
) -> MergePreview:
    """What `merge` would do with the same arguments; nothing is changed.

    Raises ContactNotFoundError, and MergeRefusedError when either has been merged away already.
    """
    caller.require("agent")
    if kept_id == lost_id:
        raise InvalidError(
            "A contact cannot be merged with itself.", problems=[Problem("lost_id", "choose another contact")]
        )
    kept, lost = await _load_both(tx, kept_id, lost_id)
    contacts = await repository.load_contacts(tx, (kept_id, lost_id))
    identities = await repository.list_identities(tx, (kept_id, lost_id))
    moved = await _try(tx, kept, lost, holders)
    return MergePreview(
        kept=contacts[kept_id],
        lost=contacts[lost_id],
        kept_identities=[identity for identity in identities if identity.contact_id == kept_id],
        lost_identities=[identity for identity in identities if identity.contact_id == lost_id],
        columns=_columns(kept, lost, combine(kept, lost)),
        moves=_moves(moved),
    )


async def _load_both(tx: Tx, kept_id: UUID, lost_id: UUID) -> tuple[ContactRow, ContactRow]:
    rows = await repository.lock_rows(tx, (kept_id, lost_id))
    if kept_id not in rows or lost_id not in rows:
        raise ContactNotFoundError
    if any(row.merged_into is not None for row in rows.values()):
        raise MergeRefusedError("One of the two has been merged already. Load the contact again.")
    return rows[kept_id], rows[lost_id]


async def _try(tx: Tx, kept: ContactRow, lost: ContactRow, holders: Sequence[ContactHolder]) -> Moved:
    # The real move is made and taken back, because only it knows what every room would move.
    try:
        async with tx.savepoint():
            raise _TakenBackError(await move_rows(tx, kept, lost, combine(kept, lost), holders))
    except _TakenBackError as taken_back:
        return taken_back.moved


def _columns(kept: ContactRow, lost: ContactRow, result: ContactRow) -> list[ColumnPreview]:
    columns = [
        ColumnPreview(label, *(str(getattr(row, column) or "") for row in (kept, lost, result)))
        for column, label in _LABELS.items()
    ]
    columns += [
        ColumnPreview(name, *(str(row.fields.get(name, "")) for row in (kept, lost, result)))
        for name in sorted(result.fields)
    ]
    columns.append(
        ColumnPreview("Marketing", *("Opted out" if row.opted_out_at else "" for row in (kept, lost, result)))
    )
    return [column for column in columns if column.kept or column.lost]


def _moves(moved: Moved) -> list[MovePreview]:
    counts = {
        "addresses": len(moved.identities),
        "notes": len(moved.notes),
        "consents": len(moved.consents),
        **{name: len(row_ids) for name, row_ids in moved.held.items()},
    }
    return [MovePreview(name, count) for name, count in counts.items() if count]
