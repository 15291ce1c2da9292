"""The state of the lists of leads as it stands in the address bar: what is filtered, and where the page is."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from urllib.parse import urlencode
from uuid import UUID

from switchboard.accounts.web import Visit
from switchboard.kernel.db import Tx
from switchboard.kernel.ids import find_id
from switchboard.leads.listing import find_contact_ids
from switchboard.leads.models import VIEWS, LeadFilter, View

NOBODY = "nobody"
ME = "me"


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The parameters as texts; a value that makes no sense is dropped, for a link from yesterday must still open."""

    view: str = ""
    stage: str = ""
    owner: str = ""
    source: str = ""
    contact: str = ""
    q: str = ""
    before: str = ""
    after: str = ""

    @property
    def chosen_view(self) -> View:
        """The view that is shown; `open` when none is named."""
        return next((view for view in VIEWS if view == self.view), "open")

    @property
    def is_filtered(self) -> bool:
        """Whether anything but the plain view is asked for."""
        return any((self.view, self.stage, self.owner, self.source, self.contact, self.q))

    @property
    def parameters(self) -> Mapping[str, str]:
        """What stands in the address, without the empty ones."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name))}

    def href(self, path: str, **changes: str) -> str:
        """The address of `path` in this state with changes; a changed filter begins at the first page."""
        changed = replace(self, **{"before": "", "after": "", **changes}) if changes else self
        query = urlencode(changed.parameters)
        return f"{path}?{query}" if query else path


def read_query(visit: Visit) -> ListQuery:
    """The state in the address of a visit."""
    query = ListQuery(**{each.name: visit.query(each.name) for each in fields(ListQuery)})
    return replace(
        query,
        view=query.view if query.view in VIEWS else "",
        owner=query.owner if query.owner in (NOBODY, ME) else _id_text(query.owner),
        source=_id_text(query.source),
        contact=_id_text(query.contact),
        before=_id_text(query.before),
        after=_id_text(query.after),
    )


async def resolve(tx: Tx, query: ListQuery, user_id: UUID | None) -> LeadFilter:
    """The filter that the state means for this user; a text is looked up among the contacts."""
    is_mine = query.chosen_view == "mine" or query.owner == ME
    contact_ids = (UUID(query.contact),) if query.contact else await find_contact_ids(tx, query.q)
    return LeadFilter(
        view=query.chosen_view,
        stage=query.stage,
        owner_id=user_id if is_mine else UUID(query.owner) if query.owner not in ("", NOBODY) else None,
        is_unowned=query.owner == NOBODY,
        source_id=UUID(query.source) if query.source else None,
        contact_ids=contact_ids,
    )


def cursor(text: str) -> UUID | None:
    """A cursor of the address."""
    return UUID(text) if text else None


def _id_text(text: str) -> str:
    return str(find_id(text) or "")
