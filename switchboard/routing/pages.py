"""The pages of rotas: the list, and one rota with its week, members, overrides and holidays."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import cast
from uuid import UUID
from zoneinfo import available_timezones

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts import service as accounts
from switchboard.accounts.models import Member
from switchboard.accounts.web import Visit, action, page
from switchboard.kernel.errors import InvalidError, Problem, SwitchboardError
from switchboard.kernel.http import Form, path_id
from switchboard.kernel.ids import new_id
from switchboard.kernel.localtime import first_instant
from switchboard.routing import pages_rules, rotas, views
from switchboard.routing.errors import RotaInUseError, RotaNameTakenError
from switchboard.routing.hours import WEEKDAY_NAMES, parse_hours
from switchboard.routing.models import STRATEGIES, Rota, Shift, Strategy
from switchboard.routing.views import MemberView, RotaSummary, RotaView

Save = Callable[[Visit, UUID], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class RotaListPage:
    """Every rota of the workspace."""

    rotas: list[RotaSummary] = field(metadata={"help": "The rows, by name."})
    now: datetime = field(metadata={"help": "The request's time."})


@dataclass(frozen=True, slots=True)
class RotaFormPage:
    """The form of a new rota."""

    strategies: list[tuple[str, str]] = field(metadata={"help": "Ways to choose, with their words."})
    zones: list[str] = field(metadata={"help": "Every IANA zone."})
    members: list[Member] = field(metadata={"help": "Who can be supervisor."})
    errors: dict[str, str] = field(metadata={"help": "What is wrong, by field."})
    typed: Mapping[str, str] = field(metadata={"help": "The fields as typed, or as they start."})


@dataclass(frozen=True, slots=True)
class RotaPage:
    """One rota with its forms."""

    view: RotaView = field(metadata={"help": "The rota, who is in it, and its hours."})
    weekdays: tuple[str, ...] = field(metadata={"help": "Names of the columns of the week."})
    strategies: list[tuple[str, str]] = field(metadata={"help": "Ways to choose, with their words."})
    zones: list[str] = field(metadata={"help": "Every IANA zone."})
    errors: dict[str, str] = field(metadata={"help": "What is wrong, by field of the form that was refused."})
    typed: Mapping[str, str] = field(metadata={"help": "The form that was refused, as typed; empty otherwise."})
    edited: MemberView | None = field(metadata={"help": "Whose capacity and weight the member's form changes."})
    may_change: bool = field(metadata={"help": "Whether the caller may set the rota up."})


async def list_rotas(visit: Visit) -> Response:
    """Who is on now, and what changes next."""
    summaries = await views.list_rota_summaries(visit.tx, visit.caller)
    context = RotaListPage(rotas=summaries, now=await visit.tx.now())
    return await visit.render("routing/rotas.html", context, active="rotas")


async def show_new_rota(visit: Visit) -> Response:
    """An empty form in the workspace's zone."""
    visit.caller.require("admin")
    workspace = await accounts.get_workspace(visit.tx)
    return await _new_rota(visit, {"time_zone": workspace.time_zone, "strategy": "round_robin"}, {})


async def create_rota(visit: Visit) -> Response:
    """Add the rota, or show what is wrong beside each field."""
    try:
        rota_id = await rotas.create_rota(visit.tx, visit.caller, _typed_rota(new_id(), visit.form))
    except SwitchboardError as error:
        return await _new_rota(visit, _typed(visit.form), _by_field(error))
    return visit.done(f"/rotas/{rota_id}", "Rota created. Add its members.")


async def show_rota(visit: Visit) -> Response:
    """One rota: its members in order, the week's shifts, who is put on or off, and its closed days."""
    return await _rota(visit, path_id(visit.request))


async def save_settings(visit: Visit, rota_id: UUID) -> str:
    """Name, zone, strategy, calendar and supervisor."""
    await rotas.change_rota(visit.tx, visit.caller, _typed_rota(rota_id, visit.form))
    return "Rota saved."


