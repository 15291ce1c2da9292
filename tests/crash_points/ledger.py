"""What the outside world saw: a file that outlives every process of a story."""

import json
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from switchboard.delivery.channels.base import Envelope, Sent


@dataclass(frozen=True, slots=True)
class Delivered:
    """One mail that the provider took, or `acknowledged` or `did` for what the people outside know."""

    what: str
    recipient: str
    subject: str
    header_id: str


class Ledger:
    """Lines in the order in which things happened, across processes."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def write(self, what: str, recipient: str = "", subject: str = "", header_id: str = "") -> None:
        """Keep one line; it is there although the process ends in the next moment."""
        with self.file.open("a") as lines:
            lines.write(json.dumps([what, recipient, subject, header_id]) + "\n")

    def read(self) -> list[Delivered]:
        """All lines so far."""
        if not self.file.exists():
            return []
        return [Delivered(*json.loads(line)) for line in self.file.read_text().splitlines()]

    def mails_to(self, address: str) -> list[Delivered]:
        """What the provider took for an address, in order."""
        return [line for line in self.read() if line.what == "mail" and line.recipient == address]

    def has(self, what: str, recipient: str = "") -> bool:
        """Whether something has happened."""
        return any((line.what, line.recipient) == (what, recipient) for line in self.read())


class LedgerChannel:
    """A provider that writes down each mail it takes."""

    name = "ledger"

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def send(self, envelope: Envelope) -> Sent:
        mail = message_from_bytes(envelope.raw, policy=default)
        self._ledger.write("mail", envelope.recipient, str(mail["Subject"]), str(mail["Message-ID"]))
        return Sent(None, "Written down.")

    async def close(self) -> None:
        """Nothing is held."""
