"""The content of a mail behind its headers: a text, an HTML part, and attachments.

A text and its HTML are written here, since nearly all mail is no more and the library takes ten times as long; mail
with attachments is put together by the library around the same two parts.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP
from functools import lru_cache

from switchboard.delivery.rendering_skeleton import Cut
from switchboard.kernel.characters import make_storable

LINE_LENGTH = 78
FRAMES_KEPT = 256
_BASE64_LINE_BYTES = 57
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,126}", re.ASCII)
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
# Seven bits pass every server, so no extension has to be asked for.
_MAIL = SMTP.clone(cte_type="7bit")
_VERSION = b"MIME-Version: 1.0\r\n"
_START = b'Content-Type: text/%b; charset="utf-8"\r\nContent-Transfer-Encoding: %b\r\n%b\r\n%b'


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file of a mail; one with a `content_id` is shown inside the HTML as `cid:content_id`."""

    name: str
    media_type: str
    content: bytes
    content_id: str | None = None


def write_content(
    text: str, html: str | None, attachments: Sequence[Attachment], *, boundary: str, cut: Cut | None = None
) -> bytes:
    """The headers that describe the content, an empty line, and the content; equal values give equal bytes.

    Where it is known how `html` is cut, what it shares with other letters is encoded once for all of them.
    """
    if attachments:
        return _write_with_attachments(text, html, attachments, boundary)
    if html is None:
        return _write_part("plain", text, _VERSION)
    mark = f"{boundary}_0".encode()
    start = b'%bContent-Type: multipart/alternative; boundary="%b"\r\n' % (_VERSION, mark)
    plain, marked_up = _write_part("plain", text), _write_cut(cut) if cut else _write_part("html", html, _VERSION)
    return b"%b\r\n--%b\r\n%b\r\n--%b\r\n%b\r\n--%b--\r\n" % (start, mark, plain, mark, marked_up, mark)


def _write_part(kind: str, text: str, version: bytes = b"") -> bytes:
    """One part with its own headers; what seven bits cannot carry is quoted, or all encoded where most is such."""
    lines = make_storable(text).encode().splitlines()
    raw = b"\r\n".join(lines) + b"\r\n"
    encoding, body = b"7bit", raw
    if not raw.isascii() or max(map(len, lines), default=0) > LINE_LENGTH:
        encoding, body = _encode(raw)
    return _START % (kind.encode(), encoding, version, body)


def _write_cut(cut: Cut) -> bytes:
    """The HTML part of a letter whose frame was quoted before."""
    frame = _quote_frame(tuple(cut.skeleton.texts))
    if frame is None:
        return _write_part("html", cut.join(), _VERSION)
    # An equals sign at the end of a line takes the line's end away again: pieces are quoted apart and put together so.
    quoted = [frame[0]]
    for piece, text in zip(cut.pieces, frame[1:], strict=True):
        if piece:
            quoted.append(_quote(piece))
        if text:
            quoted.append(text)
    body = b"=\r\n".join(quoted)
    return _START % (b"html", b"quoted-printable", _VERSION, body if body.endswith(b"\r\n") else body + b"\r\n")


@lru_cache(FRAMES_KEPT)
def _quote_frame(texts: tuple[str, ...]) -> tuple[bytes, ...] | None:
    """The texts of a frame, quoted; None where letters with it need not be quoted, or are better encoded as a whole."""
    whole = "\n".join(texts).encode("utf-8", "replace")
    quoted = tuple(_quote(text) for text in texts)
    needs_quoting = not whole.isascii() or max(map(len, whole.splitlines()), default=0) > LINE_LENGTH
    return quoted if needs_quoting and sum(map(len, quoted)) * 3 <= len(whole) * 4 else None


def _quote(text: str) -> bytes:
    quoted = binascii.b2a_qp(make_storable(text).replace("\n", "\r\n").encode(), istext=True)
    # A text without line ends is broken as Unix does it, and mail with both kinds of ends is gone through once more.
    return quoted if "\n" in text else quoted.replace(b"\n", b"\r\n")


def _encode(raw: bytes) -> tuple[bytes, bytes]:
    quoted = binascii.b2a_qp(raw, istext=True)
    if len(quoted) * 3 <= len(raw) * 4:
        return b"quoted-printable", quoted
    pieces = (raw[at : at + _BASE64_LINE_BYTES] for at in range(0, len(raw), _BASE64_LINE_BYTES))
    return b"base64", b"\r\n".join(map(base64.b64encode, pieces)) + b"\r\n"


def _write_with_attachments(text: str, html: str | None, attachments: Sequence[Attachment], boundary: str) -> bytes:
    message = EmailMessage(policy=_MAIL)
    inline: list[Attachment] = []
    message.set_content(make_storable(text))
    if html is not None:
        message.add_alternative(make_storable(html), subtype="html")
        inline = [one for one in attachments if one.content_id]
    shown = message.get_body(preferencelist=("html",))
    for one in attachments:
        if one in inline and shown is not None:
            _attach(shown, one, disposition="inline")
        else:
            _attach(message, one, disposition="attachment")
    # The library would draw them by chance, and the same mail sent again would then look like another.
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"{boundary}_{number}")
    return message.as_bytes()


def _attach(part: MIMEPart, attachment: Attachment, *, disposition: str) -> None:
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
        filename=" ".join(_UNPRINTABLE.sub(" ", attachment.name).split())[:200] or "attachment",
        cid=content_id,
    )


def _clean_content_id(content_id: str) -> str:
    return re.sub(r"[^!-;=?-~]", "", content_id.strip("<>"))[:200]
