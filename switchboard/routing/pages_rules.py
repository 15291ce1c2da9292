"""The pages of routing rules: their order, and the form of one with its condition checked while typing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from starlette.responses import Response
from starlette.routing import Route

from switchboard.accounts.models import Member
from switchboard.accounts.web import Visit, action, page
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.http import Form, path_id
from switchboard.routing import rules, service
from switchboard.routing.fields import RULE_FIELDS
from switchboard.routing.models import Rota, Rule, RuleTarget
from switchboard.routing.rosters import Colleagues, load_colleagues, name_of


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule in the order."""

    rule: Rule
    target: str
    target_href: str


@dataclass(frozen=True, slots=True)
class RuleListPage:
    """Every rule in the order in which they are asked."""

    rules: list[RuleRow] = field(metadata={"help": "The rows; the default is the last."})
    has_rotas: bool = field(metadata={"help": "Whether there is anything to send to."})
    may_change: bool = field(metadata={"help": "Whether the caller may change rules."})


@dataclass(frozen=True, slots=True)
class RuleFormPage:
    """The form of a new or a known rule."""

    rule_id: str = field(metadata={"help": "Whose form it is, empty for a new rule."})
    is_default: bool = field(metadata={"help": "Whether only the target can change."})
    is_enabled: bool = field(metadata={"help": "Whether it is asked at all."})
    typed: dict[str, str] = field(metadata={"help": "Name, condition and target as stored or as typed."})
    targets: list[tuple[str, str]] = field(metadata={"help": "Where a rule can send: rotas, then members."})
    errors: dict[str, str] = field(metadata={"help": "What is wrong, by field."})
    problems: list[Problem] = field(metadata={"help": "What is wrong with the condition, with line and column."})
    fields: list[tuple[str, str]] = field(metadata={"help": "Names a condition knows, with what they hold."})
    may_change: bool = field(metadata={"help": "Whether the caller may change rules."})


@dataclass(frozen=True, slots=True)
class ConditionCheck:
    """What the form shows below the condition while it is typed."""

    problems: list[Problem] = field(metadata={"help": "What is wrong, with line and column; none when it is fine."})


async def list_rules(visit: Visit) -> Response:
    """The rules in the order in which they are asked, the one for everything else last."""
    rotas = await service.list_rotas(visit.tx)
    colleagues = await load_colleagues(visit.tx)
    rows = [_row(rule, rotas, colleagues) for rule in await rules.list_rules(visit.tx)]
    context = RuleListPage(rules=rows, has_rotas=bool(rotas), may_change=visit.caller.may("admin"))
    return await visit.render("routing/rules.html", context, active="rotas")


async def show_new_rule(visit: Visit) -> Response:
    """An empty form for a rule, with the names that a condition may use."""
    visit.caller.require("admin")
    return await _form(visit, None, {})


async def show_rule(visit: Visit) -> Response:
    """The form of one rule, with the version that is in force."""
    rule = await rules.access_rule(visit.tx, visit.caller, path_id(visit.request))
    target = f"rota:{rule.rota_id}" if rule.rota_id else f"user:{rule.user_id}"
    return await _form(visit, rule, {"name": rule.name, "condition": rule.condition, "target": target})


async def create_rule(visit: Visit) -> Response:
    """Add the rule, or show what is wrong and where."""
    typed = _typed(visit.form)
    try:
        await rules.create_rule(
            visit.tx, visit.caller, name=typed["name"], condition=typed["condition"], target=_target(typed["target"])
        )
    except InvalidError as error:
        return await _form(visit, None, typed, error)
    return visit.done("/rules", f"Rule {typed['name']} added as the last before everything else.")


async def save_rule(visit: Visit) -> Response:
    """Save the rule as its next version, or show what is wrong and where."""
    rule = await rules.access_rule(visit.tx, visit.caller, path_id(visit.request))
    typed = _typed(visit.form)
    try:
        await rules.change_rule(
            visit.tx,
            visit.caller,
            rule.id,
            name=typed["name"],
            condition=typed["condition"],
            target=_target(typed["target"]),
        )
    except InvalidError as error:
        return await _form(visit, rule, typed, error)
    return visit.done("/rules", f"Rule {typed['name'] or rule.name} saved.")


