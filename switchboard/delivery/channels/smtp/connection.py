"""One conversation with an SMTP server: open, hand over mails one after another, say how it ended."""

import asyncio
import re
import ssl
import time
from dataclasses import dataclass
from typing import Self, cast

from aiosmtplib import SMTP, SMTPException, SMTPHeloError, SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol, normalize_message_line_endings

from switchboard.delivery.channels.base import Envelope, SendError, Sent
from switchboard.delivery.channels.smtp.answers import Stage, read_refusal
from switchboard.delivery.channels.smtp.settings import SmtpSettings

NOOP_AFTER_SECONDS = 5.0

_DOT_AT_LINE_START = re.compile(rb"(?m)^\.")
_UNSENDABLE = re.compile(r"[\s<>(),\x00-\x1f\x7f]")
_QUEUE_ID = re.compile(r"queued as\s+([\w.-]+)", re.IGNORECASE)
# Anything the transport, the TLS layer or the library can throw while talking; ValueError is an address or
# a command that it refuses to write.
_TALKING_ERRORS = (SMTPException, OSError, ValueError)


@dataclass(slots=True)
class Progress:
    """How far one mail came; once the end was written, only the server knows what became of it."""

    stage: Stage = "connect"
    end_written: bool = False


class SmtpConnection:
    """An open connection. Used by one task at a time; anything but an answer makes it unusable."""

    def __init__(self, client: SMTP) -> None:
        self._client = client
        self._used_at = time.monotonic()
        self.messages = 0

    @classmethod
    async def open(cls, settings: SmtpSettings, tls_context: ssl.SSLContext | None) -> Self:
        """Connect, greet, encrypt and sign in, as the settings say; raises `SendError`."""
        client = SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username or None,
            password=settings.password.get_secret_value() if settings.username else None,
            local_hostname=settings.get_helo_name(),
            timeout=settings.command_timeout_seconds,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            tls_context=tls_context,
        )
        try:
            await client.connect()
            await _greet(client)
        except _TALKING_ERRORS as error:
            client.close()
            raise translate(error, Progress()) from error
        return cls(client)

    @property
    def is_open(self) -> bool:
        """Whether, as far as we can see, the other side is still there."""
        return self._client.is_connected

    @property
    def idle_seconds(self) -> float:
        """How long nothing was said."""
        return time.monotonic() - self._used_at

    async def refresh(self) -> bool:
        """Make ready for the next mail; false when the other side has gone, which is no mail's fault."""
        try:
            if self.idle_seconds > NOOP_AFTER_SECONDS:
                await self._client.noop()
            await self._client.rset()
        except _TALKING_ERRORS:
            self.abandon()
        except asyncio.CancelledError:
            self.abandon()
            raise
        return self.is_open

    async def transmit(self, envelope: Envelope, progress: Progress) -> Sent:
        """Hand over one mail, noting how far it came; raises `SendError`."""
        try:
            answer = await self._transact(envelope, progress)
        except _TALKING_ERRORS as error:
            if not _is_refusal(error):
                self.abandon()
            raise translate(error, progress) from error
        self.messages += 1
        self._used_at = time.monotonic()
        found = _QUEUE_ID.search(answer)
        return Sent(found.group(1) if found else None, answer)

    async def quit(self) -> None:
        """Take leave politely; a server that is gone is no matter."""
        try:
            await self._client.quit()
        except _TALKING_ERRORS:
            self.abandon()

    def abandon(self) -> None:
        """Drop the connection without a word."""
        self._client.close()

    async def _transact(self, envelope: Envelope, progress: Progress) -> str:
        _refuse_unsendable(envelope.sender)
        _refuse_unsendable(envelope.recipient)
        options, encoding = self._choose_options(envelope)
        progress.stage = "sender"
        await self._client.mail(envelope.sender, options=options, encoding=encoding)
        progress.stage = "recipient"
        await self._client.rcpt(envelope.recipient, encoding=encoding)
        progress.stage = "content"
        start = await self._client.execute_command(b"DATA")
        if start.code != 354:
            raise SMTPResponseException(start.code, start.message)
        code, answer = await self._write_content(envelope.raw, progress)
        if code != 250:
            raise SMTPResponseException(code, answer)
        return answer

    def _choose_options(self, envelope: Envelope) -> tuple[list[str], str]:
        options = []
        if self._client.supports_extension("size"):
            options.append(f"SIZE={len(envelope.raw)}")
        if self._client.supports_extension("8bitmime") and not envelope.raw.isascii():
            options.append("BODY=8BITMIME")
        if envelope.sender.isascii() and envelope.recipient.isascii():
            return options, "ascii"
        if not self._client.supports_extension("smtputf8"):
            message = "The mail server cannot write to addresses beyond ASCII (it offers no SMTPUTF8)."
            raise SendError("permanent", "smtputf8_missing", message, at_fault="message")
        return [*options, "SMTPUTF8"], "utf-8"

    async def _write_content(self, raw: bytes, progress: Progress) -> tuple[int, str]:
        """Content, then the dot that ends it; two writes, so that a loss within the content is known as one."""
        protocol = self._client.protocol
        if protocol is None:
            raise SMTPServerDisconnected("The connection was lost before the content.")
        protocol.write(_DOT_AT_LINE_START.sub(b"..", normalize_message_line_endings(raw)))
        await self._drain(protocol)
        progress.end_written = True
        protocol.write(b".\r\n")
        response = await protocol.read_response(timeout=self._client.timeout)
        return response.code, response.message

    async def _drain(self, protocol: SMTPProtocol) -> None:
        """Wait until the system has taken all content; small mails never wait here."""
        deadline = time.monotonic() + (self._client.timeout or 0)
        # Not every event loop's transports are the library's own classes, so their kind is not asked for.
        while (transport := protocol.transport) is not None:
            if not cast(asyncio.WriteTransport, transport).get_write_buffer_size():
                return
            if time.monotonic() > deadline:
                raise TimeoutError("The mail server stopped reading the content.")
            await asyncio.sleep(0.005)
        raise SMTPServerDisconnected("The connection was lost within the content.")


async def _greet(client: SMTP) -> None:
    """Learn what the server can do, unless encrypting or signing in has done so already."""
    if client.is_ehlo_or_helo_needed:
        try:
            await client.ehlo()
        except SMTPHeloError:
            await client.helo()


def translate(error: Exception, progress: Progress) -> SendError:
    """What an error of the library means for the mail that was under way."""
    if isinstance(error, SMTPResponseException) and _is_refusal(error):
        return read_refusal(error.code, error.message, progress.stage)
    if progress.end_written:
        message = "The connection broke after the mail was handed over; the server may have taken it."
        return SendError("in_doubt", "answer_lost", message)
    if isinstance(error, ValueError) and not isinstance(error, OSError):
        return SendError("permanent", "address_unsendable", f"{error}.", at_fault="recipient")
    if isinstance(error, TimeoutError):
        return SendError("retryable", "timeout", f"The mail server took too long ({progress.stage}).")
    code = "connect_failed" if progress.stage == "connect" else "connection_lost"
    return SendError("retryable", code, f"The mail server could not be used: {error}.")


def _refuse_unsendable(address: str) -> None:
    # The library would look for an address inside such a text and mail that one instead.
    if _UNSENDABLE.search(address):
        message = f"{address!r} is not an address mail can be sent to."
        raise SendError("permanent", "address_unsendable", message, at_fault="recipient")


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, SMTPResponseException) and 400 <= error.code <= 599
