"""Links that end the mail to one person, signed so that nobody can make one for somebody else.

A link names workspace and message and works without a session, for as long as the message is kept. Whoever holds the
mail may use it, also a mail program on the reader's behalf (RFC 8058).
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from switchboard.accounts.service import get_workspace
from switchboard.delivery import repository, suppressing
from switchboard.delivery.errors import UnsubscribeLinkError
from switchboard.delivery.models import Message
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Actor
from switchboard.kernel.secrets import derive_key
from switchboard.people import service as people

_SIGNATURE_BYTES = 16
_TOKEN_BYTES = 32 + _SIGNATURE_BYTES


@dataclass(frozen=True, slots=True)
class UnsubscribeLink:
    """What a link names."""

    workspace_id: UUID
    message_id: UUID


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """What the page of a link shows: who wrote, to which address, and whether it was used already."""

    workspace_name: str
    address: str
    is_done: bool


def make_token(secret: bytes, workspace_id: UUID, message_id: UUID) -> str:
    """The 64 letters of a link's path."""
    named = workspace_id.bytes + message_id.bytes
    return base64.urlsafe_b64encode(named + _sign(secret, named)).decode()


def read_token(secret: bytes, token: str) -> UnsubscribeLink:
    """What the token names; raises UnsubscribeLinkError for one that was not made here."""
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise UnsubscribeLinkError from None
    named, signature = raw[:32], raw[32:]
    if len(raw) != _TOKEN_BYTES or not hmac.compare_digest(_sign(secret, named), signature):
        raise UnsubscribeLinkError
    return UnsubscribeLink(UUID(bytes=named[:16]), UUID(bytes=named[16:]))


async def show(tx: Tx, link: UnsubscribeLink) -> Unsubscription:
    """What the link's page says; raises UnsubscribeLinkError when the message is gone."""
    message = await _get_message(tx, link)
    workspace = await get_workspace(tx)
    is_done = await suppressing.is_suppressed(tx, "email", message.address)
    return Unsubscription(workspace.name, message.address, is_done)


async def unsubscribe(tx: Tx, link: UnsubscribeLink) -> Unsubscription:
    """Send nothing more to the address of the link's message, and opt its contact out. Safe to repeat."""
    message = await _get_message(tx, link)
    if message.contact_id is not None:
        actor = Actor("contact", message.contact_id)
        await people.opt_out(tx, message.contact_id, actor, f"Used the unsubscribe link of message {message.id}")
    await suppressing.suppress(tx, "email", message.address, "unsubscribed", message.id)
    workspace = await get_workspace(tx)
    return Unsubscription(workspace.name, message.address, True)


async def _get_message(tx: Tx, link: UnsubscribeLink) -> Message:
    found = await repository.load_messages(tx, [link.message_id])
    if not found or found[0].direction != "out":
        raise UnsubscribeLinkError
    return found[0]


def _sign(secret: bytes, named: bytes) -> bytes:
    return hmac.digest(_key_of(secret), named, hashlib.sha256)[:_SIGNATURE_BYTES]


@lru_cache(maxsize=8)
def _key_of(secret: bytes) -> bytes:
    # Each letter of a mailing has a link.
    return derive_key(secret, "unsubscribe")
