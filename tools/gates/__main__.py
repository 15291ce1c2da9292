import sys
from pathlib import Path

from tools.gates import GATES, read_tree, run_gates


def main() -> int:
    """Run all gates over the repository; 1 when any of them finds something."""
    tree = read_tree(Path(__file__).resolve().parents[2])
    reports = run_gates(tree)
    for report in reports:
        print(report)
    print(f"{len(GATES)} gates over {len(tree)} files: {len(reports)} findings")
    return 1 if reports else 0


if __name__ == "__main__":
    sys.exit(main())
