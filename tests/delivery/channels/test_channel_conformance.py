"""Every channel keeps the same promises."""

import asyncio
import io
from collections.abc import Awaitable, Callable

import pytest

from switchboard.delivery.channels.base import Channel, Envelope, SendError, Sent
from switchboard.delivery.channels.console import ConsoleChannel
from switchboard.delivery.channels.mailbox.transport import MailboxChannel
from switchboard.delivery.channels.recording import RecordingChannel
from switchboard.delivery.channels.smtp.transport import SmtpChannel
from tests.delivery.conftest import StartServer

Arrived = Callable[[], list[tuple[str, bytes]]]
MakeChannel = Callable[[StartServer], Awaitable[tuple[Channel, Arrived]]]


async def make_smtp(start_server: StartServer) -> tuple[Channel, Arrived]:
    server = await start_server()
    return SmtpChannel(server.settings()), lambda: [
        (one.rcpt_tos[0], one.content) for one in server.mails if isinstance(one.content, bytes)
    ]


async def make_mailbox(_start_server: StartServer) -> tuple[Channel, Arrived]:
    kept: list[tuple[str, bytes]] = []

    async def store(envelope: Envelope) -> str:
        kept.append((envelope.recipient, envelope.raw))
        return str(len(kept))

    return MailboxChannel(store), lambda: kept


async def make_recording(_start_server: StartServer) -> tuple[Channel, Arrived]:
    channel = RecordingChannel()
    return channel, lambda: [(one.recipient, one.raw) for one in channel.envelopes]


async def make_console(_start_server: StartServer) -> tuple[Channel, Arrived]:
    stream = io.StringIO()

    def arrived() -> list[tuple[str, bytes]]:
        mails = stream.getvalue().split("---- mail to ")[1:]
        parts = [mail.removesuffix("\n---- end\n").split("\n", 1) for mail in mails]
        return [(to, raw.replace("\n", "\r\n").encode() + b"\r\n") for to, raw in parts]

    return ConsoleChannel(stream), arrived


@pytest.fixture(params=[make_smtp, make_mailbox, make_recording, make_console])
async def made(request: pytest.FixtureRequest, start_server: StartServer) -> tuple[Channel, Arrived]:
    make: MakeChannel = request.param
    return await make(start_server)


def mail(number: int) -> Envelope:
    raw = f"Subject: {number}\r\n\r\n.Hello {number}\r\n".encode()
    return Envelope(f"key-{number}", "bounce@example.org", f"p{number}@example.com", raw)


async def test_mails_sent_at_once_all_arrive_whole(made: tuple[Channel, Arrived]) -> None:
    channel, arrived = made
    sent = await asyncio.gather(*(channel.send(mail(number)) for number in range(25)))
    await channel.close()
    assert all(isinstance(one, Sent) and one.response for one in sent)
    assert sorted(arrived()) == sorted((mail(number).recipient, mail(number).raw) for number in range(25))


async def test_a_closed_channel_takes_nothing_and_says_so(made: tuple[Channel, Arrived]) -> None:
    channel, arrived = made
    await channel.close()
    await channel.close()
    with pytest.raises(SendError) as caught:
        await channel.send(mail(1))
    assert (caught.value.kind, caught.value.code) == ("retryable", "channel_closed")
    assert caught.value.message == f"The {channel.name} channel is closed; the message waits."
    assert arrived() == []


async def test_a_channel_has_a_name_of_its_own(made: tuple[Channel, Arrived]) -> None:
    assert made[0].name in {"smtp", "mailbox", "recording", "console"}
    await made[0].close()


async def test_the_recording_fails_as_arranged() -> None:
    channel = RecordingChannel()
    channel.failures.append(SendError("permanent", "550", "No such user", at_fault="recipient"))
    with pytest.raises(SendError) as caught:
        await channel.send(mail(1))
    assert caught.value.at_fault == "recipient"
    assert (await channel.send(mail(2))).provider_id == "recorded-1"
    assert channel.envelopes == [mail(2)]