async def check_condition(visit: Visit) -> Response:
    """What is wrong with the condition as typed so far."""
    condition = visit.request.query_params.get("condition", "")
    problems = rules.check_condition(condition) if condition.strip() else []
    return visit.render_partial("routing/condition.html", ConditionCheck(problems))


async def move_rule(visit: Visit) -> Response:
    """Ask a rule earlier or later."""
    places = visit.form.whole("places", least=-1_000, most=1_000)
    await rules.move_rule(visit.tx, visit.caller, path_id(visit.request), places=places)
    return visit.done("/rules", "Order saved.")


async def switch_rule(visit: Visit) -> Response:
    """Switch a rule on or off."""
    is_enabled = visit.form.checked("is_enabled")
    await rules.set_rule_enabled(visit.tx, visit.caller, path_id(visit.request), is_enabled=is_enabled)
    return visit.done("/rules", "Rule switched on." if is_enabled else "Rule switched off.")


async def delete_rule(visit: Visit) -> Response:
    """Remove a rule."""
    await rules.delete_rule(visit.tx, visit.caller, path_id(visit.request))
    return visit.done("/rules", "Rule deleted. What it has decided stays explained.")


async def _form(visit: Visit, rule: Rule | None, typed: dict[str, str], error: InvalidError | None = None) -> Response:
    found = error.problems if error else ()
    context = RuleFormPage(
        rule_id=str(rule.id) if rule else "",
        is_default=rule is not None and rule.is_default,
        is_enabled=rule is None or rule.is_enabled,
        typed=typed,
        targets=await _targets(visit.tx),
        errors={problem.field: problem.message for problem in found if problem.field != "condition"},
        problems=[problem for problem in found if problem.field == "condition"],
        fields=[(name, kind.words) for name, kind in RULE_FIELDS.items()],
        may_change=visit.caller.may("admin"),
    )
    return await visit.render("routing/rule.html", context, active="rotas", status=422 if error else 200)


async def _targets(tx: Tx) -> list[tuple[str, str]]:
    rotas = [(f"rota:{rota.id}", f"Rota {rota.name}") for rota in await service.list_rotas(tx)]
    able = [member for member in (await load_colleagues(tx)).values() if member.role != "viewer"]
    return [("", "Choose"), *rotas, *[_member_choice(member) for member in able]]


def _member_choice(member: Member) -> tuple[str, str]:
    return f"user:{member.user_id}", member.name


def _row(rule: Rule, rotas: Sequence[Rota], colleagues: Colleagues) -> RuleRow:
    if rule.user_id is not None:
        return RuleRow(rule, name_of(rule.user_id, colleagues), "")
    name = next((rota.name for rota in rotas if rota.id == rule.rota_id), "An archived rota")
    return RuleRow(rule, name, f"/rotas/{rule.rota_id}")


def _typed(form: Form) -> dict[str, str]:
    return {
        "name": form.text("name"),
        "condition": form.text("condition", longest=5_000),
        "target": form.text("target"),
    }


def _target(text: str) -> RuleTarget:
    kind, _colon, target_id = text.partition(":")
    try:
        chosen = UUID(target_id)
    except ValueError:
        return RuleTarget()
    return RuleTarget(rota_id=chosen) if kind == "rota" else RuleTarget(user_id=chosen)


routes = [
    Route("/rules", page(list_rules)),
    Route("/rules", action(create_rule), methods=["POST"]),
    Route("/rules/new", page(show_new_rule)),
    Route("/rules/check", page(check_condition)),
    Route("/rules/{id}", page(show_rule)),
    Route("/rules/{id}", action(save_rule), methods=["POST"]),
    Route("/rules/{id}/move", action(move_rule), methods=["POST"]),
    Route("/rules/{id}/switch", action(switch_rule), methods=["POST"]),
    Route("/rules/{id}/delete", action(delete_rule), methods=["POST"]),
]
