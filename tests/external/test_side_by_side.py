"""Two of each half side by side on one database: one contact a person, one letter a lead, and split queues."""

import json
import signal
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.external.own_postgres import OWNER, OwnPostgres
from tests.processes import PROGRAM, MailServer, Product, eventually, free_port, running

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]

PEOPLE = 100
POSTS_A_PERSON = 10

FLOW = """\
flow: thanks
title: Thanks
subject: lead
starts: [lead.created]
steps:
  - send: request_received
    purpose: transactional
"""


@contextmanager
def half(environment: Mapping[str, str], ready: str, *words: str) -> Iterator[list[str]]:
    """`serve` or `work` on its own; yields its log, and stops it as an operator does."""
    process = subprocess.Popen(
        [*PROGRAM, *words], env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    log: list[str] = []

    def collect() -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            log.extend(iter(lines.readline, ""))

    reader = threading.Thread(target=collect)
    reader.start()
    try:
        if ready:
            eventually(lambda: ready in "".join(log), seconds=60, what=f"{words}: {ready}")
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in {0, -signal.SIGTERM}
        reader.join(timeout=10)


def spellings(person: int) -> list[dict[str, object]]:
    """One person as ten forms would send them: no two alike, every one with both addresses."""
    line = f"{person:03d}"
    phones = (f"+44 20 7946 0{line}", f"+44 (0)20 7946-0{line}", f"0044 20 79460{line}", f"+44.20.7946.0{line}")
    emails = (f"person{line}@crowd.example", f"Person{line}@Crowd.Example", f" PERSON{line}@crowd.example ")
    return [
        {
            "email": emails[number % len(emails)],
            "phone": phones[number % len(phones)],
            "name": f"Person {line}",
            "message": f"Form {number}",
        }
        for number in range(POSTS_A_PERSON)
    ]


def post_everybody(urls: Sequence[str]) -> int:
    """Every spelling of everybody, to each address in turn from many threads; returns how many were accepted."""
    bodies = [body for spelling in zip(*map(spellings, range(PEOPLE)), strict=True) for body in spelling]

    def post(number: int) -> int:
        body = json.dumps(bodies[number]).encode()
        request = urllib.request.Request(urls[number % len(urls)], body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(json.load(answer)["accepted"])

    with ThreadPoolExecutor(16) as threads:
        return sum(threads.map(post, range(len(bodies))))


def expect_one_of_each(server: OwnPostgres, name: str, mail: MailServer) -> None:
    """As many contacts, open leads and letters as people, and an outcome for every signal."""

    def has_settled() -> bool:
        due = server.count(name, "SELECT count(*) FROM app.signal_due")
        waiting = server.count(name, "SELECT count(*) FROM app.outbox")
        return due == 0 and waiting == 0 and len(mail.mails) >= PEOPLE

    eventually(has_settled, seconds=60, what="everything being recognised and sent")
    assert server.count(name, "SELECT count(*) FROM app.signal_outcome") == PEOPLE * POSTS_A_PERSON
    assert server.count(name, "SELECT count(*) FROM app.contact") == PEOPLE
    assert server.count(name, "SELECT count(*) FROM app.identity") == 2 * PEOPLE
    assert server.count(name, "SELECT count(*) FROM app.lead") == PEOPLE
    letters = Counter(mail.recipients[0] for mail in mail.mails)
    assert set(letters.values()) == {1}
    assert len(letters) == PEOPLE


def queues_of(log: list[str]) -> set[str]:
    """The queues that the processes of one `work` have said they work, so far."""
    lines = [line for line in "".join(log).splitlines() if "work.started" in line]
    return {queue for line in lines for queue in json.loads(line)["queues"]}


def works(log: list[str], queues: set[str]) -> bool:
    return queues <= queues_of(log)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def follow_up(product: Product, folder: Path) -> str:
    """Activate the flow; returns the path of a new source's intake address."""
    flow = folder / "thanks.yaml"
    flow.write_text(FLOW)
    product.command("flow", "apply", str(flow), "--activate")
    source = product.json_command("source", "create", "--name", "Crowd", "--format", "generic")
    return str(source["url"]).removeprefix(product.url)


def test_two_of_each_make_one_contact_a_person_and_one_letter_a_lead(
    contrib_postgres: OwnPostgres, tmp_path: Path, mail: MailServer
) -> None:
    name = contrib_postgres.new_database()
    settings = {
        "DATABASE_URL": contrib_postgres.url(name, OWNER),
        "EMAIL_PROVIDER": "smtp",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mail.port),
        "SMTP_SECURITY": "none",
        "RUN_QUEUE_CONSUMERS": "false",
    }
    with running(tmp_path / "home", **settings) as first:
        door = follow_up(first, tmp_path)
        second_port = str(free_port())
        second = {**first.environment, "PORT": second_port}
        urls = [f"{first.url}{door}", f"http://127.0.0.1:{second_port}{door}"]
        with (
            half(second, "", "serve"),
            half(first.environment, "work.started", "work") as one_log,
            half(second, "work.started", "work") as other_log,
        ):
            eventually(lambda: is_answering(second_port), what="the second server")
            assert post_everybody(urls) == PEOPLE * POSTS_A_PERSON
            expect_one_of_each(contrib_postgres, name, mail)
            everything = {"signals", "steps", "campaign-steps", "outbox", "smtp-in", "jobs", "segments"}
            for log in (one_log, other_log):
                eventually(partial(works, log, everything), what="every queue being worked")
        expect_split_queues_to_do_the_same(first, urls[0], mail)


def is_answering(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def expect_split_queues_to_do_the_same(product: Product, url: str, mail: MailServer) -> None:
    """One process recognises and steps, the other sends and takes mail in: together they do the whole way."""
    inward, outward = "signals,steps", "outbox,smtp-in"
    with half(product.environment, "work.started", "work", "--queues", inward) as inward_log:
        product.post(url, {"email": "late@crowd.example", "name": "Late Comer"})
        assert queues_of(inward_log) == {"signals", "steps"}
        with half(product.environment, "smtp_in.listening", "work", "--queues", outward) as outward_log:
            mail.wait_for("late@crowd.example")
            assert queues_of(outward_log) == {"outbox-urgent", "outbox", "outbox-reaper", "smtp-in"}
            with urllib.request.urlopen(f"{product.url}/health/ready", timeout=5) as answer:
                health = json.load(answer)
            assert health["mailbox_listener"] == "up"
            worked = {queue for queue, found in health["queues"].items() if found["worked"]}
            assert worked == {"signals", "steps", "outbox"}
            idle = ("campaign-steps", "jobs")
            assert health["troubles"] == [f"Nobody works the queue {one}. Start `switchboard work`." for one in idle]
