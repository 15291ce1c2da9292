"""Mail handed in over HTTP by a mail provider, signed as Standard Webhooks describes.

`POST /inbound/mail?recipient=ADDRESS` takes the mail itself (`message/rfc822`), or JSON `{"raw": BASE64}`. The secret
belongs to the recipient's workspace. A repeat of a request that was accepted is accepted again and keeps nothing twice.
"""

import base64
import binascii
import hmac
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from switchboard.inbox.errors import MailTooLargeError, RecipientNotFoundError, WebhookRefusedError
from switchboard.inbox.parsing import MAX_MAIL_BYTES
from switchboard.inbox.receiving import get_workspace_of, receive_mail
from switchboard.kernel.body_budget import BodyBudget, HeldBody
from switchboard.kernel.db import Database
from switchboard.kernel.errors import InvalidError, Problem, SwitchboardError, UnreadableError
from switchboard.kernel.http import problem_response
from switchboard.kernel.secrets import derive_key, load_app_secret

PATH = "/inbound/mail"
SECRET_PREFIX = "whsec_"  # noqa: S105 the public mark of such secrets, not one of them
TOLERANCE = timedelta(minutes=5)
MAX_BODY_BYTES = MAX_MAIL_BYTES * 4 // 3 + 4096
MAX_SIGNATURES = 10


class _Envelope(msgspec.Struct):
    raw: str
    mail_from: Annotated[str, msgspec.Meta(max_length=320)] = ""


def webhook_secret(app_secret: bytes, workspace_id: UUID) -> str:
    """What a workspace enters at its mail provider, as `whsec_…`."""
    return SECRET_PREFIX + base64.b64encode(_key(app_secret, workspace_id)).decode()


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature` that a sender with this secret makes."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = _begin_digest(key, message_id, str(timestamp))
    digest.update(body)
    return "v1," + base64.b64encode(digest.digest()).decode()


async def take_mail(request: Request) -> Response:
    """202 once the mail is committed; 401 for a wrong signature or an unknown recipient alike."""
    try:
        mail_id = await _take(request)
    except SwitchboardError as error:
        return problem_response(error)
    return JSONResponse({"id": str(mail_id)}, status_code=202)


async def _take(request: Request) -> UUID:
    recipient = request.query_params.get("recipient", "")
    if not recipient:
        problem = Problem("recipient", "add ?recipient=ADDRESS, the address that the mail came in for")
        raise InvalidError("The request does not say whom the mail is for.", problems=[problem])
    database: Database = request.app.state.database
    app_secret = load_app_secret(request.app.state.settings)
    message_id, timestamp, signatures = _read_headers(request)
    try:
        async with database.directory() as tx:
            workspace_id = await get_workspace_of(tx, recipient)
            _require_recent(timestamp, await tx.now())
    except RecipientNotFoundError:
        # Who cannot sign learns nothing about which addresses there are.
        raise WebhookRefusedError(_WRONG) from None
    bodies: BodyBudget = request.app.state.bodies
    with bodies.hold() as held:
        digest = _begin_digest(_key(app_secret, workspace_id), message_id, timestamp)
        body = await _read_body(request, digest, held)
        _require_signature(digest, signatures)
        envelope = _read_envelope(request, body)
        return await receive_mail(database, envelope[0], envelope[1], recipient)


_WRONG = "The signature does not fit. Check the secret and that the body is signed as it is sent."


def _read_headers(request: Request) -> tuple[str, str, list[str]]:
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    message_id, timestamp, signature = (request.headers.get(name, "").strip() for name in names)
    if not (message_id and timestamp and signature):
        raise WebhookRefusedError(f"The request is not signed: send the headers {', '.join(names)}.")
    return message_id, timestamp, signature.split()[:MAX_SIGNATURES]


def _require_recent(timestamp: str, now: datetime) -> None:
    is_number = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12
    if not is_number or abs(now.timestamp() - int(timestamp)) > TOLERANCE.total_seconds():
        minutes = int(TOLERANCE.total_seconds() // 60)
        message = f"The timestamp is more than {minutes} minutes off. Check the sender's clock and sign each try anew."
        raise WebhookRefusedError(message)


def _require_signature(digest: hmac.HMAC, signatures: list[str]) -> None:
    expected = base64.b64encode(digest.digest())
    given = [value.encode() for version, _, value in (one.partition(",") for one in signatures) if version == "v1"]
    # Compared in time that does not depend on where they differ.
    if not any(hmac.compare_digest(one, expected) for one in given):
        raise WebhookRefusedError(_WRONG)


async def _read_body(request: Request, digest: hmac.HMAC, held: HeldBody) -> bytes:
    """The whole body, within its own limit and the process's; the signature is made as it comes in."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise MailTooLargeError(MAX_MAIL_BYTES)
        held.grow(len(chunk))
        digest.update(chunk)
        chunks.append(chunk)
    return b"".join(chunks)


def _read_envelope(request: Request, body: bytes) -> tuple[bytes, str]:
    """The mail and its envelope sender."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        return _require_mail(body), request.query_params.get("mail_from", "")
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
        return _require_mail(base64.b64decode(envelope.raw, validate=True)), envelope.mail_from
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        problem = Problem("raw", 'expected {"raw": "the mail in base64"}')
        raise UnreadableError("The body cannot be read.", problems=[problem]) from error


def _require_mail(raw: bytes) -> bytes:
    if not raw.strip():
        raise InvalidError("The mail is empty.", problems=[Problem("raw", "send the whole mail with its header")])
    return raw


def _key(app_secret: bytes, workspace_id: UUID) -> bytes:
    return derive_key(app_secret, f"inbound-mail:{workspace_id}")


def _begin_digest(key: bytes, message_id: str, timestamp: str) -> hmac.HMAC:
    return hmac.new(key, f"{message_id}.{timestamp}.".encode(), sha256)


routes = [Route(PATH, take_mail, methods=["POST"])]
