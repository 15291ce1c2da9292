"""The flows and letters that come with Switchboard, to start from and to change."""

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import yaml


@dataclass(frozen=True, slots=True)
class ShippedTemplate:
    """A letter: `subject` in Liquid, `mjml` in Liquid within MJML; `purpose` is marketing or transactional."""

    name: str
    title: str
    purpose: str
    subject: str
    mjml: str


def shipped_flows() -> dict[str, str]:
    """The YAML text of each flow by its name, ready for `parse_flow`."""
    return dict(_texts(""))


@lru_cache(maxsize=1)
def shipped_templates() -> tuple[ShippedTemplate, ...]:
    """The letters that the shipped flows send, by name."""
    return tuple(ShippedTemplate(**yaml.safe_load(text)) for _name, text in _texts("templates"))


def _texts(folder: str) -> list[tuple[str, str]]:
    library = resources.files("switchboard.flows").joinpath("library", folder)
    files = sorted((entry for entry in library.iterdir() if entry.name.endswith(".yaml")), key=lambda entry: entry.name)
    return [(entry.name.removesuffix(".yaml"), entry.read_text(encoding="utf-8")) for entry in files]
