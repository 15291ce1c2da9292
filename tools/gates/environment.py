"""The process environment is read once, by the settings."""

from collections.abc import Iterator, Sequence

from tools.gates.names import find_uses
from tools.gates.places import is_any_of, is_shipped
from tools.gates.source import Finding, Source

PLACES = ("switchboard/kernel/settings*.py",)
_NAMES = {"os.environ", "os.environb", "os.getenv", "os.putenv", "os.unsetenv"}


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if source.is_python and is_shipped(source) and not is_any_of(source, *PLACES):
            for use in find_uses(source):
                if use.full_name in _NAMES:
                    yield source.find(use.line, f"{use.full_name}: make it a setting (kernel/settings.py)")
