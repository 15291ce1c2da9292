"""A channel for a developer's terminal: writes each mail out instead of sending it."""

from typing import TextIO

from switchboard.delivery.channels.base import Envelope, Sent, closed_error


class ConsoleChannel:
    """Writes every mail to a text stream, between two lines that name its recipient."""

    name = "console"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_closed = False

    async def send(self, envelope: Envelope) -> Sent:
        """Write one mail as text; bytes that are no UTF-8 are shown as marks."""
        if self._is_closed:
            raise closed_error(self.name)
        mail = envelope.raw.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")
        self._stream.write(f"---- mail to {envelope.recipient}\n{mail}\n---- end\n")
        self._stream.flush()
        return Sent(None, "Written to the console.")

    async def close(self) -> None:
        """The stream belongs to whoever gave it, so it stays open."""
        self._is_closed = True
