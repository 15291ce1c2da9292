"""Which group of commands belongs to which room; a room is imported only when one of its commands is called."""

from collections.abc import Sequence
from importlib import import_module

import typer

# Name on the command line -> the room's module, and the line of help.
GROUPS = {
    "campaign": (
        "switchboard.flows.commands_campaigns",
        "Flows sent to an audience, and what became of each recipient.",
    ),
    "flow": ("switchboard.flows.commands", "What happens next, and who is in the middle of it."),
    "inbox": ("switchboard.inbox.commands", "What contacts wrote, and where mail comes in."),
    "lead": ("switchboard.leads.commands", "People who asked, and who answers them."),
    "contact": ("switchboard.people.commands", "People: whom signals are about."),
    "rota": ("switchboard.routing.commands", "Who is on, when."),
    "rule": ("switchboard.routing.commands_rules", "Which lead goes to which rota or member."),
    "segment": ("switchboard.people.commands_segments", "Everybody who meets a condition, and lists of people."),
    "signal": ("switchboard.intake.commands_signals", "What came in, and what became of it."),
    "source": ("switchboard.intake.commands", "Where signals come from, and their addresses."),
    "mailbox": ("switchboard.delivery.commands_mailbox", "Mail that stayed on this machine."),
    "template": ("switchboard.delivery.commands", "Letters that flows send."),
    "user": ("switchboard.accounts.commands", "People who can sign in."),
    "workspace": ("switchboard.ops.commands_workspace", "Teams, each with its own data and members."),
    "migrate": ("switchboard.ops.commands", "Bring the database's schema up or down."),
}

# Commands of a room that stand on their own: name -> module, its function, and the line of help.
COMMANDS = {
    "import": ("switchboard.intake.commands_import", "import_file", "Import a CSV or XLSX file of leads."),
}


def mount(app: typer.Typer, words: Sequence[str]) -> None:
    """Add the rooms' groups; those that the call does not name are added as their line of help only."""
    for name, (module, line) in GROUPS.items():
        group = import_module(module).commands if name in words else _line_of_help()
        app.add_typer(group, name=name, help=line)
    for name, (module, function, line) in COMMANDS.items():
        command = getattr(import_module(module), function) if name in words else _nothing
        app.command(name, help=None if name in words else line)(command)


def _line_of_help() -> typer.Typer:
    group = typer.Typer(rich_markup_mode=None)
    group.callback()(_nothing)
    return group


def _nothing() -> None:
    return None
