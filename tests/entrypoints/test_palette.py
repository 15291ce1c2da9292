"""The search that opens everywhere shows leads and people, and looks for both at once."""

from starlette.applications import Starlette

from switchboard.accounts.models import Caller
from switchboard.kernel.db import Database, recorded_queries
from switchboard.people.models import Sighting
from switchboard.people.service import recognise
from tests.pages import signed_in


async def test_one_search_serves_leads_and_people(app: Starlette, database: Database, agent: Caller) -> None:
    async with database.transaction(agent.workspace_id) as tx:
        await recognise(tx, [Sighting(name=f"Mary {name}", email=f"{name}@x.example") for name in "abcdefgh"], "US")
    async with signed_in(app, database, agent) as browser:
        with recorded_queries() as statements:
            found = (await browser.get("/palette?q=mary")).json()["results"]
    assert [(result["group"], result["title"]) for result in found] == [("Person", f"Mary {name}") for name in "hgfedc"]
    searches = [statement for statement in statements if "FROM app.contact_search" in statement]
    assert len(searches) == 1
