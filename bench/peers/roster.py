"""Who the peers are, what each can do, and whether they are installed."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-bench" / "bin" / "python"
NODE_MODULES = Path(__file__).parent / "node_modules"
INSTALL = "make bench-install"

Store = Literal["postgres", "redis"]


@dataclass(frozen=True, slots=True)
class Peer:
    """One system. `program` is a module or a Node file of this folder, `package` its name at PyPI or npm."""

    name: str
    package: str
    program: str
    store: Store = "postgres"

    @property
    def is_node(self) -> bool:
        return self.program.endswith(".mjs")

    def command(self) -> list[str]:
        """What starts its program; the order goes behind it."""
        if self.is_node:
            return ["node", str(Path(__file__).parent / self.program)]
        return [str(PYTHON), "-m", f"bench.peers.{self.program}"]

    def label(self) -> str:
        """Its name with the version that is installed."""
        if self.is_node:
            manifest = json.loads((NODE_MODULES / self.package / "package.json").read_text())
            return f"{self.name} {manifest['version']}"
        (notes,) = PYTHON.parents[1].glob(f"lib/python3*/site-packages/{self.package}-*.dist-info")
        return f"{self.name} {notes.stem.partition('-')[2]}"

    def find_absence(self) -> str | None:
        """Why it cannot be run here, or None."""
        if self.is_node and not shutil.which("node"):
            return f"Node is not installed: {INSTALL}"
        if not (NODE_MODULES if self.is_node else PYTHON).exists():
            return f"it is not installed: {INSTALL}"
        if self.store == "redis" and not shutil.which("redis-server"):
            return "redis-server is not installed: apt install redis-server"
        return None


PROCRASTINATE = Peer("procrastinate", "procrastinate", "with_procrastinate")
PGQUEUER = Peer("pgqueuer", "pgqueuer", "with_pgqueuer")
DBOS = Peer("DBOS", "dbos", "with_dbos")
GRAPHILE = Peer("graphile-worker", "graphile-worker", "with_graphile.mjs")
BULLMQ = Peer("BullMQ", "bullmq", "with_bullmq.mjs", "redis")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A work that peers do beside one of our benchmarks.

    The result goes to the first of our figures whose metric holds one of `metrics`. `most` is the rate that sets how
    many items are laid ready for each: more than it can do, so that it does not run dry.
    """

    work: str
    metrics: Sequence[str]
    most: Sequence[tuple[Peer, int]]


COMPARISONS = {
    "steps": Comparison("steps", ["steps."], [(DBOS, 5_000), (PROCRASTINATE, 2_000)]),
    "delivery": Comparison(
        "deliver",
        ["http", "delivery."],
        [(PGQUEUER, 10_000), (PROCRASTINATE, 1_500), (GRAPHILE, 12_000), (BULLMQ, 15_000)],
    ),
    "jobs": Comparison(
        "jobs",
        ["jobs.no_op"],
        [(PGQUEUER, 25_000), (PROCRASTINATE, 1_500), (GRAPHILE, 120_000), (BULLMQ, 40_000), (DBOS, 5_000)],
    ),
}
# These answer over HTTP, and the same load as ours goes to them.
SERVED = (BULLMQ, PROCRASTINATE, PGQUEUER)
