"""Which figures stand together in a chart, and which limit bounds a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from bench.chapters import Chapter
from bench.charts import Bar, Group
from bench.results import Figure


def gather_limits(figures: Sequence[Figure]) -> Mapping[str, float]:
    """All that one benchmark found of the machine, whichever figure carries it."""
    return {limit: value for figure in figures for limit, value in figure.limits.items()}


def find_limit(figure: Figure, chapter: Chapter, known: Mapping[str, float]) -> tuple[str, float] | None:
    """The limit that the chapter names for this metric, where this run has measured it and the units are alike."""
    for beginning, limit in chapter.limits.items():
        if figure.metric.startswith(beginning) and figure.better == "higher" and limit in known:
            return limit, known[limit]
    return None


def find_worst(figures: Sequence[Figure]) -> list[Figure]:
    """Of neighbours that are many of one kind (a page each) the one that is worst; others as they are."""
    found: list[Figure] = []
    for _, members in groupby(figures, lambda figure: (_split(figure)[0], figure.target, " " in figure.metric)):
        alike = list(members)
        if " " in alike[0].metric and len(alike) > 1:
            pick = min if alike[0].better == "higher" else max
            alike = [pick(alike, key=lambda figure: figure.value)]
        found += alike
    return found


def with_shares(figures: Sequence[Figure], chapter: Chapter) -> list[Figure]:
    """The figures, each that has a limit with the share of it that was reached."""
    known = gather_limits(figures)
    shared = []
    for figure in figures:
        limit = find_limit(figure, chapter, known)
        share = {} if limit is None else {"share_of_limit": round(figure.value / limit[1], 3)}
        shared.append(replace(figure, cost={**share, **figure.cost}))
    return shared


def group(figures: Sequence[Figure], chapter: Chapter) -> list[Group]:
    """Neighbours that share the beginning of their name, their unit and their target go together."""
    groups, known = [], gather_limits(figures)
    for (title, unit, target), members in groupby(
        figures, lambda figure: (*_split(figure)[:1], figure.unit, figure.target)
    ):
        bars = [bar for figure in members for bar in _bars(figure, find_limit(figure, chapter, known))]
        groups.append(Group(title, unit, bars, target))
    return groups


def _split(figure: Figure) -> tuple[str, str]:
    """What it belongs to, and what it is in there: `pages.p95 /leads` is `/leads` in `pages.p95`."""
    if " " in figure.metric:
        title, _, label = figure.metric.partition(" ")
        return title.rstrip(","), label
    if figure.metric.count(".") >= 2 and not figure.peers:
        title, _, label = figure.metric.rpartition(".")
        return title, label
    return figure.metric, "Switchboard"


def _bars(figure: Figure, limit: tuple[str, float] | None) -> list[Bar]:
    bars = [Bar(_split(figure)[1], figure.value, "ours")]
    bars += [Bar(peer, value, "peer") for peer, value in figure.peers.items()]
    return bars if limit is None else [*bars, Bar(f"limit: {limit[0]}", limit[1], "limit")]
