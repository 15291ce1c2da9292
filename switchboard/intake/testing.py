"""Sending a test: a lead like any other, through the same group commit as everything else."""

import asyncio
import secrets
from uuid import UUID

import msgspec

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller
from switchboard.intake.app import new_signals
from switchboard.intake.batcher import Batcher
from switchboard.intake.doors import open_door
from switchboard.intake.formats.payloads import Payload
from switchboard.intake.models import Source
from switchboard.intake.samples import sample_payload
from switchboard.intake.service import access_source
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import ConflictError, ThrottledError

FALLBACK_EMAIL = "test@example.com"

# A test holds a connection while the intake commits over another one: many at once would hold them all and wait.
_place = asyncio.Semaphore(1)


async def send_test(tx: Tx, caller: Caller, source_id: UUID, batcher: Batcher) -> UUID:
    """Send a lead in the source's own format and return the signal's id, already committed.

    It uses the caller's own address with a tag, so that what a lead would get comes to them. Raises
    SourceMissingError, ConflictError for a paused source, ThrottledError while another test is under way.
    """
    caller.require("agent")
    source = await access_source(tx, caller, source_id)
    if source.paused_at is not None:
        raise ConflictError("The source is paused. Resume it, then send a test.")
    unique = secrets.token_hex(4)
    value = sample_payload(
        source.format, name=f"Test {unique}", email=await _tagged_email(tx, caller, unique), unique=unique
    )
    if _place.locked():
        raise ThrottledError("Another test is being sent just now. Send yours in a moment.", retry_after_seconds=1)
    async with _place:
        return await _accept(source, tx.workspace_id, Payload(msgspec.json.encode(value), value), batcher)


async def _accept(source: Source, workspace_id: UUID, payload: Payload, batcher: Batcher) -> UUID:
    (accepted,) = await batcher.accept(new_signals(open_door(source, workspace_id), [payload], ""))
    return accepted.id


async def _tagged_email(tx: Tx, caller: Caller, unique: str) -> str:
    members = {member.user_id: member.email for member in await accounts.list_members(tx)}
    address = members.get(caller.user_id, FALLBACK_EMAIL) if caller.user_id else FALLBACK_EMAIL
    local, _, domain = address.rpartition("@")
    return f"{local}+test-{unique}@{domain}"
