"""E-mail into the local mailbox: nothing leaves the machine, a page shows each mail."""

from collections.abc import Awaitable, Callable

from switchboard.delivery.channels.base import Envelope, Sent, closed_error

StoreMail = Callable[[Envelope], Awaitable[str]]


class MailboxChannel:
    """Hands every mail to `store`, which keeps it once per `envelope.key` and answers with its id."""

    name = "mailbox"

    def __init__(self, store: StoreMail) -> None:
        self._store = store
        self._is_closed = False

    async def send(self, envelope: Envelope) -> Sent:
        """Keep one mail; what `store` raises comes through."""
        if self._is_closed:
            raise closed_error(self.name)
        return Sent(await self._store(envelope), "Kept in the local mailbox.")

    async def close(self) -> None:
        """Nothing is held."""
        self._is_closed = True
