"""The load: leads, answers by mail, opt-outs by one click, and pages, each repeated until it is acknowledged."""

import asyncio
import itertools
import json
import queue
import random
import smtplib
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Self
from uuid import UUID

import psycopg

from switchboard.delivery.models import Draft
from switchboard.delivery.service import queue_messages
from switchboard.entrypoints.assembly import build_hub
from switchboard.kernel.db import Database
from switchboard.kernel.errors import UnavailableError
from tests.chaos.sinks import Ledger, Taken
from tests.chaos.world import FIRST, NEWS, World

# Every so many of those who got a letter do something about it.
ONE_IN = 10
AGAIN_SECONDS = 0.2
PAGES_PAUSE_SECONDS = 2.0
STOP_SECONDS = 60.0


@dataclass(slots=True)
class Told:
    """What the world outside was promised: by address, or by number for pages, when it was acknowledged."""

    leads: dict[str, float] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    replies: dict[str, float] = field(default_factory=dict)
    opt_outs: dict[str, float] = field(default_factory=dict)
    pages: dict[str, float] = field(default_factory=dict)
    refusals: Counter[int] = field(default_factory=Counter)
    failures: int = 0


class Load:
    """Everything that comes from outside, from several threads, while the block runs."""

    def __init__(
        self, world: World, ledger: Ledger, urls: Sequence[str], mail_port: int, *, leads_a_second: float
    ) -> None:
        self.told = Told()
        self._world, self._urls, self._mail_port = world, itertools.cycle(urls), mail_port
        self._pause = 1 / leads_a_second
        self._is_over, self._has_no_more_leads = threading.Event(), threading.Event()
        self._to_answer: queue.Queue[Taken] = queue.Queue()
        self._acted: set[str] = set()
        ledger.heard = self._hear
        self._threads = [threading.Thread(target=each) for each in (self._send_leads, self._act, self._send_pages)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_leads()
        self._is_over.set()
        for thread in self._threads:
            thread.join(timeout=STOP_SECONDS)

    def stop_leads(self) -> None:
        """No more leads and pages; answers and opt-outs go on."""
        self._has_no_more_leads.set()

    def _hear(self, taken: Taken) -> None:
        number = taken.recipient.partition("@")[0].removeprefix("person")
        if taken.subject in {FIRST, NEWS} and number.isdigit() and int(number) % ONE_IN == 0:
            self._to_answer.put(taken)

    def _send_leads(self) -> None:
        for number in itertools.count():
            email = f"person{number}@chaos.example"
            body = json.dumps({"email": email, "name": f"Person {number}"}).encode()
            while not self._has_no_more_leads.is_set() and email not in self.told.leads:
                self._try_lead(email, body, number)
            if self._has_no_more_leads.wait(self._pause):
                return

    def _try_lead(self, email: str, body: bytes, number: int) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"chaos-{number}"}
        url = f"{next(self._urls)}/in/{self._world.token}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=15) as answer:
                self.told.ids[email] = json.load(answer)["ids"][0]
                self.told.leads[email] = time.monotonic()
        except urllib.error.HTTPError as refused:
            with refused:
                self.told.refusals[refused.code] += 1
            time.sleep(AGAIN_SECONDS)
        except (OSError, ValueError, KeyError):
            # Whoever listened is gone: what became of it is not known.
            self.told.failures += 1
            time.sleep(AGAIN_SECONDS)

    def _act(self) -> None:
        while not (self._is_over.is_set() and self._to_answer.empty()):
            with suppress(queue.Empty):
                taken = self._to_answer.get(timeout=0.2)
                if taken.recipient not in self._acted and not self._try_act(taken):
                    self._to_answer.put(taken)
                    time.sleep(AGAIN_SECONDS)

    def _try_act(self, taken: Taken) -> bool:
        is_done = self._reply(taken) if taken.subject == FIRST else self._opt_out(taken)
        if is_done:
            self._acted.add(taken.recipient)
        return is_done

    def _reply(self, taken: Taken) -> bool:
        answer = EmailMessage()
        answer["From"], answer["To"] = taken.recipient, taken.reply_to
        answer["Subject"], answer["In-Reply-To"] = f"Re: {taken.subject}", taken.header_id
        answer["Message-ID"] = f"<{taken.recipient.replace('@', '.')}@answers.example>"
        answer.set_content("Yes, please call me.\n")
        try:
            with smtplib.SMTP("127.0.0.1", self._mail_port, timeout=15) as smtp:
                smtp.send_message(answer)
        except (OSError, smtplib.SMTPException):
            return False
        self.told.replies[str(answer["Message-ID"])] = time.monotonic()
        return True

    def _opt_out(self, taken: Taken) -> bool:
        assert taken.unsubscribe_path, "advertising without a way to end it"
        url = f"{next(self._urls)}{taken.unsubscribe_path}"
        try:
            with urllib.request.urlopen(url, b"List-Unsubscribe=One-Click", timeout=15):
                self.told.opt_outs[taken.recipient] = time.monotonic()
        except OSError:
            return False
        return True

    def _send_pages(self) -> None:
        asyncio.run(self._page_until_over())

    async def _page_until_over(self) -> None:
        edge = Database(self._world.application_url, build_hub(), max_connections=1)
        await edge.open()
        try:
            for number in itertools.count():
                if self._has_no_more_leads.is_set():
                    return
                with suppress(UnavailableError, psycopg.OperationalError):
                    await self._page(edge, f"page{number}@page.example")
                await asyncio.sleep(PAGES_PAUSE_SECONDS * random.random())  # noqa: S311 when is no secret.
        finally:
            await edge.close()

    async def _page(self, edge: Database, address: str) -> None:
        contact_id: UUID
        async with edge.transaction(self._world.workspace_id) as tx:
            contact_id = await tx.fetch_value("SELECT id FROM app.contact LIMIT 1")
            page = Draft(purpose="page", contact_id=contact_id, subject="Down", text="It is down.", address=address)
            await queue_messages(tx, [page])
        self.told.pages[address] = time.monotonic()
