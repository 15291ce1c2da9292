"""Work for long at half load: nothing grows that should not. `make soak` for an hour, `make test` for a slice.

Leads come in all the time and get two letters each, people answer, a campaign goes out, pages go between. A
month of long ago goes meanwhile. At the end the clock goes on by a month and a half, and work goes on; and when all is
told, by so much that the months of the run itself are past their time. What was seen stands in artefacts/soak.json.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from switchboard.intake.housekeeping import MONTHS_AHEAD
from switchboard.kernel.partitions import PARTITIONED
from tests.chaos import oracle
from tests.chaos.reporting import keep, settle
from tests.chaos.stage import Stage, staged
from tests.chaos.world import World
from tests.processes import eventually
from tests.soak.gauges import Sample, growth_of_memory, last_half, look, mean_lag

# About half of what one sender that waits for each answer gets acknowledged on two cores.
LEADS_A_SECOND = 40.0
LETTERS_A_MINUTE = 600
JUMP, JUMP_SECONDS = "46 days", 5.0
# Ten for each process and one that listens, one of the load, and ours.
MOST_CONNECTIONS = 4 * 11 + 3
MOST_DEAD_ROWS = 50_000
# Postgres sweeps a table as soon as a fifth of its rows are dead, unless it is told otherwise; it needs a while.
MOST_DEAD_SHARE = 0.25
MOST_MORE_FILES = 5
# Months are kept as briefly as can be and still hold the whole run when the clock has gone on by the first jump.
KEPT_MONTHS = "2"
KEEPING = {f"KEEP_{log}_MONTHS": KEPT_MONTHS for log in ("SIGNALS", "EVENTS", "ATTEMPTS", "RUNS", "MAIL")}
JUMP_BEYOND, LONG_AGO = "100 days", "2020-02-01"
_PARTITIONS = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'app.event'::regclass"
# Partitions of months before one, of all logs.
_MONTHS_UP_TO = (
    "SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE right(c.relname, 8) LIKE 'y____m__' AND right(c.relname, 8) <= "
)
_TO_COME = (
    "SELECT count(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE right(c.relname, 8) LIKE 'y____m__'"
    """ AND right(c.relname, 8) > to_char(app.now() AT TIME ZONE 'UTC', '"y"YYYY"m"MM')"""
)
_LONG_AGO = f"{_MONTHS_UP_TO} 'y2020m02'"
_OF_THE_RUN = f"""{_MONTHS_UP_TO} to_char(pg_catalog.now() AT TIME ZONE 'UTC', '"y"YYYY"m"MM')"""
_ROWS_OF_THE_RUN = " + ".join(
    f"(SELECT count(*) FROM app.{log} WHERE {column} < pg_catalog.now() + interval '1 day')"
    for log, column in PARTITIONED.items()
)
_IN_DEFAULT = "SELECT count(*) FROM app.event_default"


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how hard, and how much memory may grow in the last half: a slice ends before everything is warm."""

    seconds: float
    every: float
    leads_a_second: float
    most_growth: float


def soak(plan: Plan, folder: Path) -> dict[str, Any]:
    """Work for as long as the plan says; returns what was seen, with what is not as it must be."""
    recipients = round(plan.seconds / 60 * LETTERS_A_MINUTE * 0.8)
    with staged(folder, recipients=recipients, per_minute=LETTERS_A_MINUTE, settings=KEEPING) as stage:
        for log in PARTITIONED:
            stage.world.do("SELECT app.ensure_partition(%s, %s)", log, LONG_AGO)
        partitions = stage.world.number(_PARTITIONS)
        with stage.load(plan.leads_a_second) as load:
            samples = _watch(plan, stage)
            stage.world.do("UPDATE app.clock_shift SET shift = %s::interval", JUMP)
            wait_for_partitions(stage.world)
            wait_until_dropped(stage.world, _LONG_AGO)
            time.sleep(JUMP_SECONDS)
            load.stop_leads()
            settled = settle(stage.world)
        taken = stage.ledger.taken
        found = oracle.complaints(stage.world, load.told, taken, longest_stall=0)
        found += _of_months(stage.world)
        stage.world.do("UPDATE app.clock_shift SET shift = %s::interval", JUMP_BEYOND)
        rows = stage.world.number(f"SELECT {_ROWS_OF_THE_RUN}")
        wait_until_dropped(stage.world, _OF_THE_RUN)
        found += _left_over(stage.world)
        return {
            "seconds": plan.seconds,
            "leads": len(load.told.leads),
            "refused": dict(load.told.refusals),
            "taken": dict(Counter(one.via for one in taken)),
            "settled_after_seconds": round(settled, 1),
            "processes_started": {member.name: member.starts for member in stage.fleet.members},
            "partitions": {"before": partitions, "after": stage.world.number(_PARTITIONS)},
            "rows_dropped": rows,
            "growth_of_memory_in_last_half": growth_of_memory(samples),
            "mean_lag": {"before": mean_lag(samples), "last_half": mean_lag(last_half(samples))},
            "most_dead_rows": max(sample.dead_rows for sample in samples),
            "most_dead_kept": max(sample.dead_kept for sample in samples),
            "most_connections": max(sample.connections for sample in samples),
            "first": asdict(samples[0]),
            "last": asdict(samples[-1]),
            "lateness": oracle.lateness(load.told, taken),
            "complaints": [*complaints(plan, samples), *found],
            "samples": [asdict(sample) for sample in samples],
        }


