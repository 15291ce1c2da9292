"""The guide's page about speed, written from the kept JSON: `python -m bench report`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.chapters import CHAPTERS
from bench.charts import draw, number
from bench.grouping import find_limit, find_worst, gather_limits, group
from bench.results import Figure
from bench.suite import read_notes

GUIDE = Path(__file__).parents[1] / "docs" / "guide"
PAGE = "performance.md"

_INTRODUCTION = """# Performance

What Switchboard reached on one small machine that did everything at once: the load, the system, its Postgres and the
servers it sent to. `make bench` measures again and writes this page; `python -m bench NAME --json` runs one benchmark.
"""
_METHOD = """## How it is measured

- Everything is on disk before it counts: `synchronous_commit` and `fsync` are on, for us and for the peers.
- Real rows with row-level security, real handlers, the settings as shipped. The load generator shares the cores.
- The limits were measured in the same run, with nothing of ours running; a share is how much of one was reached.
- The peers ran one after the other in the same run, each in a process of its own on an empty store: Postgres the same
  binaries and settings as ours, Redis with every write synced. They are set up as their own documents advise for speed.
- App and Postgres are processor microseconds an item, which say more than throughput when a machine is shared. WAL is
  what is written to the log an item, dead rows are those left when the run ended. Commits come from statistics that
  Postgres gathers with a delay. Where nearly all cores were busy without the load generator, it can go no faster here.
"""
_HEAD = ("Figure", "Reached", "Target", "Limit here", "Share", "Peers")
_COST_HEAD = ("Figure", "App, µs", "Postgres, µs", "WAL, bytes", "Commits", "Dead rows", "Cores busy")
_COSTS = ("app_us", "postgres_us", "wal_bytes", "commits", "dead_tuples", "processor_share")


def write(folder: Path, guide: Path = GUIDE) -> None:
    """Write the page and its charts from what is kept in the folder."""
    found = {name: _read(folder / f"{name}.json") for name in CHAPTERS if (folder / f"{name}.json").exists()}
    (guide / "images").mkdir(parents=True, exist_ok=True)
    for name, figures in found.items():
        chart = draw(CHAPTERS[name].title, group(figures, CHAPTERS[name]))
        (guide / "images" / f"bench-{name}.svg").write_text(chart, encoding="utf-8")
    (guide / PAGE).write_text(render(found, read_notes(folder)), encoding="utf-8")


def render(found: Mapping[str, Sequence[Figure]], notes: Mapping[str, Any]) -> str:
    """The page's text: one table of all that has a target or peers, then a chapter a benchmark."""
    runs: Mapping[str, Mapping[str, Any]] = notes.get("runs", {})
    machine = [*notes.get("machine", {}).items(), *_taken(runs)]
    parts = [_INTRODUCTION, _table(("What", "Here"), machine), "## In one table\n"]
    shown = [
        _row(figure, find_limit(figure, CHAPTERS[name], gather_limits(figures)))
        for name, figures in found.items()
        for figure in find_worst(figures)
        if figure.target is not None or figure.peers
    ]
    parts += [_table(_HEAD, shown)]
    parts += [_chapter(name, figures, runs.get(name, {})) for name, figures in found.items()]
    parts += [
        f"{CHAPTERS[name].title}: failed, {run['failure']}.\n" for name, run in runs.items() if run.get("failure")
    ]
    return "\n".join([*parts, _METHOD])


def _taken(runs: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """How long the whole run took, where it was one."""
    minutes = sum(run.get("took", 0) for run in runs.values()) / 60
    if minutes:
        yield "The whole run", f"{number(minutes)} minutes"


def _read(file: Path) -> list[Figure]:
    return [Figure(**figure) for figure in json.loads(file.read_text(encoding="utf-8"))]


def _chapter(name: str, figures: Sequence[Figure], run: Mapping[str, Any]) -> str:
    chapter = CHAPTERS[name]
    size = "the sizes of the targets" if run.get("full") else "a short run"
    lasted = f" Each measurement lasted {run['seconds']:g} s; this was {size}." if "seconds" in run else ""
    parts = [f"## {chapter.title}\n", f"{chapter.method}{lasted}\n"]
    parts += [f"![Bars: {chapter.title.lower()}](images/bench-{name}.svg)\n"]
    parts += [f"{sentence}\n" for figure in figures for sentence in sentences(figure)]
    limits = gather_limits(figures)
    in_the_one_table = [figure for figure in find_worst(figures) if figure.target is not None or figure.peers]
    plain = [_row(figure, find_limit(figure, chapter, limits)) for figure in figures if figure not in in_the_one_table]
    parts += [_table(_HEAD, plain)] if plain else []
    costs = [
        (f"`{figure.metric}`", *(_cost(figure, cost) for cost in _COSTS))
        for figure in figures
        if "app_us" in figure.cost
    ]
    parts += [_table(_COST_HEAD, costs)] if costs else []
    parts += [_table(("Limit of the machine", "Here"), [(limit, number(value)) for limit, value in limits.items()])]
    return "\n".join(parts if limits else parts[:-1])


def sentences(figure: Figure) -> Iterator[str]:
    """Who is ahead and by how much, whoever it is; and which peers are absent."""
    sign = 1 if figure.better == "higher" else -1
    ranked = sorted(figure.peers.items(), key=lambda peer: -sign * peer[1])
    ahead = [(peer, value) for peer, value in ranked if sign * value > sign * figure.value]
    if ahead:
        words = (
            f"{peer} is ahead of us: {_with_unit(value, figure)}, {_times(value, figure)}" for peer, value in ahead
        )
        yield f"`{figure.metric}`: " + "; ".join(words) + "."
    elif ranked:
        peer, value = ranked[0]
        reached = f"{_with_unit(value, figure)}; ours is {_times(value, figure)} ahead"
        yield f"`{figure.metric}`: the best of the peers, {peer}, reached {reached}."
    if figure.absent:
        reasons = "; ".join(f"{peer}: {reason}" for peer, reason in figure.absent.items())
        yield f"`{figure.metric}`: not compared with {reasons}."


def _with_unit(value: float, figure: Figure) -> str:
    return number(value) + (figure.unit[1:] if figure.unit.startswith("1/") else f" {figure.unit}")


def _times(value: float, figure: Figure) -> str:
    if not value or not figure.value:
        return "beyond comparison"
    larger, smaller = max(value, figure.value), min(value, figure.value)
    return f"{number(larger / smaller)} times"


def _row(figure: Figure, limit: tuple[str, float] | None) -> tuple[str, ...]:
    share = figure.cost.get("share_of_limit")
    return (
        f"`{figure.metric}`",
        _with_unit(figure.value, figure),
        "" if figure.target is None else _aim(figure, figure.target),
        "" if limit is None else f"{number(limit[1])} ({limit[0]})",
        "" if share is None else f"{share:.0%}",
        "; ".join(f"{peer}: {number(value)}" for peer, value in figure.peers.items()),
    )


def _aim(figure: Figure, target: float) -> str:
    is_higher = figure.better == "higher"
    is_met = figure.value >= target if is_higher else figure.value <= target
    return f"{'≥' if is_higher else '≤'} {number(target)}, {'met' if is_met else 'missed'}"


def _cost(figure: Figure, name: str) -> str:
    if name not in figure.cost:
        return ""
    return f"{figure.cost[name]:.0%}" if name == "processor_share" else number(figure.cost[name])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
