"""The providers: a mail server and a sending API that take everything, and one ledger of what they took."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.processes import free_port

_LINK = re.compile(r"/u/[\w=-]+")


@dataclass(frozen=True, slots=True)
class Taken:
    """One message as a provider took it; `key` is empty where the provider knows none. `at` is monotonic."""

    at: float
    via: str
    recipient: str
    subject: str
    header_id: str
    key: str
    reply_to: str
    unsubscribe_path: str


@dataclass(slots=True)
class Ledger:
    """What all providers took, in order; `heard` is called with each."""

    taken: list[Taken] = field(default_factory=list)
    heard: Callable[[Taken], None] = lambda _taken: None

    def note(self, via: str, recipient: str, key: str, headers: Any) -> None:
        """Keep one message by its mail's own headers."""
        link = _LINK.search(str(headers["List-Unsubscribe"] or ""))
        sender = str(headers["Reply-To"] or headers["From"])
        taken = Taken(
            time.monotonic(),
            via,
            recipient,
            str(headers["Subject"]),
            str(headers["Message-ID"]),
            key,
            sender,
            link[0] if link else "",
        )
        self.taken.append(taken)
        self.heard(taken)


class _Mails:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        headers = BytesHeaderParser(policy=default).parsebytes(content)
        self._ledger.note("smtp", envelope.rcpt_tos[0], "", headers)
        return "250 OK"


@contextmanager
def mail_server(ledger: Ledger) -> Iterator[int]:
    """The mail server; yields its port."""
    port = free_port()
    controller = Controller(_Mails(ledger), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that died in the middle of a request is nothing to speak of."""


@contextmanager
def sending_api(ledger: Ledger, listening: socket.socket) -> Iterator[str]:
    """The sending API; yields its address on the loopback that the socket listens on."""

    class Conversation(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            names = {name.title().replace("Id", "ID"): value for name, value in body["headers"].items()}
            headers = dict.fromkeys(("Reply-To", "List-Unsubscribe")) | names
            ledger.note("http", body["to"], self.headers["Idempotency-Key"], headers)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    server = _Server(listening.getsockname(), Conversation, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()
