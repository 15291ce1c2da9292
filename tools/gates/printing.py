"""The product logs events; only the command line speaks, through typer and rich."""

from collections.abc import Iterator, Sequence

from tools.gates.names import find_uses
from tools.gates.places import is_shipped
from tools.gates.source import Finding, Source

_NAMES = {"print", "builtins.print", "sys.stdout.write", "sys.stderr.write", "pprint.pprint"}


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if source.is_python and is_shipped(source):
            for use in find_uses(source):
                if use.is_call and use.full_name in _NAMES:
                    yield source.find(use.line, f"{use.full_name}: log an event, or use typer.echo in the command line")
