"""Starting and stopping, as a user meets it: real processes, the embedded Postgres, and a Postgres of one's own."""

import json
import os
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.processes import PROGRAM, Product, eventually, free_port, free_ports, launch, running

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with running(tmp_path_factory.mktemp("home")) as product:
        yield product


def test_the_first_start_prints_an_address_and_a_sign_in_that_works(product: Product) -> None:
    email, password = product.sign_in()
    body = f"email={email}&password={password}".replace("@", "%40").encode()
    request = urllib.request.Request(f"{product.url}/sign-in", body, method="POST")
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(request, timeout=10) as answer:
        assert answer.status == 200
        assert answer.url == f"{product.url}/"


def test_every_queue_is_worked_and_the_mailbox_listens(product: Product) -> None:
    def look() -> bool:
        with urllib.request.urlopen(f"{product.url}/health/ready", timeout=5) as answer:
            body = json.load(answer)
        return bool(body["status"] == "ok" and body["mailbox_listener"] == "up")

    eventually(look, what="health without troubles")


def test_at_rest_everything_together_uses_300_mb_or_less(product: Product) -> None:
    root = psutil.Process(product.process.pid)
    shares = [process.memory_full_info().pss for process in [root, *root.children(recursive=True)]]
    assert sum(shares) <= 300 * 1024 * 1024


def test_commands_reach_the_running_instance(product: Product) -> None:
    users = product.json_command("user", "list")
    assert [user["email"] for user in users] == ["owner@switchboard.localhost"]


def test_a_second_start_on_the_same_home_is_refused_in_one_sentence(product: Product) -> None:
    second = launch(product.home, free_port())
    assert second.process.wait(timeout=30) == 2
    eventually(lambda: second.log, what="the sentence")
    assert "Traceback" not in "".join(second.log)


def test_a_busy_port_is_named_with_a_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = launch(tmp_path, port)
        assert refused.process.wait(timeout=30) == 2
    eventually(lambda: refused.log, what="the sentence")
    assert f"Port {port} is already in use" in "".join(refused.log)


def test_every_wrong_setting_is_named_at_once(tmp_path: Path) -> None:
    wrong = {"PORT": "eighty", "LOG_LEVEL": "loud", "DATABASE_URL": "mysql://x", "SWITCHBOARD_HOME": str(tmp_path)}
    done = subprocess.run(
        [*PROGRAM, "up"], env={**os.environ, **wrong}, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for name in ("PORT", "LOG_LEVEL", "DATABASE_URL"):
        assert name in done.stderr


def test_an_unreachable_database_is_one_sentence(tmp_path: Path) -> None:
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    for command in (["up"], ["serve"], ["work"], ["user", "list"]):
        done = subprocess.run(
            [*PROGRAM, *command],
            env={**os.environ, "DATABASE_URL": url, "SWITCHBOARD_HOME": str(tmp_path), **free_ports()},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) <= 2, done.stderr


def test_ctrl_c_stops_everything_at_once_also_with_live_pages_open(tmp_path: Path) -> None:
    with running(tmp_path) as product:
        family = [product.process.pid, *(child.pid for child in psutil.Process(product.process.pid).children(True))]
        email, password = product.sign_in()
        body = f"email={email}&password={password}".replace("@", "%40").encode()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        opener.open(urllib.request.Request(f"{product.url}/sign-in", body, method="POST"), timeout=10)
        with opener.open(f"{product.url}/live", timeout=10) as stream:
            assert stream.readline().startswith(b"retry:")
            assert product.stop() == 0
    eventually(lambda: not any(map(psutil.pid_exists, family)), seconds=5, what="the end of every process")
    assert "did not end in time" not in "".join(product.log)


def test_after_kill_9_of_everything_it_goes_on_where_it_was(tmp_path: Path) -> None:
    first = launch(tmp_path, free_port())
    first.wait_until_ready()
    first.command("user", "create", "--email", "kim@acme.example", "--password", "a long enough one")
    family = psutil.Process(first.process.pid).children(recursive=True)
    for process in [psutil.Process(first.process.pid), *family]:
        # One may have ended by itself meanwhile, such as a connection's process in Postgres.
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    first.process.wait(timeout=10)
    with running(tmp_path) as second:
        emails = [user["email"] for user in second.json_command("user", "list")]
        assert "kim@acme.example" in emails
        assert "Sign in as" not in "".join(second.log)
