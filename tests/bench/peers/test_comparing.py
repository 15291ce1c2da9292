"""What is said of a peer that cannot be run, and that those that can are told apart by version."""

from pathlib import Path

import pytest

from bench.peers import comparing, roster
from bench.peers.roster import BULLMQ, COMPARISONS, PROCRASTINATE, Comparison, Peer
from bench.peers.working import PeerError
from bench.results import Figure

JOBS = Figure("jobs.no_op", 900, "1/s", "higher")
WAIT = Figure("jobs.pickup.p50", 2, "ms", "lower")


def test_a_peer_that_is_not_installed_is_absent_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(roster, "PYTHON", tmp_path / "bin" / "python")
    monkeypatch.setitem(COMPARISONS, "jobs", Comparison("jobs", ["jobs.no_op"], [(PROCRASTINATE, 10)]))
    assert comparing.with_peers("jobs", [WAIT, JOBS], 1.0) == [
        WAIT,
        Figure("jobs.no_op", 900, "1/s", "higher", absent={"procrastinate": "it is not installed: make bench-install"}),
    ]


def test_a_peer_that_fails_is_absent_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> float:
        raise PeerError("Traceback:\n  line 1\nValueError: no such thing\nNode.js v20")

    monkeypatch.setattr(Peer, "find_absence", lambda _: None)
    monkeypatch.setattr(comparing, "drain", fail)
    monkeypatch.setitem(COMPARISONS, "jobs", Comparison("jobs", ["jobs.no_op"], [(BULLMQ, 10)]))
    (figure,) = comparing.with_peers("jobs", [JOBS], 1.0)
    assert (figure.absent, figure.peers) == ({"BullMQ": "ValueError: no such thing"}, {})


def test_a_peer_that_runs_is_named_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*order: object) -> float:
        assert order == (PROCRASTINATE, "jobs", 2.0, 10)
        return 345.0

    monkeypatch.setattr(Peer, "find_absence", lambda _: None)
    monkeypatch.setattr(Peer, "label", lambda peer: f"{peer.name} 1.2")
    monkeypatch.setattr(comparing, "drain", answer)
    monkeypatch.setitem(COMPARISONS, "jobs", Comparison("jobs", ["jobs.no_op"], [(PROCRASTINATE, 10)]))
    (figure,) = comparing.with_peers("jobs", [JOBS], 2.0)
    assert figure.peers == {"procrastinate 1.2": 345.0}


def test_figures_that_no_peer_has_stay_as_they_are() -> None:
    assert comparing.with_peers("pages", [WAIT], 1.0) == [WAIT]


def test_the_lock_of_the_node_peers_names_no_place_to_fetch_them_from() -> None:
    lock = (Path(comparing.__file__).parent / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert lock.count('"integrity"') > 100
