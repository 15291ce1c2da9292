"""What a fresh installation gets: a workspace with working defaults, and an owner who can sign in."""

from dataclasses import dataclass

from switchboard.accounts import service as accounts
from switchboard.accounts.models import system_caller
from switchboard.kernel.db import Database
from switchboard.kernel.settings import Settings

OWNER_EMAIL = "owner@switchboard.localhost"


@dataclass(frozen=True, slots=True)
class FirstOwner:
    """The sign-in that is printed once."""

    email: str
    password: str


async def set_up_first_workspace(database: Database, settings: Settings, *, password: str) -> FirstOwner | None:
    """Make the first workspace and its owner, unless somebody can sign in already."""
    async with database.directory() as tx:
        if await accounts.has_users(tx):
            return None
        workspace_id = await accounts.create_workspace(
            tx, name="Switchboard", time_zone="UTC", default_region="US", mail_domain=settings.mail_domain
        )
        caller = system_caller(workspace_id)
        await accounts.create_member(tx, caller, email=OWNER_EMAIL, name="Owner", password=password, role="owner")
    return FirstOwner(OWNER_EMAIL, password)
