"""Every call of the canonical story breaks once in every way, and nothing is lost, doubled or left behind.

`make test` tries a few points by seed, `make crash-points` all of them and many pairs.
"""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs

from tests.conftest import EMPTY_ALL_TABLES, Urls
from tests.crash_points import telling
from tests.crash_points.company import found
from tests.crash_points.exits import Nursery, nursery
from tests.crash_points.faults import KINDS, Fault, Kind
from tests.crash_points.ledger import Ledger
from tests.crash_points.oracle import complaints
from tests.crash_points.story import Scene

SEED = 20_261_120
POINTS_IN_A_SLICE, PAIRS_IN_A_SLICE, PAIRS = 10, 8, 150
CALLS_TO_WRITE_DOWN = 10
MOST_COMPLAINTS = 5

pytestmark = pytest.mark.timeout(180)


class Theatre:
    """Tells story after story in one company; begins anew after one that left something behind."""

    def __init__(self, urls: Urls, folder: Path, processes: Nursery) -> None:
        self._urls = urls
        self._folder = folder
        self._processes = processes
        self._company = found(urls.application)
        self._told = 0
        self.missed = 0

    def list_points(self) -> list[str]:
        """The calls of a story in which nothing goes wrong."""
        # The first story of a company also does its first day's housekeeping.
        assert self.tell() == [], "the story itself leaves something behind"
        return telling.suffer(self._stage()).labels

    def count_points(self) -> int:
        """How many calls a story makes."""
        return len(self.list_points())

    def tell(self, *planned: Fault) -> list[str]:
        """Each fault strikes a process of its own, one after the other; returns what is wrong in the end."""
        scene = self._stage()
        # A process that lives on knows what it has sent, unless it was the provider's answer that was lost.
        repeats = [self._suffer(scene, fault) for fault in planned]
        telling.heal(scene)
        found_wrong = complaints(scene, may_repeat=any(repeats))
        if found_wrong:
            self._begin_anew()
        return [f"{planned}: {complaint}" for complaint in found_wrong]

    def tell_all(self, plans: Sequence[Sequence[Fault]]) -> list[str]:
        """What is wrong after these stories; a few complaints are enough."""
        wrong: list[str] = []
        for planned in plans:
            wrong += self.tell(*planned)
            if len(wrong) >= MOST_COMPLAINTS:
                break
        return wrong

    def _suffer(self, scene: Scene, fault: Fault) -> bool:
        """Whether a provider may be asked again for what it has taken."""
        if fault.kind == "exit":
            self.missed += not self._processes.suffer(scene, [fault])
            return True
        struck = telling.suffer(scene, [fault]).struck
        self.missed += not struck
        return fault.kind == "hang" or any("send to" in label for label in struck)

    def _stage(self) -> Scene:
        self._told += 1
        ledger = Ledger(self._folder / str(self._told))
        scene = Scene(self._urls.superuser, self._urls.application, self._company, self._told, ledger)
        telling.begin(scene)
        return scene

    def _begin_anew(self) -> None:
        with psycopg.connect(self._urls.superuser, autocommit=True) as connection:
            connection.execute(EMPTY_ALL_TABLES)
        self._company = found(self._urls.application)


@pytest.fixture
def theatre(urls: Urls, tmp_path: Path) -> Iterator[Theatre]:
    # Each fault is logged with its traceback, which takes longer to draw than the story to tell.
    with nursery() as processes, capture_logs():
        yield Theatre(urls, tmp_path, processes)


def by_seed(points: int, kind: Kind) -> list[list[Fault]]:
    """A few points, the same for a seed."""
    chosen = random.Random(f"{SEED} {kind}").sample(range(1, points + 1), POINTS_IN_A_SLICE)  # noqa: S311
    return [[Fault(point, kind)] for point in sorted(chosen)]


def pairs_by_seed(points: int, pairs: int) -> list[list[Fault]]:
    """Two faults, the second in the process that takes over."""
    chance = random.Random(SEED)  # noqa: S311 seeded on purpose
    return [[Fault(chance.randint(1, points), chance.choice(KINDS)) for _ in range(2)] for _ in range(pairs)]


@pytest.mark.parametrize("kind", KINDS)
def test_some_points_break(theatre: Theatre, kind: Kind) -> None:
    assert theatre.tell_all(by_seed(theatre.count_points(), kind)) == []
    # A story has some calls more or less each time, so the very last points may not come.
    assert theatre.missed <= 1


def test_what_went_out_is_known_although_it_cannot_be_written_down(theatre: Theatre) -> None:
    points = [point for point, label in enumerate(theatre.list_points(), 1) if label.startswith("send to")]
    last_of_the_first_letters = points[2]
    calls = range(last_of_the_first_letters + 1, last_of_the_first_letters + CALLS_TO_WRITE_DOWN + 1)
    assert theatre.tell_all([[Fault(point, "raise")] for point in calls]) == []


def test_some_pairs_of_points_break(theatre: Theatre) -> None:
    assert theatre.tell_all(pairs_by_seed(theatre.count_points(), PAIRS_IN_A_SLICE)) == []


@pytest.mark.crash
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_every_point_breaks(theatre: Theatre, kind: Kind) -> None:
    points = theatre.count_points()
    assert theatre.tell_all([[Fault(point, kind)] for point in range(1, points + 1)]) == []
    assert theatre.missed <= 20


@pytest.mark.crash
@pytest.mark.timeout(1800)
def test_many_pairs_of_points_break(theatre: Theatre) -> None:
    assert theatre.tell_all(pairs_by_seed(theatre.count_points(), PAIRS)) == []
