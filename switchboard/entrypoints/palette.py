"""`/palette?q=`: people and leads whose names a text finds, for the search that opens everywhere."""

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, page
from switchboard.leads import listing
from switchboard.people import service as people

MOST_OF_A_KIND = 6
SHORTEST = 2


async def search(visit: Visit) -> Response:
    """`{"results": [{title, detail, url, icon, group}]}`, the open leads first."""
    text = visit.query("q")
    if len(text) < SHORTEST:
        return JSONResponse({"results": []})
    found = await people.find_contact_ids(visit.tx, text, listing.MOST_FOUND)
    leads = await listing.list_open_leads_of(visit.tx, visit.caller, found, MOST_OF_A_KIND)
    shown = found[:MOST_OF_A_KIND]
    contacts = await people.load_contacts(visit.tx, shown)
    results = [
        {"title": lead.name, "detail": lead.stage_title, "url": f"/leads/{lead.id}", "icon": "zap", "group": "Lead"}
        for lead in leads
    ]
    results += [
        {
            "title": contact.title,
            "detail": contact.company or contact.email,
            "url": f"/contacts/{contact.id}",
            "icon": "user",
            "group": "Person",
        }
        for contact in (contacts[contact_id] for contact_id in shown if contact_id in contacts)
    ]
    return JSONResponse({"results": results})


routes = [Route("/palette", page(search))]
