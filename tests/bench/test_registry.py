"""Which benchmarks there are, and what each is given."""

import subprocess
import sys
from pathlib import Path

from bench.chapters import CHAPTERS
from bench.registry import NAMES, list_names
from bench.suite import read_notes


def test_every_benchmark_has_a_chapter() -> None:
    assert list(CHAPTERS) == list(NAMES)
    assert {"grow", "intake", "jobs", "limits", "pages", "path", "steps"} <= set(list_names())


def test_a_benchmark_that_fails_does_not_keep_the_others_from_being_run(
    tmp_path: Path,
) -> None:
    program = (
        "from bench import suite\n"
        "suite.list_names = lambda: ['nothing of that name', 'neither']\n"
        f"suite.run_all(__import__('pathlib').Path({str(tmp_path)!r}), 1.0, full=False, has_peers=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    runs = read_notes(tmp_path)["runs"]
    assert list(runs) == ["nothing of that name", "neither"]
    assert all("invalid choice" in run["failure"] for run in runs.values())
