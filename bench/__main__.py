"""`python -m bench NAME --json`: run one benchmark and print its figures."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from bench.results import as_json, as_text


def main() -> None:
    """Run the benchmark that is named; its module has `run(seconds) -> list[Figure]`."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", choices=_names())
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each measurement lasts")
    arguments = parser.parse_args()
    figures = import_module(f"bench.{arguments.name}").run(arguments.seconds)
    sys.stdout.write((as_json(figures) if arguments.json else as_text(figures)) + "\n")


def _names() -> list[str]:
    """Every module of this folder that measures something."""
    modules = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    return [name for name in modules if hasattr(import_module(f"bench.{name}"), "run")]


if __name__ == "__main__":
    main()
