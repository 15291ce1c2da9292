"""The stage of chaos and soak: a Postgres, a fleet that works on it, and the providers that take what it sends."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.fleet import Fleet, fleet
from tests.chaos.load import Load
from tests.chaos.network import Network, listen_on_loopback, own_network
from tests.chaos.sinks import Ledger, mail_server, sending_api
from tests.chaos.world import World, found, migrate
from tests.external.own_postgres import INSTALLED, OWNER, own_postgres

CONNECTIONS = {"max_connections": "70"}
NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that is running."""

    world: World
    fleet: Fleet
    ledger: Ledger
    network: Network | None

    def load(self, leads_a_second: float) -> Load:
        """The load on it, which begins with its block."""
        urls = [member.url for member in self.fleet.of("serve")]
        mail_port = int(self.fleet.members[0].environment["SMTP_IN_PORT"])
        return Load(self.world, self.ledger, urls, mail_port, leads_a_second=leads_a_second)


@contextmanager
def staged(
    folder: Path,
    *,
    recipients: int,
    per_minute: int,
    disk: Path | None = None,
    is_cuttable: bool = False,
    settings: Mapping[str, str] = NONE,
) -> Iterator[Stage]:
    """A stage with a campaign to so many; on `disk` where there is one, a worker behind a cable if that is wanted."""
    if not INSTALLED.is_dir():
        pytest.skip(f"{INSTALLED} is not installed")
    ledger = Ledger()
    with ExitStack() as stack:
        network = stack.enter_context(own_network()) if is_cuttable else None
        hosts = ("127.0.0.1", network.database_host) if network else ("127.0.0.1",)
        server = stack.enter_context(own_postgres(with_contrib=True, parent=disk, hosts=hosts, settings=CONNECTIONS))
        database = server.new_database("pg_trgm")
        migrate(server, database)
        world = found(server, database, recipients=recipients, per_minute=per_minute)
        listening = network.listen_within() if network else listen_on_loopback()
        members = stack.enter_context(
            fleet(
                (disk or folder) / "home",
                folder,
                database_url=lambda host: server.url(database, OWNER, host),
                mail_port=stack.enter_context(mail_server(ledger)),
                api_url=stack.enter_context(sending_api(ledger, listening)),
                network=network,
                settings=dict(settings),
            )
        )
        yield Stage(world, members, ledger, network)
