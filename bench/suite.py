"""Every benchmark one after the other, each in a process of its own, and what they found kept as JSON."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import machine
from bench.registry import list_names
from bench.results import Figure, as_json

KEPT = Path("artefacts/bench")
MACHINE = "machine.json"
# A benchmark that hangs must not keep the others from being run.
LIMIT_SECONDS = 3_600.0
FULL_LIMIT_SECONDS = 6 * 3_600.0


def run_all(folder: Path, seconds: float, *, full: bool, has_peers: bool) -> None:
    """Run them all; one that fails is noted as such, and the rest goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    _note(folder, "machine", machine.describe())
    for name in list_names():
        command = [sys.executable, "-m", "bench", name, "--seconds", str(seconds), "--kept", str(folder)]
        command += ["--full"] * full + ["--no-peers"] * (not has_peers)
        began = time.monotonic()
        failure = _run(command, FULL_LIMIT_SECONDS if full else LIMIT_SECONDS)
        _note(folder, "runs", {name: {"took": round(time.monotonic() - began), "failure": failure}})


def keep(folder: Path, name: str, figures: Sequence[Figure], seconds: float, *, full: bool) -> None:
    """Write the figures of one benchmark, and how they were taken."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(as_json(figures) + "\n")
    if "machine" not in read_notes(folder):
        _note(folder, "machine", machine.describe())
    _note(folder, "runs", {name: {"seconds": seconds, "full": full, "failure": ""}})


def read_notes(folder: Path) -> dict[str, Any]:
    """`machine`: what it is; `runs`: for each benchmark its seconds, whether it was full, how long it took."""
    file = folder / MACHINE
    notes: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return notes


def _note(folder: Path, part: str, said: dict[str, Any]) -> None:
    """Add to a part of the notes; what a run has noted already stays beside it."""
    notes = read_notes(folder)
    known = notes.setdefault(part, {})
    for name, value in said.items():
        known[name] = {**known.get(name, {}), **value} if isinstance(value, dict) else value
    (folder / MACHINE).write_text(json.dumps(notes, indent=2) + "\n")


def _run(command: Sequence[str], limit: float) -> str:
    """The reason why it failed, empty when it did not."""
    try:
        done = subprocess.run(command, timeout=limit, stderr=subprocess.PIPE, text=True, check=False)
    except subprocess.TimeoutExpired:
        return f"it took longer than {limit:,.0f} seconds"
    sys.stderr.write(done.stderr)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1][:300]
