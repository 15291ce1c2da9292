"""Mail that came back: delivery reports (RFC 3464) and the common ways around them, and complaints (RFC 5965).

An answer by a machine, such as an out-of-office note, is no bounce. Reading never raises: what cannot be
understood is no bounce.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from email.utils import getaddresses
from typing import Literal

BounceKind = Literal["hard", "soft", "complaint"]

MAX_RECIPIENTS = 50
MAX_DIAGNOSTIC = 500
MAX_TEXT = 100_000

_ADDRESS = re.compile(r"[^\s<>()\[\],;:\\\"@]{1,64}@[^\s<>()\[\],;:\\\"@]{1,253}")
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,250}>")
_STATUS = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_REPLY_CODE = re.compile(r"\b([45]\d\d)[ -]")
_RETURNED_ID = re.compile(r"^Message-ID:[ \t]*\r?\n?[ \t]*(<[^<>\s]{1,250}>)", re.IGNORECASE | re.MULTILINE)
_MAIL_SYSTEM = re.compile(r"^(mailer-daemon|postmaster|mail-daemon|maildaemon|bounces?)(\+|@|$)", re.IGNORECASE)
_QMAIL_RECIPIENT = re.compile(r"^<([^<>\s@]{1,64}@[^<>\s]{1,253})>:[ \t]*\r?\n", re.MULTILINE)

# Statuses that say the address itself is no good; every other refusal may be about us, the content or the day.
_ADDRESS_IS_GONE = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10", "2.1", "4.4"})
_UNKNOWN_MAILBOX = re.compile(
    r"user unknown|unknown user|no such (user|mailbox|recipient|address|person)|does(n't| not) exist|"
    r"invalid (recipient|mailbox)|(recipient|address|mailbox) (rejected|unknown|not found|unavailable)|"
    r"no mailbox|account (is |has been )?(disabled|deactivated|closed)|host or domain name not found|"
    r"domain (does not exist|not found)|unrouteable address",
    re.IGNORECASE,
)
_ABOUT_US = re.compile(
    r"spam|block(ed|list)|blacklist|reputation|policy|dmarc|spf|dkim|rate limit|too many|quota|full|greylist",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Bounce:
    """One recipient that a mail did not reach, or who complained.

    `hard` means the address is not worth another try. `status` is an RFC 3463 code where one was given, and
    `original_message_id` carries its angle brackets.
    """

    recipient: str
    kind: BounceKind
    status: str | None
    diagnostic: str
    original_message_id: str | None


def parse_bounces(raw: bytes) -> tuple[Bounce, ...]:
    """The bounces a mail reports; empty when it reports none."""
    try:
        return find_bounces(message_from_bytes(raw, policy=compat32))
    except RecursionError:
        return ()


def find_bounces(message: Message) -> tuple[Bounce, ...]:
    """As `parse_bounces`, for a mail that is parsed already with the library's `compat32` policy."""
    parts = list(_walk(message))
    if complaints := tuple(_read_complaint(parts)):
        return complaints
    original = _find_original_id(message, parts)
    found = tuple(_read_reports(parts, original))
    if not found and not any(part.get_content_type() == "message/delivery-status" for part in parts):
        found = tuple(_read_informal(message, parts, original))
    return found[:MAX_RECIPIENTS]


def is_address_gone(refusal: str) -> bool:
    """Whether a mail server's refusal says that the address itself is no good, and not we, the content or the day."""
    return _judge(_find_status(refusal), refusal) == "hard"


def children_of(part: Message) -> list[Message]:
    """The parts directly inside a part; none where it holds content of its own."""
    # Asking for the content of a part that has some may raise, depending on the charset it claims.
    payload = part.get_payload() if part.is_multipart() else []
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _read_reports(parts: list[Message], original: str | None) -> Iterator[Bounce]:
    for part in parts:
        if part.get_content_type() != "message/delivery-status":
            continue
        for block in _blocks_of(part):
            recipient = _address_in(_field(block, "Final-Recipient") or _field(block, "Original-Recipient"))
            action = _field(block, "Action").lower()
            if recipient is None or action not in ("failed", "delayed"):
                continue
            diagnostic = _clean(_field(block, "Diagnostic-Code").partition(";")[2].strip())
            status = _find_status(_field(block, "Status")) or _find_status(diagnostic)
            kind = "soft" if action == "delayed" else _judge(status, diagnostic)
            yield Bounce(recipient, kind, status, diagnostic, original)


def _read_complaint(parts: list[Message]) -> Iterator[Bounce]:
    for part in parts:
        if part.get_content_type() != "message/feedback-report":
            continue
        for block in _blocks_of(part):
            feedback = _field(block, "Feedback-Type").lower()
            if feedback in ("", "not-spam"):
                continue
            named = _field(block, "Original-Rcpt-To") or _field(block, "Removal-Recipient")
            returned = _find_returned(parts)
            recipient = _address_in(named) or (_address_in(_field(returned, "To")) if returned else None)
            if recipient is not None:
                yield Bounce(recipient, "complaint", None, _clean(feedback), _find_original_id(None, parts))
            return


