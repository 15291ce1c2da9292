"""Every channel keeps the same promises."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from switchboard.delivery.channels.base import Channel, Envelope, SendError, Sent
from switchboard.delivery.channels.console import ConsoleChannel
from switchboard.delivery.channels.mailbox.transport import MailboxChannel
from switchboard.delivery.channels.recording import RecordingChannel
from switchboard.delivery.channels.smtp.transport import SmtpChannel
from switchboard.delivery.channels.webhook.transport import WebhookChannel
from tests.delivery.channels.conftest import StartApi
from tests.delivery.conftest import StartServer

Arrived = Callable[[], list[tuple[str, bytes]]]


@dataclass(frozen=True, slots=True)
class Providers:
    """What channels may be made against."""

    start_server: StartServer
    start_api: StartApi


MakeChannel = Callable[[Providers], Awaitable[tuple[Channel, Arrived]]]


async def make_smtp(providers: Providers) -> tuple[Channel, Arrived]:
    server = await providers.start_server()
    return SmtpChannel(server.settings()), lambda: [
        (one.rcpt_tos[0], one.content) for one in server.mails if isinstance(one.content, bytes)
    ]


async def make_mailbox(_providers: Providers) -> tuple[Channel, Arrived]:
    kept: list[tuple[str, bytes]] = []

    async def store(envelope: Envelope) -> str:
        kept.append((envelope.recipient, envelope.raw))
        return str(len(kept))

    return MailboxChannel(store), lambda: kept


async def make_recording(_providers: Providers) -> tuple[Channel, Arrived]:
    channel = RecordingChannel()
    return channel, lambda: [(one.recipient, one.raw) for one in channel.envelopes]


async def make_console(_providers: Providers) -> tuple[Channel, Arrived]:
    stream = io.StringIO()

    def arrived() -> list[tuple[str, bytes]]:
        mails = stream.getvalue().split("---- mail to ")[1:]
        parts = [mail.removesuffix("\n---- end\n").split("\n", 1) for mail in mails]
        return [(to, raw.replace("\n", "\r\n").encode() + b"\r\n") for to, raw in parts]

    return ConsoleChannel(stream), arrived


async def make_webhook(providers: Providers) -> tuple[Channel, Arrived]:
    api = await providers.start_api()

    def arrived() -> list[tuple[str, bytes]]:
        # JSON holds the text that the mail was written from; its own bytes stay here.
        texts = [(one.body["to"], one.body["text"]) for one in api.requests]
        return [(to, f"Subject: {text.split()[1]}\r\n\r\n.{text}\r\n".encode()) for to, text in texts]

    return WebhookChannel(api.settings()), arrived


@pytest.fixture(params=[make_smtp, make_mailbox, make_recording, make_console, make_webhook])
async def made(
    request: pytest.FixtureRequest, start_server: StartServer, start_api: StartApi
) -> tuple[Channel, Arrived]:
    make: MakeChannel = request.param
    return await make(Providers(start_server, start_api))


def mail(number: int) -> Envelope:
    text = f"Hello {number}"
    raw = f"Subject: {number}\r\n\r\n.{text}\r\n".encode()
    return Envelope(f"key-{number}", "bounce@example.org", f"p{number}@example.com", raw, str(number), text)


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
    assert made[0].name in {"smtp", "mailbox", "recording", "console", "webhook"}
    await made[0].close()


async def test_the_recording_fails_as_arranged() -> None:
    channel = RecordingChannel()
    channel.failures.append(SendError("permanent", "550", "No such user", at_fault="recipient"))
    with pytest.raises(SendError) as caught:
        await channel.send(mail(1))
    assert caught.value.at_fault == "recipient"
    assert (await channel.send(mail(2))).provider_id == "recorded-1"
    assert channel.envelopes == [mail(2)]
