"""The SMTP channel on uvloop, whose transports are not the library's own: production runs on it."""

import asyncio

import pytest

from switchboard.delivery.channels.base import Envelope
from switchboard.delivery.channels.smtp.transport import SmtpChannel
from tests.delivery.conftest import Certificate, StartServer


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, object]]:
    return "asyncio", {"use_uvloop": True}


@pytest.mark.parametrize("security", ["none", "tls", "starttls"])
async def test_small_and_large_mail_arrive(start_server: StartServer, certificate: Certificate, security: str) -> None:
    assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
    context = {} if security == "none" else {security: certificate.server_context}
    server = await start_server(**context)
    channel = SmtpChannel(server.settings(security=security, host="localhost", ca_certificate=certificate.pem))
    raws = [b"Subject: x\r\n\r\n" + b"hello\r\n" * lines for lines in (1, 500_000)]
    for raw in raws:
        await channel.send(Envelope("k", "bounce@example.org", "ada@example.com", raw))
    await channel.close()
    assert [one.content for one in server.mails] == raws
    assert server.connections == 1
