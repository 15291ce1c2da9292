"""The statements about rules."""

from collections.abc import Sequence
from uuid import UUID

from switchboard.kernel.db import Tx
from switchboard.routing.models import Rule, RuleTarget

_RULE = "id, position, name, condition, rota_id, user_id, is_enabled, is_default, version"


async def list_rules(tx: Tx) -> list[Rule]:
    """Every rule in the order in which they are asked, the default last; a workspace has at most some dozens."""
    # By the index routing_rule_order.
    return await tx.fetch_all(
        Rule,
        f"SELECT {_RULE} FROM app.routing_rule WHERE workspace_id = %s ORDER BY is_default, position, id",
        (tx.workspace_id,),
    )


async def find_rule(tx: Tx, rule_id: UUID) -> Rule | None:
    """One rule, locked: changes to it come one after the other."""
    # By primary key.
    return await tx.find_one(
        Rule,
        f"SELECT {_RULE} FROM app.routing_rule WHERE workspace_id = %s AND id = %s FOR UPDATE",
        (tx.workspace_id, rule_id),
    )


async def insert_rule(tx: Tx, rule: Rule) -> bool:
    """Add a rule behind all others; False when it is a second default."""
    # The end of the order by the index routing_rule_order; one default by the index routing_rule_default.
    added = await tx.execute(
        """
        INSERT INTO app.routing_rule (id, workspace_id, position, name, condition, rota_id, user_id, is_default)
        SELECT %(id)s, %(workspace)s, coalesce(max(position), 0) + 1, %(name)s, %(condition)s, %(rota)s, %(user)s,
            %(is_default)s
        FROM app.routing_rule WHERE workspace_id = %(workspace)s
        ON CONFLICT (workspace_id) WHERE is_default DO NOTHING
        """,
        {
            "id": rule.id,
            "workspace": tx.workspace_id,
            "name": rule.name,
            "condition": rule.condition,
            "rota": rule.rota_id,
            "user": rule.user_id,
            "is_default": rule.is_default,
        },
    )
    return added == 1


async def update_rule(tx: Tx, rule_id: UUID, *, name: str, condition: str, target: RuleTarget) -> None:
    """Write what a rule says, as its next version."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.routing_rule SET name = %s, condition = %s, rota_id = %s, user_id = %s, version = version + 1,
            updated_at = app.now()
        WHERE workspace_id = %s AND id = %s
        """,
        (name, condition, target.rota_id, target.user_id, tx.workspace_id, rule_id),
    )


async def set_enabled(tx: Tx, rule_id: UUID, *, is_enabled: bool) -> None:
    """Switch a rule on or off."""
    # By primary key.
    await tx.execute(
        "UPDATE app.routing_rule SET is_enabled = %s, updated_at = app.now() WHERE workspace_id = %s AND id = %s",
        (is_enabled, tx.workspace_id, rule_id),
    )


async def write_order(tx: Tx, rule_ids: Sequence[UUID]) -> None:
    """Put the rules in this order."""
    # By primary key.
    await tx.execute(
        """
        UPDATE app.routing_rule AS r SET position = new.position
        FROM unnest(%s::uuid[]) WITH ORDINALITY AS new (id, position)
        WHERE r.workspace_id = %s AND r.id = new.id
        """,
        (list(rule_ids), tx.workspace_id),
    )


async def delete_rule(tx: Tx, rule_id: UUID) -> None:
    """Remove a rule; decisions keep its words."""
    # By primary key.
    await tx.execute("DELETE FROM app.routing_rule WHERE workspace_id = %s AND id = %s", (tx.workspace_id, rule_id))


async def list_rules_to_rota(tx: Tx, rota_id: UUID) -> list[Rule]:
    """The rules that send to a rota."""
    # By the index routing_rule_by_rota.
    return await tx.fetch_all(
        Rule,
        f"SELECT {_RULE} FROM app.routing_rule WHERE workspace_id = %s AND rota_id = %s ORDER BY is_default, position",
        (tx.workspace_id, rota_id),
    )
