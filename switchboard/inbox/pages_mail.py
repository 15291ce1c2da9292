"""Mail as it was sent: its HTML in a frame of its own, its files, its original; and the local mailbox's answers."""

import base64
import re
from urllib.parse import quote
from uuid import UUID

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, action, in_thread, page
from switchboard.delivery import service as delivery
from switchboard.delivery.composing import Mailbox, OutgoingEmail, compose_email
from switchboard.delivery.mailbox import access_mail
from switchboard.delivery.models import Mail, Message
from switchboard.inbox import repository_mail
from switchboard.inbox.answering import MAX_REFERENCES, answer_subject
from switchboard.inbox.errors import MessageNotFoundError
from switchboard.inbox.models import AttachmentContent
from switchboard.inbox.parsing import parse_email
from switchboard.inbox.receiving import keep_mail
from switchboard.inbox.sanitising import sanitise_html
from switchboard.kernel.http import MAIL_SECURITY_POLICY, path_id
from switchboard.kernel.ids import new_id

# A frame whose links open in a window of their own, free of the frame's limits; it still runs nothing.
REMOTE_IMAGES_POLICY = MAIL_SECURITY_POLICY.replace("img-src 'self' data:", "img-src https: http: data:")
FILE_POLICY = "default-src 'none'; sandbox"
PRIVATE = "private, no-store"

# Pictures are written into the frame itself: a sandboxed frame gets no cookie, so it could not fetch them.
PICTURE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
MOST_PICTURE_BYTES = 1024 * 1024
MOST_PICTURES_BYTES = 4 * 1024 * 1024

_NO_PLAIN_NAME = re.compile(r"[^ !#-.0-\[\]-~]")


async def show_body(visit: Visit) -> Response:
    """The HTML of a mail for its frame; `?images=1` also loads pictures from other servers."""
    message = await _access_incoming(visit)
    if message.body_html is None:
        raise MessageNotFoundError
    with_images = visit.query("images") == "1"
    pictures = await repository_mail.list_inline_pictures(visit.tx, message.id, PICTURE_TYPES, MOST_PICTURE_BYTES)
    addresses = _addresses_of(pictures)
    safe = await in_thread(_sanitise, message.body_html, addresses, with_images)
    head = visit.state.renderer.render("inbox/mail_head.html", {})
    policy = REMOTE_IMAGES_POLICY if with_images else MAIL_SECURITY_POLICY
    headers = {"Content-Security-Policy": policy, "Cache-Control": PRIVATE, "Referrer-Policy": "no-referrer"}
    return HTMLResponse(head + safe, headers=headers)


async def show_original(visit: Visit) -> Response:
    """The mail as it came in, as a file; its text when mail of that age is no longer kept as it came in."""
    message = await _access_incoming(visit)
    raw = await repository_mail.find_original(visit.tx, message.id)
    if raw is None:
        return _as_file(message.body_text.encode(), f"mail-{message.id}.txt")
    return _as_file(raw, f"mail-{message.id}.eml")


async def show_attachment(visit: Visit) -> Response:
    """A file of a mail, to be saved: nothing in it is ever shown by us."""
    visit.caller.require("viewer")
    found = await repository_mail.find_attachment(visit.tx, path_id(visit.request))
    if found is None:
        raise MessageNotFoundError
    return _as_file(found.content, found.name)


async def answer_as_recipient(visit: Visit) -> Response:
    """The local mailbox's answer form: the recipient of a mail that was kept there writes back."""
    visit.caller.require("agent")
    mail = await access_mail(visit.tx, visit.caller, path_id(visit.request, "mail_id"))
    body = visit.form.required("body", longest=100_000)
    recipient, raw = compose_answer(mail, body, at=new_id())
    await keep_mail(visit.tx, raw, mail.recipient, recipient)
    return visit.done(f"/mailbox/{mail.id}", f"Answered as {mail.recipient}.")


def compose_answer(mail: Mail, body: str, *, at: UUID) -> tuple[str, bytes]:
    """The address that the recipient of `mail` answers to, and their answer as a mail program would write it."""
    received = parse_email(mail.raw)
    target = received.reply_to or received.sender or Mailbox(mail.mail_from)
    thread = [*received.references, received.message_id or ""]
    email = OutgoingEmail(
        message_id=f"<{at.hex}@mailbox.invalid>",
        date=received.date or mail.created_at,
        sender=received.to[0] if received.to else Mailbox(mail.recipient),
        to=[Mailbox(target.email)],
        subject=answer_subject(received.subject) or "Re:",
        text=f"{body}\n\n{_quote(received.text)}",
        in_reply_to=received.message_id,
        references=[one for one in thread if one][-MAX_REFERENCES:],
    )
    return target.email, compose_email(email)


def _quote(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines()[:50])


async def _access_incoming(visit: Visit) -> Message:
    visit.caller.require("viewer")
    message_id = path_id(visit.request)
    message = (await delivery.load_messages(visit.tx, [message_id])).get(message_id)
    if message is None or message.direction != "in":
        raise MessageNotFoundError
    return message


def _addresses_of(pictures: list[AttachmentContent]) -> dict[str, str]:
    """Pictures as data addresses by content id, as many as a page can carry."""
    addresses: dict[str, str] = {}
    left = MOST_PICTURES_BYTES
    for picture in pictures:
        left -= len(picture.content)
        if picture.content_id is None or left < 0:
            break
        data = base64.b64encode(picture.content).decode()
        addresses[picture.content_id] = f"data:{picture.content_type};base64,{data}"
    return addresses


def _sanitise(html: str, addresses: dict[str, str], with_images: bool) -> str:
    return sanitise_html(html, is_remote_allowed=with_images, resolve_content_id=addresses.get).html


def _as_file(content: bytes, name: str) -> Response:
    # Both forms of the name: the plain one for old programs, without what could end it or the header early.
    plain = _NO_PLAIN_NAME.sub("_", name)
    headers = {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": FILE_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": PRIVATE,
    }
    return Response(content, media_type="application/octet-stream", headers=headers)


routes = [
    Route("/inbox/messages/{id}/body", page(show_body), methods=["GET"]),
    Route("/inbox/messages/{id}/original", page(show_original), methods=["GET"]),
    Route("/inbox/attachments/{id}", page(show_attachment), methods=["GET"]),
    Route("/inbox/mailbox-reply/{mail_id}", action(answer_as_recipient), methods=["POST"]),
]
