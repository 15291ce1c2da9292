"""How fast each page answers with many contacts and messages, on a fresh `switchboard up` whose tables are filled."""

import gzip
import http.client
import os
import re
import tempfile
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import psycopg

from bench import limits
from bench.results import Figure
from bench.seeding import add_people
from switchboard.kernel.embedded import find_running
from tests.processes import Product, running

CONTACTS, CONTACTS_IN_FULL = 100_000, 1_000_000
MESSAGES_EACH = 5
# A page is asked for once a connection would be warm, then this often for each second of the run.
ROUNDS_A_SECOND = 10
WARM_UP = 5
TARGET_MILLISECONDS = 50.0
TARGET_SCRIPT = 60.0


def run(seconds: float, *, rows: int | None = None, full: bool = False) -> list[Figure]:
    """The 95th percentile of every page, in milliseconds at the client on this machine, and how much script they need.

    With `rows` contacts and five times as many messages; 100,000, or 1,000,000 in full.
    """
    contacts = rows or (CONTACTS_IN_FULL if full else CONTACTS)
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder:
        with running(Path(folder), LOG_LEVEL="warning") as product:
            _fill(product, contacts)
            with closing(_Browser(product)) as browser:
                figures = [_measure(browser, path, round(seconds * ROUNDS_A_SECOND)) for path in _paths(browser)]
                script = browser.count_script()
        known = {**limits.measure_http(min(seconds, 3.0)), "load average": os.getloadavg()[0]}
    shown = {name: round(value, 2) for name, value in known.items()}
    return [
        *(
            Figure(
                f"pages.p95_with_{contacts}_contacts {name}",
                round(value, 1),
                "ms",
                "lower",
                TARGET_MILLISECONDS,
                shown if place == 0 else {},
            )
            for place, (name, value) in enumerate(figures)
        ),
        Figure("pages.script", round(script / 1000, 1), "KB", "lower", TARGET_SCRIPT),
    ]


def _fill(product: Product, contacts: int) -> None:
    """Through the tables themselves; one lead comes by the intake, so that the source has been used."""
    url = str(product.json_command("source", "create", "--name", "Bench", "--format", "generic")["url"])
    assert product.post(url, {"name": "Ada Lovelace", "email": "ada@x.example"})["accepted"] == 1
    endpoint = find_running(product.home)
    assert endpoint is not None, "the embedded Postgres is not running"
    with psycopg.connect(endpoint.superuser_url, autocommit=True) as connection:
        row = connection.execute("SELECT workspace_id, id FROM app.source WHERE name = 'Bench'").fetchone()
    assert row is not None
    add_people(endpoint.superuser_url, row[0], row[1], first=1, last=contacts, messages=MESSAGES_EACH)


class _Browser:
    """One signed-in connection that is kept open, as a browser's is."""

    def __init__(self, product: Product) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", product.port, timeout=30)
        email, password = product.sign_in()
        form = urlencode({"email": email, "password": password})
        self._connection.request(
            "POST",
            "/sign-in",
            form,
            {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"},
        )
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status == 303, answer.status
        self._cookie = str(answer.headers["set-cookie"]).partition(";")[0]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def count_script(self) -> int:
        """Bytes of all scripts that the home page names, packed by gzip as a server in front packs them."""
        scripts = dict.fromkeys(re.findall(r'<script[^>]* src="([^"]+)"', self.get("/")))
        assert scripts, "the home page names no script"
        return sum(len(gzip.compress(self.get(path).encode())) for path in scripts)

    def get(self, path: str) -> str:
        """The page's text; any other status than 200 is an error."""
        self._connection.request("GET", path, headers={"Cookie": self._cookie, "Accept": "text/html"})
        answer = self._connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, (path, answer.status)
        return text


def _paths(browser: _Browser) -> list[str]:
    """Every list, and one of each thing in the middle of its list."""
    fixed = [
        "/",
        "/leads",
        "/leads?view=unaccepted",
        "/leads/board",
        "/leads?q=okafor",
        "/contacts",
        "/contacts?q=tanaka",
    ]
    fixed += ["/inbox", "/flows", "/sources", "/rotas", "/rules", "/templates", "/mailbox", "/messages", "/settings"]
    kinds = (("/leads", "leads"), ("/contacts", "contacts"), ("/sources", "sources"), ("/flows", "flows"))
    named = re.findall(r'href="(/[a-z-]+)"', browser.get("/"))
    fixed = list(dict.fromkeys([*fixed, *named]))
    return [*fixed, *(_middle(browser.get(page), kind) for page, kind in kinds)]


def _middle(text: str, kind: str) -> str:
    found = list(dict.fromkeys(re.findall(rf'href="(/{kind}/[0-9a-f-]{{36}})[?"]', text)))
    assert found, f"no {kind} on their page"
    return str(found[len(found) // 2])


def _measure(browser: _Browser, path: str, rounds: int) -> tuple[str, float]:
    for _ in range(WARM_UP):
        browser.get(path)
    taken = []
    for _ in range(max(rounds, 5)):
        started = time.perf_counter()
        browser.get(path)
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", path), taken[int(len(taken) * 0.95)]
