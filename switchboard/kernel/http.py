"""What every web entry point shares: rendering pages, reading forms, and one shape of error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined, select_autoescape
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from switchboard.kernel.errors import (
    InvalidError,
    NotFoundError,
    Problem,
    SwitchboardError,
    ThrottledError,
    UnavailableError,
)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; "
    "manifest-src 'self'"
)
# A mail is shown in a frame of its own that may run nothing and load nothing from elsewhere.
MAIL_SECURITY_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)


class Renderer:
    """Jinja over the template folders of the rooms: `leads/list.html` is `switchboard/leads/templates/list.html`."""

    def __init__(self, rooms: Sequence[str], filters: Mapping[str, Any]) -> None:
        shared = PackageLoader("switchboard.entrypoints", "templates")
        by_room = PrefixLoader({room: PackageLoader(f"switchboard.{room}", "templates") for room in rooms})
        self._environment = Environment(
            loader=ChoiceLoader([by_room, shared]),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(filters)

    def render(self, template: str, context: Mapping[str, object]) -> str:
        """The page's HTML."""
        return self._environment.get_template(template).render(context)


def problem_body(error: SwitchboardError) -> dict[str, object]:
    """RFC 9457 problem details, with `code`, `errors` and the error's own data beside the standard members."""
    body: dict[str, object] = {
        "type": f"urn:switchboard:error:{error.code}",
        "title": error.code.replace("_", " "),
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if error.problems:
        body["errors"] = [problem.as_json() for problem in error.problems]
    return body | error.data


def problem_response(error: SwitchboardError) -> JSONResponse:
    """The one JSON answer to an error."""
    return JSONResponse(
        problem_body(error),
        status_code=error.status,
        media_type="application/problem+json",
        headers=error_headers(error),
    )


def error_headers(error: SwitchboardError) -> dict[str, str]:
    """Headers an error adds to its answer."""
    if isinstance(error, ThrottledError | UnavailableError):
        return {"Retry-After": str(error.retry_after_seconds)}
    return {}


def see_other(path: str) -> RedirectResponse:
    """After a form: go and look at the result."""
    return RedirectResponse(path, status_code=303)


def own_path(path: str, *, otherwise: str = "/") -> str:
    """The path if it leads to a page of this site, else `otherwise`: nobody is handed on to another site."""
    # Browsers read a backslash as a slash, and two of them as the name of another host.
    is_own = path.startswith("/") and not path.startswith("//") and path.isprintable() and "\\" not in path
    return path if is_own else otherwise


def page_response(html: str, *, status: int = 200) -> HTMLResponse:
    """A page that is never kept by shared caches."""
    return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})


def wants_json(request: Request) -> bool:
    """Whether the client asked for JSON rather than a page."""
    return "application/json" in request.headers.get("accept", "")


def path_id(request: Request, name: str = "id") -> UUID:
    """An id in the path; rubbish is answered like an id that does not exist."""
    try:
        return UUID(request.path_params[name])
    except ValueError:
        raise NotFoundError("There is no such page. Check the address.") from None


@dataclass(frozen=True, slots=True)
class Form:
    """A submitted form with typed access; collects nothing, raises InvalidError with the field named."""

    data: FormData

    def text(self, name: str, *, longest: int = 500) -> str:
        """The field's text without surrounding blanks, empty when missing."""
        value = self.data.get(name, "")
        text = value.strip() if isinstance(value, str) else ""
        if len(text) > longest:
            raise InvalidError("A field is too long.", problems=[Problem(name, f"at most {longest} characters")])
        return text

    def required(self, name: str, *, longest: int = 500) -> str:
        """The field's text; an empty one is refused."""
        text = self.text(name, longest=longest)
        if not text:
            raise InvalidError("A field is missing.", problems=[Problem(name, "fill this in")])
        return text

    def whole(self, name: str, *, least: int, most: int) -> int:
        """A whole number within bounds."""
        text = self.required(name)
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            message = f"expected a whole number from {least} to {most}"
            raise InvalidError("A number is wrong.", problems=[Problem(name, message)])
        return number

    def id(self, name: str) -> UUID:
        """An id chosen in the form."""
        found = self.optional_id(name)
        if found is None:
            raise InvalidError("A choice is missing.", problems=[Problem(name, "choose one")])
        return found

    def optional_id(self, name: str) -> UUID | None:
        """An id chosen in the form, or None for the empty choice."""
        text = self.text(name)
        if not text:
            return None
        try:
            return UUID(text)
        except ValueError:
            raise InvalidError("A choice is wrong.", problems=[Problem(name, "choose one of the list")]) from None

    def checked(self, name: str) -> bool:
        """Whether a checkbox is set."""
        return self.text(name) in {"on", "true", "1", "yes"}

    def texts(self, name: str) -> list[str]:
        """All values of a repeated field."""
        return [value for value in self.data.getlist(name) if isinstance(value, str)]


def no_content() -> Response:
    """Done, nothing to show."""
    return Response(status_code=204)
