"""Writes the pages of the guide that are made from the code: `python -m tools.guide`.

Each page is a function from nothing to text, so that a test can hold the committed file against what the code says.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from tools import guide_commands, guide_errors, guide_events, guide_routes, guide_settings

GUIDE = Path(__file__).parent.parent / "docs" / "guide"

PAGES: Mapping[str, Callable[[], str]] = {
    "settings.md": guide_settings.render,
    "commands.md": guide_commands.render,
    "events.md": guide_events.render,
    "errors.md": guide_errors.render,
    "routes.md": guide_routes.render,
}


def main() -> None:
    """Write every page, and name those that changed."""
    for name, render in PAGES.items():
        path, text = GUIDE / name, render()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{name} written")


if __name__ == "__main__":
    main()
