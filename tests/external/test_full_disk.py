"""A disk that fills up: refused in one sentence at the start, said while running, and nothing acknowledged is lost."""

import json
import os
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.processes import Product, eventually, free_port, launch, running

pytestmark = pytest.mark.journey

PEOPLE = 20
BLOCK = bytes(1024 * 1024)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of 100 MB of its own, where the database's account may enter."""
    folder = Path(tempfile.mkdtemp(prefix="disk-"))
    folder.chmod(0o755)
    options = "size=100m,mode=755"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True, timeout=10)
    folder.rmdir()


def fill(folder: Path) -> Path:
    """A file that takes all the space there is."""
    filler = folder / "filler"
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(descriptor, BLOCK):
            pass
    except OSError:
        return filler
    finally:
        os.close(descriptor)
    raise AssertionError("there was always more space")


def post_until_refused(product: Product, url: str) -> tuple[int, urllib.error.HTTPError]:
    """Large payloads until there is no page left to write them into; returns how many were taken."""
    for number in range(1000):
        lead = {"email": f"late{number}@disk.example", "message": os.urandom(50_000).hex()}
        try:
            product.post(url, lead)
        except urllib.error.HTTPError as refused:
            return number, refused
    raise AssertionError("everything was taken")


def troubles(product: Product) -> list[str]:
    with urllib.request.urlopen(f"{product.url}/health/ready", timeout=10) as answer:
        found: list[str] = json.load(answer)["troubles"]
        return found


def test_a_disk_that_fills_up_loses_nothing(small_disk: Path) -> None:
    refused = launch(small_disk / "home", free_port())
    assert refused.process.wait(timeout=30) == 2
    eventually(
        lambda: "MB left and Switchboard needs 200 MB: free some space" in "".join(refused.log), what="the sentence"
    )

    subprocess.run(["mount", "-o", "remount,size=450m", small_disk], check=True, timeout=10)
    with running(small_disk / "home") as product:
        url = product.json_command("source", "create", "--name", "Fair", "--format", "generic")["url"]
        for number in range(PEOPLE):
            product.post(url, {"email": f"early{number}@disk.example"})
        children = {child.pid for child in psutil.Process(product.process.pid).children()}

        filler = fill(small_disk)
        taken, refusal = post_until_refused(product, url)
        with refusal:
            assert (refusal.code, refusal.headers["Retry-After"]) == (503, "2")
        assert troubles(product)[0].endswith("MB left and Switchboard needs 200 MB: free some space.")

        filler.unlink()
        eventually(lambda: product.post(url, {"email": "last@disk.example"})["accepted"] == 1, what="a lead taken")
        wanted = PEOPLE + taken + 1
        eventually(lambda: count_recognised(product) >= wanted, seconds=30, what="everybody acknowledged")
        assert {child.pid for child in psutil.Process(product.process.pid).children()} == children


def count_recognised(product: Product) -> int:
    return len(json.loads(product.command("contact", "list", "--limit", "1000", "--json")))
