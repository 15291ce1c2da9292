"""The page behind a mail's unsubscribe link. It needs no session: whoever holds the mail may use it."""

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import WebState
from switchboard.delivery.unsubscribing import Unsubscription, read_token, show, unsubscribe
from switchboard.kernel.db import Database
from switchboard.kernel.http import page_response
from switchboard.kernel.secrets import load_app_secret


@dataclass(frozen=True, slots=True)
class UnsubscribePage:
    """What the link's page shows."""

    workspace_name: str = field(metadata={"help": "Who wrote the mail."})
    address: str = field(metadata={"help": "To which address."})
    is_done: bool = field(metadata={"help": "Whether nothing more is sent there."})


async def show_link(request: Request) -> Response:
    """One sentence and one button. Looking changes nothing: mail filters follow links."""
    state: WebState = request.app.state
    link = read_token(load_app_secret(state.settings), request.path_params["token"])
    database: Database = state.database
    async with database.transaction(link.workspace_id) as tx:
        return _render(request, await show(tx, link))


async def use_link(request: Request) -> Response:
    """The button, or a mail program on the reader's behalf (RFC 8058): from anywhere, without a session.

    Nothing of the body is needed, so none of it is read.
    """
    state: WebState = request.app.state
    link = read_token(load_app_secret(state.settings), request.path_params["token"])
    database: Database = state.database
    async with database.transaction(link.workspace_id) as tx:
        return _render(request, await unsubscribe(tx, link))


def _render(request: Request, found: Unsubscription) -> Response:
    state: WebState = request.app.state
    page = UnsubscribePage(found.workspace_name, found.address, found.is_done)
    context = {"page": page, "static_version": state.static_version}
    return page_response(state.renderer.render("delivery/unsubscribe.html", context))


routes = [
    Route("/u/{token}", show_link, methods=["GET"]),
    Route("/u/{token}", use_link, methods=["POST"]),
]
