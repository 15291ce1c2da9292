"""Mail by SMTP, from a real client over a real socket."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from switchboard.accounts.models import Caller
from switchboard.inbox import listener as listening
from switchboard.inbox.listener import MailListener
from switchboard.kernel.db import Database
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.events import Hub
from switchboard.kernel.settings import load_settings
from tests.inbox.conftest import Team, make_mail, run_jobs

HOST = "127.0.0.1"


@pytest.fixture
async def listener(database: Database) -> AsyncIterator[MailListener]:
    listener = MailListener(database, host=HOST, port=0, domain="switchboard.localhost")
    tick = await listener.tick()
    assert (tick.handled, tick.has_more) == (0, False)
    yield listener
    await listener.close()


@pytest.fixture
async def client(listener: MailListener) -> AsyncIterator[aiosmtplib.SMTP]:
    client = aiosmtplib.SMTP(hostname=HOST, port=listener.bound_port, start_tls=False, timeout=10)
    await client.connect()
    yield client
    client.close()


async def send(client: aiosmtplib.SMTP, mail: EmailMessage, *, sender: str = "ann@x.example", to: list[str]) -> str:
    _, answer = await client.sendmail(sender, to, mail.as_bytes())
    return answer


async def test_mail_is_kept_before_the_sender_is_told_so(team: Team, client: aiosmtplib.SMTP, agent: Caller) -> None:
    assert await send(client, make_mail("Hello from afar."), to=[team.address]) == "2.0.0 Kept"
    (row,) = await team.rows("SELECT mail_from, recipient, outcome FROM app.inbound_mail")
    assert row == {"mail_from": "ann@x.example", "recipient": team.address, "outcome": None}
    await run_jobs(team.database)
    assert (await team.conversation(agent)).preview == "Hello from afar."


async def test_a_worker_that_listens_already_goes_on_listening(listener: MailListener) -> None:
    port = listener.bound_port
    await listener.tick()
    assert listener.bound_port == port > 0


@pytest.mark.parametrize("local", ["hello", "HELLO", "hello+lead-7", "sales", "anything.at.all"])
async def test_a_workspaces_domain_is_its_own(team: Team, client: aiosmtplib.SMTP, local: str) -> None:
    _, domain = team.address.split("@")
    await send(client, make_mail(), to=[f"{local}@{domain}"])
    assert len(await team.outcomes()) == 1


@pytest.mark.parametrize(
    "address", ["hello@nobody.switchboard.localhost", "hello@x.example", "hello@switchboard.localhost"]
)
async def test_an_unknown_recipient_is_refused_for_good(team: Team, client: aiosmtplib.SMTP, address: str) -> None:
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await send(client, make_mail(), to=[address])
    assert [(one.code, one.message[:5]) for one in refused.value.recipients] == [(550, "5.1.1")]
    assert await team.outcomes() == []


async def test_reports_come_from_the_empty_sender(team: Team, client: aiosmtplib.SMTP) -> None:
    await send(client, make_mail(headers=[("Auto-Submitted", "auto-replied")]), sender="", to=[team.address])
    await run_jobs(team.database)
    (row,) = await team.rows("SELECT mail_from, outcome FROM app.inbound_mail")
    assert row == {"mail_from": "", "outcome": "automatic"}


async def test_two_recipients_in_two_workspaces_get_one_each(
    team: Team, client: aiosmtplib.SMTP, stranger: Caller
) -> None:
    async with team.database.transaction(stranger.workspace_id) as tx:
        rivals = await tx.fetch_value("SELECT mail_from FROM app.workspace")
    await send(client, make_mail(), to=[team.address, rivals])
    assert len(await team.outcomes()) == 1
    async with team.database.transaction(stranger.workspace_id) as tx:
        assert await tx.fetch_value("SELECT recipient FROM app.inbound_mail") == rivals


async def test_a_mail_over_the_limit_is_refused_before_it_is_sent(team: Team, client: aiosmtplib.SMTP) -> None:
    await client.ehlo()
    size = 26 * 1024 * 1024
    answer = await client.execute_command(b"MAIL", b"FROM:<ann@x.example>", f"SIZE={size}".encode())
    assert answer.code == 552


async def test_a_mail_that_grows_over_the_limit_is_refused(team: Team, client: aiosmtplib.SMTP) -> None:
    await client.ehlo()
    await client.mail("ann@x.example")
    await client.rcpt(team.address)
    with pytest.raises(aiosmtplib.SMTPDataError) as refused:
        await client.data("Subject: big\r\n\r\n" + ("x" * 7_000 + "\r\n") * 3_800)
    assert refused.value.code == 552
    assert await team.outcomes() == []


async def test_while_the_database_is_away_the_sender_is_told_to_come_again(urls: object) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/nothing", Hub(), max_connections=2)
    listener = MailListener(away, host=HOST, port=0, domain="switchboard.localhost")
    await listener.tick()
    client = aiosmtplib.SMTP(hostname=HOST, port=listener.bound_port, start_tls=False, timeout=10)
    await client.connect()
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await client.sendmail("ann@x.example", ["hello@a.switchboard.localhost"], "Subject: hi\r\n\r\nhi")
    assert [one.code for one in refused.value.recipients] == [451]
    client.close()
    await listener.close()


async def test_a_mail_that_could_not_be_committed_is_not_acknowledged(
    team: Team, client: aiosmtplib.SMTP, listener: MailListener
) -> None:
    await client.ehlo()
    await client.mail("ann@x.example")
    await client.rcpt(team.address)
    await team.database.close()
    with pytest.raises(aiosmtplib.SMTPDataError) as refused:
        await client.data("Subject: hi\r\n\r\nhi")
    assert refused.value.code == 451


async def test_the_second_worker_waits_for_the_port(database: Database, listener: MailListener) -> None:
    second = MailListener(database, host=HOST, port=listener.bound_port, domain="switchboard.localhost")
    await second.tick()
    assert second.bound_port == 0
    port = listener.bound_port
    await listener.close()
    await second.tick()
    assert second.bound_port == port
    await second.close()


async def test_a_dot_that_ends_no_line_ends_no_mail(team: Team, listener: MailListener) -> None:
    reader, writer = await asyncio.open_connection(HOST, listener.bound_port)
    smuggled = (
        b"\n.\nMAIL FROM:<b@x.example>\nRCPT TO:<" + team.address.encode() + b">\nDATA\nFrom: ceo@acme.example\n\nboo"
    )
    commands = [
        b"EHLO x\r\n",
        b"MAIL FROM:<a@x.example>\r\n",
        b"RCPT TO:<" + team.address.encode() + b">\r\n",
        b"DATA\r\n",
        b"From: a@x.example\r\n\r\nhi" + smuggled + b"\r\n.\r\n",
        b"QUIT\r\n",
    ]
    for command in commands:
        writer.write(command)
        await writer.drain()
    answers = (await asyncio.wait_for(reader.read(), 10)).decode()
    writer.close()
    assert answers.count("2.0.0 Kept") == 1
    assert len(await team.outcomes()) == 1


async def test_too_many_connections_are_sent_away(
    listener: MailListener, client: aiosmtplib.SMTP, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "MAX_CONNECTIONS", 1)
    reader, writer = await asyncio.open_connection(HOST, listener.bound_port)
    assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"421 4.3.2")
    writer.close()


async def test_a_line_without_end_is_cut_off(
    listener: MailListener, team: Team, client: aiosmtplib.SMTP, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "MAX_CONNECTION_BYTES", 10_000)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await client.sendmail("ann@x.example", [team.address], f"Subject: x\r\n\r\n{'x' * 500_000}")
    assert await team.outcomes() == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    made = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(made).not_valid_after(made + timedelta(days=36_500))
    path = tmp_path_factory.mktemp("tls") / "mail.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    return path


async def test_with_a_certificate_the_connection_can_be_encrypted(team: Team, certificate: Path) -> None:
    values = {"SMTP_IN_CERTIFICATE": str(certificate), "SMTP_IN_KEY": str(certificate)}
    tls = listening.load_tls(load_settings(values))
    listener = MailListener(team.database, host=HOST, port=0, domain="switchboard.localhost", tls=tls)
    await listener.tick()
    async with aiosmtplib.SMTP(
        hostname=HOST, port=listener.bound_port, start_tls=True, validate_certs=False, timeout=10
    ) as client:
        assert client.get_transport_info("cipher") is not None
        await send(client, make_mail(), to=[team.address])
    await listener.close()
    assert len(await team.outcomes()) == 1


async def test_without_one_it_is_not_offered(client: aiosmtplib.SMTP) -> None:
    await client.ehlo()
    assert not client.supports_extension("starttls")
    assert not client.supports_extension("auth")


def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "not.pem"
    file.write_text("nothing")
    with pytest.raises(ConfigurationError) as wrong:
        listening.load_tls(load_settings({"SMTP_IN_CERTIFICATE": str(file), "SMTP_IN_KEY": str(file)}))
    assert wrong.value.problems[0].field == "SMTP_IN_CERTIFICATE"
    with pytest.raises(ConfigurationError) as missing:
        load_settings({"SMTP_IN_CERTIFICATE": str(file)})
    assert [problem.field for problem in missing.value.problems] == ["SMTP_IN_KEY"]
