"""The SMTP channel against real and scripted servers: what is sent, what a failure means, what is reused."""

import asyncio
from datetime import timedelta

import pytest

from switchboard.delivery.channels.base import Envelope, SendError
from switchboard.delivery.channels.smtp import connection as smtp_connection
from switchboard.delivery.channels.smtp.settings import SmtpSettings
from switchboard.delivery.channels.smtp.transport import SmtpChannel
from tests.delivery.conftest import Certificate, StartScript, StartServer

RAW = b"Subject: Hi\r\nMessage-ID: <1@example.org>\r\n\r\nHello\r\n.dotted\r\n..twice\r\n.\r\nend\r\n"


def mail(recipient: str = "ada@example.com", raw: bytes = RAW) -> Envelope:
    return Envelope(key="m1", sender="bounce@example.org", recipient=recipient, raw=raw)


async def failure_of(settings: SmtpSettings, envelope: Envelope | None = None) -> SendError:
    channel = SmtpChannel(settings)
    with pytest.raises(SendError) as caught:
        await channel.send(envelope or mail())
    await channel.close()
    return caught.value


async def test_a_mail_arrives_byte_for_byte(start_server: StartServer) -> None:
    server = await start_server()
    channel = SmtpChannel(server.settings())
    sent = await channel.send(mail())
    await channel.close()
    assert (sent.provider_id, sent.response) == ("Q1", "2.0.0 Ok: queued as Q1")
    arrived = server.mails[0]
    assert (arrived.mail_from, arrived.rcpt_tos) == ("bounce@example.org", ["ada@example.com"])
    assert arrived.content == RAW


async def test_large_mail_arrives_whole(start_server: StartServer) -> None:
    server = await start_server()
    raw = b"Subject: big\r\n\r\n" + (b".x" * 35 + b"\r\n") * 120_000
    channel = SmtpChannel(server.settings())
    await channel.send(mail(raw=raw))
    await channel.close()
    assert server.mails[0].content == raw


async def test_one_connection_carries_mail_after_mail(start_server: StartServer) -> None:
    server = await start_server()
    channel = SmtpChannel(server.settings())
    for _ in range(20):
        await channel.send(mail())
    await channel.close()
    assert (len(server.mails), server.connections) == (20, 1)
    assert not any("NOOP" in line for line in server.commands)


async def test_many_at_once_share_few_connections(start_server: StartServer) -> None:
    server = await start_server()
    channel = SmtpChannel(server.settings(connections=3))
    await asyncio.gather(*(channel.send(mail(f"p{number}@example.com")) for number in range(60)))
    await channel.close()
    assert server.connections == 3
    assert sorted(one.rcpt_tos[0] for one in server.mails) == sorted(f"p{n}@example.com" for n in range(60))


async def test_a_connection_retires_after_its_messages(start_server: StartServer) -> None:
    server = await start_server()
    channel = SmtpChannel(server.settings(messages_per_connection=5))
    for _ in range(12):
        await channel.send(mail())
    await channel.close()
    assert (len(server.mails), server.connections) == (12, 3)


