"""A Postgres that goes away for a while: intake goes on, everybody is told, nothing acknowledged is lost."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest

from switchboard.intake.door_book import DoorBook
from switchboard.kernel.settings import load_settings
from tests.external.own_postgres import OWNER, OwnPostgres
from tests.external.test_own_postgres import signed_in
from tests.processes import Product, eventually, running

pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]

# Long enough for retries that wait twice as long each time to have become lazy.
OUTAGE_SECONDS = 20.0
RECOVERY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whatever the status."""

    status: int
    retry_after: str | None
    text: str


def ask(browser: urllib.request.OpenerDirector, url: str, body: bytes | None = None) -> Answer:
    """GET, or POST where there is a body."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with browser.open(request, timeout=20) as answer:
            return Answer(answer.status, answer.headers["Retry-After"], answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers["Retry-After"], error.read().decode())


def children(product: Product) -> set[int]:
    return {child.pid for child in psutil.Process(product.process.pid).children()}


def expect_to_be_told(browser: urllib.request.OpenerDirector, product: Product) -> None:
    """Health and pages while the database is away."""
    assert ask(browser, f"{product.url}/health").status == 200
    ready = ask(browser, f"{product.url}/health/ready")
    assert (ready.status, json.loads(ready.text)["database"]) == (200, "unreachable")
    assert ask(browser, f"{product.url}/health/ready?for=pages").status == 503
    page = ask(browser, f"{product.url}/leads")
    assert (page.status, page.retry_after) == (503, "2")
    assert "The database cannot be reached at the moment." in page.text
    assert "signals are kept on disk, 0 % of the space." in page.text


def kept_signals(product: Product) -> int:
    """How many signals lie outside the database."""
    return int(product.health()["intake"]["kept_signals"])


def serving(product: Product) -> psutil.Process:
    (found,) = [child for child in psutil.Process(product.process.pid).children() if child.cmdline()[-1:] == ["serve"]]
    return found


def take(browser: urllib.request.OpenerDirector, intake: str, *names: str) -> list[str]:
    """Post one person at a time, each of whom has to be taken; returns the signals' ids."""
    ids: list[str] = []
    for name in names:
        answer = ask(browser, intake, json.dumps({"email": f"{name}@byron.example"}).encode())
        assert answer.status == 202, answer
        ids += json.loads(answer.text)["ids"]
    return ids


def test_an_outage_of_the_database_is_told_and_outlived(bare_postgres: OwnPostgres, tmp_path: Path) -> None:
    name = bare_postgres.new_database()
    with (
        running(tmp_path / "home", DATABASE_URL=bare_postgres.url(name, OWNER)) as product,
        signed_in(product) as browser,
    ):
        intake = product.json_command("source", "create", "--name", "Fair", "--format", "generic")["url"]
        taken = take(browser, intake, "before")
        before = children(product)

        bare_postgres.stop()
        gone_at = time.monotonic()
        try:
            taken += take(browser, intake, "first", "second", "first")
            expect_to_be_told(browser, product)
            eventually(lambda: time.monotonic() - gone_at >= OUTAGE_SECONDS, seconds=60, what="the outage's end")
            taken += take(browser, intake, "third")
        finally:
            bare_postgres.start()

        back_at = time.monotonic()
        eventually(lambda: ask(browser, f"{product.url}/leads").text.count("@byron.example") >= 4, what="all leads")
        assert time.monotonic() - back_at <= RECOVERY_SECONDS
        taken += take(browser, intake, "after")
        eventually(
            lambda: json.loads(ask(browser, f"{product.url}/health/ready").text)["troubles"] == [],
            what="health without troubles",
        )
        assert children(product) == before
        # The one that came twice has the id of the first.
        assert stored_ids(bare_postgres, name) == list(dict.fromkeys(taken))
        assert len(set(taken)) == len(taken) - 1


