"""How fast each page answers with 100,000 leads, on a fresh `switchboard up` filled through the real intake."""

import http.client
import os
import random
import re
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from bench import limits
from bench.results import Figure
from tests.processes import Product, eventually, running

LEADS = 100_000
ROWS_A_REQUEST = 1_000
# A page is asked for once a connection would be warm, then this often for each second of the run.
ROUNDS_A_SECOND = 10
WARM_UP = 5
TARGET_MILLISECONDS = 50.0
FILL_SECONDS = 600.0

_FIRST = ("Amelia", "Noah", "Leila", "Mateo", "Yuki", "Priya", "Lukas", "Zofia", "Omar", "Ingrid")
_LAST = ("Bennett", "Nakamura", "Okafor", "Schmidt", "Haddad", "Sharma", "Dubois", "Mensah", "Tanaka", "Varga")


def run(seconds: float) -> list[Figure]:
    """The 95th percentile of every page, in milliseconds at the client on this machine."""
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder:
        with running(Path(folder), LOG_LEVEL="warning") as product:
            _fill(product)
            browser = _Browser(product)
            figures = [_measure(browser, path, round(seconds * ROUNDS_A_SECOND)) for path in _paths(browser)]
        known = {**limits.measure_http(min(seconds, 3.0)), "load average": os.getloadavg()[0]}
    shown = {name: round(value, 2) for name, value in known.items()}
    return [
        Figure(f"pages.p95 {name}", round(value, 1), "ms", "lower", TARGET_MILLISECONDS, shown if place == 0 else {})
        for place, (name, value) in enumerate(figures)
    ]


def _fill(product: Product) -> None:
    """Post the leads in arrays and wait until all are recognised; the count is asserted."""
    chance = random.Random(3)
    url = str(product.json_command("source", "create", "--name", "Bench", "--format", "generic")["url"])
    for start in range(0, LEADS, ROWS_A_REQUEST):
        rows = [_lead(chance, number) for number in range(start, start + ROWS_A_REQUEST)]
        assert product.post(url, rows)["accepted"] == ROWS_A_REQUEST

    def depth() -> bool:
        return bool(product.health()["queues"]["signals"]["depth"] == 0)

    eventually(depth, seconds=FILL_SECONDS, what="recognition of every lead")


def _lead(chance: random.Random, number: int) -> dict[str, object]:
    name = f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"
    return {"name": name, "email": f"person{number}@bench.example", "message": f"I would like {number % 90} seats"}


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
    return [*fixed, *(_middle(browser.get(page), kind) for page, kind in kinds)]


def _middle(text: str, kind: str) -> str:
    found = list(dict.fromkeys(re.findall(rf'href="(/{kind}/[0-9a-f-]{{36}})[?"]', text)))
    assert found, f"no {kind} on their page"
    return str(found[len(found) // 2])


def _measure(browser: _Browser, path: str, rounds: int) -> tuple[str, float]:
    for _ in range(WARM_UP):
        browser.get(path)
    taken = []
    for _ in range(max(rounds, 20)):
        started = time.perf_counter()
        browser.get(path)
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", path), taken[int(len(taken) * 0.95)]
