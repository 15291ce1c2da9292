"""Kill -9 by seed, under load: no acknowledged signal is lost, and no mail goes twice under two names.

The oracle stands outside: what intake acknowledged on one side, what a real mail server took on the other.
"""

import random
import signal
import threading
import time
import urllib.error
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.processes import MailServer, Product, eventually, running

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(420)]

SEED = 20_261_120
KILLS = 20
SECONDS_BETWEEN_KILLS = (1.0, 4.0)
LEADS_A_SECOND = 40

FLOW = """
flow: chaos
title: One letter to everybody
subject: lead
starts: [lead.created]
steps:
  - send: request_received
    purpose: transactional
  - wait: 1s
  - send: welcome
    purpose: transactional
"""


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


class Load:
    """Posts people one by one, again under the same key until it is acknowledged, as a careful sender does."""

    def __init__(self, product: Product, url: str) -> None:
        self._product = product
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.acknowledged: dict[str, str] = {}

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=60)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            email = f"person{number}@chaos.example"
            while email not in self.acknowledged:
                self._try(email, number)
            number += 1
            time.sleep(1 / LEADS_A_SECOND)

    def _try(self, email: str, number: int) -> None:
        lead = {"email": email, "name": f"Person {number}"}
        try:
            answer = self._product.post(self._url, lead, **{"Idempotency-Key": f"chaos-{number}"})
        except (OSError, urllib.error.URLError):
            time.sleep(0.05)
            return
        self.acknowledged[email] = answer["ids"][0]


def _victims(product: Product, kind: str) -> list[psutil.Process]:
    children = psutil.Process(product.process.pid).children(recursive=True)
    return [process for process in children if _kind(process) == kind]


def _kind(process: psutil.Process) -> str:
    try:
        words = process.cmdline()
    except psutil.NoSuchProcess:
        return ""
    if words and words[-1] in {"serve", "work"}:
        return words[-1]
    # The postmaster, not one of its backends: its arguments name the data folder.
    return "postgres" if words and words[0].endswith("postgres") and "-D" in words else ""


def _kill_by_seed(product: Product, chance: random.Random) -> list[str]:
    killed: list[str] = []
    while len(killed) < KILLS:
        time.sleep(chance.uniform(*SECONDS_BETWEEN_KILLS))
        kind = chance.choice(("work", "work", "serve", "postgres"))
        victims = _victims(product, kind)
        if victims:
            victims[0].send_signal(signal.SIGKILL)
            killed.append(kind)
    return killed


def test_20_kills_lose_no_acknowledged_signal_and_send_nothing_twice(tmp_path: Path, mail_server: MailServer) -> None:
    settings = {
        "EMAIL_PROVIDER": "smtp",
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(mail_server.port),
        "SMTP_SECURITY": "none",
    }
    flow = tmp_path / "chaos.yaml"
    flow.write_text(FLOW)
    with running(tmp_path / "home", **settings) as product:
        product.command("flow", "apply", str(flow), "--activate")
        url = product.json_command("source", "create", "--name", "Chaos", "--format", "generic")["url"]
        with Load(product, url) as load:
            killed = _kill_by_seed(product, random.Random(SEED))  # noqa: S311 seeded on purpose
        assert len(killed) == KILLS
        assert set(killed) == {"work", "serve", "postgres"}
        _expect_two_letters_each(mail_server, set(load.acknowledged))
    by_person: dict[str, set[str]] = defaultdict(set)
    for mail in mail_server.mails:
        by_person[mail.recipients[0]].add(str(mail.message["Message-ID"]))
    assert {len(ids) for ids in by_person.values()} == {2}


def _expect_two_letters_each(mail_server: MailServer, people: set[str]) -> None:
    def look() -> bool:
        ids: dict[str, set[str]] = defaultdict(set)
        for mail in list(mail_server.mails):
            ids[mail.recipients[0]].add(str(mail.message["Message-ID"]))
        return all(len(ids[person]) >= 2 for person in people)

    assert people
    eventually(look, seconds=150, what=f"two letters to each of {len(people)} people")
