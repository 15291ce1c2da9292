"""Taking mail in: who it is for, and keeping it whole before anybody is told that it has arrived.

Mail is stored together with the job that reads it. Only when both are committed may the sender forget it.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.inbox import repository_mail
from switchboard.inbox.errors import MailTooLargeError, RecipientNotFoundError
from switchboard.inbox.parsing import MAX_MAIL_BYTES, find_message_id
from switchboard.kernel import jobs
from switchboard.kernel.addresses import Rejected, parse_email
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id

READ_JOB = "inbox.read"
READ_PRIORITY = 2
# The local part every workspace has; who owns it takes what comes to the rest of its domain.
MAIN_LOCAL_PART = "hello"
LONGEST_ADDRESS = 320


async def receive_mail(database: Database, raw: bytes, mail_from: str, recipient: str) -> UUID:
    """Keep a mail for one recipient and have it read; returns its id once it is committed.

    The same mail to the same recipient is kept once. Raises RecipientNotFoundError, MailTooLargeError,
    UnavailableError.
    """
    (mail_id,) = await receive_for_all(database, raw, mail_from, [recipient])
    return mail_id


async def receive_for_all(database: Database, raw: bytes, mail_from: str, recipients: Sequence[str]) -> list[UUID]:
    """As `receive_mail`, for several recipients; a repeat of the whole after a failure keeps nothing twice."""
    if len(raw) > MAX_MAIL_BYTES:
        raise MailTooLargeError(MAX_MAIL_BYTES)
    by_workspace: dict[UUID, list[str]] = defaultdict(list)
    async with database.directory() as tx:
        for recipient in dict.fromkeys(recipients):
            by_workspace[await get_workspace_of(tx, recipient)].append(recipient)
    header_id = find_header_id(raw)
    mail_ids = []
    for workspace_id, addresses in by_workspace.items():
        async with database.transaction(workspace_id) as tx:
            mail_ids += [await _keep(tx, raw, mail_from, address, header_id) for address in addresses]
    return mail_ids


async def keep_mail(tx: Tx, raw: bytes, mail_from: str, recipient: str) -> UUID:
    """As `receive_mail`, in a transaction of the caller's, which must be of the recipient's workspace."""
    if await get_workspace_of(tx, recipient) != tx.workspace_id:
        raise RecipientNotFoundError
    return await _keep(tx, raw, mail_from, recipient, find_header_id(raw))


async def _keep(tx: Tx, raw: bytes, mail_from: str, recipient: str, header_id: str) -> UUID:
    mail_id = new_id()
    kept_id = await repository_mail.insert_mail(
        tx, mail_id, mail_from=_storable(mail_from), recipient=recipient.strip().lower(), raw=raw, header_id=header_id
    )
    if kept_id == mail_id:
        await jobs.enqueue(tx, READ_JOB, {"mail_id": mail_id}, key=str(mail_id), priority=READ_PRIORITY)
    return kept_id


async def get_workspace_of(tx: Tx, recipient: str) -> UUID:
    """The workspace that takes mail at an address; raises RecipientNotFoundError.

    `name+anything@domain` is `name@domain`, and a workspace's main address takes all of its domain.
    """
    address = parse_email(recipient)
    if isinstance(address, Rejected):
        raise RecipientNotFoundError
    local, _, domain = address.rpartition("@")
    for candidate in dict.fromkeys((local, local.partition("+")[0], MAIN_LOCAL_PART)):
        found = await accounts.find_address(tx, "mail", f"{candidate}@{domain}")
        if found is not None:
            return found[0]
    raise RecipientNotFoundError


def find_header_id(raw: bytes) -> str:
    """The mail's Message-ID with its angle brackets; for mail without one, a name made from its bytes."""
    return find_message_id(raw) or f"<{hashlib.sha256(raw).hexdigest()}@unnamed.invalid>"


def _storable(address: str) -> str:
    """An envelope sender as the database can hold it; empty for the sender of reports."""
    whole = address.strip().strip("<>").encode("utf-8", "replace").decode("utf-8")
    return "".join(letter for letter in whole if letter.isprintable())[:LONGEST_ADDRESS]
