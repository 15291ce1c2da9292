"""What lists keep in their address to go on where they ended."""

from datetime import datetime
from uuid import UUID


def find_id(text: str) -> UUID | None:
    """The id that a list continues after; None for the beginning, and for what was made up."""
    try:
        return UUID(text)
    except ValueError:
        return None


def find_place(text: str) -> tuple[datetime, str] | None:
    """Time and address that a list of addresses continues after, written `time address`."""
    at, _, value = text.partition(" ")
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (found, value) if found.tzinfo is not None else None