async def test_between_mails_the_envelope_is_reset_and_an_idle_connection_asked(
    start_script: StartScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await start_script({})
    channel = SmtpChannel(server.settings())
    await channel.send(mail())
    await channel.send(mail())
    monkeypatch.setattr(smtp_connection, "NOOP_AFTER_SECONDS", -1.0)
    await channel.send(mail())
    await channel.close()
    sending = ["MAIL", "RCPT", "DATA"]
    assert server.heard == ["EHLO", *sending, "RSET", *sending, "NOOP", "RSET", *sending, "QUIT"]


async def test_a_connection_that_died_while_idle_is_replaced_unseen(start_script: StartScript) -> None:
    server = await start_script({"RSET": "drop"}, once=["RSET"])
    channel = SmtpChannel(server.settings())
    await channel.send(mail())
    await channel.send(mail())
    await channel.send(mail())
    await channel.close()
    assert server.connections == 2


async def test_a_connection_idle_for_too_long_is_closed_first(start_script: StartScript) -> None:
    server = await start_script({})
    channel = SmtpChannel(server.settings(idle_seconds=1))
    await channel.send(mail())
    channel._idle[0]._used_at -= 2
    await channel.send(mail())
    await channel.close()
    assert server.connections == 2
    assert server.heard.count("QUIT") == 2


async def test_a_refused_mail_does_not_spoil_the_next(start_server: StartServer) -> None:
    server = await start_server()
    server.answers["RCPT"] = ["550 5.1.1 No such user"]
    channel = SmtpChannel(server.settings())
    with pytest.raises(SendError):
        await channel.send(mail("nobody@example.com"))
    await channel.send(mail())
    await channel.close()
    assert server.connections == 1
    assert [one.rcpt_tos for one in server.mails] == [["ada@example.com"]]


PIPELINING = {"EHLO": "250-localhost\r\n250-PIPELINING\r\n250 SIZE 1000000"}


@pytest.mark.parametrize("pipelining", [{}, PIPELINING], ids=["in turn", "at once"])
@pytest.mark.parametrize(
    ("script", "kind", "code", "at_fault"),
    [
        ({"RCPT": "550 5.1.1 No such user"}, "permanent", "550", "recipient"),
        ({"RCPT": "550 unknown"}, "permanent", "550", "recipient"),
        ({"RCPT": "552 5.2.2 Over quota"}, "permanent", "552", "recipient"),
        ({"RCPT": "554 5.7.1 Relay access denied"}, "permanent", "554", "message"),
        ({"RCPT": "530 5.7.0 Sign in first"}, "retryable", "530", "connection"),
        ({"RCPT": "451 4.7.1 Greylisted, try again in 300 seconds"}, "retryable", "451", "message"),
        ({"RCPT": "421 4.3.2 Shutting down"}, "retryable", "421", "connection"),
        ({"MAIL": "550 5.7.1 You may not send as this"}, "retryable", "550", "connection"),
        ({"MAIL": "552 5.3.4 Too big"}, "permanent", "552", "message"),
        ({"MAIL": "452 4.3.1 Disk full"}, "retryable", "452", "connection"),
        ({"DATA": "451 later"}, "retryable", "451", "message"),
        ({"end": "554 5.7.1 Spam"}, "permanent", "554", "message"),
        ({"end": "550 5.1.1 Nobody here"}, "permanent", "550", "recipient"),
        ({"end": "451 4.3.0 Try later"}, "retryable", "451", "message"),
        ({"end": "421 4.3.0 Going down"}, "retryable", "421", "connection"),
        ({"greeting": "554 Go away"}, "retryable", "554", "connection"),
        ({"greeting": "421 Busy"}, "retryable", "421", "connection"),
        ({"EHLO": "550 no", "HELO": "550 no"}, "retryable", "550", "connection"),
        ({"greeting": "drop"}, "retryable", "connect_failed", "connection"),
        ({"greeting": "nonsense"}, "retryable", "connect_failed", "connection"),
        ({"EHLO": "drop", "HELO": "drop"}, "retryable", "connect_failed", "connection"),
        ({"MAIL": "drop"}, "retryable", "connection_lost", "connection"),
        ({"RCPT": "drop"}, "retryable", "connection_lost", "connection"),
        ({"DATA": "drop"}, "retryable", "connection_lost", "connection"),
        ({"end": "drop"}, "in_doubt", "answer_lost", "connection"),
        ({"end": "nonsense"}, "in_doubt", "answer_lost", "connection"),
    ],
)
async def test_each_failure_means_one_thing(
    start_script: StartScript,
    script: dict[str, str],
    kind: str,
    code: str,
    at_fault: str,
    *,
    pipelining: dict[str, str],
) -> None:
    server = await start_script(pipelining | script)
    error = await failure_of(server.settings())
    assert (error.kind, error.code, error.at_fault) == (kind, code, at_fault)


@pytest.mark.parametrize("pipelining", [{}, PIPELINING], ids=["in turn", "at once"])
@pytest.mark.parametrize(
    ("stage", "kind", "code"),
    [
        ("greeting", "retryable", "timeout"),
        ("MAIL", "retryable", "timeout"),
        ("RCPT", "retryable", "timeout"),
        ("DATA", "retryable", "timeout"),
        ("end", "in_doubt", "answer_lost"),
    ],
)
async def test_a_silent_server_is_left_after_the_timeout(
    start_script: StartScript, stage: str, kind: str, code: str, pipelining: dict[str, str]
) -> None:
    server = await start_script(pipelining | {stage: "hang"})
    error = await failure_of(server.settings(command_timeout_seconds=0.1))
    assert (error.kind, error.code) == (kind, code)


@pytest.mark.parametrize(("stage", "kind"), [("RCPT", "retryable"), ("end", "in_doubt")])
async def test_a_whole_message_has_its_own_limit(start_script: StartScript, stage: str, kind: str) -> None:
    server = await start_script({stage: "hang"})
    error = await failure_of(server.settings(send_timeout_seconds=0.2))
    assert error.kind == kind


async def test_greylisting_says_how_long_to_wait(start_script: StartScript) -> None:
    server = await start_script({"RCPT": "450 4.2.0 Greylisted, see you in 5 minutes"})
    assert (await failure_of(server.settings())).retry_after == timedelta(minutes=5)


async def test_nobody_listening_is_retryable(start_script: StartScript) -> None:
    server = await start_script({})
    error = await failure_of(server.settings(port=1))
    assert (error.kind, error.code, error.at_fault) == ("retryable", "connect_failed", "connection")


async def test_cancelled_sending_leaves_no_connection_behind(start_script: StartScript) -> None:
    server = await start_script({"RCPT": "hang"}, once=["RCPT"])
    channel = SmtpChannel(server.settings(connections=1))
    sending = asyncio.create_task(channel.send(mail()))
    async with asyncio.timeout(5):
        await server.hanging.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await channel.send(mail())
    await channel.close()
    assert server.connections == 2


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_encrypted_with_a_certificate_of_our_own(
    start_server: StartServer, certificate: Certificate, security: str
) -> None:
    server = await start_server(**{security: certificate.server_context})
    channel = SmtpChannel(server.settings(security=security, ca_certificate=certificate.pem, host="localhost"))
    await channel.send(mail())
    await channel.send(mail())
    await channel.close()
    assert (len(server.mails), server.connections) == (2, 1)


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_certificate_nobody_vouches_for_is_refused(
    start_server: StartServer, certificate: Certificate, security: str
) -> None:
    server = await start_server(**{security: certificate.server_context})
    error = await failure_of(server.settings(security=security))
    assert (error.kind, error.code, error.at_fault) == ("retryable", "connect_failed", "connection")
    assert "certificate verify failed" in error.message
    assert server.mails == []


async def test_a_server_without_starttls_gets_no_mail(start_server: StartServer) -> None:
    server = await start_server()
    error = await failure_of(server.settings(security="starttls"))
    assert (error.kind, error.at_fault) == ("retryable", "connection")
    assert server.mails == []


async def test_signing_in(start_server: StartServer, certificate: Certificate) -> None:
    server = await start_server(starttls=certificate.server_context, auth=True)
    signed = {"security": "starttls", "ca_certificate": certificate.pem, "username": "mailer"}
    channel = SmtpChannel(server.settings(**signed, password="s3cret"))
    await channel.send(mail())
    await channel.close()
    assert len(server.mails) == 1
    wrong = await failure_of(server.settings(**signed, password="wrong"))
    assert (wrong.kind, wrong.code, wrong.at_fault) == ("retryable", "535", "connection")
    assert "wrong" not in wrong.message
    anonymous = await failure_of(server.settings(security="starttls", ca_certificate=certificate.pem))
    assert (anonymous.kind, anonymous.code, anonymous.at_fault) == ("retryable", "530", "connection")


async def test_international_addresses_need_the_servers_word(start_server: StartServer) -> None:
    speaks = await start_server(smtputf8=True)
    channel = SmtpChannel(speaks.settings())
    await channel.send(mail("用户@xn--fsqu00a.example"))
    await channel.close()
    assert speaks.mails[0].rcpt_tos == ["用户@xn--fsqu00a.example"]
    silent = await start_server()
    error = await failure_of(silent.settings(), mail("用户@xn--fsqu00a.example"))
    assert (error.kind, error.code, error.at_fault) == ("permanent", "smtputf8_missing", "message")


async def test_an_address_cannot_carry_a_command(start_server: StartServer) -> None:
    server = await start_server()
    error = await failure_of(server.settings(), mail("a@example.com>\r\nRCPT TO:<eve@example.com"))
    assert (error.kind, error.code) == ("permanent", "address_unsendable")
    assert server.mails == []


async def test_a_server_that_can_takes_all_commands_at_once(start_script: StartScript) -> None:
    server = await start_script(PIPELINING)
    channel = SmtpChannel(server.settings())
    for _ in range(3):
        await channel.send(mail())
    await channel.close()
    sending = ["MAIL", "RCPT", "DATA"]
    assert server.heard == ["EHLO", *sending, "RSET", *sending, "RSET", *sending, "QUIT"]


@pytest.mark.parametrize("for_nobody", ["503 5.5.1 to whom?", "354 go on"])
async def test_after_a_refusal_at_once_the_connection_goes_on(start_script: StartScript, for_nobody: str) -> None:
    script = {**PIPELINING, "RCPT": "550 5.1.1 No such user", "DATA for nobody": for_nobody}
    server = await start_script(script, once=["RCPT"])
    channel = SmtpChannel(server.settings())
    with pytest.raises(SendError) as caught:
        await channel.send(mail("nobody@example.com"))
    await channel.send(mail())
    await channel.close()
    assert (caught.value.kind, caught.value.code, caught.value.at_fault) == ("permanent", "550", "recipient")
    assert server.connections == 1


async def test_a_connection_that_died_while_idle_is_replaced_unseen_also_at_once(start_script: StartScript) -> None:
    server = await start_script({**PIPELINING, "RSET": "drop"}, once=["RSET"])
    channel = SmtpChannel(server.settings())
    for _ in range(3):
        await channel.send(mail())
    await channel.close()
    assert server.connections == 2


async def test_answers_are_read_however_they_are_cut(start_script: StartScript) -> None:
    server = await start_script({**PIPELINING, "MAIL": "250-one\r\n250-two\r\n250 three", "end": "250-2.0.0\r\n250 Ok"})
    channel = SmtpChannel(server.settings())
    assert (await channel.send(mail())).response == "2.0.0\nOk"
    await channel.close()


@pytest.mark.parametrize("raw", [b"a\n.b\n", b".\r\n", b"a\rb", b"a\r\n.\r\n..\r\n", b"no end"])
async def test_odd_line_ends_and_dots_arrive(start_server: StartServer, raw: bytes) -> None:
    server = await start_server()
    channel = SmtpChannel(server.settings())
    await channel.send(mail(raw=raw))
    await channel.close()
    assert isinstance(server.mails[0].content, bytes)
    assert server.mails[0].content.splitlines() == raw.splitlines()
