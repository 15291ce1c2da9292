"""The one shape of a figure, and how figures are printed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; `target` is None where none is set.

    `limits` are what this machine reached in the same run without us, `peers` other systems on it in the same run,
    `absent` those that could not be run and why. `cost` is what an item took of the machine (see bench.probes):
    `app_us`, `postgres_us`, `wal_bytes`, `commits`, `dead_tuples`, `share_of_limit`.
    """

    metric: str
    value: float
    unit: str
    better: Literal["higher", "lower"]
    target: float | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    peers: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)


def as_json(figures: Sequence[Figure]) -> str:
    """One JSON array."""
    return json.dumps([asdict(figure) for figure in figures], indent=2)


def as_text(figures: Sequence[Figure]) -> str:
    """A line a figure, with its limits indented below."""
    lines = []
    for figure in figures:
        aim = "" if figure.target is None else f"  (target {figure.target:,.10g})"
        lines.append(f"{figure.metric}: {figure.value:,.10g} {figure.unit}{aim}")
        lines += [f"    limit  {name}: {value:,.10g}" for name, value in figure.limits.items()]
        lines += [f"    peer   {name}: {value:,.10g}" for name, value in figure.peers.items()]
        lines += [f"    peer   {name}: absent, {reason}" for name, reason in figure.absent.items()]
        lines += [f"    cost   {name}: {value:,.10g}" for name, value in figure.cost.items()]
    return "\n".join(lines)
