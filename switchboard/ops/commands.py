"""`switchboard migrate`."""

from typing import Annotated

import typer

from switchboard.kernel import migrations
from switchboard.kernel.embedded import find_running
from switchboard.kernel.errors import ConfigurationError
from switchboard.kernel.settings import Settings, load_settings
from switchboard.ops.schema import prepare_database

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Bring the database's schema up or down.")


@commands.command("up")
def migrate_up() -> None:
    """Bring the database to this version; safe to repeat."""
    owner_url, application_url = _urls(load_settings())
    prepare_database(owner_url, application_url)
    typer.echo("The database is up to date.")


@commands.command("down")
def migrate_down(to: Annotated[int, typer.Option(help="Version to go back to; 0 empties the schema.")]) -> None:
    """Take migrations back, newest first. Back up before: what their tables hold is gone."""
    owner_url, _ = _urls(load_settings())
    for step in migrations.migrate_down(owner_url, to):
        typer.echo(f"{step.migration.version:04d} {step.migration.name}: {step.outcome}")


@commands.command("status")
def migrate_status() -> None:
    """Which migrations the database has."""
    owner_url, _ = _urls(load_settings())
    with migrations.connect(owner_url) as connection:
        found = migrations.status(connection)
    for applied in found.applied:
        typer.echo(f"{applied.version:04d} {applied.name}: applied {applied.applied_at:%Y-%m-%d %H:%M}")
    for skipped in found.skipped:
        typer.echo(f"{skipped.version:04d} {skipped.name}: skipped, its extension is missing")
    for pending in found.pending:
        typer.echo(f"{pending.version:04d} {pending.name}: pending")


def _urls(settings: Settings) -> tuple[str, str]:
    if settings.database_url is not None:
        application_url = settings.database_url.get_secret_value()
        owner = settings.database_owner_url or settings.database_url
        return owner.get_secret_value(), application_url
    endpoint = find_running(settings.home)
    if endpoint is None:
        raise ConfigurationError(
            f"No database is running for {settings.home}: start `switchboard up`, or set DATABASE_URL."
        )
    return endpoint.owner_url, endpoint.application_url
