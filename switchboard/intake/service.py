"""Sources: where signals come from, under which address, and how what they send is read."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller
from switchboard.intake import repository, repository_sources
from switchboard.intake.errors import SourceMissingError, SourceNameTakenError
from switchboard.intake.formats.registry import get_format
from switchboard.intake.mapping import FieldMapping
from switchboard.intake.models import Source
from switchboard.intake.repository_sources import SourceFigures
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, NotFoundError, Problem
from switchboard.kernel.events import Event
from switchboard.kernel.ids import lowest_id, new_id
from switchboard.kernel.settings import Settings

TOKEN_BYTES = 24
LONGEST_NAME = 80
LONGEST_SECRET = 500
MOST_REDIRECT_HOSTS = 20
FIGURES_OF = timedelta(hours=24)

_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9]([a-z0-9-]{0,62}))*")


async def create_source(tx: Tx, caller: Caller, *, name: str, format_name: str) -> Source:
    """Add a source with an address of its own; raises InvalidError, SourceNameTakenError."""
    caller.require("admin")
    get_format(format_name)
    now = await tx.now()
    source = Source(
        id=new_id(),
        workspace_id=tx.workspace_id,
        name=_checked_name(name),
        format=format_name,
        token=secrets.token_urlsafe(TOKEN_BYTES),
        signing_secret=None,
        mapping={},
        mapping_version=1,
        settings={},
        created_at=now,
        paused_at=None,
    )
    if not await repository.insert_source(tx, source):
        raise SourceNameTakenError
    await accounts.add_address(tx, "intake", accounts.token_digest(source.token), source.id)
    await _append(tx, caller, "source.created", source, {"format": format_name})
    return source


async def access_source(tx: Tx, caller: Caller, source_id: UUID) -> Source:
    """A source of the caller's workspace; raises SourceMissingError, for a stranger's as well."""
    caller.require("viewer")
    source = await repository.find_source(tx, source_id)
    if source is None:
        raise SourceMissingError
    return source


async def get_source_by_name(tx: Tx, name: str) -> Source:
    """The source of that name; raises NotFoundError that lists the names there are."""
    found = await find_source_by_name(tx, name)
    if found is None:
        known = ", ".join(source.name for source in await repository_sources.list_sources(tx)) or "none yet"
        raise NotFoundError(f"There is no source named {name}. There are: {known}.")
    return found


async def find_source_by_name(tx: Tx, name: str) -> Source | None:
    """The source of that name, whatever its case."""
    return await repository_sources.find_source_by_name(tx, name.strip())


async def list_sources(tx: Tx, caller: Caller) -> list[Source]:
    """Every source of the workspace, by name."""
    caller.require("viewer")
    return await repository_sources.list_sources(tx)


async def find_figures(tx: Tx, sources: list[Source]) -> Mapping[UUID, SourceFigures]:
    """Last signal, signals of 24 hours and failures that stand, of each source; counts are bounded."""
    since = await tx.now() - FIGURES_OF
    return await repository_sources.list_figures(tx, [source.id for source in sources], since, lowest_id(since))


async def rename_source(tx: Tx, caller: Caller, source_id: UUID, name: str) -> Source:
    """Give a source another name; its address stays."""
    source = await _lock(tx, caller, source_id)
    other = await find_source_by_name(tx, _checked_name(name))
    if other is not None and other.id != source.id:
        raise SourceNameTakenError
    return await _save(tx, caller, replace(source, name=_checked_name(name)), "source.renamed")


async def pause_source(tx: Tx, caller: Caller, source_id: UUID) -> Source:
    """Take nothing more at the address: senders are told that there is none."""
    source = await _lock(tx, caller, source_id)
    return await _save(tx, caller, replace(source, paused_at=source.paused_at or await tx.now()), "source.paused")


async def resume_source(tx: Tx, caller: Caller, source_id: UUID) -> Source:
    """Take signals again."""
    source = await _lock(tx, caller, source_id)
    return await _save(tx, caller, replace(source, paused_at=None), "source.resumed")


async def rotate_token(tx: Tx, caller: Caller, source_id: UUID) -> Source:
    """Give a source a new address; the old one is nobody's from now on."""
    source = await _lock(tx, caller, source_id)
    renewed = replace(source, token=secrets.token_urlsafe(TOKEN_BYTES))
    await accounts.remove_address(tx, "intake", accounts.token_digest(source.token))
    await accounts.add_address(tx, "intake", accounts.token_digest(renewed.token), source.id)
    return await _save(tx, caller, renewed, "source.token_rotated")


async def set_signing_secret(tx: Tx, caller: Caller, source_id: UUID, secret: str) -> Source:
    """Check the vendor's signature with this secret from now on; an empty one ends the checking."""
    source = await _lock(tx, caller, source_id)
    if len(secret) > LONGEST_SECRET:
        problem = Problem("signing_secret", f"at most {LONGEST_SECRET} characters")
        raise InvalidError("The secret is too long.", problems=[problem])
    return await _save(tx, caller, replace(source, signing_secret=secret.strip() or None), "source.secret_changed")


async def set_redirect_hosts(tx: Tx, caller: Caller, source_id: UUID, hosts: list[str]) -> Source:
    """Name the hosts a web form may send people back to."""
    source = await _lock(tx, caller, source_id)
    wanted = sorted({host.strip().lower() for host in hosts if host.strip()})
    wrong = [host for host in wanted if not _HOST.fullmatch(host)]
    if wrong or len(wanted) > MOST_REDIRECT_HOSTS:
        message = f"expected at most {MOST_REDIRECT_HOSTS} names such as www.example.com, one a line"
        raise InvalidError("The hosts cannot be saved.", problems=[Problem("redirect_hosts", message)])
    settings = {**source.settings, "redirect_hosts": wanted}
    return await _save(tx, caller, replace(source, settings=settings), "source.settings_changed")


async def save_mapping(tx: Tx, caller: Caller, source_id: UUID, mapping: object) -> Source:
    """Read what the source sends in another way from now on; raises InvalidError with every problem."""
    source = await _lock(tx, caller, source_id)
    FieldMapping.from_json(mapping)
    if not isinstance(mapping, dict) or mapping == source.mapping:
        return source
    changed = replace(source, mapping=mapping, mapping_version=source.mapping_version + 1)
    return await _save(tx, caller, changed, "source.mapping_saved")


def intake_url(settings: Settings, source: Source) -> str:
    """The full address that signals of this source are posted to."""
    return f"{settings.public_url}/in/{source.token}"


async def _lock(tx: Tx, caller: Caller, source_id: UUID) -> Source:
    caller.require("admin")
    source = await repository_sources.lock_source(tx, source_id)
    if source is None:
        raise SourceMissingError
    return source


async def _save(tx: Tx, caller: Caller, source: Source, kind: str) -> Source:
    await repository_sources.update_source(tx, source)
    await _append(tx, caller, kind, source, {"mapping_version": source.mapping_version})
    return source


async def _append(tx: Tx, caller: Caller, kind: str, source: Source, data: Mapping[str, object]) -> None:
    await events.append(tx, [Event(kind, subject_id=source.id, actor=caller.actor, data=data)])


def _checked_name(name: str) -> str:
    plain = " ".join(name.split())
    if not 0 < len(plain) <= LONGEST_NAME:
        problem = Problem("name", f"give it a name of 1 to {LONGEST_NAME} characters")
        raise InvalidError("The source cannot be saved.", problems=[problem])
    return plain
