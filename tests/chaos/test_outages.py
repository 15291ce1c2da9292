"""Postgres stops under load, for seconds here and for a minute in `make chaos`: what was acknowledged is there, once.

The oracle is what the senders were told: every id they got is in Postgres exactly once, in the order of each sender.
"""

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.external.own_postgres import OWNER, OwnPostgres, own_postgres
from tests.external.test_outage import knows
from tests.processes import Product, eventually, running
from tests.redis_server import redis_server

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(420)]

OUTAGE_SECONDS = float(os.environ.get("OUTAGE_SECONDS", "5"))
SENDERS = 4
ROWS_A_REQUEST = 3
KILLS = 2
LEAST_DRAINED_A_SECOND = 1_000
# Long enough for an answer that waits for the first commit to be given up.
LONGEST_ANSWER_SECONDS = 8.0


@dataclass
class Sender:
    """Sends requests of a few signals one after the other, each again under its key until it is acknowledged."""

    url: str
    name: str
    acknowledged: list[list[str]] = field(default_factory=list)
    refusals: int = 0
    failures: int = 0
    answers: set[tuple[int, bool]] = field(default_factory=set)
    slowest: float = 0.0

    def run(self, stop: threading.Event) -> None:
        number = 0
        while not stop.is_set():
            if self._send(number):
                number += 1
            time.sleep(0.01)

    def _send(self, number: int) -> bool:
        rows = [{"email": f"{self.name}.{number}.{row}@chaos.example"} for row in range(ROWS_A_REQUEST)]
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{self.name}-{number}"}
        request = urllib.request.Request(self.url, json.dumps(rows).encode(), headers, method="POST")
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                self.acknowledged.append(json.load(answer)["ids"])
        except urllib.error.HTTPError as refused:
            with refused:
                self.answers.add((refused.code, int(refused.headers["Retry-After"] or 0) >= 1))
            self.refusals += 1
            time.sleep(0.1)
            return False
        except OSError:
            # Nobody listens, or whoever did is dead: there is no answer, and what became of it is not known.
            self.failures += 1
            time.sleep(0.1)
            return False
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
        return True


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with own_postgres(with_contrib=False) as server:
        yield server


@contextmanager
def under_load(product: Product) -> Iterator[list[Sender]]:
    """Several senders at work for as long as the block runs, and a second longer."""
    url = product.json_command("source", "create", "--name", "Chaos", "--format", "generic")["url"]
    senders = [Sender(url, f"sender{number}") for number in range(SENDERS)]
    stop = threading.Event()
    threads = [threading.Thread(target=sender.run, args=(stop,)) for sender in senders]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        yield senders
        time.sleep(1)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=60)


def kill_the_web_server(product: Product) -> None:
    """Its supervisor starts another, which knows the sources and what was kept."""
    children = psutil.Process(product.process.pid).children()
    (serving,) = [child for child in children if child.cmdline()[-1:] == ["serve"]]
    serving.kill()


def wait_while_away() -> None:
    time.sleep(OUTAGE_SECONDS)


def expect_everything_once(server: OwnPostgres, database: str, senders: list[Sender]) -> None:
    """Compare what the senders were told with what Postgres has, once nothing is kept elsewhere."""
    wanted = [[found for ids in sender.acknowledged for found in ids] for sender in senders]
    everything = {found for ids in wanted for found in ids}
    assert len(everything) == sum(len(ids) for ids in wanted)

    def stored() -> list[tuple[str, str]]:
        with psycopg.connect(server.url(database, "postgres")) as connection:
            rows = connection.execute(
                "SELECT id::text, split_part(payload->>'email', '@', 1) FROM app.signal ORDER BY received_at, id"
            ).fetchall()
        return [(str(row[0]), str(row[1])) for row in rows]

    # What an outage of a minute has kept is a hundred thousand signals, and recognition takes its share of two cores.
    seconds = 60 + len(everything) / LEAST_DRAINED_A_SECOND
    eventually(lambda: everything <= {found for found, _ in stored()}, seconds=seconds, what="everything acknowledged")
    found = stored()
    # An address was stored once, whatever was repeated: the last request of a sender may lack its answer only.
    assert len({name for _, name in found}) == len(found)
    assert len(found) - len(everything) <= SENDERS * ROWS_A_REQUEST
    for sender, ids in zip(senders, wanted, strict=True):
        mine = [each for each, name in found if name.startswith(f"{sender.name}.") and each in everything]
        assert mine == ids


@pytest.mark.parametrize("place", ["disk", "redis"])
def test_postgres_away_under_load_loses_and_doubles_nothing(server: OwnPostgres, tmp_path: Path, place: str) -> None:
    database = server.new_database()
    settings = {"DATABASE_URL": server.url(database, OWNER), "RUN_QUEUE_CONSUMERS": "true"}
    with ExitStack() as stack:
        if place == "redis":
            settings["REDIS_URL"] = stack.enter_context(redis_server(tmp_path)).url
        product = stack.enter_context(running(tmp_path / "home", **settings))
        with under_load(product) as senders:
            server.stop()
            try:
                before = sum(len(sender.acknowledged) for sender in senders)
                wait_while_away()
                taken = sum(len(sender.acknowledged) for sender in senders) - before
                assert product.health()["intake"]["kept_in"] == place
            finally:
                server.start()
            eventually(lambda: product.health()["database"] == "ok", what="Postgres being found again")
        assert taken > 0
        assert [sender.refusals for sender in senders] == [0] * SENDERS
        assert max(sender.slowest for sender in senders) <= LONGEST_ANSWER_SECONDS
        expect_everything_once(server, database, senders)


def test_web_servers_killed_while_postgres_is_away_lose_nothing(server: OwnPostgres, tmp_path: Path) -> None:
    database = server.new_database()
    with running(tmp_path / "home", DATABASE_URL=server.url(database, OWNER)) as product:
        with under_load(product) as senders:
            eventually(lambda: knows(tmp_path / "home", senders[0].url), what="the source being written down")
            server.stop()
            for _ in range(KILLS):
                wait_while_away()
                kill_the_web_server(product)
                eventually(product.is_ready, seconds=60, what="another web server")
            wait_while_away()
            server.start()
            eventually(lambda: product.health()["database"] == "ok", what="Postgres being found again")
        assert sum(sender.failures for sender in senders) > 0
        assert [sender.refusals for sender in senders] == [0] * SENDERS
        expect_everything_once(server, database, senders)


def test_both_away_refuses_whole_and_then_goes_on(server: OwnPostgres, tmp_path: Path) -> None:
    database = server.new_database()
    (tmp_path / "redis").mkdir()
    with (
        redis_server(tmp_path / "redis") as redis,
        running(tmp_path / "home", DATABASE_URL=server.url(database, OWNER), REDIS_URL=redis.url) as product,
    ):
        with under_load(product) as senders:
            server.stop()
            wait_while_away()
            redis.kill()
            wait_while_away()
            refused = sum(sender.refusals for sender in senders)
            redis.start()
            wait_while_away()
            server.start()
            eventually(lambda: product.health()["database"] == "ok", what="Postgres being found again")
        assert refused > 0
        # Refused means 503, with the time to come back.
        assert set().union(*(sender.answers for sender in senders)) == {(503, True)}
        expect_everything_once(server, database, senders)
