"""One conversation with an SMTP server: open, hand over mails one after another, say how it ended."""

import asyncio
import re
import ssl
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from aiosmtplib import SMTP, SMTPException, SMTPHeloError, SMTPResponseException, SMTPServerDisconnected
from aiosmtplib.protocol import normalize_message_line_endings

from switchboard.delivery.channels.base import Envelope, SendError, Sent
from switchboard.delivery.channels.smtp.answers import Stage, read_refusal
from switchboard.delivery.channels.smtp.dialogue import ConversationError, Dialogue, Reply
from switchboard.delivery.channels.smtp.settings import SmtpSettings

NOOP_AFTER_SECONDS = 5.0
# The system takes so much in one piece.
WRITTEN_AT_ONCE = 65_536
GO_ON, DONE, SERVICE_CLOSING = 354, 250, 421

# The stages of a mail up to its content, one a command, and the answers that let it go on.
_STAGES: tuple[Stage, ...] = ("sender", "recipient", "content")
_ACCEPTED: Mapping[Stage, Collection[int]] = {"sender": {DONE}, "recipient": {DONE, 251}, "content": {GO_ON}}
_UNSENDABLE = re.compile(r"[\s<>(),\x00-\x1f\x7f]")
_QUEUE_ID = re.compile(r"queued as\s+([\w.-]+)", re.IGNORECASE)
# Anything the transport, the TLS layer or the library can throw while talking; ValueError is an address or
# a command that it refuses to write.
_TALKING_ERRORS = (SMTPException, ConversationError, OSError, ValueError)


@dataclass(slots=True)
class Progress:
    """How far one mail came; once the end was written, only the server knows what became of it."""

    stage: Stage = "connect"
    end_written: bool = False


class RefusalError(ConversationError):
    """An answer that does not let the mail go on."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.code} {reply.text}")
        self.reply = reply


class StaleConnectionError(Exception):
    """A connection that was kept has died before it heard of the mail: no mail's fault, another one may be used."""


