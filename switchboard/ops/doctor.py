"""`switchboard doctor`: looks at everything a running instance stands on, and says what to do about what is wrong."""

import asyncio
import shutil
import smtplib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from switchboard.intake.reserve import Kept
from switchboard.intake.spool import FOLDER, find_kept, find_set_aside
from switchboard.kernel import migrations
from switchboard.kernel.disk import MINIMUM_FREE_BYTES
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.settings import Settings
from switchboard.ops import retention
from switchboard.ops.diagnostic_queries import (
    Connection,
    clock_skew_seconds,
    oldest_months,
    oldest_snapshot_seconds,
    the_present,
)
from switchboard.ops.schema import check_application_role

TIMEOUT_SECONDS = 5
MOST_CLOCK_SKEW_SECONDS = 5.0
OLD_SNAPSHOT_SECONDS = 600

Verdict = Literal["ok", "warning", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `advice` is empty when all is well."""

    subject: str
    verdict: Verdict
    detail: str
    advice: str = ""


def examine(settings: Settings, database_url: str) -> list[Finding]:
    """Every finding, the worst not first but in the order in which parts rest on each other."""
    checks: list[Callable[[], Iterator[Finding]]] = [
        lambda: _database(settings, database_url),
        lambda: _disk(settings),
        lambda: _spool(settings),
        lambda: _redis(settings),
        lambda: _mail_out(settings),
        lambda: _mail_in(settings),
        lambda: _addresses(settings),
    ]
    return [finding for check in checks for finding in check()]


def _database(settings: Settings, url: str) -> Iterator[Finding]:
    try:
        check_application_role(url)
        with migrations.connect(url) as connection:
            yield from _connected(connection)
            yield _kept(settings, connection)
    except ConfigurationError as error:
        yield Finding("database", "bad", error.message, "Mend this first: nothing works without the database.")


def _connected(connection: Connection) -> Iterator[Finding]:
    version = connection.info.server_version
    yield Finding("database", "ok", f"Postgres {version // 10_000}.{version % 10_000}, schema up to date")
    present = migrations.available_extensions(connection)
    for name, use in (("pg_trgm", "search that forgives typing errors"), ("vector", "search by meaning")):
        if name in present:
            yield Finding(name, "ok", f"offers {use}")
        else:
            yield Finding(name, "warning", f"missing: no {use}", f"Install the extension {name} and migrate again.")
    yield _clock(connection)
    yield _oldest_snapshot(connection)


def _clock(connection: Connection) -> Finding:
    skew = clock_skew_seconds(connection)
    if skew > MOST_CLOCK_SKEW_SECONDS:
        return Finding("clock", "bad", f"{skew:.0f} s off", "The database's function app.now() has been replaced.")
    return Finding("clock", "ok", "one clock")


def _oldest_snapshot(connection: Connection) -> Finding:
    age = oldest_snapshot_seconds(connection)
    if age > OLD_SNAPSHOT_SECONDS:
        advice = "Find it in pg_stat_activity and end it: queues slow down behind it."
        return Finding("oldest transaction", "warning", f"open for {age / 60:.0f} minutes", advice)
    return Finding("oldest transaction", "ok", f"{age:.0f} s")


def _kept(settings: Settings, connection: Connection) -> Finding:
    detail = ", ".join(f"{what} {_describe_months(months)}" for what, months in retention.months_kept(settings).items())
    late = retention.list_overdue(settings, the_present(connection), oldest_months(connection))
    if late:
        advice = "Work or a long transaction holds it back: see the lines retention.month in the log of `work`."
        return Finding("kept", "warning", f"{detail}; past their time: {', '.join(late)}", advice)
    return Finding("kept", "ok", detail)


def _describe_months(months: int) -> str:
    return f"{months} month{'' if months == 1 else 's'}" if months else "for ever"


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = settings.home if settings.home.exists() else settings.home.absolute().parent
    free = shutil.disk_usage(folder).free
    if free < MINIMUM_FREE_BYTES:
        yield Finding("disk", "bad", f"{free >> 20} MB free", "Free some space: Postgres stops when it is full.")
    else:
        yield Finding("disk", "ok", f"{free >> 30} GB free")


def _spool(settings: Settings) -> Iterator[Finding]:
    folder = settings.home / FOLDER
    kept = find_kept(folder, settings.spool_megabytes << 20)
    if kept.error:
        yield Finding("spool", "warning", kept.error, "`switchboard serve` makes it when it starts.")
        return
    room = f"{kept.bytes >> 20} of {settings.spool_megabytes} MB taken"
    if not kept.takes_more:
        yield Finding("spool", "bad", f"{room}: no room", "Intake refuses signals when Postgres is away: make room.")
    elif kept.signals:
        advice = "They come in while `switchboard serve` runs and Postgres is there."
        yield Finding("spool", "warning", f"{kept.signals:,} signals wait in {folder}, {room}", advice)
    else:
        yield Finding("spool", "ok", f"{folder}, {room}")
    for path in find_set_aside(folder):
        advice = (
            "Postgres refused what is in it, or it is damaged. Keep a copy for whoever looks into it, then remove it."
        )
        yield Finding("spool", "bad", f"{path} could not be brought in", advice)


def _redis(settings: Settings) -> Iterator[Finding]:
    if settings.redis_address is None:
        return
    from switchboard.intake.stream import SignalStream  # noqa: PLC0415 megabytes that only those with a Redis need

    async def look() -> Kept:
        stream = SignalStream(address, settings.spool_megabytes << 20)
        try:
            return await stream.measure()
        finally:
            await stream.close()

    address = settings.redis_address
    kept = asyncio.run(look())
    if kept.error:
        yield Finding("redis", "bad", kept.error, "Check REDIS_URL, the server and firewalls.")
        return
    room = f"{kept.signals:,} signals wait, {kept.bytes >> 20} of {settings.spool_megabytes} MB taken"
    if kept.warning:
        yield Finding("redis", "warning", f"{room}; it could lose acknowledged signals", kept.warning)
    else:
        yield Finding("redis", "ok", f"{room}; what it acknowledges is on its disk")
    if kept.set_aside:
        advice = "They are in the stream `{switchboard}:intake:refused`."
        yield Finding("redis", "bad", f"{kept.set_aside} entries could not be brought in", advice)


def _mail_out(settings: Settings) -> Iterator[Finding]:
    if settings.email_provider == "mailbox":
        yield Finding("mail out", "ok", "goes to the local mailbox; set EMAIL_PROVIDER=smtp to reach the world")
        return
    try:
        kind = smtplib.SMTP_SSL if settings.smtp_security == "tls" else smtplib.SMTP
        with kind(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT_SECONDS) as server:
            server.noop()
    except (OSError, smtplib.SMTPException) as error:
        place = f"{settings.smtp_host}:{settings.smtp_port}"
        yield Finding(
            "mail out", "bad", f"{place}: {error}", "Check SMTP_HOST, SMTP_PORT, SMTP_SECURITY and firewalls."
        )
    else:
        yield Finding("mail out", "ok", f"{settings.smtp_host} answers")


def _mail_in(settings: Settings) -> Iterator[Finding]:
    try:
        with socket.create_connection((settings.smtp_in_host, settings.inbound_port), timeout=TIMEOUT_SECONDS):
            yield Finding("mail in", "ok", f"listens on port {settings.inbound_port}")
    except OSError:
        place = f"{settings.smtp_in_host}:{settings.inbound_port}"
        advice = "Start `switchboard up`, or `switchboard work --queues smtp-in` on this machine."
        yield Finding("mail in", "warning", f"nobody listens on {place}", advice)


def _addresses(settings: Settings) -> Iterator[Finding]:
    if settings.app_url:
        yield Finding("public address", "ok", settings.public_url)
    else:
        advice = "Set APP_URL to the address people and vendors reach, or links in mails lead nowhere."
        yield Finding("public address", "warning", f"{settings.public_url} is this machine only", advice)
