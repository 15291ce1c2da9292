"""The command line as a person uses it, on a test's database."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlencode

import typer
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner, Result

from switchboard.accounts.command_line import Console
from switchboard.entrypoints.assembly import build_hub, contact_holders, segment_vocabulary, subject_kinds
from switchboard.entrypoints.commands import mount
from tests.conftest import Urls

Run = Callable[..., Awaitable[Result]]


def command_line(urls: Urls, groups: Sequence[str], *first_words: str, **settings: str) -> Run:
    """Runs one command of these groups a call, in a thread of its own, because it brings its own event loop.

    `first_words` stand before those of every call; `settings` are added to the environment.
    """
    parts = {key: str(value) for key, value in conninfo_to_dict(urls.application).items() if value is not None}
    database_url = f"postgresql:///?{urlencode(parts)}"
    environment = {"DATABASE_URL": database_url, "SWITCHBOARD_HOME": "/nonexistent", **settings}
    program = typer.Typer()
    mount(program, groups)
    console = Console(
        build_hub,
        contact_holders=contact_holders,
        subject_kinds=subject_kinds,
        segment_vocabulary=segment_vocabulary,
    )

    async def run(*words: str) -> Result:
        called = [*first_words, *words]
        return await asyncio.to_thread(CliRunner().invoke, program, called, env=environment, obj=console)

    return run
