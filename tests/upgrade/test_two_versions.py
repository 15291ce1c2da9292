"""An upgrade while work goes on: yesterday's processes beside today's, and a home that goes forth and back."""

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from switchboard.kernel.embedded import EmbeddedPostgres
from tests.chaos import oracle
from tests.chaos.fleet import Fleet, Member, common_settings
from tests.chaos.load import Load
from tests.chaos.sinks import Ledger, mail_server
from tests.chaos.world import World, found, migrate
from tests.external.own_postgres import INSTALLED, own_postgres
from tests.processes import PROGRAM, Product, eventually, free_port, running

pytestmark = [pytest.mark.journey, pytest.mark.timeout(400)]

LOAD_SECONDS = 8.0
LEADS_A_SECOND = 20
PEOPLE = 12
FLOW = """\
flow: patience
title: Patience
subject: lead
starts: [lead.created]
steps:
  - send: request_received
    purpose: transactional
  - wait: 10m
"""


def both_versions(world: World, mail_port: int, folder: Path, old: Mapping[str, str]) -> Fleet:
    """A web server and a worker of each version."""
    settings = common_settings(folder / "home", world.application_url) | {
        "EMAIL_PROVIDER": "smtp",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mail_port),
        "SMTP_SECURITY": "none",
        "SMTP_IN_PORT": str(free_port()),
    }
    versions: dict[str, Mapping[str, str]] = {"old": old, "new": {}}
    members = [
        Member(
            f"{word}-{version}",
            (word,),
            settings | dict(own) | {"PORT": str(free_port())},
            folder / f"{word}-{version}.log",
        )
        for version, own in versions.items()
        for word in ("serve", "work")
    ]
    return Fleet(members)


def settle(world: World) -> None:
    def look() -> bool:
        time.sleep(0.2)
        try:
            return oracle.is_settled(world)
        except psycopg.Error:
            return False

    eventually(look, seconds=90, what=f"everything being done, {oracle.find_stuck(world)}")


def processes_at_work(world: World) -> int:
    """How many processes of workers have reported: each worker has two."""
    return world.number("SELECT count(*) FROM app.worker")


@pytest.fixture
def world() -> Iterator[World]:
    """A database with today's schema."""
    if not INSTALLED.is_dir():
        pytest.skip(f"{INSTALLED} is not installed")
    with own_postgres(with_contrib=True) as server:
        database = server.new_database("pg_trgm")
        migrate(server, database)
        yield found(server, database)


def test_yesterdays_processes_beside_todays_lose_nothing_and_send_nothing_twice(
    world: World, tmp_path: Path, as_yesterday: Mapping[str, str]
) -> None:
    ledger = Ledger()
    with mail_server(ledger) as mail_port, both_versions(world, mail_port, tmp_path, as_yesterday) as members:
        eventually(lambda: processes_at_work(world) == 4, seconds=60, what="a worker of each version")
        urls = [member.url for member in members.of("serve")]
        port = int(members.members[0].environment["SMTP_IN_PORT"])
        with Load(world, ledger, urls, port, leads_a_second=LEADS_A_SECOND) as load:
            time.sleep(LOAD_SECONDS)
            load.stop_leads()
            eventually(lambda: len(load.told.replies) > 0, what="an answer")
            settle(world)
        # Nobody had to be started again, and each of the two web servers took half.
        assert [member.starts for member in members.members] == [1] * 4
    assert len(load.told.leads) > LOAD_SECONDS
    assert (load.told.failures, dict(load.told.refusals)) == (0, {})
    assert oracle.complaints(world, load.told, ledger.taken, longest_stall=0) == []
    assert set(Counter(one.header_id for one in ledger.taken).values()) == {1}
    assert oracle.count_overtaken(ledger.taken) == 0


def follow_up(product: Product, folder: Path) -> str:
    flow = folder / "patience.yaml"
    flow.write_text(FLOW)
    product.command("flow", "apply", str(flow), "--activate")
    return str(product.json_command("source", "create", "--name", "Fair", "--format", "generic")["url"])


def post(product: Product, path: str, *names: str) -> int:
    """How many of these people were new to intake."""
    answers = [
        product.post(f"{product.url}{path}", {"email": f"{name}@byron.example"}, **{"Idempotency-Key": name})
        for name in names
    ]
    return sum(answer["accepted"] for answer in answers)


def people_of(product: Product) -> dict[str, str]:
    """Everybody's id by address."""
    return {each["email"]: each["id"] for each in product.json_command("contact", "list", "--limit", "100")}


def runs_of(product: Product) -> set[str]:
    """The ids of all runs that are going: one for each lead."""
    return {each["id"] for each in product.json_command("flow", "runs", "--limit", "100")}


def wait_for_people(product: Product, number: int) -> dict[str, str]:
    eventually(lambda: len(people_of(product)) == number, seconds=60, what=f"{number} people")
    return people_of(product)


def migrate_down(home: Path, version: int) -> str:
    """What an operator does before going back: today's code takes back what yesterday's does not know."""
    with EmbeddedPostgres(home) as endpoint:
        settings = {"DATABASE_URL": endpoint.application_url, "DATABASE_OWNER_URL": endpoint.owner_url}
        done = subprocess.run(
            [*PROGRAM, "migrate", "down", "--to", str(version)],
            env={**os.environ, **settings, "SWITCHBOARD_HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_home_of_yesterday_goes_on_with_today_and_back_again(
    tmp_path: Path, as_yesterday: Mapping[str, str], last_version_of_yesterday: int
) -> None:
    home = tmp_path / "home"
    names = [f"person{number}" for number in range(PEOPLE)]
    with running(home, **as_yesterday) as product:
        path = follow_up(product, tmp_path).removeprefix(product.url)
        assert post(product, path, *names) == PEOPLE
        before = wait_for_people(product, PEOPLE)
        runs = runs_of(product)
    with running(home) as product:
        assert people_of(product) == before
        assert runs_of(product) == runs
        # What came yesterday is known today, and today's work joins it.
        assert post(product, path, *names, "late") == 1
        with_late = wait_for_people(product, PEOPLE + 1)
        assert before.items() <= with_late.items()
    migrate_down(home, last_version_of_yesterday)
    with running(home, **as_yesterday) as product:
        assert people_of(product) == with_late
        assert post(product, path, *names, "late", "latest") == 1
        wait_for_people(product, PEOPLE + 2)
