"""What lists keep in their address to go on where they ended."""

from datetime import datetime


def find_place(text: str) -> tuple[datetime, str] | None:
    """Time and address that a list of addresses continues after, written `time address`."""
    at, _, value = text.partition(" ")
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (found, value) if found.tzinfo is not None else None
