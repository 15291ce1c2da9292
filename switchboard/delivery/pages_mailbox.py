"""The local mailbox: what was sent while no mail leaves the machine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode, urlsplit

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, page
from switchboard.delivery import mailbox
from switchboard.delivery.errors import MailNotFoundError
from switchboard.delivery.mailbox import OpenedMail
from switchboard.delivery.models import Mail, MailSummary
from switchboard.kernel.http import MAIL_SECURITY_POLICY, path_id
from switchboard.kernel.ids import find_id

# A frame whose links open in a window of their own, free of the frame's limits; it still runs nothing.
VIEWS = ("html", "text", "source")


@dataclass(frozen=True, slots=True)
class MailboxPage:
    """The mails of the local mailbox."""

    mails: Sequence[MailSummary] = field(metadata={"help": "The rows, newest first."})
    search: str = field(metadata={"help": "Part of the recipients that are shown, empty for all."})
    next_href: str = field(metadata={"help": "Older mails, empty at the end."})
    first_href: str = field(metadata={"help": "Back to the newest, empty there."})
    uses_mailbox: bool = field(metadata={"help": "Whether mail stays here at present."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class MailPage:
    """One mail as a mail program would show it."""

    mail: Mail = field(metadata={"help": "The mail as it was kept."})
    opened: OpenedMail = field(metadata={"help": "Its headers and parts."})
    view: str = field(metadata={"help": "`html`, `text` or `source`."})
    unsubscribe_path: str = field(metadata={"help": "Where its unsubscribe button posts, empty when it has none."})
    now: datetime = field(metadata={"help": "The request's time."})


async def list_mails(visit: Visit) -> Response:
    """The newest mails."""
    before, search = find_id(visit.query("before")), visit.query("q")
    mails = await mailbox.list_mails(visit.tx, visit.caller, before=before, recipient=search)
    older = {"before": str(mails[-1].id), "q": search} if len(mails) == mailbox.PAGE_ROWS else {}
    context = MailboxPage(
        mails=mails,
        search=search,
        next_href=f"/mailbox?{urlencode(older)}" if older else "",
        first_href=f"/mailbox?{urlencode({'q': search})}" if before else "",
        uses_mailbox=visit.state.settings.email_provider == "mailbox",
        now=await visit.tx.now(),
    )
    return await visit.render("delivery/mailbox.html", context, active="mailbox")


async def show_mail(visit: Visit) -> Response:
    """One mail as a mail program would show it, with a form to answer it as its recipient."""
    mail = await mailbox.access_mail(visit.tx, visit.caller, path_id(visit.request))
    opened = mailbox.open_mail(mail.raw)
    view = visit.query("view")
    first = "html" if opened.html else "text"
    context = MailPage(
        mail=mail,
        opened=opened,
        view=view if view in VIEWS else first,
        unsubscribe_path=_own_path(opened.unsubscribe_url, visit.state.settings.public_url),
        now=await visit.tx.now(),
    )
    return await visit.render("delivery/mail.html", context, active="mailbox")


async def show_body(visit: Visit) -> Response:
    """The HTML of a mail, for its frame."""
    mail = await mailbox.access_mail(visit.tx, visit.caller, path_id(visit.request))
    opened = mailbox.open_mail(mail.raw)
    if not opened.html:
        raise MailNotFoundError
    return frame_response(visit, opened.html)


def frame_response(visit: Visit, html: str) -> Response:
    """The HTML of a mail as a page of its own, whose policy lets it run nothing and load nothing."""
    head = visit.state.renderer.render("delivery/frame_head.html", {})
    headers = {"Content-Security-Policy": MAIL_SECURITY_POLICY, "Cache-Control": "private, no-store"}
    return HTMLResponse(head + html, headers=headers)


def _own_path(url: str, public_url: str) -> str:
    """The path of an unsubscribe link, whatever address this instance was known by when it wrote the mail."""
    path = urlsplit(url).path
    prefix = urlsplit(public_url).path
    return path.removeprefix(prefix) if path.removeprefix(prefix).startswith("/u/") else ""


routes = [
    Route("/mailbox", page(list_mails), methods=["GET"]),
    Route("/mailbox/{id}", page(show_mail), methods=["GET"]),
    Route("/mailbox/{id}/body", page(show_body), methods=["GET"]),
]
