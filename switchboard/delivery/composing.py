"""One mail as it goes over the wire: headers that cannot be injected into, a text and an HTML part, attachments."""

import hashlib
import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.header import Header
from email.headerregistry import BaseHeader, HeaderRegistry
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import urlsplit

import idna

from switchboard.kernel.addresses import is_loopback
from switchboard.kernel.characters import make_storable
from switchboard.kernel.errors import InvalidError, Problem

HEADERS_KEPT = 256
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
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,126}", re.ASCII)
# Line and paragraph separators are not control characters by category, yet some readers break lines at them.
_LINE_BREAKERS = frozenset("\u2028\u2029\x85")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An e-mail address and the name shown for it."""

    email: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class OutgoingAttachment:
    """One file of a mail; one with a `content_id` is shown inside the HTML as `cid:content_id`."""

    name: str
    media_type: str
    content: bytes
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class OutgoingEmail:
    """Everything that decides the bytes of a mail; equal values give equal bytes.

    `message_id`, `in_reply_to` and `references` carry their angle brackets. One click is offered where
    `unsubscribe_url` is https, or on this machine itself. `automatic` marks mail that no person wrote.
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
    attachments: Sequence[OutgoingAttachment] = ()
    unsubscribe_url: str | None = None
    unsubscribe_email: str | None = None
    automatic: bool = False


def compose_email(email: OutgoingEmail) -> bytes:
    """The mail with CRLF line ends, ready for DATA. Raises `InvalidError` naming an address it cannot send to.

    Domains are written in their ASCII form; a local part outside of ASCII makes the headers UTF-8, for which
    the receiving server must offer SMTPUTF8.
    """
    message = EmailMessage(policy=_UTF8_MAIL if needs_smtputf8(email) else _MAIL)
    _write_addresses(message, email)
    message["Subject"] = _format_text(email.subject)
    message["Date"] = format_datetime(email.date.astimezone(UTC))
    _write_threading(message, email)
    _write_unsubscribe(message, email)
    if email.automatic:
        message["Auto-Submitted"] = "auto-generated"
    _write_content(message, email)
    _write_boundaries(message, email)
    return message.as_bytes()


def needs_smtputf8(email: OutgoingEmail) -> bool:
    """Whether an address has a local part that only SMTPUTF8 can carry."""
    boxes = [email.sender, *email.to, *filter(None, [email.reply_to])]
    return not all(box.email.rpartition("@")[0].isascii() for box in boxes)


def envelope_address(email: str) -> str:
    """An address as SMTP writes it: its domain in ASCII. Raises `InvalidError` when it is no address."""
    local, at, domain = email.rpartition("@")
    dotted = not local.startswith(".") and not local.endswith(".") and ".." not in local
    if not (at and dotted and _LOCAL_PART.fullmatch(local)) or _has_controls(email):
        raise _no_address(email)
    try:
        return f"{local}@{_ascii_domain(domain)}"
    except (idna.IDNAError, UnicodeError) as error:
        raise _no_address(email) from error


def clean_header(text: str) -> str:
    """One line of printable text, at most as long as a header should be."""
    printable = "".join(" " if _is_control(letter) else letter for letter in text)
    return " ".join(printable.split())[:MAX_HEADER_LENGTH].rstrip()


class _MailPolicy(EmailPolicy):
    """The library's policy for SMTP, except that the headers written here go out as they were written.

    The library would take them apart and fold them anew: it then writes a long Message-ID or URL as an
    encoded word, and drops the quotation marks around some names that need them.
    """

    _written_here = frozenset(
        {
            *("from", "to", "reply-to", "subject", "date", "message-id", "in-reply-to", "references"),
            *("list-unsubscribe", "list-unsubscribe-post", "auto-submitted"),
        }
    )

    def header_store_parse(self, name: str, value: str) -> tuple[str, str]:
        return (name, value) if name.lower() in self._written_here else super().header_store_parse(name, value)

    def fold_binary(self, name: str, value: str) -> bytes:
        if name.lower() not in self._written_here:
            return _fold(name, value, utf8=self.utf8)
        line = f"{name}: {value}"
        # Wrapping is slow, and most headers fit into a line.
        lines = [line] if len(line) <= LINE_LENGTH and value.strip() and value.isprintable() else _wrap(name, value)
        return (self.linesep.join(lines) + self.linesep).encode("utf-8" if self.utf8 else "ascii")

    def fold_parsed(self, name: str, value: str) -> bytes:
        """As the library would."""
        return super().fold_binary(name, value)


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


class _KeptHeaders(HeaderRegistry):
    """Headers of contents are the same few in mail after mail, and taking them apart costs more than all else."""

    def __getitem__(self, name: str) -> type[BaseHeader]:
        return _class_of(self, name.lower())

    def __call__(self, name: str, value: str) -> BaseHeader:
        return _parse(self, name, value)

    def make_class(self, name: str) -> type[BaseHeader]:
        """A class for headers of this name, as the library makes one each time."""
        return super().__getitem__(name)


@lru_cache(maxsize=HEADERS_KEPT)
def _class_of(headers: _KeptHeaders, name: str) -> type[BaseHeader]:
    return headers.make_class(name)


@lru_cache(maxsize=HEADERS_KEPT)
def _parse(headers: _KeptHeaders, name: str, value: str) -> BaseHeader:
    return headers[name](name, value)


@lru_cache(maxsize=HEADERS_KEPT)
def _fold(name: str, value: str, *, utf8: bool) -> bytes:
    # Not by the policy that asks: the library makes a copy of it for each mail.
    return (_UTF8_MAIL if utf8 else _MAIL).fold_parsed(name, value)


