"""The peers beside our figures: each on a fresh store, one after the other, and absent with a reason where it fails."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from bench.peers.roster import COMPARISONS, SERVED, Comparison, Peer
from bench.peers.working import PeerError, drain, serve
from bench.results import Figure

INTAKE = {"intake.single": 1, "intake.arrays_of_100": 100}


def with_peers(name: str, figures: Sequence[Figure], seconds: float) -> list[Figure]:
    """The figures, those that peers can be compared in with what these do in the same time on this machine."""
    if name == "intake":
        return _with_served(figures, seconds)
    comparison = COMPARISONS.get(name)
    place = None if comparison is None else _find_place(comparison, figures)
    if comparison is None or place is None:
        return list(figures)
    compared = list(figures)
    for peer, most in comparison.most:
        compared[place] = _with(compared[place], peer, partial(drain, peer, comparison.work, seconds, most))
    return compared


def _find_place(comparison: Comparison, figures: Sequence[Figure]) -> int | None:
    for part in comparison.metrics:
        for place, figure in enumerate(figures):
            if part in figure.metric and figure.better == "higher":
                return place
    return None


def _with(figure: Figure, peer: Peer, measure: Callable[[], float]) -> Figure:
    """The figure with what the peer reached, or with why it is absent."""
    reason = peer.find_absence()
    if reason is None:
        try:
            value = measure()
        except (PeerError, AssertionError, subprocess.SubprocessError, OSError) as error:
            reason = _shortened(str(error)) or type(error).__name__
        else:
            return replace(figure, peers={**figure.peers, peer.label(): value})
    return replace(figure, absent={**figure.absent, peer.name: reason})


def _with_served(figures: Sequence[Figure], seconds: float) -> list[Figure]:
    """Intake: the load that our own endpoint had, on theirs."""
    compared = []
    for figure in figures:
        rows = INTAKE.get(figure.metric)
        for peer in SERVED if rows else ():
            figure = _with(figure, peer, partial(serve, peer, rows or 1, seconds))  # noqa: PLW2901 one peer after the other
        compared.append(figure)
    return compared


def _shortened(text: str) -> str:
    """The line of a program's complaint that names the error."""
    lines = text.strip().splitlines() or [""]
    return next((line for line in lines if "Error" in line), lines[-1])[:200]