async def archive(visit: Visit) -> Response:
    """Take the rota out of use."""
    rota_id = path_id(visit.request)
    try:
        await rotas.archive_rota(visit.tx, visit.caller, rota_id)
    except RotaInUseError as error:
        return await _rota(visit, rota_id, {"archive": error.message})
    return visit.done("/rotas", "Rota archived.")


async def save_member(visit: Visit, rota_id: UUID) -> str:
    """Add a member, or change their weight and capacity."""
    form = visit.form
    weight = form.whole("weight", least=1, most=rotas.HEAVIEST) if form.text("weight") else 1
    capacity = form.whole("capacity", least=0, most=rotas.MOST_CAPACITY) if form.text("capacity") else None
    user_id = form.id("user_id")
    await rotas.set_member(visit.tx, visit.caller, rota_id, user_id, weight=weight, capacity=capacity)
    return "Member saved."


async def remove_member(visit: Visit, rota_id: UUID) -> str:
    """Take somebody out of the rota."""
    await rotas.remove_member(visit.tx, visit.caller, rota_id, visit.form.id("user_id"))
    return "Member removed. What they hold they keep."


async def move_member(visit: Visit, rota_id: UUID) -> str:
    """Move somebody up or down the order."""
    places = visit.form.whole("places", least=-1_000, most=1_000)
    await rotas.move_member(visit.tx, visit.caller, rota_id, visit.form.id("user_id"), places=places)
    return "Order saved."


async def save_shifts(visit: Visit, rota_id: UUID) -> str:
    """The whole week of all members; a cell that cannot be read is named, and nothing is saved."""
    members = await rotas.list_rota_members(visit.tx, visit.caller, rota_id)
    shifts: list[Shift] = []
    problems: list[Problem] = []
    for member in members:
        for weekday in range(1, 8):
            cell = f"hours-{member.user_id}-{weekday}"
            try:
                spans = parse_hours(visit.form.text(cell))
            except ValueError as error:
                problems.append(Problem(cell, str(error)))
            else:
                shifts += [Shift(rota_id, member.user_id, weekday, starts, ends) for starts, ends in spans]
    if problems:
        raise InvalidError("Some hours cannot be read.", problems=problems)
    await rotas.set_shifts(visit.tx, visit.caller, rota_id, shifts)
    return "Week saved."


async def add_override(visit: Visit, rota_id: UUID) -> str:
    """Put somebody on or off for a while; times are of the rota's zone."""
    rota = await rotas.access_rota(visit.tx, visit.caller, rota_id)
    form = visit.form
    await rotas.add_override(
        visit.tx,
        visit.caller,
        rota_id,
        form.id("away_id"),
        is_on=form.text("is_on") == "on",
        starts_at=_local_instant(form, "starts", rota.time_zone),
        ends_at=_local_instant(form, "ends", rota.time_zone),
        reason=form.text("reason", longest=200),
    )
    return "Override added."


async def remove_override(visit: Visit, rota_id: UUID) -> str:
    """Take an override back."""
    await rotas.remove_override(visit.tx, visit.caller, rota_id, visit.form.id("override_id"))
    return "Override removed."


async def add_holiday(visit: Visit, rota_id: UUID) -> str:
    """Close the rota on a day."""
    day, name = _day(visit.form, "day"), visit.form.required("holiday_name", longest=rotas.LONGEST_NAME)
    await rotas.add_holiday(visit.tx, visit.caller, rota_id, day, name)
    return "Holiday added."


async def remove_holiday(visit: Visit, rota_id: UUID) -> str:
    """Open the rota again on a day of its own."""
    await rotas.remove_holiday(visit.tx, visit.caller, rota_id, _day(visit.form, "day"))
    return "Holiday removed."


