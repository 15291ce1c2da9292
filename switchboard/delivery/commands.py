"""`switchboard template`."""

from pathlib import Path
from typing import Annotated

import typer

from switchboard.accounts.command_line import console, print_json, print_rows
from switchboard.accounts.models import Caller
from switchboard.delivery.models import LetterDraft, LetterSummary
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem

commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]

_KEYS = ("name", "title", "purpose", "subject", "mjml")


@commands.command("list")
def list_templates(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Templates in use."""

    async def work(tx: Tx, caller: Caller) -> list[LetterSummary]:
        from switchboard.delivery import letter_templates  # noqa: PLC0415 help must not load the renderers

        return await letter_templates.list_templates(tx, caller)

    found = console(ctx).run(work)
    if as_json:
        print_json(found)
    else:
        print_rows(found, ["name", "title", "purpose", "version", "id"])


@commands.command("apply")
def apply_file(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="YAML with name, title, purpose, subject and mjml.", dir_okay=False)],
    as_json: AsJson = False,
) -> None:
    """Create or change the template that a file describes."""
    draft = _read_file(file)

    async def work(tx: Tx, caller: Caller) -> tuple[str, int]:
        from switchboard.delivery import letter_templates  # noqa: PLC0415 help must not load the renderers

        template_id, version = await letter_templates.apply_template(tx, caller, draft)
        return str(template_id), version

    template_id, version = console(ctx).run(work)
    if as_json:
        print_json({"id": template_id, "name": draft.name, "version": version})
    else:
        typer.echo(f"{draft.name} is at version {version}.")


def _read_file(file: Path) -> LetterDraft:
    import yaml  # noqa: PLC0415 only this command reads YAML

    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problem = Problem("file", f"{file} cannot be read: {error}")
        raise InvalidError("There is no template in that file.", problems=[problem]) from error
    if not isinstance(found, dict):
        found = {}
    unknown = [Problem(str(key), f"expected only {', '.join(_KEYS)}") for key in found if key not in _KEYS]
    missing = [Problem(key, "missing") for key in ("name", "purpose", "subject", "mjml") if not found.get(key)]
    if unknown or missing:
        raise InvalidError("The file describes no template.", problems=[*unknown, *missing])
    values = {key: str(found.get(key, "")) for key in _KEYS}
    return LetterDraft(values["name"], values["title"], values["purpose"], values["subject"], values["mjml"])
