"""Rules: which rota or member a subject goes to. Asked in order; the first whose condition holds decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from switchboard.accounts.models import Caller
from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.errors import InvalidError, Problem
from switchboard.kernel.events import Event
from switchboard.kernel.expressions import ExpressionError, compile_expression
from switchboard.kernel.ids import new_id
from switchboard.routing import repository, repository_rotas, repository_rules
from switchboard.routing.errors import DefaultRuleError, RuleNotFoundError
from switchboard.routing.fields import RULE_FIELDS
from switchboard.routing.models import Rule, RuleMatch, RuleTarget
from switchboard.routing.rosters import Colleagues, load_colleagues

LONGEST_NAME = 100
DEFAULT_NAME = "Everything else"
DEFAULT_CONDITION = "true"


@dataclass(frozen=True, slots=True)
class Match:
    """The rule that holds, or None; `note` tells of rules that could not be asked."""

    rule: Rule | None
    note: str = ""

    def as_kept(self) -> RuleMatch | None:
        """The rule as decisions keep it."""
        rule = self.rule
        return None if rule is None else RuleMatch(rule.id, rule.name, rule.version, rule.condition)


def match_rule(rules: Sequence[Rule], facts: Mapping[str, object], colleagues: Colleagues) -> Match:
    """The first enabled rule whose condition holds and whose target can still be given anything.

    A rule that cannot be decided for these facts is passed by, and the note says so: one bad field must not leave a
    lead without an owner.
    """
    notes = []
    for rule in rules:
        if not rule.is_enabled:
            continue
        try:
            if not compile_expression(rule.condition, RULE_FIELDS).evaluate(facts):
                continue
        except (ExpressionError, InvalidError) as error:
            notes.append(f"The rule {rule.name} could not be asked: {error.message}")
            continue
        if rule.user_id is None or rule.user_id in colleagues:
            return Match(rule, " ".join(notes))
        notes.append(f"The rule {rule.name} names somebody who is no longer a member.")
    return Match(None, " ".join(notes))


def read_facts(rules: Sequence[Rule]) -> bool:
    """Whether the rules may answer differently for two subjects."""
    return any(rule.is_enabled and _has_references(rule.condition) for rule in rules)


def _has_references(condition: str) -> bool:
    try:
        return bool(compile_expression(condition, RULE_FIELDS).references)
    except InvalidError:
        return True


async def list_rules(tx: Tx) -> list[Rule]:
    """Every rule in the order in which they are asked, the default last."""
    return await repository_rules.list_rules(tx)


async def access_rule(tx: Tx, caller: Caller, rule_id: UUID) -> Rule:
    """A rule the caller may see; raises RuleNotFoundError, for a stranger's rule too."""
    caller.require("viewer")
    rule = await repository_rules.find_rule(tx, rule_id)
    if rule is None:
        raise RuleNotFoundError
    return rule


async def create_rule(tx: Tx, caller: Caller, *, name: str, condition: str, target: RuleTarget) -> UUID:
    """Add a rule as the last one before the default; raises InvalidError with the place that is wrong."""
    caller.require("admin")
    rule = Rule(new_id(), 0, name.strip(), condition.strip(), target.rota_id, target.user_id, True, False, 1)
    await _check(tx, rule)
    await repository_rules.insert_rule(tx, rule)
    await _record(tx, caller, "created", rule)
    return rule.id


async def create_default_rule(tx: Tx, caller: Caller, target: RuleTarget) -> None:
    """Send everything else to `target`, unless the workspace has a default already; who came before waits for it."""
    rule = Rule(new_id(), 0, DEFAULT_NAME, DEFAULT_CONDITION, target.rota_id, target.user_id, True, True, 1)
    if not await repository_rules.insert_rule(tx, rule):
        return
    await _record(tx, caller, "created", rule)
    if target.rota_id is not None:
        await repository.adopt_unrouted(tx, target.rota_id)


