"""Signing in and out."""

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts import service
from switchboard.accounts.web import (
    SESSION_COOKIE,
    Visit,
    WebState,
    action,
    read_form,
    require_same_origin,
    set_session_cookie,
)
from switchboard.kernel.errors import ThrottledError, UnauthenticatedError
from switchboard.kernel.http import error_headers, own_path, page_response, see_other

# Nobody is known yet, so nothing large is read.
LONGEST_SIGN_IN_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class SignIn:
    """What the sign-in page shows."""

    email: str = field(metadata={"help": "The address as typed before."})
    error: str = field(metadata={"help": "Why the last try failed; empty at first."})
    next: str = field(metadata={"help": "The path to go to afterwards."})


async def show_sign_in(request: Request) -> Response:
    """Where a member types address and password; `next` is the path to go to afterwards."""
    return _sign_in_page(request, SignIn("", "", own_path(request.query_params.get("next", "/"))))


async def sign_in(request: Request) -> Response:
    """Check the form; open the session and go where the person wanted to go."""
    require_same_origin(request)
    form = await read_form(request, most_bytes=LONGEST_SIGN_IN_BYTES)
    state: WebState = request.app.state
    email, target = form.text("email"), own_path(form.text("next"))
    origin = request.client.host if request.client else "unknown"
    length = state.settings.session_length
    try:
        token = await service.sign_in(
            state.database, email, str(form.data.get("password", ""))[:1000], origin=origin, length=length
        )
    except (UnauthenticatedError, ThrottledError) as error:
        response = _sign_in_page(request, SignIn(email, error.message, target), status=error.status)
        response.headers.update(error_headers(error))
        return response
    response = see_other(target)
    set_session_cookie(response, request, token, int(length.total_seconds()))
    return response


async def sign_out(visit: Visit) -> Response:
    """End the session."""
    await service.sign_out(visit.tx, visit.request.cookies.get(SESSION_COOKIE, ""))
    response = see_other("/sign-in")
    response.delete_cookie(SESSION_COOKIE, path="/")
    return response


def _sign_in_page(request: Request, page: SignIn, *, status: int = 200) -> Response:
    state: WebState = request.app.state
    context = {
        "email": page.email,
        "error": page.error,
        "next": page.next,
        "csrf_token": "",
        "static_version": state.static_version,
    }
    return page_response(state.renderer.render("sign_in.html", context), status=status)


routes = [
    Route("/sign-in", show_sign_in, methods=["GET"]),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", action(sign_out), methods=["POST"]),
]
