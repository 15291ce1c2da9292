"""Which group of commands belongs to which room; a room is imported only when one of its commands is called."""

from collections.abc import Sequence
from importlib import import_module

import typer

# Name on the command line -> the room's module, and the line of help.
GROUPS = {
    "lead": ("switchboard.leads.commands", "People who asked, and who answers them."),
    "contact": ("switchboard.people.commands", "People: whom signals are about."),
    "rota": ("switchboard.routing.commands", "Who is on, when."),
    "rule": ("switchboard.routing.commands_rules", "Which lead goes to which rota or member."),
    "user": ("switchboard.accounts.commands", "People who can sign in."),
    "migrate": ("switchboard.ops.commands", "Bring the database's schema up or down."),
}


def mount(app: typer.Typer, words: Sequence[str]) -> None:
    """Add the rooms' groups; those that the call does not name are added as their line of help only."""
    for name, (module, line) in GROUPS.items():
        group = import_module(module).commands if name in words else _line_of_help()
        app.add_typer(group, name=name, help=line)


def _line_of_help() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None)

    @group.callback()
    def _nothing() -> None:
        return None

    return group
