"""Who stands at a step of a flow, in a few names: shown while its box in the picture is pointed at."""

from dataclasses import dataclass, field

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, page
from switchboard.flows import service
from switchboard.kernel.http import path_id
from switchboard.people import service as people

MOST_NAMES = 6


@dataclass(frozen=True, slots=True)
class StepHint:
    """The first people at a step."""

    names: list[str] = field(metadata={"help": "What to call them, the longest in the flow first."})
    more: int = field(metadata={"help": "How many others stand there."})
    is_bound: bool = field(metadata={"help": "Whether there may be more, for nobody counts further."})


async def show_people(visit: Visit) -> Response:
    """The names of a few people at one step, a piece of the flow's page."""
    flow = await service.access_flow(visit.tx, visit.caller, path_id(visit.request))
    key = (flow.id, _number(visit.query("version")))
    step = _number(visit.query("step"))
    runs = (await service.list_standing(visit.tx, visit.caller, key, step))[:MOST_NAMES]
    contacts = await people.load_contacts(visit.tx, {run.contact_id for run in runs if run.contact_id is not None})
    names = [contacts[run.contact_id].title if run.contact_id in contacts else "Nameless contact" for run in runs]
    here = (await service.count_standing(visit.tx, visit.caller, key)).get(step, 0)
    hint = StepHint(names, max(0, here - len(names)), here >= service.MOST_COUNTED)
    return visit.render_partial("flows/people_hint.html", hint)


def _number(text: str) -> int:
    """What an address of ours names; 0 for anything else, where nobody or somebody else stands."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0


routes = [Route("/flows/{id}/people", page(show_people))]
