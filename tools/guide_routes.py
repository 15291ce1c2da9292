"""The page of addresses, from the routes of the application as it is put together."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from starlette.routing import Mount, Route

from switchboard.accounts.models import Role
from switchboard.entrypoints.web import create_app
from switchboard.kernel.settings import Settings
from tools.guide_text import code, first_sentence, page, table

ANYONE, TOKEN, SIGNED, HOLDER = "anyone", "whoever has the token", "whoever signs", "whoever has the mail"
INTRODUCTION = """\
Every address, and who may call it: anyone, or a member who is signed in and has at least the role named.
[Operating](operating.md#roles) describes the roles. A change by a member comes from one of our own pages: the browser's
origin and the session's token are checked.

Pages answer in HTML. Refusals are answered in JSON to a caller that asks for JSON."""

# Addresses that are called without signing in, and yet not by anyone.
_OTHERS = {"/inbound/mail": SIGNED, "/u/{token}": HOLDER}
_INTAKE = ("/in/{token}", "POST", TOKEN, "Takes signals of one source.")

# A member reads as viewer, works as agent and sets up as admin; what differs from that is named one by one. A test asks
# every address in every role.
_SET_UP = frozenset({"campaigns", "flows", "imports", "rotas", "rules", "settings", "sources", "templates"})
_DIFFERENT: Mapping[tuple[str, str], Role] = {
    ("GET", "/campaigns/new"): "admin",
    ("GET", "/campaigns/times"): "admin",
    ("GET", "/campaigns/{id}/edit"): "admin",
    ("GET", "/campaigns/{id}/people.csv"): "agent",
    ("GET", "/contacts.csv"): "agent",
    ("GET", "/contacts/new"): "agent",
    ("GET", "/contacts/{id}/edit"): "agent",
    ("GET", "/contacts/{id}/merge"): "agent",
    ("GET", "/contacts/{id}/merge/{other_id}"): "agent",
    ("GET", "/flows/new"): "admin",
    ("GET", "/leads/export"): "agent",
    ("GET", "/rotas/new"): "admin",
    ("GET", "/rules/new"): "admin",
    ("GET", "/segments/new"): "agent",
    ("GET", "/segments/preview"): "agent",
    ("GET", "/segments/{id}/edit"): "agent",
    ("GET", "/sources/new"): "admin",
    ("GET", "/sources/{id}/settings"): "admin",
    ("GET", "/templates/new"): "admin",
    ("POST", "/campaigns/{id}/pause"): "agent",
    ("POST", "/campaigns/{id}/test"): "agent",
    ("POST", "/flows/check"): "viewer",
    ("POST", "/rotas/{id}/overrides"): "agent",
    ("POST", "/rotas/{id}/overrides/remove"): "agent",
    ("POST", "/settings/profile"): "viewer",
    ("POST", "/sign-out"): "viewer",
    ("POST", "/sources/{id}/signals/again"): "agent",
    ("POST", "/sources/{id}/signals/{signal_id}/again"): "agent",
    ("POST", "/sources/{id}/test"): "agent",
    ("POST", "/suppressions/remove"): "admin",
    ("POST", "/templates/check"): "viewer",
    ("POST", "/templates/preview"): "viewer",
    ("POST", "/templates/test"): "agent",
}


class Address(NamedTuple):
    """One line of the page."""

    path: str
    methods: str
    who: str
    meaning: str


def render() -> str:
    """Path, method, who and what, in the order of the paths."""
    rows = [[code(one.path), one.methods, one.who, one.meaning] for one in addresses()]
    return page("Addresses", INTRODUCTION, table(["Path", "Method", "Who", "What"], rows))


def addresses() -> list[Address]:
    """Every address; the database named here is never connected to."""
    app = create_app(Settings(), "postgresql://nobody@localhost/none")
    return sorted([Address(*_INTAKE), *(each for route in app.routes for each in _of(route))])


def role_for(method: str, path: str) -> Role:
    """The weakest role that an address of members answers."""
    usual: Role = "viewer" if method == "GET" else "admin" if path.split("/")[1] in _SET_UP else "agent"
    return _DIFFERENT.get((method, path), usual)


def _of(route: object) -> Iterator[Address]:
    if isinstance(route, Mount):
        yield Address(f"{route.path}/…", "GET", ANYONE, "Style sheets, scripts and pictures.")
    elif isinstance(route, Route):
        methods = ", ".join(sorted((route.methods or set()) - {"HEAD"}))
        inner = _handler(route.endpoint)
        who = _OTHERS.get(route.path, ANYONE) if inner is route.endpoint else role_for(methods, route.path)
        yield Address(route.path, methods, who, first_sentence(inner))


def _handler(endpoint: Callable[..., object]) -> Callable[..., object]:
    """What stands behind `page`, `action` and the like; the endpoint itself where none of them was used."""
    inner = next(filter(inspect.isfunction, inspect.getclosurevars(endpoint).nonlocals.values()), None)
    return _handler(inner) if inner else endpoint
