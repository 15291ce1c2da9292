"""`switchboard serve`: the process that answers HTTP."""

import asyncio
import gc
import socket

import uvicorn

from switchboard.entrypoints.intake_connection import IntakeConnection
from switchboard.entrypoints.web import create_app
from switchboard.intake.outage import RETRY_AFTER_SECONDS
from switchboard.kernel.errors import ConfigurationError, DatabaseAwayError, UnavailableError
from switchboard.kernel.logs import configure_logs
from switchboard.kernel.settings import Settings
from switchboard.ops.schema import check_application_role

# Longer than proxies and senders keep a connection on which nothing goes, a minute as a rule: who reuses one that we
# are just closing has its request fail.
KEEP_ALIVE_SECONDS = 75


class _Server(uvicorn.Server):
    """Ends the open live streams first: a server that waits for them would never stop."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What the start has made stays for ever: looking through it for garbage again and again under load would only
        # make whoever has just sent something wait.
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.loaded_app.app.state.live.close()
        await super().shutdown(sockets)


def serve(settings: Settings, database_url: str, *, is_away: bool = False) -> None:
    """Serve pages, API and intake until SIGTERM or Ctrl-C; requests in flight get `SHUTDOWN_SECONDS`.

    With `is_away` intake goes on without the database until it is back and has been checked as at any start; raises
    the ConfigurationError of that check.
    """
    configure_logs(settings.log_level, settings.log_format)
    check = _LateCheck(database_url) if is_away else None
    config = uvicorn.Config(
        create_app(settings, database_url, check_later=check),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=IntakeConnection,
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        lifespan="on",
    )
    server = _Server(config)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        if check is not None:
            check.server = server
        runner.run(server.serve())
    if check is not None and check.failure is not None:
        raise check.failure


class _LateCheck:
    """What is checked at a start, once the database is back. A database that may not be used ends the server."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self.server: uvicorn.Server | None = None
        self.failure: ConfigurationError | None = None

    async def __call__(self) -> None:
        try:
            await asyncio.to_thread(check_application_role, self._database_url)
        except DatabaseAwayError as error:
            raise UnavailableError(error.message, retry_after_seconds=RETRY_AFTER_SECONDS) from error
        except ConfigurationError as error:
            self.failure = error
            if self.server is not None:
                self.server.should_exit = True
            raise UnavailableError(error.message, retry_after_seconds=RETRY_AFTER_SECONDS) from error