async def change_rule(tx: Tx, caller: Caller, rule_id: UUID, *, name: str, condition: str, target: RuleTarget) -> None:
    """Save a rule as its next version; of the default only the target can change. Raises InvalidError."""
    caller.require("admin")
    rule = await access_rule(tx, caller, rule_id)
    if rule.is_default:
        name, condition = rule.name, rule.condition
    changed = Rule(rule.id, rule.position, name.strip(), condition.strip(), target.rota_id, target.user_id,
                   rule.is_enabled, rule.is_default, rule.version + 1)  # fmt: skip
    await _check(tx, changed)
    await repository_rules.update_rule(tx, rule_id, name=changed.name, condition=changed.condition, target=target)
    await _record(tx, caller, "changed", changed)


async def set_rule_enabled(tx: Tx, caller: Caller, rule_id: UUID, *, is_enabled: bool) -> None:
    """Switch a rule on or off; raises DefaultRuleError for the default."""
    caller.require("admin")
    rule = await _access_ordinary(tx, caller, rule_id)
    await repository_rules.set_enabled(tx, rule_id, is_enabled=is_enabled)
    await _record(tx, caller, "enabled" if is_enabled else "disabled", rule)


async def move_rule(tx: Tx, caller: Caller, rule_id: UUID, *, places: int) -> None:
    """Ask a rule `places` later (earlier when negative), at most first or last before the default."""
    caller.require("admin")
    rule = await _access_ordinary(tx, caller, rule_id)
    order = [other.id for other in await repository_rules.list_rules(tx) if not other.is_default]
    place = max(0, order.index(rule_id) + places)
    order.remove(rule_id)
    order.insert(place, rule_id)
    await repository_rules.write_order(tx, order)
    await _record(tx, caller, "moved", rule)


async def delete_rule(tx: Tx, caller: Caller, rule_id: UUID) -> None:
    """Remove a rule; decisions it has made keep its words. Raises DefaultRuleError for the default."""
    caller.require("admin")
    rule = await _access_ordinary(tx, caller, rule_id)
    await repository_rules.delete_rule(tx, rule_id)
    await _record(tx, caller, "deleted", rule)


def check_condition(condition: str) -> list[Problem]:
    """What is wrong with a condition, each with line and column; empty when it can be saved."""
    try:
        compile_expression(condition.strip(), RULE_FIELDS)
    except InvalidError as error:
        return [Problem("condition", problem.message, problem.line, problem.column) for problem in error.problems]
    return []


async def _access_ordinary(tx: Tx, caller: Caller, rule_id: UUID) -> Rule:
    rule = await access_rule(tx, caller, rule_id)
    if rule.is_default:
        raise DefaultRuleError
    return rule


async def _check(tx: Tx, rule: Rule) -> None:
    problems = [*_name_problems(rule.name), *check_condition(rule.condition), *await _target_problems(tx, rule)]
    if problems:
        raise InvalidError("The rule cannot be saved.", problems=problems)


def _name_problems(name: str) -> list[Problem]:
    if not name:
        return [Problem("name", "give the rule a name")]
    if len(name) > LONGEST_NAME:
        return [Problem("name", f"at most {LONGEST_NAME} characters")]
    return []


async def _target_problems(tx: Tx, rule: Rule) -> list[Problem]:
    if (rule.rota_id is None) == (rule.user_id is None):
        return [Problem("target", "choose a rota or a member")]
    if rule.rota_id is not None and rule.rota_id not in await repository_rotas.find_rotas(tx, [rule.rota_id]):
        return [Problem("target", "there is no such rota; choose one of the list")]
    if rule.user_id is not None and rule.user_id not in await load_colleagues(tx):
        return [Problem("target", "there is no such member; choose one of the list")]
    return []


async def _record(tx: Tx, caller: Caller, verb: str, rule: Rule) -> None:
    data = {"name": rule.name, "version": rule.version}
    await events.append(tx, [Event(f"rule.{verb}", subject_id=rule.id, actor=caller.actor, data=data)])