# Seven bits pass every server, so no extension has to be asked for.
_MAIL = _MailPolicy(linesep=SMTP.linesep, cte_type="7bit", header_factory=_KeptHeaders())
_UTF8_MAIL = _MAIL.clone(utf8=True)


def _write_addresses(message: EmailMessage, email: OutgoingEmail) -> None:
    message["From"] = _format_mailbox(email.sender)
    if email.reply_to is not None:
        message["Reply-To"] = _format_mailbox(email.reply_to)
    message["To"] = ", ".join(_format_mailbox(box) for box in email.to)


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


def _format_text(text: str) -> str:
    cleaned = clean_header(text)
    return cleaned if _is_plain(cleaned) else _encode_words(cleaned)


def _is_plain(text: str) -> bool:
    """Whether text may stand as it is: ASCII, and nothing a reader would take for an encoded word."""
    return text.isascii() and "=?" not in text


def _encode_words(text: str) -> str:
    return " ".join(Header(text, "utf-8").encode().split())


def _write_threading(message: EmailMessage, email: OutgoingEmail) -> None:
    message["Message-ID"] = _message_id(email.message_id, "message_id")
    if email.in_reply_to is not None:
        message["In-Reply-To"] = _message_id(email.in_reply_to, "in_reply_to")
    if email.references:
        # The first names the thread and the last ones its end; the middle may go when a thread grows long.
        kept = [*email.references[:1], *email.references[1:][1 - MAX_REFERENCES :]]
        message["References"] = " ".join(_message_id(reference, "references") for reference in kept)


def _message_id(value: str, field: str) -> str:
    if _MESSAGE_ID.fullmatch(value) is None:
        problem = Problem(field, f"{value!r} is no message id: it has the form <name@domain>.")
        raise InvalidError("The mail cannot be composed.", problems=[problem])
    return value


def _write_unsubscribe(message: EmailMessage, email: OutgoingEmail) -> None:
    ways = []
    if email.unsubscribe_url is not None:
        ways.append(f"<{_one_word_url(email.unsubscribe_url)}>")
    if email.unsubscribe_email is not None:
        ways.append(f"<mailto:{envelope_address(email.unsubscribe_email)}?subject=unsubscribe>")
    if ways:
        message["List-Unsubscribe"] = ", ".join(ways)
    if email.unsubscribe_url is not None and _may_be_posted_to(email.unsubscribe_url):
        # RFC 8058: with this header a mail program may post to the address above without asking further.
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"


def _one_word_url(url: str) -> str:
    safe = url.isascii() and url.isprintable() and not set(url) & set(" <>,")
    if not safe or urlsplit(url).scheme not in ("https", "http"):
        problem = Problem("unsubscribe_url", f"{url!r} cannot be offered as a link: it must be an https URL.")
        raise InvalidError("The mail cannot be composed.", problems=[problem])
    return url


def _may_be_posted_to(url: str) -> bool:
    """Whether one click may be offered: over https, or where the way to the server cannot be listened to."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def _write_content(message: EmailMessage, email: OutgoingEmail) -> None:
    inline: list[OutgoingAttachment] = []
    message.set_content(make_storable(email.text))
    if email.html is not None:
        message.add_alternative(make_storable(email.html), subtype="html")
        inline = [one for one in email.attachments if one.content_id]
    html = message.get_body(preferencelist=("html",))
    for one in email.attachments:
        if one in inline and html is not None:
            _attach(html, one, disposition="inline")
        else:
            _attach(message, one, disposition="attachment")


def _write_boundaries(message: EmailMessage, email: OutgoingEmail) -> None:
    # The library would draw them by chance, and the same mail sent again would then look like another.
    seed = hashlib.blake2b(f"{email.message_id}\0{email.text}".encode("utf-8", "replace"), digest_size=12)
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_{seed.hexdigest()}_{number}")


def _attach(part: MIMEPart, attachment: OutgoingAttachment, *, disposition: str) -> None:
    media_type = attachment.media_type.lower()
    # A whole mail as an attachment may not be base64, so it travels as a file like any other.
    if _MEDIA_TYPE.fullmatch(media_type) is None or media_type.startswith(("message/", "multipart/")):
        media_type = "application/octet-stream"
    kind, _, subtype = media_type.partition("/")
    content_id = f"<{_clean_content_id(attachment.content_id)}>" if attachment.content_id else None
    add = part.add_related if disposition == "inline" else part.add_attachment
    add(
        attachment.content,
        maintype=kind,
        subtype=subtype,
        disposition=disposition,
        filename=clean_header(attachment.name)[:200] or "attachment",
        cid=content_id,
    )


def _clean_content_id(content_id: str) -> str:
    return re.sub(r"[^!-;=?-~]", "", content_id.strip("<>"))[:200]


def _ascii_domain(domain: str) -> str:
    if domain.startswith("[") and re.fullmatch(r"\[[0-9A-Fa-f:.IPvx]{3,45}\]", domain):
        return domain
    if _ASCII_DOMAIN.fullmatch(domain):
        return domain.lower()
    return idna.encode(domain, uts46=True).decode("ascii")


def _is_control(letter: str) -> bool:
    # Categories Cc (control characters) and Cs (half characters), which no header can carry.
    return letter in _LINE_BREAKERS or unicodedata.category(letter) in ("Cc", "Cs")


def _has_controls(text: str) -> bool:
    return any(_is_control(letter) for letter in text)


def _no_address(email: str) -> InvalidError:
    problem = Problem("email", f"{email!r} is not an address mail can be sent to.")
    return InvalidError("The mail cannot be composed.", problems=[problem])
