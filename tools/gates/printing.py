"""The product logs events; only the command line speaks, through typer and rich."""

from collections.abc import Iterator, Sequence

from tools.gates.names import find_uses
from tools.gates.places import is_any_of, is_shipped
from tools.gates.source import Finding, Source

COMMAND_LINE = ("*/command_line*.py", "switchboard/entrypoints/cli*.py")
_NAMES = {"print", "builtins.print", "pprint.pprint"}
_STREAMS = {"sys.stdout.write", "sys.stderr.write"}


def check(tree: Sequence[Source]) -> Iterator[Finding]:
    for source in tree:
        if source.is_python and is_shipped(source):
            refused = _NAMES if is_any_of(source, *COMMAND_LINE) else _NAMES | _STREAMS
            for use in find_uses(source):
                if use.is_call and use.full_name in refused:
                    yield source.find(use.line, f"{use.full_name}: log an event, or use typer.echo in the command line")
