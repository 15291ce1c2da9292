"""What every channel promises: hand over one message, or say exactly how that failed."""

from datetime import timedelta
from typing import Literal, Protocol

import msgspec

from switchboard.kernel.characters import make_storable

SendErrorKind = Literal["retryable", "permanent", "in_doubt"]
AtFault = Literal["recipient", "message", "connection"]


class Envelope(msgspec.Struct, frozen=True):
    """One message as a channel takes it.

    `key` is made from the message's row and is the same at every attempt: providers that know idempotency
    keys get it. `sender` is where bounces go, empty for mail that must never bounce. `raw` are the bytes of
    the mail, CRLF at line ends; the texts are what it was written from, for providers that write mail themselves.
    """

    key: str
    sender: str
    recipient: str
    raw: bytes
    subject: str = ""
    text: str = ""
    html: str | None = None


class Sent(msgspec.Struct, frozen=True):
    """The provider took the message; `provider_id` is its own name for it, where it gave one."""

    provider_id: str | None
    response: str


class SendError(Exception):
    """The message was not handed over, or nobody knows.

    `kind` says what a further attempt would do: `retryable` may work later, `permanent` never will, and after
    `in_doubt` the provider may have the message already. `at_fault` says whom it is about: only `recipient`
    speaks against the address, `connection` means that the settings or the server need mending and that other
    messages will fail the same way. `code` is the provider's own, or a snake_case word of ours.
    """

    def __init__(
        self,
        kind: SendErrorKind,
        code: str,
        message: str,
        *,
        at_fault: AtFault = "connection",
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        # Part of it may be a server's own words, and every outcome must be one that can be written down.
        self.message = make_storable(message)
        self.at_fault = at_fault
        self.retry_after = retry_after


class Channel(Protocol):
    """A way out to people. Safe to use by many tasks of one event loop at once."""

    @property
    def name(self) -> str:
        """The channel's name in settings and on messages."""

    async def send(self, envelope: Envelope) -> Sent:
        """Hand over one message, in well under the lease of a message; raises `SendError`."""

    async def close(self) -> None:
        """Let go of everything held; closing twice is fine, sending afterwards is a `SendError`."""


def closed_error(name: str) -> SendError:
    """What a channel answers once it is closed: the message is safe and another process will take it."""
    return SendError("retryable", "channel_closed", f"The {name} channel is closed; the message waits.")
