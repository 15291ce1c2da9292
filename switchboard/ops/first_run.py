"""What a fresh installation gets: a workspace with working defaults, and an owner who can sign in."""

from dataclasses import dataclass, replace
from uuid import UUID

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Caller, system_caller
from switchboard.flows import service as flows
from switchboard.intake import service as intake
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.ids import new_id
from switchboard.kernel.settings import Settings
from switchboard.leads.stages import install_stages
from switchboard.ops import queries
from switchboard.routing import rotas
from switchboard.routing.models import Rota

OWNER_EMAIL = "owner@switchboard.localhost"
ROTA_NAME = "sales"
SOURCE_NAME = "Website form"


@dataclass(frozen=True, slots=True)
class FirstOwner:
    """Who can sign in to a new workspace; `name` is their address when it is empty."""

    email: str
    password: str
    name: str = ""


async def set_up_first_workspace(database: Database, settings: Settings, *, password: str) -> FirstOwner | None:
    """Make the first workspace and its owner, unless somebody can sign in already."""
    async with database.directory() as tx:
        await queries.lock_first_run(tx)
        if await accounts.has_users(tx):
            return None
        owner = FirstOwner(OWNER_EMAIL, password, "Owner")
        await make_workspace(tx, "Switchboard", owner, mail_domain=settings.mail_domain)
    return owner


async def make_workspace(
    tx: Tx, name: str, owner: FirstOwner, *, mail_domain: str, time_zone: str = "UTC", default_region: str = "US"
) -> UUID:
    """Make a furnished workspace whose owner can sign in; the transaction works for it afterwards.

    Raises EmailTakenError, WeakPasswordError, InvalidError with each field that is wrong.
    """
    workspace_id = await accounts.create_workspace(
        tx, name=name, time_zone=time_zone, default_region=default_region, mail_domain=mail_domain
    )
    caller = system_caller(workspace_id)
    owner_id = await accounts.create_member(
        tx, caller, email=owner.email, name=owner.name, password=owner.password, role="owner"
    )
    await furnish(tx, caller, owner_id)
    return workspace_id


async def furnish(tx: Tx, caller: Caller, owner_id: UUID) -> None:
    """The stages, a supervisor, a rota with the owner in it, the shipped flows and letters (paused), a first source."""
    await install_stages(tx)
    # Without a supervisor, what nobody accepts in time would be told to nobody.
    workspace = await accounts.get_workspace(tx)
    await accounts.update_workspace(tx, caller, replace(workspace, supervisor_id=owner_id))
    rota_id = await rotas.create_rota(tx, caller, _first_rota(owner_id))
    await rotas.set_member(tx, caller, rota_id, owner_id)
    await flows.install_library(tx, caller)
    await intake.create_source(tx, caller, name=SOURCE_NAME, format_name="webform")


def _first_rota(owner_id: UUID) -> Rota:
    return Rota(
        id=new_id(),
        name=ROTA_NAME,
        time_zone="UTC",
        strategy="round_robin",
        holiday_country=None,
        supervisor_id=owner_id,
        version=1,
    )
