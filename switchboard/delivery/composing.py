"""One mail as it goes over the wire: headers that cannot be injected into, and its content behind them."""

import hashlib
import re
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import urlsplit

import idna
import msgspec

from switchboard.delivery.composing_content import Attachment, write_content
from switchboard.delivery.rendering_skeleton import Cut
from switchboard.kernel.addresses import is_loopback
from switchboard.kernel.errors import InvalidError, Problem

KEPT = 1024
MAX_REFERENCES = 20
MAX_HEADER_LENGTH = 900
MAX_NAME_LENGTH = 200
LINE_LENGTH = 78

_LOCAL_PART = re.compile(r"[^\s\x00-\x1f\x7f<>()\[\],;:\\\"@]{1,64}")
_ASCII_DOMAIN = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*",
    re.ASCII | re.IGNORECASE,
)
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,240}@[!-;=?-~]{1,240}>", re.ASCII)
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
# What no header can carry: control characters, halves of characters, and separators that some readers break lines at.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_LINK = re.compile(r"https?://[!-+\-./0-;=?-~]+", re.ASCII | re.IGNORECASE)


class Mailbox(msgspec.Struct, frozen=True):
    """An e-mail address and the name shown for it."""

    email: str
    name: str = ""


class OutgoingEmail(msgspec.Struct, frozen=True):
    """Everything that decides the bytes of a mail; equal values give equal bytes.

    `message_id`, `in_reply_to` and `references` carry their angle brackets. One click is offered where
    `unsubscribe_url` is https, or on this machine itself. `automatic` marks mail that no person wrote. `cut` is
    `html` once more, where it is known what other letters share with it.
    """

    message_id: str
    date: datetime
    sender: Mailbox
    to: Sequence[Mailbox]
    subject: str
    text: str
    html: str | None = None
    reply_to: Mailbox | None = None
    in_reply_to: str | None = None
    references: Sequence[str] = ()
    attachments: Sequence[Attachment] = ()
    unsubscribe_url: str | None = None
    unsubscribe_email: str | None = None
    automatic: bool = False
    cut: Cut | None = None


def compose_email(email: OutgoingEmail) -> bytes:
    """The mail with CRLF line ends, ready for DATA. Raises `InvalidError` naming an address it cannot send to.

    Domains are written in their ASCII form; a local part outside of ASCII makes the headers UTF-8, for which
    the receiving server must offer SMTPUTF8.
    """
    lines = "".join(_write_header(name, value) for name, value in _list_headers(email))
    seed = hashlib.blake2b(f"{email.message_id}\0{email.text}".encode("utf-8", "replace"), digest_size=12)
    boundary = f"=_{seed.hexdigest()}"
    return lines.encode() + write_content(email.text, email.html, email.attachments, boundary=boundary, cut=email.cut)


@lru_cache(KEPT)
def envelope_address(email: str) -> str:
    """An address as SMTP writes it: its domain in ASCII. Raises `InvalidError` when it is no address."""
    local, at, domain = email.rpartition("@")
    dotted = not local.startswith(".") and not local.endswith(".") and ".." not in local
    if not (at and dotted and _LOCAL_PART.fullmatch(local)) or _UNPRINTABLE.search(email):
        raise _no_address(email)
    try:
        return f"{local}@{_ascii_domain(domain)}"
    except (idna.IDNAError, UnicodeError) as error:
        raise _no_address(email) from error


def clean_header(text: str) -> str:
    """One line of printable text, at most as long as a header should be."""
    printable = text if text.isprintable() else _UNPRINTABLE.sub(" ", text)
    return " ".join(printable.split())[:MAX_HEADER_LENGTH].rstrip()


def _list_headers(email: OutgoingEmail) -> Iterator[tuple[str, str]]:
    yield "From", _format_sender(email.sender)
    if email.reply_to is not None:
        yield "Reply-To", _format_sender(email.reply_to)
    yield "To", ", ".join(_format_mailbox(box) for box in email.to)
    yield "Subject", _format_text(email.subject)
    yield "Date", _format_date(email.date)
    yield from _list_threading(email)
    yield from _list_unsubscribing(email)
    if email.automatic:
        yield "Auto-Submitted", "auto-generated"


def _write_header(name: str, value: str) -> str:
    """One header, in lines of a fair length; a long Message-ID or URL stays whole, as readers want it."""
    line = f"{name}: {value}"
    # Wrapping is slow, and most headers fit into a line or are one word.
    is_whole = len(line) <= LINE_LENGTH or " " not in value
    if is_whole and value and not value.isspace() and value.isprintable():
        return line + "\r\n"
    return "\r\n".join(_wrap(name, value)) + "\r\n"


