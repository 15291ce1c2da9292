"""What is watched while the product works for long: memory, files, connections, dead rows, and how late queues are."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression

import psutil

from tests.chaos.fleet import Fleet
from tests.chaos.world import World

MEGABYTE = 1024 * 1024
HOT = ("signal_due", "outbox", "run", "job", "message", "campaign_recipient", "assignment")
_DEAD = f"SELECT sum(n_dead_tup) FROM pg_stat_user_tables WHERE relname IN {HOT}"
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
    """One look. Memory in MB by process; Postgres counts as one."""

    at: float
    memory: Mapping[str, float]
    files: Mapping[str, int]
    connections: int
    dead_rows: int
    lag_seconds: float


def look(world: World, fleet: Fleet, began: float) -> Sample:
    """Everything as it is now."""
    processes = {member.name: psutil.Process(member.process.pid) for member in fleet.members if member.process}
    memory = {name: process.memory_full_info().pss / MEGABYTE for name, process in processes.items()}
    return Sample(
        round(time.monotonic() - began, 1),
        {**memory, "postgres": _memory_of_postgres(world)},
        {name: process.num_fds() for name, process in processes.items()},
        world.number(_CONNECTIONS),
        world.number(_DEAD),
        round(float(world.ask(_LAG)[0][0]), 2),
    )


def _memory_of_postgres(world: World) -> float:
    total = 0.0
    for process in world.server.processes():
        try:
            total += process.memory_full_info().pss / MEGABYTE
        except psutil.NoSuchProcess:
            # A backend that has just ended has no memory.
            continue
    return total


def last_half(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Those after half of the time: what comes before is warming up."""
    return [sample for sample in samples if sample.at >= samples[-1].at / 2]


def growth_of_memory(samples: Sequence[Sample]) -> dict[str, float]:
    """By process, the share by which memory grows in the last half, by the line through its samples."""
    late = last_half(samples)
    times = [sample.at for sample in late]
    growth = {}
    for name in late[0].memory:
        sizes = [sample.memory[name] for sample in late]
        growth[name] = round(linear_regression(times, sizes).slope * (times[-1] - times[0]) / fmean(sizes), 4)
    return growth


def mean_lag(samples: Sequence[Sample]) -> float:
    """Seconds that the oldest due row has waited, on average."""
    return round(fmean(sample.lag_seconds for sample in samples), 2)
