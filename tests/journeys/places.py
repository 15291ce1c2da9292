"""Every page of the product, by a name for its picture; pages of one thing are found through the list they stand in."""

import re

from tests.journeys.windows import Window

LISTS = {
    "home": "/",
    "inbox": "/inbox",
    "leads": "/leads",
    "board": "/leads/board",
    "people": "/contacts",
    "contact-new": "/contacts/new",
    "suggestions": "/suggestions",
    "segments": "/segments",
    "campaigns": "/campaigns",
    "campaign-new": "/campaigns/new",
    "flows": "/flows",
    "flow-new": "/flows/new",
    "sources": "/sources",
    "source-new": "/sources/new",
    "imports": "/imports",
    "rotas": "/rotas",
    "rota-new": "/rotas/new",
    "rules": "/rules",
    "rule-new": "/rules/new",
    "templates": "/templates",
    "mailbox": "/mailbox",
    "messages": "/messages",
    "suppressions": "/suppressions",
    "settings": "/settings",
    "stages": "/settings/stages",
    "profile": "/settings/profile",
}
# The list of each kind of thing, and what is shown of one.
THINGS = {
    "conversation": ("/inbox", [""]),
    "lead": ("/leads", ["", "?tab=talk", "?tab=why", "?tab=data", "?tab=payloads"]),
    "contact": ("/contacts", ["", "/edit", "/merge"]),
    "flow": ("/flows", [""]),
    "source": ("/sources", ["", "/signals", "/mapping", "/settings"]),
    "rota": ("/rotas", [""]),
    "template": ("/templates", [""]),
}
_ID = "[0-9a-f]{8}-[0-9a-f-]{27}"


def find_places(shown: Window) -> dict[str, str]:
    """Addresses by name; every kind of thing must have at least one to look at."""
    places = dict(LISTS)
    for name, (listing, views) in THINGS.items():
        address = _first_of(shown, listing)
        for view in views:
            places[f"{name}{re.sub('[^a-z]+', '-', view.removeprefix('?tab='))}".rstrip("-")] = address + view
    return places


def _first_of(shown: Window, listing: str) -> str:
    shown.open(listing)
    links = shown.page.locator("main a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    found = [match[0] for link in links if (match := re.match(f"{listing}/{_ID}", link or ""))]
    assert found, f"nothing on {listing} to look at"
    return found[0]
