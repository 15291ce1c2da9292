"""Everything goes wrong by seed, under load: `make chaos` for a quarter of an hour, `make test` for half a minute.

Leads come in all the time, a campaign is under way, people answer and opt out, and pages go out between. Meanwhile
processes die or stand still, Postgres stops or loses its connections, its disk fills up, the clock steps, a cable is
pulled. `pytest --chaos-seed N` repeats a run's events; what was seen stands in artefacts/chaos.json.
"""

import random
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos import oracle
from tests.chaos.events import Chaos
from tests.chaos.load import Load
from tests.chaos.reporting import keep, settle
from tests.chaos.sinks import Ledger
from tests.chaos.stage import staged


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how hard."""

    seed: int
    seconds: float
    pauses: tuple[float, float]
    leads_a_second: float
    recipients: int
    per_minute: int
    stall_seconds: float
    cut_seconds: float


@pytest.fixture
def disk() -> Iterator[Path | None]:
    """A disk of its own that can be filled without harm; None where nothing can be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    options = "size=1g,mode=755"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    folder.chmod(0o755)
    if mounted.returncode != 0:
        yield None
    else:
        yield folder
        subprocess.run(["umount", "--lazy", folder], check=True, timeout=10)
    folder.rmdir()


def unleash(plan: Plan, disk: Path | None, folder: Path) -> dict[str, object]:
    """Do all of it; returns what was seen, with everything that is not as it must be under `complaints`."""
    with staged(folder, recipients=plan.recipients, per_minute=plan.per_minute, disk=disk, is_cuttable=True) as stage:
        chance = random.Random(plan.seed)  # noqa: S311 seeded on purpose
        chaos = Chaos(stage.world, stage.fleet, stage.network, disk, chance, plan.stall_seconds, plan.cut_seconds)
        with stage.load(plan.leads_a_second) as load:
            chaos.run(plan.seconds, plan.pauses)
            time.sleep(1)
            load.stop_leads()
            settled = settle(stage.world)
        return _report(plan, chaos, stage.ledger, load, settled)


def _report(plan: Plan, chaos: Chaos, ledger: Ledger, load: Load, settled: float) -> dict[str, object]:
    world = chaos.world
    found = oracle.complaints(world, load.told, ledger.taken, longest_stall=plan.stall_seconds)
    overtaken = oracle.count_overtaken(ledger.taken)
    late = list(oracle.seconds_after_opt_out(load.told, ledger.taken))
    times = Counter(one.header_id for one in ledger.taken)
    return {
        "seed": plan.seed,
        "seconds": plan.seconds,
        "events": len(chaos.happened),
        "events_by_kind": chaos.counts,
        "cannot_happen_here": chaos.missing,
        "acknowledged": {
            "leads": len(load.told.leads),
            "answers": len(load.told.replies),
            "opt_outs": len(load.told.opt_outs),
            "pages": len(load.told.pages),
        },
        "intake": {"refused": load.told.refusals, "no_answer": load.told.failures},
        "taken": dict(Counter(one.via for one in ledger.taken)),
        "messages": len(times),
        "came_twice": sum(1 for number in times.values() if number > 1),
        "second_before_first": overtaken,
        "after_opt_out": {"letters": len(late), "longest_seconds": round(max(late, default=0), 1)},
        "settled_after_seconds": round(settled, 1),
        "processes_started": {member.name: member.starts for member in chaos.fleet.members},
        "campaign": dict(world.ask("SELECT state, count(*) FROM app.campaign_recipient GROUP BY state")),
        "lateness": oracle.lateness(load.told, ledger.taken),
        "complaints": found,
        "happened": chaos.happened,
    }


@pytest.mark.timeout(300)
def test_a_slice_of_chaos_loses_and_doubles_nothing(
    pytestconfig: pytest.Config, disk: Path | None, tmp_path: Path
) -> None:
    plan = Plan(
        seed=int(pytestconfig.getoption("--chaos-seed")),
        seconds=30,
        pauses=(0.5, 2),
        leads_a_second=20,
        recipients=200,
        per_minute=1_200,
        stall_seconds=4,
        cut_seconds=6,
    )
    seen = unleash(plan, disk, tmp_path)
    keep(seen, "chaos-slice.json")
    assert seen["complaints"] == []


@pytest.mark.chaos
@pytest.mark.timeout(0)
def test_a_long_chaos_loses_and_doubles_nothing(pytestconfig: pytest.Config, disk: Path | None, tmp_path: Path) -> None:
    minutes = float(pytestconfig.getoption("--chaos-minutes"))
    if not minutes:
        pytest.skip("a quarter of an hour: `make chaos` runs it")
    recipients = round(300 * minutes)
    plan = Plan(
        seed=int(pytestconfig.getoption("--chaos-seed")),
        seconds=60 * minutes,
        pauses=(2, 7),
        leads_a_second=40,
        recipients=recipients,
        per_minute=400,
        stall_seconds=66,
        cut_seconds=35,
    )
    seen = unleash(plan, disk, tmp_path)
    keep(seen, "chaos.json")
    assert seen["complaints"] == []
