"""E-mail by SMTP: a few connections, kept open and used again."""

import asyncio
import ssl
from contextlib import suppress

from switchboard.delivery.channels.base import Envelope, SendError, Sent, closed_error
from switchboard.delivery.channels.smtp.connection import Progress, SmtpConnection, StaleConnectionError, translate
from switchboard.delivery.channels.smtp.settings import SmtpSettings


class SmtpChannel:
    """A pool of connections to one server, at most `settings.connections` of them.

    The most recently used one is taken first, so that a quiet hour closes all but what is needed.
    """

    name = "smtp"

    def __init__(self, settings: SmtpSettings) -> None:
        self._settings = settings
        self._slots = asyncio.Semaphore(settings.connections)
        self._idle: list[SmtpConnection] = []
        self._tls_context: ssl.SSLContext | None = None
        self._is_closed = False

    async def send(self, envelope: Envelope) -> Sent:
        """Hand over one mail within `send_timeout_seconds`; raises `SendError`."""
        if self._is_closed:
            raise closed_error(self.name)
        progress = Progress()
        try:
            async with asyncio.timeout(self._settings.send_timeout_seconds):
                async with self._slots:
                    return await self._send_over(envelope, progress)
        except TimeoutError as error:
            raise translate(error, progress) from error

    async def close(self) -> None:
        """Take leave of the server on every connection that is not in use; those in use follow."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.quit() for connection in idle))

    async def _send_over(self, envelope: Envelope, progress: Progress) -> Sent:
        while True:
            connection = await self._take()
            # Only a connection that was kept can turn out to be stale, and a new one is made when no kept one is left.
            with suppress(StaleConnectionError):
                return await self._transmit(connection, envelope, progress)

    async def _transmit(self, connection: SmtpConnection, envelope: Envelope, progress: Progress) -> Sent:
        try:
            sent = await connection.transmit(envelope, progress)
        except SendError:
            await self._give_back(connection)
            raise
        except BaseException:
            # Cancelled in the middle of a conversation: nobody can say where the other side stands.
            connection.abandon()
            raise
        await self._give_back(connection)
        return sent

    async def _take(self) -> SmtpConnection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_open:
                continue
            if connection.idle_seconds > self._settings.idle_seconds:
                await connection.quit()
            elif await connection.refresh():
                return connection
        if self._tls_context is None and self._settings.security != "none":
            # Reading the system's authorities takes milliseconds of the event loop, so it is done once.
            self._tls_context = self._settings.make_tls_context()
        return await SmtpConnection.open(self._settings, self._tls_context)

    async def _give_back(self, connection: SmtpConnection) -> None:
        if not connection.is_open:
            return
        if self._is_closed or connection.messages >= self._settings.messages_per_connection:
            await connection.quit()
        else:
            self._idle.append(connection)
