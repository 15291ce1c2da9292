"""Which process works which queue, and what becomes of one when the other ends."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from switchboard.entrypoints.assembly import build_hub, build_loops
from switchboard.entrypoints.work import choose_loops, share_out
from switchboard.kernel.db import Database
from switchboard.kernel.settings import load_settings
from tests.conftest import Urls
from tests.processes import PROGRAM, Product, eventually, free_port, running


def shares(urls: Urls, tmp_path: Path, *queues: str) -> tuple[set[str], set[str]]:
    settings = load_settings({"SWITCHBOARD_HOME": str(tmp_path), "APP_SECRET": "kept for tests only, 32 letters long"})
    loops = build_loops(settings, Database(urls.application, build_hub()))
    prompt, plentiful = share_out(choose_loops(loops, queues))
    return {loop.name for loop in prompt}, {loop.name for loop in plentiful}


async def test_campaigns_mailings_files_and_segments_are_kept_apart(urls: Urls, tmp_path: Path) -> None:
    prompt, plentiful = shares(urls, tmp_path)
    assert plentiful == {"campaign-steps", "outbox", "segments", "jobs"}
    assert prompt >= {"signals", "steps", "outbox-urgent", "outbox-reaper", "waiting", "smtp-in"}
    assert shares(urls, tmp_path, "signals") == ({"signals"}, set())
    assert shares(urls, tmp_path, "jobs", "segments") == (set(), {"jobs", "segments"})
    assert shares(urls, tmp_path, "outbox") == ({"outbox-urgent", "outbox-reaper"}, {"outbox"})


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("home"), RUN_QUEUE_CONSUMERS="false") as product:
        yield product


@pytest.fixture
def worker(product: Product) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**product.environment, "SMTP_IN_PORT": str(free_port())}
    process = subprocess.Popen([*PROGRAM, "work"], env=environment, stdout=subprocess.DEVNULL)
    try:
        eventually(lambda: product.health()["mailbox_listener"] == "up" and companions(process), what="both processes")
        yield process
    finally:
        process.kill()
        process.wait(timeout=30)


def companions(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


@pytest.mark.journey
def test_both_processes_stop_when_the_worker_is_told_to(worker: "subprocess.Popen[bytes]") -> None:
    (companion,) = companions(worker)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    assert not companion.is_running()


@pytest.mark.journey
def test_a_worker_that_loses_its_companion_ends_so_that_it_is_started_again(worker: "subprocess.Popen[bytes]") -> None:
    (companion,) = companions(worker)
    os.kill(companion.pid, signal.SIGKILL)
    assert worker.wait(timeout=30) == 1


@pytest.mark.journey
def test_no_companion_outlives_its_worker(worker: "subprocess.Popen[bytes]") -> None:
    (companion,) = companions(worker)
    worker.kill()
    worker.wait(timeout=30)
    eventually(lambda: not companion.is_running(), what="the end of the companion")