def _saving(save: Save) -> Callable[[Visit], Awaitable[Response]]:
    """A form of the rota's page: back to the page, or the page again with what is wrong beside each field."""

    async def handler(visit: Visit) -> Response:
        rota_id = path_id(visit.request)
        try:
            toast = await save(visit, rota_id)
        except (InvalidError, RotaNameTakenError) as error:
            return await _rota(visit, rota_id, _by_field(error))
        return visit.done(f"/rotas/{rota_id}", toast)

    return handler


async def _rota(visit: Visit, rota_id: UUID, errors: dict[str, str] | None = None) -> Response:
    view = await views.view_rota(visit.tx, visit.caller, rota_id)
    typed = _typed(visit.form) if errors else {}
    chosen = typed.get("user_id") if "weight" in typed else visit.query("member")
    context = RotaPage(
        view=view,
        weekdays=WEEKDAY_NAMES,
        strategies=list(STRATEGIES.items()),
        zones=sorted(available_timezones()),
        errors=errors or {},
        typed=typed,
        edited=next((member for member in view.members if str(member.user_id) == chosen), None),
        may_change=visit.caller.may("admin"),
    )
    return await visit.render("routing/rota.html", context, active="rotas", status=422 if errors else 200)


async def _new_rota(visit: Visit, typed: Mapping[str, str], errors: dict[str, str]) -> Response:
    context = RotaFormPage(
        strategies=list(STRATEGIES.items()),
        zones=sorted(available_timezones()),
        members=await accounts.list_members(visit.tx),
        errors=errors,
        typed=typed,
    )
    return await visit.render("routing/rota_new.html", context, active="rotas", status=422 if errors else 200)


def _typed_rota(rota_id: UUID, form: Form) -> Rota:
    return Rota(
        id=rota_id,
        name=form.text("name"),
        time_zone=form.text("time_zone"),
        # What is no strategy is refused by the service, which names the field.
        strategy=cast(Strategy, form.text("strategy")),
        holiday_country=form.text("holiday_country") or None,
        supervisor_id=form.optional_id("supervisor_id"),
        version=1,
    )


def _typed(form: Form) -> dict[str, str]:
    return {name: value for name, value in form.data.items() if isinstance(value, str)}


def _by_field(error: SwitchboardError) -> dict[str, str]:
    """Messages by field; what names no field stands at the name. What is not the form's fault goes on."""
    if error.status not in {409, 422}:
        raise error
    return error.by_field()


def _local_instant(form: Form, name: str, zone: str) -> datetime:
    try:
        local = datetime.fromisoformat(form.required(name))
    except ValueError:
        raise InvalidError("That is no time.", problems=[Problem(name, "choose a day and a time")]) from None
    return first_instant(local.date(), local.time(), zone)


def _day(form: Form, name: str) -> date:
    try:
        return date.fromisoformat(form.required(name))
    except ValueError:
        raise InvalidError("That is no day.", problems=[Problem(name, "choose a day")]) from None


routes = [
    Route("/rotas", page(list_rotas)),
    Route("/rotas", action(create_rota), methods=["POST"]),
    Route("/rotas/new", page(show_new_rota)),
    Route("/rotas/{id}", page(show_rota)),
    Route("/rotas/{id}", action(_saving(save_settings)), methods=["POST"]),
    Route("/rotas/{id}/archive", action(archive), methods=["POST"]),
    Route("/rotas/{id}/members", action(_saving(save_member)), methods=["POST"]),
    Route("/rotas/{id}/members/remove", action(_saving(remove_member)), methods=["POST"]),
    Route("/rotas/{id}/members/move", action(_saving(move_member)), methods=["POST"]),
    Route("/rotas/{id}/shifts", action(_saving(save_shifts)), methods=["POST"]),
    Route("/rotas/{id}/overrides", action(_saving(add_override)), methods=["POST"]),
    Route("/rotas/{id}/overrides/remove", action(_saving(remove_override)), methods=["POST"]),
    Route("/rotas/{id}/holidays", action(_saving(add_holiday)), methods=["POST"]),
    Route("/rotas/{id}/holidays/remove", action(_saving(remove_holiday)), methods=["POST"]),
    *pages_rules.routes,
]
