"""A mail as it came in, made into plain values. Everything in it is hostile until shown otherwise.

Reading never fails on what a sender wrote: broken parts are left out, odd bytes become marks. Only a mail
over the size limit is refused.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.policy import compat32
from email.utils import getaddresses, parsedate_to_datetime

from switchboard.delivery.bounces import Bounce, children_of, find_bounces
from switchboard.delivery.composing import Mailbox, envelope_address
from switchboard.delivery.rendering_text import convert_to_text
from switchboard.inbox.sanitising import sanitise_html
from switchboard.kernel.characters import make_storable
from switchboard.kernel.errors import InvalidError, TooLargeError

MAX_MAIL_BYTES = 25 * 1024 * 1024
MAX_PARTS = 50
MAX_DEPTH = 20
MAX_BOUNDARY_LINES = 2_000
MAX_HEADER_BYTES = 256 * 1024
MAX_HEADER_VALUE = 20_000
MAX_TEXT_LENGTH = 1_000_000
MAX_REFERENCES = 50
MAX_ADDRESSES = 100

_MESSAGE_ID = re.compile(r"<[^<>\s]{1,250}>")
_MULTIPART = re.compile(rb"^content-type:\s*(multipart|message)/", re.IGNORECASE | re.MULTILINE)
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_FILE_NAME_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|\u202a-\u202e\u2066-\u2069]")
_AUTOMATIC_SUBJECT = re.compile(
    r"^\s*(out of (the )?office|auto(matic|mated)?[ -]?(reply|response)|automatische antwort|abwesenheit|"
    r"réponse automatique|absence du bureau|respuesta automática|risposta automatica|automatisch antwoord)",
    re.IGNORECASE,
)
# Codecs that are no character sets of mail, or that take far longer than the bytes are long.
_NO_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})


@dataclass(frozen=True, slots=True)
class IncomingAttachment:
    """One file that came along; `name` is safe as a file name, `size` in bytes, `content_id` without brackets."""

    name: str
    media_type: str
    size: int
    content: bytes
    content_id: str | None


@dataclass(frozen=True, slots=True)
class ParsedEmail:
    """A mail in plain values. Message ids carry their angle brackets; `date` is UTC.

    `text` is always there, made from the HTML where no text was sent. `html` is as received: never show it
    without `sanitise_html`. `is_automatic` covers answers by machines and bulk mail, which stop no flow.
    `left_out` counts the parts over the limits.
    """

    message_id: str | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    sender: Mailbox | None = None
    reply_to: Mailbox | None = None
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    subject: str = ""
    date: datetime | None = None
    text: str = ""
    html: str | None = None
    attachments: tuple[IncomingAttachment, ...] = ()
    is_automatic: bool = False
    bounces: tuple[Bounce, ...] = ()
    left_out: int = 0


def parse_email(raw: bytes) -> ParsedEmail:
    """Read one mail of at most 25 MB; raises `TooLargeError` above that and nothing else."""
    if len(raw) > MAX_MAIL_BYTES:
        message = f"The mail has {len(raw)} bytes; at most {MAX_MAIL_BYTES} are taken. Send large files as a link."
        raise TooLargeError(message, data={"limit_bytes": MAX_MAIL_BYTES})
    try:
        return _read(message_from_bytes(_defuse(raw), policy=compat32))
    except RecursionError:
        # Mails within mails within mails: the outermost header is all that can be told.
        return _read(message_from_bytes(_without_body(raw), policy=compat32))


def find_message_id(raw: bytes) -> str | None:
    """The Message-ID with its angle brackets, read without taking the mail apart; None where there is none."""
    return next(
        iter(_message_ids(message_from_bytes(_without_body(_defuse(raw)), policy=compat32), "Message-ID")), None
    )


def _defuse(raw: bytes) -> bytes:
    """The mail, or only its header where taking it apart would cost far more than its size."""
    found = _HEADER_END.search(raw)
    header_end = found.start() if found else len(raw)
    if header_end > MAX_HEADER_BYTES:
        return raw[:MAX_HEADER_BYTES].rpartition(b"\n")[0] + b"\n\n"
    # Each such line may begin a part, and a part costs a kilobyte of objects however short it is.
    if raw.count(b"\n--") > MAX_BOUNDARY_LINES and _MULTIPART.search(raw, 0, header_end):
        return _without_body(raw)
    return raw


def _without_body(raw: bytes) -> bytes:
    found = _HEADER_END.search(raw)
    header = raw[: found.start() if found else MAX_HEADER_BYTES]
    kept = re.sub(rb"(?im)^content-type:", b"X-Content-Type:", header)
    return kept + b"\n\n(This mail could not be taken apart. Its original is kept.)\n"


def _read(message: Message) -> ParsedEmail:
    subject = _header(message, "Subject")[:1_000]
    parsed = ParsedEmail(
        message_id=next(iter(_message_ids(message, "Message-ID")), None),
        in_reply_to=next(iter(_message_ids(message, "In-Reply-To")), None),
        references=_message_ids(message, "References")[-MAX_REFERENCES:],
        sender=next(iter(_mailboxes(message, "From")), None),
        reply_to=next(iter(_mailboxes(message, "Reply-To")), None),
        to=_mailboxes(message, "To"),
        cc=_mailboxes(message, "Cc"),
        subject=subject,
        date=_date(message),
        is_automatic=_is_automatic(message, subject),
        bounces=find_bounces(message),
    )
    return _read_parts(parsed, message)


def _read_parts(parsed: ParsedEmail, message: Message) -> ParsedEmail:
    texts: list[str] = []
    htmls: list[str] = []
    attachments: list[IncomingAttachment] = []
    parts = list(_leaves(message, MAX_DEPTH))
    for part in parts[:MAX_PARTS]:
        kind = part.get_content_type()
        if kind in ("text/plain", "text/html") and not _is_file(part):
            (texts if kind == "text/plain" else htmls).append(_text_of(part))
        elif not _is_report(part):
            attachments.append(_attachment_of(part, len(attachments) + 1))
    html = "\n".join(htmls)[:MAX_TEXT_LENGTH] if htmls else None
    text = "\n".join(one for one in texts if one.strip())[:MAX_TEXT_LENGTH]
    return replace(
        parsed,
        text=text or _text_from_html(html),
        html=html,
        attachments=tuple(attachments),
        left_out=max(len(parts) - MAX_PARTS, 0),
    )


def _leaves(message: Message, depth: int) -> Iterator[Message]:
    """The parts that hold content, in reading order; a mail that came along is one part."""
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        for part in children_of(message) if depth > 0 else ():
            yield from _leaves(part, depth - 1)
    else:
        yield message


def _is_file(part: Message) -> bool:
    disposition = str(part.get("Content-Disposition", "")).strip().lower()
    return disposition.startswith("attachment") or bool(_file_name(part))


def _is_report(part: Message) -> bool:
    return part.get_content_type() in ("message/delivery-status", "message/feedback-report")


def _attachment_of(part: Message, number: int) -> IncomingAttachment:
    content = _content_of(part)
    media_type = part.get_content_type()
    suffix = {"message/rfc822": ".eml", "text/plain": ".txt", "text/html": ".html"}.get(media_type, "")
    content_id = str(part.get("Content-ID", "")).strip().strip("<>")[:250]
    return IncomingAttachment(
        name=_file_name(part) or f"attachment-{number}{suffix}",
        media_type=_clean(media_type)[:200],
        size=len(content),
        content=content,
        content_id=_clean(content_id) or None,
    )


def _file_name(part: Message) -> str:
    try:
        name = part.get_filename() or ""
    except (ValueError, TypeError, LookupError):
        # The library trips over some parameters that are split and encoded by the rules of RFC 2231.
        return ""
    return _FILE_NAME_UNSAFE.sub("_", _decode_words(_clean(name))).strip(" .")[:200]


def _content_of(part: Message) -> bytes:
    try:
        if part.is_multipart():
            return b"\n".join(one.as_bytes() for one in children_of(part))
        decoded = part.get_payload(decode=True)
    except (MessageError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return b""
    return decoded if isinstance(decoded, bytes) else b""


def _text_of(part: Message) -> str:
    content = _content_of(part)[:MAX_TEXT_LENGTH]
    try:
        charset = str(part.get_content_charset() or "")
    except (ValueError, LookupError, TypeError):
        charset = ""
    return make_storable(_decode(content, charset)).replace("\r\n", "\n")


def _decode(content: bytes, charset: str) -> str:
    """Text by the charset named, else UTF-8, else the one that Western mail programs mean."""
    for name in (charset, "utf-8"):
        try:
            if name and _is_charset(name):
                return content.decode(name)
        except (ValueError, LookupError):
            continue
    return content.decode(charset if _is_charset(charset) and charset != "us-ascii" else "cp1252", "replace")


def _is_charset(name: str) -> bool:
    try:
        found = codecs.lookup(name)
        b"".decode(name)
    except (ValueError, LookupError):
        return False
    return found.name.replace("-", "_") not in _NO_CHARSETS


def _text_from_html(html: str | None) -> str:
    # The text converter is made for our own templates; only what the sanitiser has put in order goes there.
    return convert_to_text(sanitise_html(html).html).strip("\n") if html else ""


def _header(message: Message, name: str) -> str:
    """A header as one line of text, encoded words decoded; empty where it is missing."""
    value = message.get(name)
    if value is None:
        return ""
    return " ".join(_clean(_decode_words(str(value)[:MAX_HEADER_VALUE])).split())


def _decode_words(value: str) -> str:
    try:
        pieces = decode_header(value)
    except (MessageError, ValueError, LookupError):
        # Base64 that is none; the words are then shown as they stand.
        return value
    return "".join(
        piece if isinstance(piece, str) else _decode(piece, (charset or "utf-8").lower()) for piece, charset in pieces
    )


def _message_ids(message: Message, name: str) -> tuple[str, ...]:
    # Some programs write a long id as encoded words, which no standard allows; it still is the id it was.
    value = _clean(_decode_words(str(message.get(name, ""))[:MAX_HEADER_VALUE]))
    return tuple(one for one in _MESSAGE_ID.findall(value) if one.isascii())


def _mailboxes(message: Message, name: str) -> tuple[Mailbox, ...]:
    values = [str(value)[:MAX_HEADER_VALUE] for value in message.get_all(name, [])[:10]]
    try:
        pairs = getaddresses(values)[:MAX_ADDRESSES]
    except RecursionError:
        # Comments within comments, a thousand deep; there is no address to be had.
        return ()
    boxes = [_mailbox(*pair) for pair in pairs]
    return tuple(box for box in boxes if box is not None)


def _mailbox(name: str, address: str) -> Mailbox | None:
    try:
        email = envelope_address(address.strip())
    except InvalidError:
        return None
    return Mailbox(email, " ".join(_clean(_decode_words(name)).split())[:200])


def _date(message: Message) -> datetime | None:
    try:
        date = parsedate_to_datetime(str(message.get("Date", ""))[:200])
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _is_automatic(message: Message, subject: str) -> bool:
    submitted = _header(message, "Auto-Submitted").partition(";")[0].strip().lower()
    precedence = _header(message, "Precedence").lower()
    return (
        submitted not in ("", "no")
        or precedence in ("bulk", "junk", "list", "auto_reply")
        or any(message.get(name) is not None for name in ("X-Autoreply", "X-Autorespond", "List-Id"))
        or _AUTOMATIC_SUBJECT.match(subject) is not None
    )


def _clean(text: str) -> str:
    """Without control characters and half characters, which neither a page nor the database can hold."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(letter if letter.isprintable() or letter == " " else " " for letter in whole)