def test_the_web_server_starts_without_a_database_it_has_known_before(
    bare_postgres: OwnPostgres, tmp_path: Path
) -> None:
    name = bare_postgres.new_database()
    home = tmp_path / "home"
    with (
        running(home, DATABASE_URL=bare_postgres.url(name, OWNER)) as product,
        signed_in(product) as browser,
    ):
        intake = product.json_command("source", "create", "--name", "Fair", "--format", "generic")["url"]
        taken = take(browser, intake, "before")
        eventually(lambda: knows(home, intake), seconds=60, what="the source being written down")

        bare_postgres.stop()
        try:
            taken += take(browser, intake, "first")
            victim = serving(product)
            victim.kill()
            eventually(lambda: serving_again(product, victim), seconds=60, what="another web server")
            eventually(lambda: answers(browser, product), seconds=60, what="an answer")
            taken += take(browser, intake, "second")
            assert kept_signals(product) == 2
        finally:
            bare_postgres.start()
        eventually(lambda: product.health()["intake"]["kept_signals"] == 0, what="everything brought in")
        eventually(lambda: stored_ids(bare_postgres, name) == taken, what="every acknowledged signal")
        eventually(lambda: ask(browser, f"{product.url}/leads").text.count("@byron.example") >= 3, what="all leads")


def test_everything_starts_without_a_database_it_has_known_before(bare_postgres: OwnPostgres, tmp_path: Path) -> None:
    name, home = bare_postgres.new_database(), tmp_path / "home"
    settings = {"DATABASE_URL": bare_postgres.url(name, OWNER)}
    browser = urllib.request.build_opener()
    with running(home, **settings) as product:
        intake = product.json_command("source", "create", "--name", "Fair", "--format", "generic")["url"]
        taken = take(browser, intake, "before")
        eventually(lambda: knows(home, intake), seconds=60, what="the source being written down")
    bare_postgres.stop()
    try:
        with running(home, **settings) as again:
            taken += take(browser, f"{again.url}/in/{intake.rsplit('/', 1)[1]}", "first")
            assert kept_signals(again) == 1
            bare_postgres.start()
            eventually(lambda: stored_ids(bare_postgres, name) == taken, seconds=60, what="every acknowledged signal")
            eventually(lambda: again.health()["troubles"] == [], seconds=60, what="queues that are worked")
        assert "starting it again" not in "".join(again.log)
    finally:
        bare_postgres.start_unless_running()


def test_a_postgres_that_says_nothing_is_as_good_as_away(bare_postgres: OwnPostgres, tmp_path: Path) -> None:
    name = bare_postgres.new_database()
    with (
        running(tmp_path / "home", DATABASE_URL=bare_postgres.url(name, OWNER)) as product,
        signed_in(product) as browser,
    ):
        intake = product.json_command("source", "create", "--name", "Fair", "--format", "generic")["url"]
        taken = take(browser, intake, "before")
        frozen = bare_postgres.processes()
        for process in frozen:
            process.suspend()
        try:
            taken += take(browser, intake, "first", "second")
            assert json.loads(ask(browser, f"{product.url}/health/ready").text)["database"] == "unreachable"
        finally:
            for process in frozen:
                process.resume()
        eventually(lambda: product.health()["database"] == "ok", seconds=60, what="Postgres being found again")
        taken += take(browser, intake, "after")
        # The commit that hung may have happened after all, later: it counts once.
        eventually(
            lambda: sorted(stored_ids(bare_postgres, name)) == sorted(taken), what="every acknowledged signal, once"
        )


def knows(home: Path, intake: str) -> bool:
    """Whether the source of that address is written down."""
    book = DoorBook(load_settings({"SWITCHBOARD_HOME": str(home)}))
    book.read()
    return book.find(intake.rsplit("/", 1)[1]) is not None


def serving_again(product: Product, before: psutil.Process) -> bool:
    return any(
        child.pid != before.pid and child.cmdline()[-1:] == ["serve"]
        for child in psutil.Process(product.process.pid).children()
        if child.status() != psutil.STATUS_ZOMBIE
    )


def answers(browser: urllib.request.OpenerDirector, product: Product) -> bool:
    try:
        return ask(browser, f"{product.url}/health").status == 200
    except urllib.error.URLError:
        return False


def stored_ids(server: OwnPostgres, database: str) -> list[str]:
    """The ids of all signals, in the order in which they were received."""
    with psycopg.connect(server.url(database, "postgres")) as connection:
        rows = connection.execute("SELECT id::text FROM app.signal ORDER BY received_at").fetchall()
    return [str(row[0]) for row in rows]
