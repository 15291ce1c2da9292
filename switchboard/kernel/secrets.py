"""The secret that signs what leaves this instance and comes back: unsubscribe links, inbound webhooks.

What has to lie on a disk outside the database is sealed with a key made from it.

It is APP_SECRET, or a key that the first process to need one keeps in SWITCHBOARD_HOME for all of them.
"""

import hashlib
import hmac
import os
import secrets
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from switchboard.kernel.errors import ConfigurationError, Problem
from switchboard.kernel.settings import Settings

KEY_FILE = "app.key"
KEY_BYTES = 32
_NONCE_BYTES = 12


def load_app_secret(settings: Settings) -> bytes:
    """The instance's secret; raises ConfigurationError when its file can be neither read nor made."""
    if settings.app_secret is not None:
        return settings.app_secret.get_secret_value().encode()
    return _load_key(settings.home / KEY_FILE)


def derive_key(secret: bytes, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose, so that what is signed for one never passes for another."""
    return hmac.digest(secret, purpose.encode(), hashlib.sha256)


def seal(secret: bytes, purpose: str, content: bytes) -> bytes:
    """Encrypt `content` (AES-256-GCM) so that it opens with the same secret and for the same purpose only."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(derive_key(secret, purpose)).encrypt(nonce, content, purpose.encode())


def find_unsealed(secret: bytes, purpose: str, sealed: bytes) -> bytes | None:
    """What was sealed; None when it was changed, cut short, or sealed with another secret."""
    nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return AESGCM(derive_key(secret, purpose)).decrypt(nonce, rest, purpose.encode())
    except (InvalidTag, ValueError):
        return None


@lru_cache(maxsize=8)
def _load_key(path: Path) -> bytes:
    try:
        return _read_key(path) or _make_key(path)
    except OSError as error:
        message = f"the key {path} can be neither read nor made ({error.strerror}); set APP_SECRET instead"
        problems = [Problem("APP_SECRET", message)]
        raise ConfigurationError("There is no secret to sign links with.", problems=problems) from error


def _read_key(path: Path) -> bytes | None:
    try:
        return path.read_bytes() or None
    except FileNotFoundError:
        return None


def _make_key(path: Path) -> bytes:
    """Write a fresh key for nobody else to read; when another process was quicker, take its key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_urlsafe(KEY_BYTES).encode())
            file.flush()
            os.fsync(file.fileno())
        # A link is made whole or not at all, and never over a key that is there.
        os.link(draft, path)
    except FileExistsError:
        return path.read_bytes()
    finally:
        draft.unlink(missing_ok=True)
    return path.read_bytes()