def _read_informal(message: Message, parts: list[Message], original: str | None) -> Iterator[Bounce]:
    """Reports without a delivery-status part: Exim's header, qmail's text, and plain words of a mail system."""
    text = _text_of(parts)
    failed = [_address_in(one) for one in _field(message, "X-Failed-Recipients").split(",")]
    recipients = [one for one in failed if one is not None]
    if not recipients and not _is_from_mail_system(message):
        return
    recipients = recipients or [_normalise(one) for one in _QMAIL_RECIPIENT.findall(text)]
    if not recipients and (_REPLY_CODE.search(text) or _UNKNOWN_MAILBOX.search(text)):
        recipients = [_normalise(one) for one in _ADDRESS.findall(text)][:1]
    for recipient in dict.fromkeys(recipients):
        diagnostic = _find_diagnostic(text, recipient)
        status = _find_status(diagnostic)
        yield Bounce(recipient, _judge(status, diagnostic), status, diagnostic, original)


def _judge(status: str | None, diagnostic: str) -> BounceKind:
    if _ABOUT_US.search(diagnostic):
        return "soft"
    if status is not None and status.startswith("4"):
        return "soft"
    if status is not None and status.partition(".")[2] in _ADDRESS_IS_GONE:
        return "hard"
    code = _REPLY_CODE.search(diagnostic)
    if code is not None and code.group(1).startswith("4"):
        return "soft"
    return "hard" if _UNKNOWN_MAILBOX.search(diagnostic) else "soft"


def _find_diagnostic(text: str, recipient: str) -> str:
    """The lines after the recipient that carry a code, else the ones right after it."""
    place = text.lower().find(recipient)
    after = text[max(place, 0) :][:2_000]
    lines = [line.strip() for line in after.splitlines()[:20] if line.strip()]
    telling = [line for line in lines if _REPLY_CODE.search(line) or _UNKNOWN_MAILBOX.search(line)]
    return _clean(" ".join(telling[:3] or lines[1:3]))


def _find_original_id(message: Message | None, parts: list[Message]) -> str | None:
    returned = _find_returned(parts)
    places = [_field(returned, "Message-ID")] if returned is not None else []
    if message is not None:
        after = _RETURNED_ID.search(_text_of(parts))
        places += [after.group(1) if after else "", _field(message, "In-Reply-To"), _field(message, "References")]
    for place in places:
        if found := _MESSAGE_ID.findall(place):
            return str(found[-1])
    return None


def _find_returned(parts: list[Message]) -> Message | None:
    """The mail that came back, or as much of its header as was sent along."""
    for part in parts:
        kind = part.get_content_type()
        if kind == "message/rfc822" and (inside := children_of(part)):
            return inside[0]
        if kind == "text/rfc822-headers":
            return message_from_bytes(_bytes_of(part), policy=compat32)
    return None


def _walk(message: Message, depth: int = 0) -> Iterator[Message]:
    """Parts from the outside in, not entering mails that came along."""
    yield message
    if message.get_content_maintype() == "multipart" and depth < 10:
        for part in children_of(message):
            yield from _walk(part, depth + 1)


def _blocks_of(part: Message) -> Iterator[Message]:
    if part.is_multipart():
        yield from children_of(part)[: MAX_RECIPIENTS + 1]
    else:
        yield message_from_bytes(_bytes_of(part), policy=compat32)


def _text_of(parts: list[Message]) -> str:
    texts = [part for part in parts if part.get_content_type() == "text/plain"]
    return "\n".join(_bytes_of(part).decode("utf-8", "replace") for part in texts[:3])[:MAX_TEXT]


def _bytes_of(part: Message) -> bytes:
    try:
        payload = part.get_payload(decode=True)
    except (ValueError, LookupError, TypeError):
        return b""
    return payload[:MAX_TEXT] if isinstance(payload, bytes) else b""


def _is_from_mail_system(message: Message) -> bool:
    # Comments nest, and the library follows them as deep as they go; no mail system writes any.
    sender = _field(message, "From")[:500]
    senders = [address for _, address in getaddresses([sender if "((" not in sender else ""])]
    return any(_MAIL_SYSTEM.match(address.strip()) for address in senders)


def _field(message: Message, name: str) -> str:
    return " ".join(str(message.get(name, ""))[:5_000].split())


def _address_in(field: str) -> str | None:
    found = _ADDRESS.search(field.partition(";")[2] or field)
    return _normalise(found.group()) if found else None


def _normalise(address: str) -> str:
    return address.strip(".").lower()


def _find_status(text: str) -> str | None:
    found = _STATUS.search(text)
    return found.group() if found else None


def _clean(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:MAX_DIAGNOSTIC]
