"""Imports as people ask for them: upload, map the columns, look at the preview, go, cancel, fetch what failed."""

import hashlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.intake import repository_imports
from switchboard.intake.errors import ImportMissingError, ImportStateError
from switchboard.intake.files import Row
from switchboard.intake.files_export import RejectedRow, write_errors_csv
from switchboard.intake.files_preview import PreviewRow, parse_row
from switchboard.intake.mapping import FieldMapping
from switchboard.intake.models import Import
from switchboard.intake.repository_imports import ImportProblem
from switchboard.intake.service import access_source
from switchboard.kernel import events, jobs
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem, TooLargeError, UnreadableError
from switchboard.kernel.events import Event
from switchboard.kernel.ids import new_id

EXAMINE, RUN = "intake.examine", "intake.import"
MOST_FILE_BYTES = 200 << 20
CHUNK_BYTES = 1 << 20
SAMPLE_ROWS = 20
LONGEST_FILE_NAME = 200


async def upload(tx: Tx, caller: Caller, source_id: UUID, file_name: str, parts: AsyncIterator[bytes]) -> Import:
    """Keep a file for import, given in parts of at most 1 MiB; it is examined by a job.

    Raises SourceMissingError, TooLargeError over 200 MB, UnreadableError for an empty file.
    """
    caller.require("admin")
    await access_source(tx, caller, source_id)
    import_id = new_id()
    name = Path(file_name.replace("\\", "/")).name[:LONGEST_FILE_NAME] or "file"
    await repository_imports.insert_import(tx, import_id, source_id, name, caller.user_id)
    size = 0
    number = 0
    async for part in parts:
        size += len(part)
        if size > MOST_FILE_BYTES:
            message = f"The file has more than {MOST_FILE_BYTES >> 20} MB; split it and import the parts."
            raise TooLargeError(message, data={"limit_bytes": MOST_FILE_BYTES})
        await repository_imports.insert_chunk(tx, import_id, number, part)
        number += 1
    if not size:
        raise UnreadableError("The file is empty. Choose a CSV or XLSX file with a header and rows.")
    await jobs.enqueue(tx, EXAMINE, {"import_id": import_id}, key=str(import_id), priority=3)
    await events.append(tx, [Event("import.uploaded", subject_id=import_id, actor=caller.actor)])
    return await access_import(tx, caller, import_id)


async def access_import(tx: Tx, caller: Caller, import_id: UUID) -> Import:
    """An import of the caller's workspace; raises ImportMissingError, for a stranger's as well."""
    caller.require("viewer")
    found = await repository_imports.find_import(tx, import_id)
    if found is None:
        raise ImportMissingError
    return found


async def list_imports(tx: Tx, caller: Caller) -> list[Import]:
    """The newest 50 imports of the workspace."""
    caller.require("viewer")
    return await repository_imports.list_imports(tx)


async def examine_again(
    tx: Tx, caller: Caller, import_id: UUID, *, encoding: str | None, delimiter: str | None
) -> None:
    """Read the file in another encoding or with another delimiter; None lets it be found."""
    import_ = await _access(tx, caller, import_id)
    if not await repository_imports.save_reading(tx, import_id, encoding, delimiter):
        raise ImportStateError(import_.state)
    await jobs.enqueue(tx, EXAMINE, {"import_id": import_id}, key=str(import_id), priority=3)


async def map_columns(tx: Tx, caller: Caller, import_id: UUID, columns: Mapping[str, object]) -> Import:
    """Say which column is what; raises InvalidError with every problem."""
    import_ = await _access(tx, caller, import_id)
    FieldMapping.from_json(dict(columns))
    if not await repository_imports.save_columns(tx, import_id, columns):
        raise ImportStateError(import_.state)
    return await access_import(tx, caller, import_id)


def preview_rows(import_: Import) -> list[PreviewRow]:
    """The first 20 rows as they would become contacts, with what is wrong beside them."""
    mapping = FieldMapping.from_json(import_.columns)
    rows = import_.sample.get("rows", [])
    return [_preview(row, mapping) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def headers_of(import_: Import) -> list[str]:
    """The names of the file's columns."""
    headers = import_.sample.get("headers", [])
    return [str(header) for header in headers] if isinstance(headers, list) else []


def headers_key(sample: Mapping[str, object]) -> str:
    """The same for files with the same columns, in whatever order: mappings are remembered by it."""
    headers = sample.get("headers", [])
    names = sorted(str(header) for header in headers) if isinstance(headers, list) else []
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]


async def start(tx: Tx, caller: Caller, import_id: UUID, *, starts_flows: bool = False) -> Import:
    """Import the file with the columns as they are mapped now.

    Flows begin for these people only when `starts_flows` says so: a file is mostly of people who asked long ago.
    Raises InvalidError when nobody could be reached.
    """
    import_ = await _access(tx, caller, import_id)
    if not {"email", "phone"} & FieldMapping.from_json(import_.columns).rules.keys():
        message = "choose the column that holds e-mail addresses or phone numbers"
        raise InvalidError("Nobody could be reached.", problems=[Problem("columns", message)])
    if not await repository_imports.move_state(tx, import_id, before=["ready"], after="running"):
        raise ImportStateError(import_.state)
    if starts_flows:
        await repository_imports.allow_flows(tx, import_id)
    await jobs.enqueue(tx, RUN, {"import_id": import_id}, key=str(import_id), priority=7)
    await events.append(tx, [Event("import.started", subject_id=import_id, actor=caller.actor)])
    return await access_import(tx, caller, import_id)


async def cancel(tx: Tx, caller: Caller, import_id: UUID) -> Import:
    """Stop an import; rows that were recognised already stay, the others are let go."""
    import_ = await _access(tx, caller, import_id)
    if not await repository_imports.move_state(
        tx, import_id, before=["uploaded", "ready", "running"], after="cancelled"
    ):
        raise ImportStateError(import_.state)
    await repository_imports.delete_due_of_import(tx, import_id)
    await repository_imports.delete_chunks(tx, import_id)
    await events.append(tx, [Event("import.cancelled", subject_id=import_id, actor=caller.actor)])
    return await access_import(tx, caller, import_id)


async def list_problems(tx: Tx, caller: Caller, import_id: UUID, *, most: int) -> list[ImportProblem]:
    """The first rows that were not imported, with reasons; raises ImportMissingError."""
    await access_import(tx, caller, import_id)
    return await repository_imports.list_problems(tx, import_id, most)


def errors_file(import_: Import, problems: list[ImportProblem]) -> bytes:
    """The rows that failed as a CSV that can be mended and imported again. Blocks; run it in a thread."""
    with tempfile.TemporaryDirectory(prefix="switchboard-errors-") as folder:
        path = Path(folder) / "errors.csv"
        rejected = (RejectedRow(row.row_number, row.cells, [row.reason]) for row in problems)
        write_errors_csv(path, headers_of(import_), rejected)
        return path.read_bytes()


async def _access(tx: Tx, caller: Caller, import_id: UUID) -> Import:
    caller.require("admin")
    return await access_import(tx, caller, import_id)


def _preview(sample: Mapping[str, object], mapping: FieldMapping) -> PreviewRow:
    cells = sample["cells"]
    problems = sample["problems"]
    row = Row(
        int(str(sample["number"])),
        dict(cells) if isinstance(cells, dict) else {},
        tuple(Problem(str(each["field"]), str(each["message"])) for each in problems)
        if isinstance(problems, list)
        else (),
    )
    try:
        return PreviewRow(row.number, row.cells, parse_row(row, mapping), ())
    except InvalidError as error:
        return PreviewRow(row.number, row.cells, None, error.problems)
