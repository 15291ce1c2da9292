"""The page of addresses, from the routes of the application as it is put together."""

import inspect
from collections.abc import Callable, Iterator
from typing import NamedTuple

from starlette.routing import Mount, Route

from switchboard.entrypoints.web import create_app
from switchboard.kernel.settings import Settings
from tools.guide_text import code, first_sentence, page, table

ANYONE, MEMBER, TOKEN, SIGNED = "anyone", "member", "whoever has the token", "whoever signs"
INTRODUCTION = """\
Every address, and who may call it. A *member* is signed in; what they may change depends on their role, which
[Operating](operating.md#roles) describes. A change by a member comes from one of our own pages: the browser's origin
and the session's token are checked.

Pages answer in HTML. Refusals are answered in JSON to a caller that asks for JSON."""

# Addresses whose right to call is something else than being signed in, or that no route stands for.
_OTHERS = {"/inbound/mail": SIGNED}
_INTAKE = ("/in/{token}", "POST", TOKEN, "Takes signals of one source.")


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


def _of(route: object) -> Iterator[Address]:
    if isinstance(route, Mount):
        yield Address(f"{route.path}/…", "GET", ANYONE, "Style sheets, scripts and pictures.")
    elif isinstance(route, Route):
        methods = ", ".join(sorted((route.methods or set()) - {"HEAD"}))
        inner = _handler(route.endpoint)
        who = _OTHERS.get(route.path, ANYONE if inner is route.endpoint else MEMBER)
        yield Address(route.path, methods, who, first_sentence(inner))


def _handler(endpoint: Callable[..., object]) -> Callable[..., object]:
    """What stands behind `page`, `action` and the like; the endpoint itself where none of them was used."""
    inner = next(filter(inspect.isfunction, inspect.getclosurevars(endpoint).nonlocals.values()), None)
    return _handler(inner) if inner else endpoint
