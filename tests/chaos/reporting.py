"""The end of a long run: waiting until all is done, and keeping what was seen."""

import json
import sys
import time
from pathlib import Path

import psycopg

from tests.chaos import oracle
from tests.chaos.world import World
from tests.processes import eventually

ARTEFACTS = Path(__file__).parents[2] / "artefacts"
SETTLE_SECONDS = 600.0


def settle(world: World) -> float:
    """Wait until nothing is left to do; returns the seconds. What is stuck then is for the oracle to say."""
    began = time.monotonic()

    def look() -> bool:
        time.sleep(0.5)
        try:
            return oracle.is_settled(world)
        except psycopg.Error:
            return False

    try:
        eventually(look, seconds=SETTLE_SECONDS)
    except AssertionError:
        return SETTLE_SECONDS
    return time.monotonic() - began


def keep(seen: dict[str, object], name: str) -> None:
    """Write what was seen where it outlives the run, and say it without its long lists."""
    ARTEFACTS.mkdir(exist_ok=True)
    (ARTEFACTS / name).write_text(json.dumps(seen, indent=1) + "\n")
    short = {what: value for what, value in seen.items() if what not in {"happened", "samples"}}
    sys.stdout.write(json.dumps(short, indent=1) + "\n")
