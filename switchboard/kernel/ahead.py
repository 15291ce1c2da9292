"""Sending ahead: statements of which nothing is read go out one behind the other, while Postgres does the first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg


class Ahead:
    """What is under way on one connection, of which no answer has been waited for."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], pipeline: psycopg.AsyncPipeline) -> None:
        self._pgconn = connection.pgconn
        self._pipeline = pipeline
        self._socket = connection.pgconn.socket

    async def catch_up(self) -> None:
        """Wait until all of it is done; raises what went wrong."""
        await self._pipeline.sync()

    def push(self) -> None:
        """Send on what the socket did not take at once: the driver would leave it until the next statement."""
        if self._pgconn.flush():
            asyncio.get_running_loop().add_writer(self._socket, self._push_on)

    def stop(self) -> None:
        """Push no more."""
        asyncio.get_running_loop().remove_writer(self._socket)

    def _push_on(self) -> None:
        try:
            is_left = self._pgconn.flush()
        except psycopg.OperationalError:
            # Whoever waits for the answers hears that the connection is gone.
            is_left = False
        if not is_left:
            self.stop()


@asynccontextmanager
async def sending_ahead(connection: psycopg.AsyncConnection[Any]) -> AsyncIterator[Ahead]:
    """Inside, the connection takes statements before earlier ones are answered; at the end all of them are."""
    async with connection.pipeline() as pipeline:
        ahead = Ahead(connection, pipeline)
        try:
            yield ahead
        finally:
            ahead.stop()
