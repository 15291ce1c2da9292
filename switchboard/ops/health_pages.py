"""`/health`, `/health/ready` and `/metrics`, open to whoever can reach the port."""

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
    """200 when traffic may come here, with every queue's lag; 503 otherwise."""
    found = await _check(request)
    return JSONResponse(found.as_json(), status_code=200 if found.is_ready else 503)


async def show_metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    found = await _check(request)
    body = render_metrics(found, request.app.state.settings.metrics_dir)
    return Response(body, media_type=CONTENT_TYPE_LATEST)


async def _check(request: Request) -> health.Health:
    settings: Settings = request.app.state.settings
    database: Database = request.app.state.database
    return await health.check(database, settings.home)


routes = [
    Route("/health", show_alive),
    Route("/api/health", show_alive),
    Route("/health/ready", show_ready),
    Route("/metrics", show_metrics),
]
