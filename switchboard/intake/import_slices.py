"""The next rows of a file, made ready for the database while it is still busy with the rows before them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec

from switchboard.intake.app import CONTENT_WINDOW, OWN_ID_WINDOW
from switchboard.intake.files import Row
from switchboard.intake.files_limits import Cell
from switchboard.intake.formats.coercion import as_text
from switchboard.intake.formats.dedupe import dedupe_key
from switchboard.intake.formats.payloads import Payload
from switchboard.intake.formats.plain_rows import PlainRows
from switchboard.intake.import_files import OpenFile
from switchboard.intake.import_tally import reason
from switchboard.intake.mapping import FieldMapping, flatten
from switchboard.intake.models import Import, NewSignal
from switchboard.intake.outcomes import Said, read_row, see
from switchboard.intake.repository_imports import ImportProblem
from switchboard.kernel.ids import new_id
from switchboard.people.normalising import NormalSighting

_ONLY_TEXTS = frozenset({str})


class SliceRow(msgspec.Struct, frozen=True):
    """One row as a signal, with what it says and whom it is about; `seen` is None where it says nothing."""

    signal: NewSignal
    cells: Mapping[str, Cell]
    said: Said
    seen: NormalSighting | None


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows of a file: those that are signals, each key once, and rows that cannot become one."""

    rows: list[SliceRow]
    rejected: list[ImportProblem]
    repeated: int
    size: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows, and all that decides what is made of them."""

    import_id: UUID
    workspace_id: UUID
    source_id: UUID
    columns: Mapping[str, object]
    region: str
    position: int
    most: int

    @classmethod
    def next_of(cls, import_: Import, region: str, most: int) -> "Wanted":
        """The rows that have not been read yet."""
        return cls(
            import_.id, import_.workspace_id, import_.source_id, import_.columns, region, import_.rows_read, most
        )

    def after(self) -> "Wanted":
        """The rows behind these."""
        return Wanted(
            self.import_id,
            self.workspace_id,
            self.source_id,
            self.columns,
            self.region,
            self.position + self.most,
            self.most,
        )


class SliceReader:
    """Reads one open file a slice ahead; what nobody asked for in the end is read again where it is needed."""

    def __init__(self, opened: OpenFile) -> None:
        self.opened = opened
        self._ahead: tuple[Wanted, asyncio.Future[Slice]] | None = None

    async def take(self, wanted: Wanted) -> Slice:
        """These rows; raises what reading the file raises. The ones behind them are begun."""
        taken = await self._find_ahead(wanted)
        if taken is None:
            taken = await asyncio.to_thread(_make_slice, self.opened, wanted)
        if taken.size == wanted.most:
            behind = wanted.after()
            reading = asyncio.get_running_loop().run_in_executor(None, _make_slice, self.opened, behind)
            # Whoever asks for these rows hears what went wrong; where nobody does, nobody need.
            reading.add_done_callback(_hear_out)
            self._ahead = behind, reading
        return taken

    async def settle(self) -> None:
        """Wait for what is being read: the file has one reader at a time, and none when it is closed."""
        if self._ahead is not None:
            await asyncio.wait([self._ahead[1]])

    async def _find_ahead(self, wanted: Wanted) -> Slice | None:
        ahead = self._ahead
        if ahead is None:
            return None
        await self.settle()
        self._ahead = None
        known, future = ahead
        # What failed is tried again, so that whoever asks hears why.
        if known != wanted or future.cancelled() or future.exception() is not None:
            return None
        return future.result()


def _hear_out(reading: "asyncio.Future[Slice]") -> None:
    if not reading.cancelled():
        reading.exception()


def _make_slice(opened: OpenFile, wanted: Wanted) -> Slice:
    rows = opened.read(wanted.position, wanted.most)
    mapping = FieldMapping.from_json(wanted.columns)
    plain = PlainRows(mapping)
    by_key: dict[UUID, SliceRow] = {}
    rejected = []
    for row in rows:
        if row.problems:
            cells = {name: storable(cell) if isinstance(cell, str) else cell for name, cell in row.cells.items()}
            why = reason([problem.as_json() for problem in row.problems])
            rejected.append(ImportProblem(row.number, why, cells))
            continue
        signal = _new_signal(wanted, row, mapping)
        # What a repeated row says is known already.
        if signal.key not in by_key:
            by_key[signal.key] = _slice_row(wanted, row, mapping, plain, signal)
    repeated = len(rows) - len(rejected) - len(by_key)
    return Slice(list(by_key.values()), rejected, repeated, len(rows))


def storable(text: str) -> str:
    """The text without the one character that Postgres does not keep."""
    return text.replace("\0", "\ufffd")


def _slice_row(wanted: Wanted, row: Row, mapping: FieldMapping, plain: PlainRows, signal: NewSignal) -> SliceRow:
    cells = _as_kept(signal.payload, row.cells)
    parsed = plain.find_parsed(cells)
    said = read_row(cells, mapping) if parsed is None else Said(parsed)
    return SliceRow(signal, cells, said, see(said.parsed, wanted.region))


def _as_kept(payload: str, cells: Mapping[str, Cell]) -> Mapping[str, Cell]:
    """The cells as they would come back from the database, which nearly always is as they are."""
    if "\ufffd" not in payload and "\\u" not in payload and _ONLY_TEXTS.issuperset(map(type, cells.values())):
        return cells
    kept: dict[str, Cell] = msgspec.json.decode(payload)
    return kept


def _new_signal(wanted: Wanted, row: Row, mapping: FieldMapping) -> NewSignal:
    # Postgres keeps every character but this one.
    raw = msgspec.json.encode(row.cells).replace(b"\\u0000", b"\\ufffd")
    rule = mapping.rules.get("source_own_id")
    own_id = as_text(rule.read(flatten(row.cells)), 200) if rule else None
    # The same row twice in one file is one signal; in another file it is news from the sender.
    space = wanted.source_id if own_id else wanted.import_id
    return NewSignal(
        id=new_id(),
        workspace_id=wanted.workspace_id,
        source_id=wanted.source_id,
        key=dedupe_key(space, None, own_id, Payload(raw, row.cells)),
        window_seconds=OWN_ID_WINDOW if own_id else CONTENT_WINDOW,
        payload=raw.decode(),
        import_id=wanted.import_id,
        import_row=row.number,
    )