def _wrap(name: str, value: str) -> list[str]:
    # The first word stays beside the name: some readers take a line of its own as part of the value.
    return textwrap.wrap(
        value,
        LINE_LENGTH,
        initial_indent=f"{name}: ",
        subsequent_indent=" ",
        break_long_words=False,
        break_on_hyphens=False,
    ) or [f"{name}:"]


@lru_cache(KEPT)
def _format_date(date: datetime) -> str:
    return format_datetime(date.astimezone(UTC))


def _format_mailbox(box: Mailbox) -> str:
    address, name = envelope_address(box.email), clean_header(box.name)[:MAX_NAME_LENGTH]
    if not name:
        return address
    if not _is_plain(name):
        return f"{_encode_words(name)} <{address}>"
    if not _ATOMS.fullmatch(name):
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        name = f'"{quoted}"'
    return f"{name} <{address}>"


# Those who write are few, those who are written to are many.
_format_sender = lru_cache(KEPT)(_format_mailbox)


def _format_text(text: str) -> str:
    cleaned = clean_header(text)
    return cleaned if _is_plain(cleaned) else _encode_words(cleaned)


def _is_plain(text: str) -> bool:
    """Whether text may stand as it is: ASCII, and nothing a reader would take for an encoded word."""
    return text.isascii() and "=?" not in text


@lru_cache(KEPT)
def _encode_words(text: str) -> str:
    return " ".join(Header(text, "utf-8").encode().split())


def _list_threading(email: OutgoingEmail) -> Iterator[tuple[str, str]]:
    yield "Message-ID", _message_id(email.message_id, "message_id")
    if email.in_reply_to is not None:
        yield "In-Reply-To", _message_id(email.in_reply_to, "in_reply_to")
    if email.references:
        # The first names the thread and the last ones its end; the middle may go when a thread grows long.
        kept = [*email.references[:1], *email.references[1:][1 - MAX_REFERENCES :]]
        yield "References", " ".join(_message_id(reference, "references") for reference in kept)


def _message_id(value: str, field: str) -> str:
    if _MESSAGE_ID.fullmatch(value) is None:
        problem = Problem(field, f"{value!r} is no message id: it has the form <name@domain>.")
        raise InvalidError("The mail cannot be composed.", problems=[problem])
    return value


def _list_unsubscribing(email: OutgoingEmail) -> Iterator[tuple[str, str]]:
    ways = []
    if email.unsubscribe_url is not None:
        ways.append(f"<{_one_word_url(email.unsubscribe_url)}>")
    if email.unsubscribe_email is not None:
        ways.append(f"<mailto:{envelope_address(email.unsubscribe_email)}?subject=unsubscribe>")
    if ways:
        yield "List-Unsubscribe", ", ".join(ways)
    if email.unsubscribe_url is not None and _may_be_posted_to(email.unsubscribe_url):
        # RFC 8058: with this header a mail program may post to the address above without asking further.
        yield "List-Unsubscribe-Post", "List-Unsubscribe=One-Click"


def _one_word_url(url: str) -> str:
    if _LINK.fullmatch(url) is None:
        problem = Problem("unsubscribe_url", f"{url!r} cannot be offered as a link: it must be an https URL.")
        raise InvalidError("The mail cannot be composed.", problems=[problem])
    return url


def _may_be_posted_to(url: str) -> bool:
    """Whether one click may be offered: over https, or where the way to the server cannot be listened to."""
    return url.startswith("https://") or _is_on_this_machine("/".join(url.split("/", 3)[:3]))


@lru_cache(KEPT)
def _is_on_this_machine(origin: str) -> bool:
    # All links of an instance have one origin, and what is written in an address is slow to find out.
    return is_loopback(urlsplit(origin).hostname or "")


def _ascii_domain(domain: str) -> str:
    if domain.startswith("[") and re.fullmatch(r"\[[0-9A-Fa-f:.IPvx]{3,45}\]", domain):
        return domain
    if _ASCII_DOMAIN.fullmatch(domain):
        return domain.lower()
    return idna.encode(domain, uts46=True).decode("ascii")


def _no_address(email: str) -> InvalidError:
    problem = Problem("email", f"{email!r} is not an address mail can be sent to.")
    return InvalidError("The mail cannot be composed.", problems=[problem])
