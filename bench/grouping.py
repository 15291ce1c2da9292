"""Which figures stand together in a chart, and which limit bounds a figure."""

from collections.abc import Sequence
from itertools import groupby

from bench.chapters import Chapter
from bench.charts import Bar, Group
from bench.results import Figure


def find_limit(figure: Figure, chapter: Chapter) -> tuple[str, float] | None:
    """The limit that the chapter names for this metric, where this run has measured it and the units are alike."""
    for beginning, limit in chapter.limits.items():
        if figure.metric.startswith(beginning) and figure.better == "higher" and limit in figure.limits:
            return limit, figure.limits[limit]
    return None


def group(figures: Sequence[Figure], chapter: Chapter) -> list[Group]:
    """Neighbours that share the beginning of their name, their unit and their target go together."""
    groups = []
    for (title, unit, target), members in groupby(
        figures, lambda figure: (*_split(figure)[:1], figure.unit, figure.target)
    ):
        bars = [bar for figure in members for bar in _bars(figure, chapter)]
        groups.append(Group(title, unit, bars, target))
    return groups


def _split(figure: Figure) -> tuple[str, str]:
    """What it belongs to, and what it is in there: `pages.p95 /leads` is `/leads` in `pages.p95`."""
    if " " in figure.metric:
        title, _, label = figure.metric.partition(" ")
        return title, label
    if figure.metric.count(".") >= 2 and not figure.peers:
        title, _, label = figure.metric.rpartition(".")
        return title, label
    return figure.metric, "Switchboard"


def _bars(figure: Figure, chapter: Chapter) -> list[Bar]:
    bars = [Bar(_split(figure)[1], figure.value, "ours")]
    bars += [Bar(peer, value, "peer") for peer, value in figure.peers.items()]
    limit = find_limit(figure, chapter)
    return bars if limit is None else [*bars, Bar(f"limit: {limit[0]}"[:38], limit[1], "limit")]
