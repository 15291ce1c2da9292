"""Imports on one page each: drop the file, map the columns, look at the preview, go."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, action, in_thread, page, upload
from switchboard.intake import importing, service
from switchboard.intake.files_preview import PreviewRow
from switchboard.intake.import_columns import ColumnChoice, list_targets, read_choices, to_mapping
from switchboard.intake.models import Import, Source
from switchboard.intake.repository_imports import MOST_PROBLEMS, ImportProblem
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.http import path_id, see_other

# The file and the little around it.
MOST_FORM_BYTES = importing.MOST_FILE_BYTES + (1 << 20)
MOST_SHOWN = 20
ENCODINGS = ("", "utf-8", "cp1252", "cp1250", "cp1251", "iso8859_15", "utf-16", "cp932", "gb18030", "big5")


@dataclass(frozen=True, slots=True)
class ImportListPage:
    """The form of a new import, and the imports there were."""

    sources: list[Source] = field(metadata={"help": "Sources a file can be imported into."})
    source_id: str = field(metadata={"help": "The chosen source, or empty."})
    imports: list[Import] = field(metadata={"help": "The newest imports."})
    names: dict[UUID, str] = field(metadata={"help": "Names of sources by id."})
    most_megabytes: int = field(metadata={"help": "Most that a file may hold."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class ImportPage:
    """One import, wherever it stands."""

    import_: Import = field(metadata={"help": "The import."})
    source: Source = field(metadata={"help": "The source its rows belong to."})
    columns: list[ColumnChoice] = field(metadata={"help": "The file's columns and what they are chosen to be."})
    targets: list[tuple[str, str]] = field(metadata={"help": "What a column can be."})
    rows: list[PreviewRow] = field(metadata={"help": "The first rows as they would become contacts."})
    problems: list[ImportProblem] = field(metadata={"help": "The first rows that were not imported."})
    encodings: tuple[str, ...] = field(metadata={"help": "Encodings that can be chosen."})
    error: str = field(metadata={"help": "Why it cannot start, empty when nothing was refused."})
    now: datetime = field(metadata={"help": "The request's time."})


async def show_imports(visit: Visit) -> Response:
    """The form of a new import, and the imports there were."""
    sources = await service.list_sources(visit.tx, visit.caller)
    context = ImportListPage(
        sources=sources,
        source_id=visit.query("source"),
        imports=await importing.list_imports(visit.tx, visit.caller),
        names={source.id: source.name for source in sources},
        most_megabytes=importing.MOST_FILE_BYTES >> 20,
        now=await visit.tx.now(),
    )
    return await visit.render("intake/imports.html", context, active="sources")


async def upload_file(visit: Visit) -> Response:
    """Keep the file and go to its page; a worker examines it."""
    file = visit.form.data.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise InvalidError("No file was sent.", problems=[Problem("file", "choose a CSV or XLSX file")])
    import_ = await importing.upload(visit.tx, visit.caller, visit.form.id("source"), file.filename, _parts(file))
    return see_other(f"/imports/{import_.id}")


async def show_import(visit: Visit) -> Response:
    """One import, wherever it stands."""
    return await _render(visit, await importing.access_import(visit.tx, visit.caller, path_id(visit.request)))


async def map_columns(visit: Visit) -> Response:
    """Keep the choices and show the preview anew."""
    import_ = await importing.access_import(visit.tx, visit.caller, path_id(visit.request))
    columns = to_mapping(importing.headers_of(import_), visit.form.texts("column"))
    await importing.map_columns(visit.tx, visit.caller, import_.id, columns)
    return see_other(f"/imports/{import_.id}")


async def change_reading(visit: Visit) -> Response:
    """Read the file in another encoding or with another delimiter."""
    import_id = path_id(visit.request)
    delimiter = {"tab": "\t"}.get(visit.form.text("delimiter"), visit.form.text("delimiter"))
    await importing.examine_again(
        visit.tx, visit.caller, import_id, encoding=visit.form.text("encoding") or None, delimiter=delimiter or None
    )
    return see_other(f"/imports/{import_id}")


async def start_import(visit: Visit) -> Response:
    """Begin to import the rows; flows begin for them only when that is ticked."""
    import_id = path_id(visit.request)
    try:
        starts_flows = visit.form.checked("starts_flows")
        await importing.start(visit.tx, visit.caller, import_id, starts_flows=starts_flows)
    except InvalidError as error:
        import_ = await importing.access_import(visit.tx, visit.caller, import_id)
        said = "; ".join(problem.message for problem in error.problems)
        return await _render(visit, import_, error=f"{error.message} {said.capitalize()}.", status=422)
    return see_other(f"/imports/{import_id}")


async def cancel_import(visit: Visit) -> Response:
    """Stop; what is done stays."""
    import_ = await importing.cancel(visit.tx, visit.caller, path_id(visit.request))
    return visit.done(f"/imports/{import_.id}", "The import was stopped.")


async def download_errors(visit: Visit) -> Response:
    """The rows that were not imported, as a CSV to mend and import again."""
    import_ = await importing.access_import(visit.tx, visit.caller, path_id(visit.request))
    problems = await importing.list_problems(visit.tx, visit.caller, import_.id, most=MOST_PROBLEMS)
    content = await in_thread(importing.errors_file, import_, problems)
    headers = {"Content-Disposition": 'attachment; filename="not-imported.csv"', "Cache-Control": "no-store"}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)


async def _render(visit: Visit, import_: Import, *, error: str = "", status: int = 200) -> Response:
    is_ready = import_.state == "ready"
    rows = importing.preview_rows(import_) if is_ready else []
    headers = importing.headers_of(import_) if is_ready else []
    context = ImportPage(
        import_=import_,
        source=await service.access_source(visit.tx, visit.caller, import_.source_id),
        columns=read_choices(headers, import_.columns, [row.cells for row in rows]),
        targets=list_targets(),
        rows=rows,
        problems=await importing.list_problems(visit.tx, visit.caller, import_.id, most=MOST_SHOWN),
        encodings=ENCODINGS,
        error=error,
        now=await visit.tx.now(),
    )
    return await visit.render("intake/import.html", context, active="sources", status=status)


async def _parts(file: UploadFile) -> AsyncIterator[bytes]:
    while part := await file.read(importing.CHUNK_BYTES):
        yield part


routes = [
    Route("/imports", page(show_imports), methods=["GET"]),
    Route("/imports", upload(upload_file, role="admin", most_bytes=MOST_FORM_BYTES), methods=["POST"]),
    Route("/imports/{id}", page(show_import), methods=["GET"]),
    Route("/imports/{id}/columns", action(map_columns), methods=["POST"]),
    Route("/imports/{id}/reading", action(change_reading), methods=["POST"]),
    Route("/imports/{id}/start", action(start_import), methods=["POST"]),
    Route("/imports/{id}/cancel", action(cancel_import), methods=["POST"]),
    Route("/imports/{id}/errors.csv", page(download_errors), methods=["GET"]),
]
