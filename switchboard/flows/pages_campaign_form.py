"""The form of a campaign: who gets what, when and how fast, with every mistake named beside its field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts import service as accounts
from switchboard.accounts.web import Visit, action, page
from switchboard.flows import campaigns
from switchboard.flows.campaign_audiences import Audience, get_audience, grouped, list_audiences, list_flow_choices
from switchboard.flows.campaign_checks import MOST_VARIANTS
from switchboard.flows.campaign_models import Campaign
from switchboard.flows.campaign_reading import (
    BLANK,
    FIELDS,
    Example,
    check_typed,
    default_start,
    read_form,
    show_examples,
    type_form,
)
from switchboard.flows.errors import CampaignNameTakenError
from switchboard.flows.repository_choices import FlowChoice
from switchboard.kernel.errors import InvalidError
from switchboard.kernel.http import path_id

FEWEST_ROWS = 3
# Fields of the service that the form shows elsewhere.
_PLACES = {"audience_id": "audience", "audience_kind": "audience", "local_date": "local_hour"}


@dataclass(frozen=True, slots=True)
class CampaignFormPage:
    """The form of a new or a known campaign."""

    campaign: Campaign | None = field(metadata={"help": "Whose form it is, None for a new one."})
    typed: Mapping[str, str] = field(metadata={"help": "What stands in the fields."})
    errors: Mapping[str, str] = field(metadata={"help": "What is wrong, by field."})
    error: str = field(metadata={"help": "That it was not saved, in a sentence, or empty."})
    audiences: Sequence[tuple[str, list[Audience]]] = field(
        metadata={"help": "Who can get it, with how many they are, under headings."}
    )
    flows: Sequence[FlowChoice] = field(metadata={"help": "What can be sent."})
    rows: int = field(metadata={"help": "How many variants the form has room for."})
    examples: Sequence[Example] = field(metadata={"help": "When people far apart would get it."})
    zone: str = field(metadata={"help": "The workspace's time zone, in which moments are typed."})


@dataclass(frozen=True, slots=True)
class ExamplesPart:
    """The part of the form that says when people far apart would get it."""

    examples: Sequence[Example] = field(metadata={"help": "Some people, with their moment and ours."})
    zone: str = field(metadata={"help": "The workspace's time zone."})


async def show_new(visit: Visit) -> Response:
    """An empty form; `audience` and `flow` may be chosen by the address."""
    visit.caller.require("admin")
    zone = (await accounts.get_workspace(visit.tx)).time_zone
    day, hour = default_start(await visit.tx.now(), zone)
    chosen = {"audience": visit.query("audience"), "flow_1": visit.query("flow")}
    start = {"local_date": day, "local_hour": hour, "start_at": f"{day}T{hour}"}
    return await _form(visit, None, {**BLANK, **start, **chosen})


async def create(visit: Visit) -> Response:
    """Add a draft, or show what is wrong beside each field."""
    visit.caller.require("admin")
    typed = _typed(visit)
    try:
        made = await campaigns.create_campaign(visit.tx, visit.caller, await check_typed(visit.tx, typed))
    except (InvalidError, CampaignNameTakenError) as error:
        return await _form(visit, None, typed, error)
    return visit.done(f"/campaigns/{made.id}", "Saved as a draft. Nothing goes out before you start it.")


async def show_edit(visit: Visit) -> Response:
    """The form of a campaign that has not begun."""
    visit.caller.require("admin")
    campaign = await campaigns.get_campaign(visit.tx, visit.caller, path_id(visit.request))
    variants = await campaigns.list_variants(visit.tx, visit.caller, campaign.id)
    zone = (await accounts.get_workspace(visit.tx)).time_zone
    return await _form(visit, campaign, type_form(campaign, variants, zone))


async def save(visit: Visit) -> Response:
    """Save a campaign that has not begun, or show what is wrong beside each field."""
    visit.caller.require("admin")
    campaign_id, typed = path_id(visit.request), _typed(visit)
    campaign = await campaigns.get_campaign(visit.tx, visit.caller, campaign_id)
    try:
        form = await check_typed(visit.tx, typed)
        await campaigns.update_campaign(visit.tx, visit.caller, campaign_id, form)
    except (InvalidError, CampaignNameTakenError) as error:
        return await _form(visit, campaign, typed, error)
    return visit.done(f"/campaigns/{campaign_id}", "Saved.")


async def show_times(visit: Visit) -> Response:
    """When people far apart would get it, for the form while its start is chosen."""
    visit.caller.require("admin")
    typed = {name: visit.query(name) for name in FIELDS}
    zone = (await accounts.get_workspace(visit.tx)).time_zone
    form, _ = read_form(typed, zone)
    examples = show_examples(form, zone, await visit.tx.now())
    return visit.render_partial("flows/campaigns/examples.html", ExamplesPart(examples, zone))


async def _form(
    visit: Visit,
    campaign: Campaign | None,
    typed: Mapping[str, str],
    error: InvalidError | CampaignNameTakenError | None = None,
) -> Response:
    zone = (await accounts.get_workspace(visit.tx)).time_zone
    form, _ = read_form(typed, zone)
    used = max((number for number in range(1, MOST_VARIANTS + 1) if typed.get(f"flow_{number}")), default=1)
    context = CampaignFormPage(
        campaign=campaign,
        typed=typed,
        errors=_by_field(error),
        error=error.message if error else "",
        audiences=grouped(await _audiences(visit, campaign)),
        flows=await list_flow_choices(visit.tx, visit.caller),
        rows=min(max(used + 1, FEWEST_ROWS), MOST_VARIANTS),
        examples=show_examples(form, zone, await visit.tx.now()),
        zone=zone,
    )
    return await visit.render("flows/campaigns/form.html", context, active="campaigns", status=422 if error else 200)


async def _audiences(visit: Visit, campaign: Campaign | None) -> list[Audience]:
    """The choices, with the campaign's own where it stands among them no more."""
    found = await list_audiences(visit.tx, visit.caller)
    if campaign is None:
        return found
    own = await get_audience(visit.tx, visit.caller, campaign)
    if campaign.audience_kind == "missed":
        return [own]
    return found if any(one.value == own.value for one in found) or not own.value else [*found, own]


def _by_field(error: InvalidError | CampaignNameTakenError | None) -> dict[str, str]:
    if error is None:
        return {}
    found: dict[str, str] = {}
    for name, message in ((problem.field, problem.message) for problem in error.problems):
        place = _PLACES.get(name, name)
        found[place] = f"{found[place]} {message}" if place in found else message
    return found or {"name": error.message}


def _typed(visit: Visit) -> dict[str, str]:
    return {name: visit.form.text(name) for name in FIELDS}


routes = [
    Route("/campaigns", action(create), methods=["POST"]),
    Route("/campaigns/new", page(show_new), methods=["GET"]),
    Route("/campaigns/times", page(show_times), methods=["GET"]),
    Route("/campaigns/{id}/edit", page(show_edit), methods=["GET"]),
    Route("/campaigns/{id}/edit", action(save), methods=["POST"]),
]
