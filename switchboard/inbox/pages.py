"""The addresses of the inbox."""

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, page
from switchboard.inbox import pages_actions, pages_mail, service, webhook
from switchboard.inbox.pages_views import render_conversation, render_list, render_of_contact
from switchboard.kernel.http import path_id


async def show_list(visit: Visit) -> Response:
    """The conversations of one view, newest first, with none open."""
    return await render_list(visit)


async def show_conversation(visit: Visit) -> Response:
    """The list with one conversation open."""
    conversation = await service.access_conversation(visit.tx, visit.caller, path_id(visit.request))
    return await render_conversation(visit, conversation)


async def show_of_contact(visit: Visit) -> Response:
    """The conversation with a contact: as a region for other pages, or a page of its own."""
    return await render_of_contact(visit)


routes = [
    *webhook.routes,
    *pages_mail.routes,
    Route("/inbox", page(show_list), methods=["GET"]),
    Route("/inbox/of-contact/{contact_id}", page(show_of_contact), methods=["GET"]),
    *pages_actions.routes,
    Route("/inbox/{id}", page(show_conversation), methods=["GET"]),
]
