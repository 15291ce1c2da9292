"""A module is called by its noun; a name that could mean anything gathers everything."""

from collections.abc import Iterator, Sequence

from tools.gates.source import Finding, Source

_VAGUE = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if source.is_python:
            names = [*source.path.parts[:-1], source.path.stem]
            vague = {word for name in names for word in name.split("_")} & _VAGUE
            if vague:
                yield source.find(1, f"{', '.join(sorted(vague))} says nothing: name the module by its noun")
