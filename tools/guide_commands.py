"""The page of commands: the help that each of them prints."""

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from switchboard.entrypoints import cli
from switchboard.entrypoints.commands import COMMANDS, GROUPS, mount
from tools.guide_text import page

WIDTH = 96
INTRODUCTION = """\
The commands work on the server, on the database that `SWITCHBOARD_HOME` or `DATABASE_URL` names, and act as the
workspace's owner. `--json` answers with one JSON document on standard output.

Exit code 0 is done, 1 is refused, 2 is a wrong call or a wrong setting."""


def render() -> str:
    """The help of the program and of every command below it."""
    return page("Commands", INTRODUCTION, *(f"## {name}\n\n```text\n{text}\n```" for name, text in helps().items()))


def helps() -> Mapping[str, str]:
    """Each command's help by its whole name, such as `switchboard lead list`."""
    root: Any = typer.main.get_command(_whole_program())
    context = root.make_context("switchboard", [], resilient_parsing=True, terminal_width=WIDTH)
    return dict(_walk(root, context))


def _whole_program() -> typer.Typer:
    """The program with the commands of every room; the one that runs has only those that a call names."""
    program = typer.Typer(name="switchboard", rich_markup_mode=None, add_completion=False)
    program.info = cli.app.info
    program.registered_callback = cli.app.registered_callback
    program.registered_commands = list(cli.app.registered_commands)
    mount(program, [*GROUPS, *COMMANDS])
    return program


def _walk(command: Any, context: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 typer does not publish these types
    yield context.command_path, command.get_help(context)
    for name, below in getattr(command, "commands", {}).items():
        inner = below.make_context(name, [], parent=context, resilient_parsing=True, terminal_width=WIDTH)
        yield from _walk(below, inner)
