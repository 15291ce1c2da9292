"""Where a list goes on, as the address bar carries it."""

from datetime import datetime, timedelta
from uuid import UUID

from switchboard.inbox.models import Conversation, Position

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)


def write_position(conversation: Conversation) -> str:
    """The place after a conversation: microseconds since 1970 and its id."""
    return f"{(conversation.last_message_at - _EPOCH) // _MICROSECOND}-{conversation.id.hex}"


def read_position(text: str) -> Position | None:
    """The place a query names; None for the beginning, and for what is no place."""
    microseconds, _, conversation_id = text.partition("-")
    try:
        return Position(_EPOCH + int(microseconds) * _MICROSECOND, UUID(conversation_id))
    except (ValueError, OverflowError):
        return None