def _watch(plan: Plan, stage: Stage) -> list[Sample]:
    began = time.monotonic()
    samples = []
    while time.monotonic() - began < plan.seconds:
        time.sleep(plan.every)
        samples.append(look(stage.world, stage.fleet, began))
    return samples


def wait_for_partitions(world: World) -> None:
    """The daily work that is due by now makes room for the months to come."""
    wanted = MONTHS_AHEAD * len(PARTITIONED)
    eventually(lambda: world.number(_TO_COME) == wanted, seconds=120, what="partitions of the months to come")


def wait_until_dropped(world: World, months: str) -> None:
    """The daily work drops the months that are past their time, though the logs are in use."""
    eventually(lambda: world.number(months) == 0, seconds=120, what="the end of months past their time")


def complaints(plan: Plan, samples: Sequence[Sample]) -> Iterator[str]:
    """Everything that grows."""
    for name, growth in growth_of_memory(samples).items():
        if growth > plan.most_growth:
            yield f"the memory of {name} grows by {growth:.0%} in the last half"
    half = last_half(samples)
    early = samples[: len(samples) - len(half)]
    for name in samples[-1].files:
        if samples[-1].files[name] > max(sample.files[name] for sample in early) + MOST_MORE_FILES:
            yield f"{name} has ever more files open: {[sample.files[name] for sample in samples]}"
    if (most := max(sample.connections for sample in samples)) > MOST_CONNECTIONS:
        yield f"{most} connections to Postgres"
    if (dead := max(sample.dead_rows for sample in half)) > MOST_DEAD_ROWS:
        yield f"{dead} dead rows in queues"
    for sample in half:
        if sample.dead_kept > MOST_DEAD_ROWS / 10 + MOST_DEAD_SHARE * sample.kept_rows:
            yield f"{sample.dead_kept} rows are dead beside {sample.kept_rows} that are kept"
            break
    quarter = half[len(half) // 2 :]
    if mean_lag(quarter) > mean_lag(half[: len(half) // 2]) + 2:
        yield f"queues fall behind: {[sample.lag_seconds for sample in half]}"


def _of_months(world: World) -> Iterator[str]:
    if astray := world.number(_IN_DEFAULT):
        yield f"{astray} events lie in no month's partition"


def _left_over(world: World) -> Iterator[str]:
    if left := world.number(f"SELECT {_ROWS_OF_THE_RUN}"):
        yield f"{left} rows of the run are there although their months are dropped"


@pytest.mark.timeout(300)
def test_a_slice_of_soaking_leaves_nothing_behind(tmp_path: Path) -> None:
    seen = soak(Plan(seconds=24, every=1.5, leads_a_second=15, most_growth=0.25), tmp_path)
    keep(seen, "soak-slice.json")
    assert seen["complaints"] == []
    assert seen["rows_dropped"] > 1_000


@pytest.mark.chaos
@pytest.mark.timeout(0)
def test_a_long_soak_leaves_nothing_behind(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    minutes = float(pytestconfig.getoption("--soak-minutes"))
    if not minutes:
        pytest.skip("an hour: `make soak` runs it")
    seen = soak(Plan(seconds=60 * minutes, every=5, leads_a_second=LEADS_A_SECOND, most_growth=0.05), tmp_path)
    keep(seen, "soak.json")
    assert seen["complaints"] == []
