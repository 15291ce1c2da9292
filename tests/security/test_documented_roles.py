"""The guide says which role each address asks for; every one of them is asked in every role."""

import pytest
from starlette.applications import Starlette

from switchboard.accounts.models import ROLES, Caller, Role
from switchboard.kernel.db import Database
from tests.conftest import make_member
from tests.pages import signed_in
from tests.security.test_routes import PUBLIC, ask
from tests.security.world import Door, doors
from tools.guide_routes import role_for

# Not asked, each with the reason.
LEFT_OUT = {
    Door("GET", "/live"): "a stream that stays open",
    Door("POST", "/sign-out"): "ends the session that the others are asked with",
    Door("POST", "/settings/profile"): "ends the session that the others are asked with",
    Door("POST", "/rotas/{id}/overrides"): "an agent may put on or off only themselves, and the form names the owner",
    Door("POST", "/rotas/{id}/overrides/remove"): "as the one before",
}


@pytest.mark.parametrize("role", ["viewer", "agent", "admin"])
async def test_addresses_ask_for_the_role_that_the_guide_names(
    app: Starlette, database: Database, ids: dict[str, str], owner: Caller, role: Role
) -> None:
    member = await make_member(database, owner.workspace_id, f"{role}@documented.example", role, role)
    wrong = []
    async with signed_in(app, database, member) as browser:
        for door in doors(app):
            if door in PUBLIC or door in LEFT_OUT:
                continue
            named = role_for(door.method, door.path)
            is_refused = (await ask(browser, door, ids)).status_code == 403
            if is_refused != (ROLES.index(role) > ROLES.index(named)):
                wrong.append((door, named))
    assert wrong == []
