"""`python -m bench NAME --json`: run one benchmark and print its figures.

`all` runs every benchmark and keeps what it finds; `report` writes the guide's page from what is kept.
"""

import argparse
import sys
from pathlib import Path

from bench import report, suite
from bench.peers.comparing import with_peers
from bench.registry import list_names, measure
from bench.results import as_json, as_text


def main() -> None:
    """Do what the first word says."""
    arguments = _parse()
    match arguments.name:
        case "all":
            suite.run_all(arguments.kept, arguments.seconds, full=arguments.full, has_peers=not arguments.no_peers)
            report.write(arguments.kept)
        case "report":
            report.write(arguments.kept)
        case name:
            figures = measure(name, arguments.seconds, full=arguments.full, rows=arguments.rows)
            if not arguments.no_peers:
                figures = with_peers(name, figures, arguments.seconds)
            suite.keep(arguments.kept, name, figures, arguments.seconds, full=arguments.full)
            sys.stdout.write((as_json(figures) if arguments.json else as_text(figures)) + "\n")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=[*list_names(), "all", "report"], help="which one")
    parser.add_argument("--json", action="store_true", help="print one JSON array")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each measurement lasts")
    parser.add_argument("--full", action="store_true", help="the sizes of the targets, which take hours")
    parser.add_argument("--rows", type=int, help="how many rows, runs or contacts, where a benchmark can be told")
    parser.add_argument("--no-peers", action="store_true", help="leave out the systems that we compare with")
    parser.add_argument("--kept", type=Path, default=suite.KEPT, help="the folder of what was found")
    return parser.parse_args()


if __name__ == "__main__":
    main()
