"""A channel for tests: keeps what it is given, and fails when told to."""

from switchboard.delivery.channels.base import Envelope, SendError, Sent, closed_error


class RecordingChannel:
    """Remembers envelopes in the order they came; each error in `failures` is raised once, first to last."""

    name = "recording"

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.failures: list[SendError] = []
        self._is_closed = False

    async def send(self, envelope: Envelope) -> Sent:
        """Remember one message, or fail as arranged."""
        if self._is_closed:
            raise closed_error(self.name)
        if self.failures:
            raise self.failures.pop(0)
        self.envelopes.append(envelope)
        return Sent(f"recorded-{len(self.envelopes)}", "Recorded.")

    async def close(self) -> None:
        """Stop taking messages."""
        self._is_closed = True
