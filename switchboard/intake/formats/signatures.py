"""Checks that a request comes from the holder of a secret, without telling a forger how close the guess was."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from switchboard.kernel.errors import UnauthenticatedError


def require_same(given: str, expected: str, what: str) -> None:
    """Raise UnauthenticatedError unless both are the same, in time that does not depend on where they differ."""
    if not hmac.compare_digest(given.encode(errors="replace"), expected.encode()):
        raise UnauthenticatedError(f"{what} does not fit this source; check the secret on both sides.")


def require_secret(secret: str, what: str) -> None:
    """Raise UnauthenticatedError when a source whose vendor always signs has no secret to check with."""
    if not secret:
        raise UnauthenticatedError(f"This source has no secret yet; enter {what} in its settings.")


def require_header(headers: Mapping[str, str], name: str) -> str:
    """The header's value; UnauthenticatedError when it is not there. `name` is in lower case."""
    value = headers.get(name, "").strip()
    if not value:
        raise UnauthenticatedError(f"The header {name} is missing; switch signing on at the sender.")
    return value


def sha256_hex(secret: str, content: bytes) -> str:
    """HMAC-SHA256 in lower-case hexadecimal."""
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def sha256_base64(secret: str, content: bytes) -> str:
    """HMAC-SHA256 in base64."""
    return base64.b64encode(hmac.digest(secret.encode(), content, "sha256")).decode()