class SmtpConnection:
    """An open connection. Used by one task at a time; anything but an answer makes it unusable."""

    def __init__(self, client: SMTP, dialogue: Dialogue) -> None:
        self._client = client
        self._dialogue = dialogue
        self._pipelines = client.supports_extension("pipelining")
        self._takes_size = client.supports_extension("size")
        self._takes_eight_bits = client.supports_extension("8bitmime")
        self._takes_unicode = client.supports_extension("smtputf8")
        self._used_at = time.monotonic()
        self._is_used = False
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
            return cls(client, _take_over(client, settings.command_timeout_seconds))
        except _TALKING_ERRORS as error:
            client.close()
            raise translate(error, Progress()) from error

    @property
    def is_open(self) -> bool:
        """Whether, as far as we can see, the other side is still there."""
        return self._dialogue.is_open

    @property
    def idle_seconds(self) -> float:
        """How long nothing was said."""
        return time.monotonic() - self._used_at

    async def refresh(self) -> bool:
        """Make ready for the next mail; false when the other side has gone, which is no mail's fault."""
        is_idle = self.idle_seconds > NOOP_AFTER_SECONDS
        if self._pipelines and not is_idle:
            # What is to be reset travels with the next mail.
            return self.is_open
        try:
            if is_idle:
                await self._ask(b"NOOP")
            await self._ask(b"RSET")
        except _TALKING_ERRORS:
            self.abandon()
        except asyncio.CancelledError:
            self.abandon()
            raise
        return self.is_open

    async def transmit(self, envelope: Envelope, progress: Progress) -> Sent:
        """Hand over one mail, noting how far it came; raises `SendError`, `StaleConnectionError`."""
        try:
            answer = await self._transact(envelope, progress)
        except _TALKING_ERRORS as error:
            if not _is_refusal(error) or _code_of(error) == SERVICE_CLOSING:
                self.abandon()
            raise translate(error, progress) from error
        self.messages += 1
        self._used_at = time.monotonic()
        found = _QUEUE_ID.search(answer)
        return Sent(found.group(1) if found else None, answer)

    async def quit(self) -> None:
        """Take leave politely; a server that is gone is no matter."""
        with suppress(*_TALKING_ERRORS):
            await self._ask(b"QUIT")
        self.abandon()

    def abandon(self) -> None:
        """Drop the connection without a word."""
        self._dialogue.close()
        self._client.close()

    async def _transact(self, envelope: Envelope, progress: Progress) -> str:
        _refuse_unsendable(envelope.sender)
        _refuse_unsendable(envelope.recipient)
        options = self._choose_options(envelope)
        mail = f"MAIL FROM:<{envelope.sender}>{options}".encode()
        recipient = f"RCPT TO:<{envelope.recipient}>".encode()
        announce = self._announce_at_once if self._pipelines else self._announce_in_turn
        await announce(mail, recipient, progress)
        return _require(await self._write_content(envelope.raw, progress), {DONE}).text

    async def _announce_at_once(self, mail: bytes, recipient: bytes, progress: Progress) -> None:
        """Everything up to the content in one piece; the answers come in the order of the commands (RFC 2920)."""
        resets = [b"RSET"] if self._is_used else []
        self._is_used = True
        self._dialogue.write(b"\r\n".join([*resets, mail, recipient, b"DATA", b""]))
        if resets:
            await self._read_reset()
        for stage in _STAGES:
            progress.stage = stage
            reply = await self._dialogue.read()
            if reply.code not in _ACCEPTED[stage]:
                await self._skip_answers(_STAGES[_STAGES.index(stage) + 1 :])
                raise RefusalError(reply)

    async def _skip_answers(self, stages: Sequence[Stage]) -> None:
        """Read the answers to what was written behind a refused command, which change nothing about the refusal."""
        try:
            for stage in stages:
                reply = await self._dialogue.read()
                if stage == "content" and reply.code == GO_ON:
                    # A server that asks for content although it has nobody to give it to gets none.
                    await self._ask(b".")
        except (ConversationError, TimeoutError):
            self.abandon()

    async def _read_reset(self) -> None:
        try:
            await self._dialogue.read()
        except ConversationError as error:
            self.abandon()
            raise StaleConnectionError from error

    async def _announce_in_turn(self, mail: bytes, recipient: bytes, progress: Progress) -> None:
        self._is_used = True
        for stage, command in zip(_STAGES, (mail, recipient, b"DATA"), strict=True):
            progress.stage = stage
            _require(await self._ask(command), _ACCEPTED[stage])

    async def _ask(self, command: bytes) -> Reply:
        self._dialogue.write(command + b"\r\n")
        return await self._dialogue.read()

    def _choose_options(self, envelope: Envelope) -> str:
        options = f" SIZE={len(envelope.raw)}" if self._takes_size else ""
        if self._takes_eight_bits and not envelope.raw.isascii():
            options += " BODY=8BITMIME"
        if envelope.sender.isascii() and envelope.recipient.isascii():
            return options
        if not self._takes_unicode:
            message = "The mail server cannot write to addresses beyond ASCII (it offers no SMTPUTF8)."
            raise SendError("permanent", "smtputf8_missing", message, at_fault="message")
        return f"{options} SMTPUTF8"

    async def _write_content(self, raw: bytes, progress: Progress) -> Reply:
        """Content, then the dot that ends it; for large mail in two writes, so that a loss within is known as one."""
        stuffed = _stuff_dots(raw)
        if len(stuffed) > WRITTEN_AT_ONCE:
            self._dialogue.write(stuffed)
            await self._dialogue.drain()
            stuffed = b""
        self._dialogue.write(stuffed + b".\r\n")
        progress.end_written = True
        return await self._dialogue.read()


def _take_over(client: SMTP, timeout_seconds: float) -> Dialogue:
    """Speak over the connection that the library has opened, in its place."""
    if client.transport is None:
        raise SMTPServerDisconnected("The connection was lost after the greeting.")
    dialogue = Dialogue(client.transport, timeout_seconds)
    client.transport.set_protocol(dialogue)
    return dialogue


def _stuff_dots(raw: bytes) -> bytes:
    """The content as DATA wants it: line ends of both kinds of bytes, and another dot before one at a line's start."""
    # Mail of ours has them already; the quick look spares a search with a pattern.
    lines = raw.count(b"\r\n")
    if raw.count(b"\n") != lines or raw.count(b"\r") != lines or raw[-2:] != b"\r\n":
        raw = normalize_message_line_endings(raw)
    stuffed = raw.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed[:1] == b"." else stuffed


async def _greet(client: SMTP) -> None:
    """Learn what the server can do, unless encrypting or signing in has done so already."""
    if client.is_ehlo_or_helo_needed:
        try:
            await client.ehlo()
        except SMTPHeloError:
            await client.helo()


def translate(error: Exception, progress: Progress) -> SendError:
    """What an error of the library means for the mail that was under way."""
    if isinstance(error, RefusalError) and _is_refusal(error):
        return read_refusal(error.reply.code, error.reply.text, progress.stage)
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


def _require(reply: Reply, accepted: Collection[int]) -> Reply:
    if reply.code not in accepted:
        raise RefusalError(reply)
    return reply


def _is_refusal(error: Exception) -> bool:
    return 400 <= _code_of(error) <= 599


def _code_of(error: Exception) -> int:
    if isinstance(error, RefusalError):
        return error.reply.code
    return error.code if isinstance(error, SMTPResponseException) else 0
