"""Signed-in requests: every page and form of every room passes through `page` and `action`.

One request is one transaction. It finds the session, enters its workspace, runs the handler, and commits before the
answer leaves. Forms must come from our own pages: the browser says so (`Sec-Fetch-Site`, `Origin`), and the session's
token proves it.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, unquote
from uuid import UUID

import psycopg
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from switchboard.accounts import service
from switchboard.accounts.models import Caller, Role, Session
from switchboard.kernel.characters import is_storable
from switchboard.kernel.db import Database, Tx
from switchboard.kernel.errors import (
    ForbiddenError,
    InvalidError,
    NotFoundError,
    Problem,
    TooLargeError,
    UnauthenticatedError,
)
from switchboard.kernel.http import Form, Renderer, own_path, page_response, see_other, wants_json
from switchboard.kernel.settings import Settings

SESSION_COOKIE = "switchboard_session"
TOAST_COOKIE = "switchboard_toast"
MOST_COLLISIONS = 2
LONGEST_FORM_BYTES = 12 * 1024 * 1024
# A larger form is read only after it is known who sends it.
LARGEST_UNKNOWN_FORM_BYTES = 64 * 1024


class WebState(Protocol):
    """What the application's state offers to pages; built once by the entry point."""

    settings: Settings
    database: Database
    renderer: Renderer
    shell_counts: Callable[[Tx, Caller], Awaitable[Mapping[str, int]]]
    static_version: str


@dataclass(frozen=True, slots=True)
class Toast:
    """One sentence on what was done, with the path of a form that takes it back, if there is one."""

    text: str
    undo: str = ""
    kind: str = "ok"


@dataclass(frozen=True, slots=True)
class Shell:
    """What the frame round every signed-in page shows."""

    workspace_name: str = field(metadata={"help": "Name of the workspace, at the top of the rail."})
    user_name: str = field(metadata={"help": "Who is signed in."})
    user_id: str = field(metadata={"help": "Gives the avatar its hue."})
    inbox_count: int = field(metadata={"help": "Open conversations that wait for an answer."})
    waiting_count: int = field(metadata={"help": "Leads that nobody has accepted."})
    csrf_token: str = field(metadata={"help": "Every form sends it back."})
    active: str = field(metadata={"help": "Key of the rail's entry to mark."})
    path: str = field(metadata={"help": "Path and query of this page."})
    theme: str = field(metadata={"help": "`light`, `dark`, or empty for the system's."})
    static_version: str = field(metadata={"help": "Changes with the files, so that browsers load them anew."})
    role: str = field(metadata={"help": "The caller's role; what it forbids is not shown."})
    toasts: tuple["Toast", ...] = field(metadata={"help": "What the request before this one did."})


@dataclass(slots=True)
class Visit:
    """One signed-in request on its way through a handler."""

    request: Request
    tx: Tx
    caller: Caller
    session: Session
    form: Form

    @property
    def state(self) -> WebState:
        """The application's state."""
        state: WebState = self.request.app.state
        return state

    @property
    def is_partial(self) -> bool:
        """Whether a script asked for a piece of the page only."""
        return self.request.headers.get("HX-Request") == "true" and "HX-Boosted" not in self.request.headers

    def query(self, name: str, default: str = "") -> str:
        """A query parameter without surrounding blanks, cut at 200 characters; the default for what is no text."""
        text = self.request.query_params.get(name, default).strip()[:200]
        return text if is_storable(text) else default

    def query_id(self, name: str) -> UUID | None:
        """The id that a list goes on after; None without one. Rubbish is answered like a page that does not exist."""
        text = self.query(name)
        try:
            return UUID(text) if text else None
        except ValueError:
            raise NotFoundError("There is no such page. Check the address.") from None

    async def render(self, template: str, page: object, *, active: str = "", status: int = 200) -> Response:
        """The page in its frame. `page` is the template's typed context."""
        shell = await self._shell(active)
        context = {"page": page, "shell": shell, "caller": self.caller}
        response = page_response(self.state.renderer.render(template, context), status=status)
        if shell.toasts:
            response.delete_cookie(TOAST_COOKIE, path="/")
        return response

    def render_partial(self, template: str, page: object) -> Response:
        """A piece of a page without the frame; it may use forms, so it gets the token."""
        shell = {"csrf_token": self.session.csrf_token, "static_version": self.state.static_version}
        context = {"page": page, "shell": shell, "caller": self.caller}
        return page_response(self.state.renderer.render(template, context))

    def done(self, path: str, toast: str, *, undo: str = "") -> RedirectResponse:
        """After a change: go to `path` and say there what was done; `undo` is the path that takes it back."""
        response = see_other(path)
        response.set_cookie(
            TOAST_COOKIE,
            quote(f"{undo}|{toast}"),
            max_age=20,
            path="/",
            samesite="lax",
            secure=_is_secure(self.request),
        )
        return response

    async def _shell(self, active: str) -> Shell:
        workspace = await service.get_workspace(self.tx)
        counts = await self.state.shell_counts(self.tx, self.caller)
        url = self.request.url
        theme = self.request.cookies.get("theme", "")
        return Shell(
            workspace_name=workspace.name,
            user_name=self.session.user_name,
            user_id=str(self.session.user_id),
            inbox_count=counts.get("inbox", 0),
            waiting_count=counts.get("waiting", 0),
            csrf_token=self.session.csrf_token,
            active=active,
            path=f"{url.path}?{url.query}" if url.query else url.path,
            theme=theme if theme in {"light", "dark"} else "",
            static_version=self.state.static_version,
            role=self.caller.role,
            toasts=_toasts(self.request.cookies.get(TOAST_COOKIE, "")),
        )


