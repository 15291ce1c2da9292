"""Passwords: argon2id with the parameters OWASP names for small servers (19 MiB, two passes, one lane)."""

import asyncio

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from switchboard.accounts.errors import WeakPasswordError

SHORTEST_PASSWORD = 10

_HASH = PasswordHash((Argon2Hasher(memory_cost=19_456, time_cost=2, parallelism=1),))
# Verified when there is no such user, so that a stranger cannot tell by the time it takes.
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$c3dpdGNoYm9hcmQtbm9ib2R5$1NxV0hWZ3lOJvNnYb0i4Hbm8zQG2V8pTn0Yh4XjZC7k"


async def hash_password(password: str) -> str:
    """The argon2id hash of a password of `SHORTEST_PASSWORD` characters or more; raises WeakPasswordError."""
    if len(password) < SHORTEST_PASSWORD:
        raise WeakPasswordError(SHORTEST_PASSWORD)
    return await asyncio.to_thread(_HASH.hash, password)


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Whether they belong together; takes the same time when there is no hash to compare with."""
    matches = await asyncio.to_thread(_HASH.verify, password, password_hash or _NOBODY)
    return matches and password_hash is not None
