"""The settings of stages: rename, add, order and remove."""

from dataclasses import dataclass, field

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.web import Visit, action, page
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.leads import stages
from switchboard.leads.models import Stage, StageKind

KINDS: dict[StageKind, str] = {
    "open": "Open: something is to be done",
    "won": "Won: closes the lead",
    "lost": "Lost: closes the lead",
}


@dataclass(frozen=True, slots=True)
class StagesPage:
    """The stages in the order of the board."""

    stages: tuple[Stage, ...] = field(metadata={"help": "Every stage."})
    kinds: tuple[tuple[str, str], ...] = field(metadata={"help": "What a new stage can be."})
    errors: dict[str, str] = field(metadata={"help": "What is wrong, by field of the new stage's form."})
    typed: dict[str, str] = field(metadata={"help": "The new stage's form as typed."})


async def show_stages(visit: Visit) -> Response:
    """The stages of a lead in the order of the board, with forms to add, rename, move and remove them."""
    return await _stages(visit, {}, {"title": "", "kind": "open"})


async def add_stage(visit: Visit) -> Response:
    """Add a stage, or say beside the field why not."""
    typed = {"title": visit.form.text("title"), "kind": visit.form.text("kind")}
    kind = next((known for known in KINDS if known == typed["kind"]), None)
    try:
        if kind is None:
            raise InvalidError("A choice is missing.", problems=[Problem("kind", "choose one")])
        stage = await stages.add_stage(visit.tx, visit.caller, title=typed["title"], kind=kind)
    except InvalidError as error:
        return await _stages(visit, {problem.field: problem.message for problem in error.problems}, typed)
    return visit.done("/settings/stages", f"{stage.title} added.")


async def rename_stage(visit: Visit) -> Response:
    """Give a stage another title."""
    await stages.rename_stage(visit.tx, visit.caller, _key(visit), visit.form.text("title"))
    return visit.done("/settings/stages", "Stage renamed.")


async def move_stage(visit: Visit) -> Response:
    """Move a stage one place."""
    step = visit.form.whole("step", least=-1, most=1)
    await stages.move_stage(visit.tx, visit.caller, _key(visit), step)
    return visit.done("/settings/stages", "Order saved.")


async def remove_stage(visit: Visit) -> Response:
    """Remove an empty stage."""
    await stages.remove_stage(visit.tx, visit.caller, _key(visit))
    return visit.done("/settings/stages", "Stage removed.")


def _key(visit: Visit) -> str:
    return str(visit.request.path_params["key"])


async def _stages(visit: Visit, errors: dict[str, str], typed: dict[str, str]) -> Response:
    context = StagesPage(tuple(await stages.list_stages(visit.tx)), tuple(KINDS.items()), errors, typed)
    return await visit.render("leads/stages.html", context, active="settings", status=422 if errors else 200)


routes = [
    Route("/settings/stages", page(show_stages), methods=["GET"]),
    Route("/settings/stages", action(add_stage), methods=["POST"]),
    Route("/settings/stages/{key}", action(rename_stage), methods=["POST"]),
    Route("/settings/stages/{key}/move", action(move_stage), methods=["POST"]),
    Route("/settings/stages/{key}/remove", action(remove_stage), methods=["POST"]),
]