Handler = Callable[[Visit], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def page(handler: Handler) -> Endpoint:
    """A page that is read: signed in, in one transaction."""

    async def endpoint(request: Request) -> Response:
        return await _visit(request, handler, Form(FormData()))

    return endpoint


def action(handler: Handler) -> Endpoint:
    """A form or a keystroke that changes something: signed in, from our own pages, in one transaction."""

    async def endpoint(request: Request) -> Response:
        require_same_origin(request)
        if not _is_small(request):
            await _known_caller(request)
        return await _visit(request, handler, await read_form(request), changes=True)

    return endpoint


def upload(handler: Handler, *, role: Role, most_bytes: int) -> Endpoint:
    """A form with a large file: who sends it is known and may do so before a byte of it is read."""

    async def endpoint(request: Request) -> Response:
        require_same_origin(request)
        (await _known_caller(request)).require(role)
        form = await read_form(request, most_bytes=most_bytes)
        try:
            return await _visit(request, handler, form, changes=True)
        finally:
            await form.data.close()

    return endpoint


def _is_small(request: Request) -> bool:
    length = request.headers.get("content-length", "")
    return len(length) < 9 and length.isascii() and length.isdigit() and int(length) <= LARGEST_UNKNOWN_FORM_BYTES


async def _known_caller(request: Request) -> Caller:
    state: WebState = request.app.state
    async with state.database.directory() as tx:
        return (await service.resume_session(tx, request.cookies.get(SESSION_COOKIE, "")))[1]


async def _visit(request: Request, handler: Handler, form: Form, *, changes: bool = False) -> Response:
    if not is_storable(request.scope["path"]):
        raise NotFoundError("There is no such page. Check the address.")
    token = request.cookies.get(SESSION_COOKIE, "")
    try:
        for _ in range(MOST_COLLISIONS):
            # Postgres ended this transaction so that another could go on; nothing of it was kept, so it may run again.
            with suppress(psycopg.errors.DeadlockDetected):
                return await _run(request, handler, form, token, changes=changes)
        return await _run(request, handler, form, token, changes=changes)
    except UnauthenticatedError:
        if wants_json(request) or changes:
            raise
        return see_other(f"/sign-in?next={quote(request.url.path)}")


async def _run(request: Request, handler: Handler, form: Form, token: str, *, changes: bool) -> Response:
    state: WebState = request.app.state
    async with state.database.directory() as tx:
        session, caller = await service.resume_session(tx, token)
        if changes:
            _require_csrf_token(request, form, session)
        return await handler(Visit(request, tx, caller, session, form))


async def read_form(request: Request, *, most_bytes: int = LONGEST_FORM_BYTES) -> Form:
    """The submitted form, urlencoded or multipart, within `most_bytes`; files of it lie on disk, not in memory."""
    # A browser always says how much it sends; without that the limit could not be kept.
    length = request.headers.get("content-length", "0" if "transfer-encoding" not in request.headers else "")
    if not length.isdigit() or int(length) > most_bytes:
        size = f"{most_bytes >> 20} MB" if most_bytes >> 20 else f"{most_bytes >> 10} KB"
        message = f"That is too large: at most {size} can be sent at once."
        raise TooLargeError(message, data={"limit_bytes": most_bytes})
    data = await request.form(max_fields=2_000)
    for name, value in data.multi_items():
        if not is_storable(name) or (isinstance(value, str) and not is_storable(value)):
            problem = Problem(name if is_storable(name) else "", "remove the characters that cannot be shown")
            raise InvalidError("Something typed cannot be stored.", problems=[problem])
    return Form(data)


def require_same_origin(request: Request) -> None:
    """Raise ForbiddenError for a change that another site asked the browser for."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    state: WebState = request.app.state
    if site in {"cross-site", "same-site"} or (
        site is None and origin is not None and origin not in {own, state.settings.public_url}
    ):
        raise ForbiddenError("This change came from another site and was refused. Open Switchboard and try there.")


def _require_csrf_token(request: Request, form: Form, session: Session) -> None:
    sent = request.headers.get("x-csrf-token") or form.text("csrf_token")
    if not secrets.compare_digest(sent.encode(), session.csrf_token.encode()):
        raise ForbiddenError("This form is out of date. Load the page again and repeat the change.")


def set_session_cookie(response: Response, request: Request, token: str, seconds: int) -> None:
    """Hand the browser its session: unreadable for scripts, not sent by other sites' forms."""
    response.set_cookie(
        SESSION_COOKIE, token, max_age=seconds, path="/", httponly=True, samesite="lax", secure=_is_secure(request)
    )


def _toasts(cookie: str) -> tuple[Toast, ...]:
    undo, _, text = unquote(cookie)[:500].partition("|")
    # Anybody can set a cookie on their own browser: only a path of ours is offered as undo.
    return (Toast(text, own_path(undo, otherwise="")),) if text else ()


def _is_secure(request: Request) -> bool:
    state: WebState = request.app.state
    return request.url.scheme == "https" or state.settings.public_url.startswith("https://")


async def in_thread(function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 the caller knows its function
    """Run work that would hold the event loop up (parsing a large file) in a thread."""
    return await run_in_threadpool(function, *arguments)
