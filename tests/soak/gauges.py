"""What is watched while the product works for long: memory, files, connections, dead rows, and how late queues are."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median

import psutil

from tests.chaos.fleet import Fleet
from tests.chaos.world import World

MEGABYTE = 1024 * 1024
# Rows of the first come and go; those of the second stay, so that a share of them may be dead before they are swept.
QUEUES, KEPT = ("signal_due", "outbox", "run", "job"), ("message", "campaign_recipient", "assignment")
_ROWS = "SELECT sum(n_dead_tup), sum(n_live_tup) FROM pg_stat_user_tables WHERE relname = ANY(%(tables)s)"
# The age of what has been due longest, of all queues.
_LAG = (
    "SELECT greatest(max(extract(epoch FROM app.now() - due_at)), 0) FROM ("
    " (SELECT due_at FROM app.signal_due ORDER BY due_at LIMIT 1)"
    " UNION ALL (SELECT due_at FROM app.run WHERE due_at IS NOT NULL AND parked IS NULL ORDER BY due_at LIMIT 1)"
    " UNION ALL (SELECT due_at FROM app.outbox WHERE lease_until IS NULL ORDER BY due_at LIMIT 1)"
    " UNION ALL (SELECT due_at FROM app.job WHERE failed_at IS NULL ORDER BY due_at LIMIT 1)) AS oldest"
)
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. Memory in MB by process, its own alone; Postgres counts as one.

    `dead_rows` are those of queues; of the tables that keep what happened `dead_kept` beside `kept_rows` that live.
    What is shared says little: it moves when some other program begins or ends, and the buffers of Postgres are set
    aside at the start and count only as they are first used.
    """

    at: float
    memory: Mapping[str, float]
    files: Mapping[str, int]
    connections: int
    dead_rows: int
    dead_kept: int
    kept_rows: int
    lag_seconds: float


def look(world: World, fleet: Fleet, began: float) -> Sample:
    """Everything as it is now."""
    processes = {member.name: psutil.Process(member.process.pid) for member in fleet.members if member.process}
    memory = {name: process.memory_full_info().uss / MEGABYTE for name, process in processes.items()}
    dead_rows, _ = world.ask(_ROWS, {"tables": list(QUEUES)})[0]
    dead_kept, kept_rows = world.ask(_ROWS, {"tables": list(KEPT)})[0]
    return Sample(
        round(time.monotonic() - began, 1),
        {**memory, "postgres": _memory_of_postgres(world)},
        {name: process.num_fds() for name, process in processes.items()},
        world.number(_CONNECTIONS),
        int(dead_rows),
        int(dead_kept),
        int(kept_rows),
        round(float(world.ask(_LAG)[0][0]), 2),
    )


def _memory_of_postgres(world: World) -> float:
    total = 0.0
    for process in world.server.processes():
        try:
            total += process.memory_full_info().uss / MEGABYTE
        except psutil.NoSuchProcess:
            # A backend that has just ended has no memory.
            continue
    return total


def last_half(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Those after half of the time: what comes before is warming up."""
    return last_part(samples, 1 / 2)


def last_part(samples: Sequence[Sample], share: float) -> Sequence[Sample]:
    """Those of the last share of the time."""
    return [sample for sample in samples if sample.at >= samples[-1].at * (1 - share)]


def growth_of_memory(samples: Sequence[Sample]) -> dict[str, float]:
    """By process, the share by which memory grows in half of the time, at the lasting pace of the last half.

    What leaks goes on at its pace. A cache that fills grows ever more slowly, and a heap in leaps: so the pace of the
    last quarter counts too, and the smaller of the two is the one that lasts.
    """
    late = last_half(samples)
    seconds = late[-1].at - late[0].at
    paces = [{name: _pace(part, name) for name in late[0].memory} for part in (late, last_part(samples, 1 / 4))]
    return {
        name: round(min(pace[name] for pace in paces) * seconds / fmean(sample.memory[name] for sample in late), 4)
        for name in late[0].memory
    }


def _pace(samples: Sequence[Sample], name: str) -> float:
    """MB a second: the median over all pairs of samples, which no single leap or dip moves."""
    pairs = combinations([(sample.at, sample.memory[name]) for sample in samples], 2)
    return median((size - earlier_size) / (at - earlier) for (earlier, earlier_size), (at, size) in pairs)


def mean_lag(samples: Sequence[Sample]) -> float:
    """Seconds that the oldest due row has waited, on average."""
    return round(fmean(sample.lag_seconds for sample in samples), 2)
