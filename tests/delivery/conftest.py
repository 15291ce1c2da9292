"""A contact to write to, and mail servers on loopback: a real one, and one that follows a script to the letter."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from switchboard.delivery.channels.smtp.settings import SmtpSettings
from switchboard.kernel.db import Database
from tests.delivery.letters import make_contact


@pytest.fixture
async def ann(database: Database, workspace_id: UUID) -> UUID:
    """A contact of a workspace that keeps no quiet hours, so that tests pass at night too."""
    async with database.transaction(workspace_id) as tx:
        await tx.execute("UPDATE app.workspace SET quiet_start = '00:00', quiet_end = '00:00'")
    return await make_contact(database, workspace_id, "ann@x.example")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-made certificate for this machine: its PEM text, and a server's context using it."""

    pem: str
    server_context: ssl.SSLContext


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    file = Path(tmp_path_factory.mktemp("certificate")) / "server.pem"
    file.write_bytes(
        pem
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return Certificate(pem.decode(), context)


@dataclass
class MailServer:
    """aiosmtpd on a free port, remembering each mail and counting connections.

    `answers` maps a command to the lines it answers with, one after another, before it behaves again.
    """

    port: int = 0
    mails: list[Envelope] = field(default_factory=list)
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    answers: dict[str, list[str]] = field(default_factory=dict)

    async def handle_RCPT(  # noqa: N802 -- the library's name.
        self, _server: Any, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if scripted := self._next("RCPT"):
            return scripted
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: Any, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if scripted := self._next("DATA"):
            return scripted
        self.mails.append(envelope)
        return f"250 2.0.0 Ok: queued as Q{len(self.mails)}"

    def settings(self, **changes: object) -> SmtpSettings:
        values: dict[str, object] = {"host": "127.0.0.1", "port": self.port, "security": "none"}
        return SmtpSettings.model_validate(values | changes)

    def _next(self, command: str) -> str | None:
        left = self.answers.get(command)
        return left.pop(0) if left else None


class _CountingProtocol(SMTP):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._original_transport is None:
            self.event_handler.connections += 1
        super().connection_made(transport)

    async def push(self, status: Any) -> None:
        self.event_handler.commands.append(str(status))
        await super().push(status)


def _check_password(_server: Any, _session: Any, _envelope: Any, _mechanism: str, login: LoginPassword) -> AuthResult:
    return AuthResult(success=(login.login, login.password) == (b"mailer", b"s3cret"), handled=False)


StartServer = Callable[..., Awaitable[MailServer]]
StartScript = Callable[..., Awaitable["ScriptedServer"]]


@pytest.fixture
async def start_server() -> AsyncIterator[StartServer]:
    """Start a real mail server: `await start_server(tls=..., starttls=..., auth=..., smtputf8=...)`."""
    async with AsyncExitStack() as stack:

        async def start(
            *,
            tls: ssl.SSLContext | None = None,
            starttls: ssl.SSLContext | None = None,
            auth: bool = False,
            smtputf8: bool = False,
        ) -> MailServer:
            server = MailServer()
            loop = asyncio.get_running_loop()
            listener = await loop.create_server(
                lambda: _CountingProtocol(
                    server,
                    hostname="localhost",
                    loop=loop,
                    tls_context=starttls,
                    require_starttls=starttls is not None,
                    auth_required=auth,
                    authenticator=_check_password,
                    enable_SMTPUTF8=smtputf8,
                ),
                "127.0.0.1",
                0,
                ssl=tls,
            )
            stack.push_async_callback(listener.wait_closed)
            stack.callback(listener.close)
            server.port = listener.sockets[0].getsockname()[1]
            return server

        yield start


@dataclass
class ScriptedServer:
    """Answers each command by the script: a line to send, `drop` to hang up, `hang` to say nothing more.

    Keys are `greeting`, the commands' first words, `end` for what follows the content's dot, and `DATA for nobody`
    where no recipient was taken. `once` keys are used up by their first use.
    """

    script: dict[str, str]
    once: frozenset[str] = frozenset()
    port: int = 0
    connections: int = 0
    heard: list[str] = field(default_factory=list)
    has_recipient: bool = False
    hanging: asyncio.Event = field(default_factory=asyncio.Event)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    _usual: ClassVar[dict[str, str]] = {
        "greeting": "220 localhost",
        "EHLO": "250-localhost\r\n250 SIZE 1000000",
        "DATA": "354 go on",
        "DATA for nobody": "503 5.5.1 to whom?",
        "end for nobody": "554 5.5.1 no valid recipients",
        "QUIT": "221 bye",
    }

    def settings(self, **changes: object) -> SmtpSettings:
        values: dict[str, object] = {"host": "127.0.0.1", "port": self.port, "security": "none"}
        return SmtpSettings.model_validate(values | changes)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.heard.append("lost")
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        more = await self._answer("greeting", writer)
        while more and (line := await reader.readline()):
            command = line.decode("latin-1").split(" ")[0].split(":")[0].strip().upper()
            self.heard.append(command)
            if command in ("MAIL", "RCPT"):
                is_taken = self.script.get(command, "250").startswith("25")
                self.has_recipient = is_taken and (command == "MAIL" or self.has_recipient)
            if command == "DATA" and not self.has_recipient:
                command = "DATA for nobody"
            more = await self._answer(command, writer)
            if more and command == "DATA for nobody" and self.script.get(command, "").startswith("354"):
                assert await reader.readline() == b".\r\n"
                more = await self._answer("end for nobody", writer)
            if more and command == "DATA" and self.script.get("DATA", "354").startswith("354"):
                await reader.readuntil(b"\r\n.\r\n")
                more = await self._answer("end", writer)

    async def _answer(self, key: str, writer: asyncio.StreamWriter) -> bool:
        line = self.script.get(key) or self._usual.get(key, "250 OK")
        if key in self.once:
            self.script.pop(key, None)
        if line == "drop":
            return False
        if line == "hang":
            self.hanging.set()
            await asyncio.Event().wait()
        writer.write(f"{line}\r\n".encode())
        await writer.drain()
        return not line.startswith("421")


@pytest.fixture
async def start_script() -> AsyncIterator[StartScript]:
    """Start a scripted server: `await start_script({"RCPT": "550 no"}, once=["RCPT"])`."""
    async with AsyncExitStack() as stack:

        async def start(script: dict[str, str], *, once: Sequence[str] = ()) -> ScriptedServer:
            server = ScriptedServer(dict(script), frozenset(once))
            tasks: set[asyncio.Task[None]] = set()

            def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                tasks.add(asyncio.create_task(server.talk(reader, writer)))

            listener = await asyncio.start_server(accept, "127.0.0.1", 0)

            async def stop() -> None:
                listener.close()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await listener.wait_closed()

            stack.push_async_callback(stop)
            server.port = listener.sockets[0].getsockname()[1]
            return server

        yield start
