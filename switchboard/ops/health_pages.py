"""`/health`, `/health/ready` and `/metrics`, open to whoever can reach the port."""

from dataclasses import replace

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from switchboard.kernel.db import Database
from switchboard.kernel.settings import Settings
from switchboard.ops import health
from switchboard.ops.metrics import render_metrics


async def show_alive(_request: Request) -> Response:
    """The process answers: nothing more is asked, so that a lost database does not restart it."""
    return JSONResponse({"status": "ok"})


async def show_ready(request: Request) -> Response:
    """200 when traffic may come here, with every queue's lag; 503 otherwise.

    While Postgres is away this is about intake, which goes on; `?for=pages` asks about pages, which do not.
    """
    found = await _check(request)
    is_ready = found.is_ready and (request.query_params.get("for") != "pages" or found.database == "ok")
    return JSONResponse(found.as_json(), status_code=200 if is_ready else 503)


async def show_metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    found = await _check(request)
    body = render_metrics(found, request.app.state.settings.metrics_dir)
    return Response(body, media_type=CONTENT_TYPE_LATEST)


async def _check(request: Request) -> health.Health:
    settings: Settings = request.app.state.settings
    database: Database = request.app.state.database
    found = await health.check(database, settings.home, request.app.state.standby)
    return replace(found, runs_queues=settings.run_queue_consumers)


routes = [
    Route("/health", show_alive),
    Route("/api/health", show_alive),
    Route("/health/ready", show_ready),
    Route("/metrics", show_metrics),
]
