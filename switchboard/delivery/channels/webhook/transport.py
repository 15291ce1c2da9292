"""E-mail through a sending API of one's own: each message is one signed POST of JSON.

Its key travels with it and is the same at every try, so that the API can tell a second copy from a new message:
whatever came to no known end is simply posted again.
"""

import base64
import hashlib
import hmac
import socket
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from switchboard.delivery.channels.base import Envelope, SendError, Sent, closed_error
from switchboard.delivery.channels.webhook.answers import LONGEST_TEXT, read_refusal
from switchboard.delivery.channels.webhook.settings import WebhookSettings, read_secret
from switchboard.kernel.addresses import is_public_ip
from switchboard.kernel.clock import wall_time

LONGEST_ANSWER_BYTES = 4_096
KEEPALIVE_SECONDS = 30

# Of a mail's own headers these describe how its content is written, which here is JSON.
_OF_CONTENT = ("content-", "mime-version")


class PrivateAddressError(OSError):
    """The name leads into a private network, which the settings do not allow."""


class WebhookChannel:
    """Posts to one address over connections that are kept, at most `settings.connections` of them."""

    name = "webhook"

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._secret = read_secret(settings.secret.get_secret_value())
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def send(self, envelope: Envelope) -> Sent:
        """Hand over one message within `send_timeout_seconds`; raises `SendError`, never one in doubt."""
        if self._is_closed:
            raise closed_error(self.name)
        body = _encode(envelope)
        try:
            return await self._post(envelope.key, body)
        except PrivateAddressError as error:
            raise SendError("retryable", "address_private", str(error)) from error
        except TimeoutError as error:
            raise SendError("retryable", "timeout", "The sending API took too long.") from error
        except aiohttp.ClientConnectorError as error:
            raise _translate(error) from error
        except aiohttp.ClientError as error:
            text = f"The connection to the sending API broke: {error}."[:LONGEST_TEXT]
            raise SendError("retryable", "connection_lost", text) from error

    async def close(self) -> None:
        """Close every connection."""
        self._is_closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, key: str, body: bytes) -> Sent:
        session = self._session = self._session or self._open()
        headers = {"Idempotency-Key": key, **sign(self._secret, key, body)}
        async with session.post(self._settings.url, data=body, headers=headers, allow_redirects=False) as answer:
            found = await answer.content.read(LONGEST_ANSWER_BYTES)
            text = found.decode("utf-8", "replace")
            if 200 <= answer.status <= 299:
                return Sent(_find_id(found), f"{answer.status} {' '.join(text.split())}"[:LONGEST_TEXT].strip())
            raise read_refusal(answer.status, text, answer.headers.get("Retry-After"), wall_time())

    def _open(self) -> aiohttp.ClientSession:
        settings = self._settings
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=settings.connections,
                keepalive_timeout=KEEPALIVE_SECONDS,
                socket_factory=_any_socket if settings.may_be_private else _public_socket,
            ),
            timeout=aiohttp.ClientTimeout(
                total=settings.send_timeout_seconds, sock_connect=settings.connect_timeout_seconds
            ),
            headers={"Content-Type": "application/json", "User-Agent": "Switchboard"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )


def sign(secret: bytes, key: str, body: bytes) -> Mapping[str, str]:
    """The headers by which the API knows that we have sent this, as the Standard Webhooks specification has them."""
    seconds = str(int(wall_time().timestamp()))
    signature = hmac.digest(secret, f"{key}.{seconds}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": key,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def _encode(envelope: Envelope) -> bytes:
    return msgspec.json.encode(
        {
            "id": envelope.key,
            "from": envelope.sender,
            "to": envelope.recipient,
            "subject": envelope.subject,
            "text": envelope.text,
            "html": envelope.html,
            "headers": _read_headers(envelope.raw),
        }
    )


def _read_headers(raw: bytes) -> dict[str, str]:
    """The headers of a mail that we have written, each on one line."""
    lines = raw.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").replace("\r\n ", " ").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return {name: value for name, _, value in pairs if not name.lower().startswith(_OF_CONTENT)}


def _find_id(body: bytes) -> str | None:
    """The API's own name for the message, where it answers with an object that has an `id`."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    value = found.get("id") if isinstance(found, dict) else None
    return str(value)[:200] if isinstance(value, str | int) else None


def _any_socket(address: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    return made


def _public_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for an address that a name has led to; only here is it known where a request really goes."""
    ip = str(address[4][0])
    if not is_public_ip(ip):
        raise PrivateAddressError(
            f"The sending API's name leads to {ip}, no public address. Allow it in the settings if it is meant."
        )
    return _any_socket(address)


def _translate(error: aiohttp.ClientConnectorError) -> SendError:
    if isinstance(error.os_error, PrivateAddressError):
        return SendError("retryable", "address_private", str(error.os_error))
    return SendError("retryable", "connect_failed", f"The sending API cannot be reached: {error}."[:LONGEST_TEXT])
