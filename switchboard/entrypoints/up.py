"""`switchboard up`: everything on one machine, on the embedded Postgres unless DATABASE_URL names another."""

import asyncio
import secrets
import sys
from dataclasses import dataclass
from typing import NoReturn

from switchboard.entrypoints import assembly
from switchboard.inbox.listener import load_tls
from switchboard.kernel.db import Database
from switchboard.kernel.disk import require_folder, require_free_space
from switchboard.kernel.embedded import EmbeddedPostgres, Handover
from switchboard.kernel.settings import Settings, process_environment
from switchboard.ops.first_run import FirstOwner, set_up_first_workspace
from switchboard.ops.ports import require_free_port
from switchboard.ops.schema import prepare_database, prepare_unless_away
from switchboard.ops.shared_figures import prepare_shared_figures
from switchboard.ops.supervision_plan import ChildPlan, Readiness, SupervisionPlan
from switchboard.ops.supervisor import become_supervisor


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A database that is ready to be served from."""

    application_url: str
    postgres: Handover | None
    first_owner: FirstOwner | None


def up(settings: Settings, *, demo: bool) -> NoReturn:
    """Prepare the database, then become the supervisor of web, queues and Postgres; returns only by exit."""
    require_folder(settings.home)
    require_free_space(settings.home)
    require_free_port(settings.host, settings.port)
    if settings.run_queue_consumers:
        require_free_port(settings.smtp_in_host, settings.inbound_port, setting="SMTP_IN_PORT")
        load_tls(settings)
    prepared = _prepare(settings)
    become_supervisor(_plan(settings, prepared, demo=demo))


def _prepare(settings: Settings) -> _Prepared:
    if settings.database_url is not None:
        application_url = settings.database_url.get_secret_value()
        owner = settings.database_owner_url or settings.database_url
        if prepare_unless_away(settings, owner.get_secret_value(), application_url):
            return _Prepared(application_url, None, asyncio.run(_first_owner(settings, application_url)))
        return _Prepared(application_url, None, None)
    server = EmbeddedPostgres(settings.home)
    endpoint = server.start()
    try:
        prepare_database(endpoint.owner_url, endpoint.application_url)
        first_owner = asyncio.run(_first_owner(settings, endpoint.application_url))
    except BaseException:
        server.stop()
        raise
    return _Prepared(endpoint.application_url, server.hand_over(), first_owner)


async def _first_owner(settings: Settings, application_url: str) -> FirstOwner | None:
    database = Database(application_url, assembly.build_hub(), max_connections=2)
    await database.open()
    try:
        return await set_up_first_workspace(database, settings, password=secrets.token_urlsafe(12))
    finally:
        await database.close()


def _plan(settings: Settings, prepared: _Prepared, *, demo: bool) -> SupervisionPlan:
    shared_figures = prepare_shared_figures(settings.home)
    environment = {
        **process_environment(),
        "DATABASE_URL": prepared.application_url,
        "PROMETHEUS_MULTIPROC_DIR": str(shared_figures),
    }
    # The schema is prepared: the children need no right to change it.
    for name in ("DATABASE_OWNER_URL", "DATABASE_URL_FILE", "DATABASE_OWNER_URL_FILE"):
        environment.pop(name, None)
    program = [sys.executable, "-m", "switchboard"]
    stop_seconds = settings.shutdown_seconds + 5.0
    children = [ChildPlan("serve", [*program, "serve"], environment, stop_seconds)]
    if settings.run_queue_consumers:
        children.append(ChildPlan("work", [*program, "work"], environment, stop_seconds))
    if demo:
        children.append(ChildPlan("demo", [*program, "demo", "--wait"], environment, 5.0, once=True))
    announcement = _announcement(settings, prepared.first_owner)
    readiness = Readiness(settings.host, settings.port, announcement)
    return SupervisionPlan(children, readiness, prepared.postgres, str(shared_figures))


def _announcement(settings: Settings, first_owner: FirstOwner | None) -> str:
    lines = [f"Switchboard is ready at {settings.public_url}"]
    if first_owner is not None:
        lines.append(f"Sign in as {first_owner.email} with the password {first_owner.password}")
        lines.append("It is shown this once. `switchboard user password` sets another.")
    return "\n".join(lines)
