"""The command line. Heavy modules are imported inside the commands, so that help is instant."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from switchboard.accounts.command_line import Console
from switchboard.entrypoints.commands import mount
from switchboard.kernel.errors import ConfigurationError, SwitchboardError
from switchboard.kernel.events import Hub

app = typer.Typer(
    name="switchboard",
    help="Accepts every signal that wants a person's attention, and runs the follow-up until somebody acts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Workspace = Annotated[str, typer.Option(help="Id of the workspace, where there are several.")]


@app.callback()
def _prepare(ctx: typer.Context, workspace: Workspace = "") -> None:
    ctx.obj = Console(_build_hub, workspace, _contact_holders, _subject_kinds, _segment_vocabulary)


def _build_hub() -> Hub:
    from switchboard.entrypoints.assembly import build_hub

    return build_hub()


def _contact_holders() -> Sequence[object]:
    from switchboard.entrypoints.assembly import contact_holders

    return contact_holders()


def _segment_vocabulary() -> object:
    from switchboard.entrypoints.assembly import segment_vocabulary

    return segment_vocabulary()


def _subject_kinds() -> Mapping[str, object]:
    from switchboard.entrypoints.assembly import subject_kinds

    return subject_kinds()


@app.command()
def up(demo: Annotated[bool, typer.Option(help="Fill the workspace with believable people.")] = False) -> None:
    """Run everything on this machine: database, web, queues and a local mailbox."""
    from switchboard.kernel.settings import load_settings

    # Importing the rooms opens the folder of the figures, so wrong settings are refused before.
    settings = load_settings()
    from switchboard.entrypoints.up import up as run_up

    run_up(settings, demo=demo)


@app.command()
def serve() -> None:
    """Answer HTTP: pages, API, intake and health."""
    from switchboard.kernel.settings import load_settings

    # As in `up`.
    settings = load_settings()
    from switchboard.accounts.command_line import application_url
    from switchboard.entrypoints.serve import serve as run_serve
    from switchboard.ops.ports import require_free_port
    from switchboard.ops.schema import is_database_away

    database_url = application_url(settings)
    is_away = is_database_away(settings, database_url)
    require_free_port(settings.host, settings.port)
    run_serve(settings, database_url, is_away=is_away)


@app.command()
def work(
    queues: Annotated[str, typer.Option(help="Comma-separated names; all queues when empty.")] = "",
) -> None:
    """Work the queues: recognise, route, step flows, send, receive."""
    from switchboard.kernel.settings import load_settings

    # As in `up`.
    settings = load_settings()
    from switchboard.accounts.command_line import application_url
    from switchboard.entrypoints.work import work as run_work

    run_work(settings, application_url(settings), [name.strip() for name in queues.split(",") if name.strip()])


@app.command()
def demo(
    ctx: typer.Context,
    wait: Annotated[bool, typer.Option(help="Wait for the web server first.")] = False,
) -> None:
    """Fill the workspace with believable people, through the real intake."""
    from switchboard.accounts.command_line import console
    from switchboard.entrypoints.demo import fill_demo

    fill_demo(console(ctx), wait=wait)


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")] = False) -> None:
    """Look at everything this instance stands on; exit code 1 when something is wrong."""
    from switchboard.accounts.command_line import application_url, print_json
    from switchboard.kernel.settings import load_settings
    from switchboard.ops.doctor import examine

    settings = load_settings()
    findings = examine(settings, application_url(settings))
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            advice = f"\n          {finding.advice}" if finding.advice else ""
            typer.echo(f"{finding.verdict:8}  {finding.subject}: {finding.detail}{advice}")
    if any(finding.verdict == "bad" for finding in findings):
        raise typer.Exit(1)


def main() -> None:
    """Run a command. Exit code 2 for a wrong call or setting, 1 for whatever else was refused."""
    mount(app, sys.argv[1:])
    try:
        app()
    except SwitchboardError as error:
        lines = [error.message, *(f"  {problem.field}: {problem.message}" for problem in error.problems)]
        sys.stderr.write("\n".join(lines) + "\n")
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
