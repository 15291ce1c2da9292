"""`switchboard serve`: the process that answers HTTP."""

import asyncio
import socket

import uvicorn

from switchboard.entrypoints.http_connection import BoundedConnection
from switchboard.entrypoints.web import create_app
from switchboard.kernel.logs import configure_logs
from switchboard.kernel.settings import Settings


class _Server(uvicorn.Server):
    """Ends the open live streams first: a server that waits for them would never stop."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.loaded_app.app.state.live.close()
        await super().shutdown(sockets)


def serve(settings: Settings, database_url: str) -> None:
    """Serve pages, API and intake until SIGTERM or Ctrl-C; requests in flight get `SHUTDOWN_SECONDS`."""
    configure_logs(settings.log_level, settings.log_format)
    config = uvicorn.Config(
        create_app(settings, database_url),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=BoundedConnection,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        lifespan="on",
    )
    server = _Server(config)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(server.serve())
