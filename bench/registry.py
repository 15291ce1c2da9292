"""Which benchmarks there are, and how each is called."""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec

from bench.chapters import CHAPTERS
from bench.grouping import with_shares
from bench.results import Figure

# In the order of the signal's life. `import` is a word of Python, so its module has another name.
NAMES = ("intake", "recognise", "steps", "delivery", "path", "jobs", "import", "pages", "grow", "priority", "limits")
_MODULES = {"import": "imports"}


def list_names() -> list[str]:
    """The benchmarks that this checkout has."""
    return [name for name in NAMES if find_spec(_module(name)) is not None]


def measure(name: str, seconds: float, *, full: bool = False, rows: int | None = None) -> list[Figure]:
    """Run one benchmark: its module has `run(seconds)`, some take `full` as well, some `rows` or `runs`."""
    run: Callable[..., list[Figure]] = import_module(_module(name)).run
    known = inspect.signature(run).parameters
    options: Mapping[str, object] = {"full": full, "rows": rows, "runs": rows}
    figures = run(seconds, **{word: value for word, value in options.items() if word in known and value is not None})
    return with_shares(figures, CHAPTERS[name])


def _module(name: str) -> str:
    return f"bench.{_MODULES.get(name, name)}"
