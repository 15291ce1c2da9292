"""The web application: pages, live updates and health, put together from the rooms."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from switchboard.entrypoints import assembly, home, live_stream, palette, session_pages
from switchboard.entrypoints.filters import FILTERS
from switchboard.entrypoints.headers import SecurityHeaders
from switchboard.entrypoints.intake_connection import INTAKE
from switchboard.entrypoints.intake_first import IntakeFirst
from switchboard.entrypoints.request_metrics import RequestMetrics
from switchboard.intake.app import IntakeApp
from switchboard.intake.batcher import Batcher
from switchboard.intake.standby import Check, Standby
from switchboard.kernel.body_budget import BodyBudget
from switchboard.kernel.db import Database
from switchboard.kernel.errors import NotFoundError, SwitchboardError, UnavailableError
from switchboard.kernel.http import Renderer, error_headers, own_path, page_response, problem_response, wants_json
from switchboard.kernel.live import LiveFeed
from switchboard.kernel.settings import Settings
from switchboard.ops import health, health_pages

STATIC = Path(__file__).parent / "static"


def create_app(settings: Settings, database_url: str, *, check_later: Check | None = None) -> Starlette:
    """The application for one process; connects to nothing until its lifespan begins.

    With `check_later` the database is away: intake answers without it, and it is opened once the check raises nothing.
    """
    database = Database(database_url, assembly.build_hub(), max_connections=settings.database_connections)
    live = LiveFeed(database_url)
    standby = Standby(settings, database)
    batcher = Batcher(database, most_waiting=settings.intake_buffer, reserve=standby.reserve)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Mapping[str, object]]:
        if check_later is None:
            await database.open()
        await standby.start(check_later)
        batcher.start()
        listening = asyncio.create_task(live.run())  # gate: tasks the feed lives as long as the process
        try:
            # For connections, which know no application.
            yield {INTAKE: app.state.intake}
        finally:
            live.close()
            listening.cancel()
            await batcher.stop()
            await standby.stop()
            await database.close()

    app = Starlette(
        routes=[*_own_routes(), *assembly.page_routes()],
        lifespan=lifespan,
        middleware=[Middleware(IntakeFirst), Middleware(RequestMetrics), Middleware(SecurityHeaders)],
        exception_handlers={SwitchboardError: _known_error, HTTPException: _http_error, 500: _bug},
    )
    app.state.settings = settings
    app.state.database = database
    app.state.live = live
    app.state.batcher = batcher
    app.state.bodies = BodyBudget()
    app.state.standby = standby
    app.state.intake = IntakeApp(standby.doors, batcher, app.state.bodies)
    app.state.renderer = Renderer(assembly.ROOMS_WITH_PAGES, FILTERS)
    app.state.static_version = _static_version()
    app.state.shell_counts = assembly.shell_counts
    app.state.contact_holders = assembly.contact_holders()
    app.state.subject_kinds = assembly.subject_kinds()
    app.state.segment_vocabulary = assembly.segment_vocabulary()
    return app


def _own_routes() -> list[Route | Mount]:
    return [
        *home.routes,
        *session_pages.routes,
        *palette.routes,
        *health_pages.routes,
        *live_stream.routes,
        Mount("/static", StaticFiles(directory=STATIC), name="static"),
    ]


async def _known_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SwitchboardError)  # noqa: S101 Starlette hands over only what was registered
    if wants_json(request):
        return problem_response(error)
    standby: Standby = request.app.state.standby
    is_outage = isinstance(error, UnavailableError) and standby.outage.is_on
    remedy = health.describe_outage(standby, await standby.measure()) if is_outage else ""
    return _error_page(request, error, remedy)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 Starlette hands over only what was registered
    if error.status_code == 404:
        return await _known_error(request, NotFoundError("There is no such page. Check the address."))
    known = SwitchboardError(error.detail)
    known.status, known.code = error.status_code, "refused"
    response = await _known_error(request, known)
    response.headers.update(error.headers or {})
    return response


async def _bug(request: Request, _error: Exception) -> Response:
    return await _known_error(
        request, SwitchboardError("Something went wrong on our side. Nothing was changed; the log says more.")
    )


def _error_page(request: Request, error: SwitchboardError, remedy: str) -> Response:
    problems = [
        f"{problem.field}: {problem.message}" if problem.field else problem.message for problem in error.problems
    ]
    context = {
        "status": error.status,
        "title": error.code.replace("_", " ").capitalize(),
        "message": error.message,
        "remedy": remedy or "; ".join(problems),
        "back_href": _page_before(request) if request.method == "POST" else "",
        "static_version": request.app.state.static_version,
    }
    renderer: Renderer = request.app.state.renderer
    response = page_response(renderer.render("error.html", context), status=error.status)
    response.headers.update(error_headers(error))
    return response


def _page_before(request: Request) -> str:
    own = f"{request.url.scheme}://{request.headers.get('host', '')}/"
    referer = request.headers.get("referer", "")
    return own_path(referer.removeprefix(own.rstrip("/")), otherwise="") if referer.startswith(own) else ""


def _static_version() -> str:
    digest = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:10]
