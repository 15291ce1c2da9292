"""Which part of the repository a file belongs to."""

from fnmatch import fnmatchcase

from tools.gates.source import Source


def is_shipped(source: Source) -> bool:
    """Part of the product, and not of its tests, benchmarks or tools."""
    return source.path.parts[0] == "switchboard"


def is_any_of(source: Source, *patterns: str) -> bool:
    """Whether the path matches one of the patterns; `*` also crosses folders."""
    return any(fnmatchcase(str(source.path), pattern) for pattern in patterns)
