"""The SMTP server for incoming mail: it answers 250 only for what is committed.

It belongs to the worker: a loop that listens from its first tick on. Of several workers on one machine one has the
port; the others try again each tick and take over when it is free.
"""

import asyncio
import errno
import logging
import ssl
from typing import Any

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from switchboard.inbox.errors import MailTooLargeError, RecipientNotFoundError
from switchboard.inbox.parsing import MAX_MAIL_BYTES
from switchboard.inbox.receiving import get_workspace_of, receive_for_all
from switchboard.kernel.db import Database
from switchboard.kernel.errors import ConfigurationError, Problem, UnavailableError
from switchboard.kernel.queues import Tick
from switchboard.kernel.settings import Settings

QUEUE = "smtp-in"
# Covers a whole DATA command, whose clock the library starts once.
COMMAND_TIMEOUT_SECONDS = 600
MAX_CONNECTIONS = 50
MAX_RECIPIENTS = 100
# A peer that sends more is cut off and comes back: an endless line would otherwise be kept in memory.
MAX_CONNECTION_BYTES = 4 * MAX_MAIL_BYTES
MAX_COMMANDS = 10_000

ACCEPTED = "250 2.0.0 Kept"
UNKNOWN = "550 5.1.1 Nobody here takes mail at that address"
TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients, send the rest separately"
TOO_LARGE = "552 5.3.4 A mail may have at most 25 MB"
TRY_LATER = "451 4.3.0 Nothing was kept, try again later"
BUSY = b"421 4.3.2 Too many connections, try again later\r\n"

log = structlog.get_logger()


def load_tls(settings: Settings) -> ssl.SSLContext | None:
    """What STARTTLS is offered with; None without a certificate. Raises ConfigurationError for one that is none."""
    if settings.smtp_in_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.smtp_in_certificate, settings.smtp_in_key)
    except (OSError, ssl.SSLError) as error:
        problem = Problem("SMTP_IN_CERTIFICATE", f"the certificate and its key cannot be used: {error.strerror}")
        raise ConfigurationError("The settings cannot be used as they are.", problems=[problem]) from error
    return context


class MailListener:
    """The loop `smtp-in`. `port` 0 takes a free one; `bound_port` says which. With `tls` it offers STARTTLS."""

    name = QUEUE

    def __init__(
        self, database: Database, *, host: str, port: int, domain: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self._database = database
        self._host, self._port, self._domain, self._tls = host, port, domain, tls
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()
        self._has_complained = False

    @classmethod
    def from_settings(cls, settings: Settings, database: Database) -> "MailListener":
        """The listener of a worker; raises ConfigurationError for a certificate that cannot be used."""
        return cls(
            database,
            host=settings.smtp_in_host,
            port=settings.inbound_port,
            domain=settings.mail_domain,
            tls=load_tls(settings),
        )

    @property
    def bound_port(self) -> int:
        """The port listened on; 0 while there is none."""
        return self._server.sockets[0].getsockname()[1] if self._server and self._server.sockets else 0

    async def tick(self) -> Tick:
        """Listen, if this process does not do so yet."""
        if self._server is None:
            await self._listen()
        return Tick(0, has_more=False)

    async def close(self) -> None:
        """Stop listening and end the connections: what has no answer yet is sent again by its sender."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._open):
            connection.end()
        await self._server.wait_closed()
        self._server = None

    async def _listen(self) -> None:
        # The library logs addresses and whole commands; neither belongs into our log.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)
        try:
            self._server = await asyncio.get_running_loop().create_server(self._connect, self._host, self._port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            if not self._has_complained:
                self._has_complained = True
                log.warning("smtp_in.port_taken", port=self._port)
        else:
            log.info("smtp_in.listening", port=self.bound_port)

    def _connect(self) -> "_Connection":
        return _Connection(_Handler(self._database), self._open, domain=self._domain, tls=self._tls)


class _Handler:
    """What one connection asks, answered from the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def handle_RCPT(  # noqa: N802 the library looks for this name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return TOO_MANY_RECIPIENTS
        try:
            async with self._database.directory() as tx:
                await get_workspace_of(tx, address)
        except RecipientNotFoundError:
            return UNKNOWN
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 as above
        content = envelope.content
        raw = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else bytes(content or b"")
        try:
            mail_ids = await receive_for_all(self._database, raw, envelope.mail_from or "", envelope.rcpt_tos)
        except RecipientNotFoundError:
            return UNKNOWN
        except MailTooLargeError:
            return TOO_LARGE
        log.info("smtp_in.kept", mail_ids=[str(mail_id) for mail_id in mail_ids], size=len(raw))
        return ACCEPTED

    async def handle_exception(self, error: Exception) -> str:
        """Whatever went wrong, nothing was kept: the sender must not forget the mail."""
        if isinstance(error, UnavailableError):
            log.warning("smtp_in.waiting_for_database")
        else:
            log.error("smtp_in.failed", exc_info=error)
        return TRY_LATER


class _Connection(SMTP):
    """One peer, within limits of number and size."""

    # Some senders write longer lines than the standard allows.
    line_length_limit = 64 * 1024

    def __init__(
        self, handler: _Handler, peers: "set[_Connection]", *, domain: str, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(
            handler,
            data_size_limit=MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
            hostname=domain,
            ident="Switchboard",
            tls_context=tls,
            timeout=COMMAND_TIMEOUT_SECONDS,
            auth_exclude_mechanism=["LOGIN", "PLAIN"],
            command_call_limit=MAX_COMMANDS,
            loop=asyncio.get_running_loop(),
        )
        self._peers = peers
        self._received = 0
        self._is_refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the peer, or send it away while too many are here."""
        self._is_refused = len(self._peers) >= MAX_CONNECTIONS and self not in self._peers
        if self._is_refused and isinstance(transport, asyncio.WriteTransport):
            transport.write(BUSY)
            transport.close()
            return
        self._peers.add(self)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Count what comes."""
        self._received += len(data)
        if self._received > MAX_CONNECTION_BYTES:
            self.end()
        elif not self._is_refused:
            super().data_received(data)

    def eof_received(self) -> bool | None:
        """The peer will send no more."""
        return None if self._is_refused else super().eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the peer."""
        self._peers.discard(self)
        if not self._is_refused:
            super().connection_lost(error)

    def end(self) -> None:
        """Cut the connection."""
        transport: Any = self.transport
        if transport is not None:
            transport.abort()
