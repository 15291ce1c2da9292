"""What conditions may know: facts of many subjects at once, each read at most once in a transaction's batch."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

import structlog

from switchboard.flows.subjects import Facts, SubjectKinds
from switchboard.flows.versions import compile_condition
from switchboard.kernel.db import Tx
from switchboard.kernel.expressions import ExpressionError

SubjectKey = tuple[str, UUID]
"""The kind of a subject and its id."""

NOTHING = Facts(None, {})

log = structlog.get_logger()


def subject_key(subject_kind: str, subject_id: UUID, lead_id: UUID | None) -> SubjectKey:
    """Whose facts count: the lead's where there is one, for it brings its contact's."""
    return ("lead", lead_id) if lead_id is not None else (subject_kind, subject_id)


class Knowledge:
    """The facts of a batch."""

    def __init__(self, tx: Tx, kinds: SubjectKinds, now: datetime) -> None:
        self._tx = tx
        self._kinds = kinds
        self._now = now
        self._facts: dict[SubjectKey, Facts] = {}

    async def learn(self, keys: Iterable[SubjectKey]) -> None:
        """Read the facts of those that are not known yet, one query set a kind."""
        missing: dict[str, list[UUID]] = {}
        for kind, subject_id in dict.fromkeys(keys):
            if (kind, subject_id) not in self._facts and kind in self._kinds:
                missing.setdefault(kind, []).append(subject_id)
        for kind, ids in missing.items():
            found = await self._kinds[kind].load_facts(self._tx, ids)
            self._facts.update({(kind, subject_id): found.get(subject_id, NOTHING) for subject_id in ids})

    def forget(self) -> None:
        """Read again what is asked from here on, because a step has changed it."""
        self._facts.clear()

    def contact_of(self, key: SubjectKey) -> UUID | None:
        """The contact of a subject that was learnt."""
        return self._facts.get(key, NOTHING).contact_id

    def values_of(self, key: SubjectKey) -> Mapping[str, Mapping[str, object]]:
        """The facts of a subject that was learnt."""
        return self._facts.get(key, NOTHING).values

    def holds(self, condition: str, key: SubjectKey, event: Mapping[str, str]) -> bool:
        """Whether a condition holds for a subject that was learnt; raises ExpressionError."""
        facts = {**self.values_of(key), "event": event, "now": self._now}
        return compile_condition(condition).evaluate(facts)

    def is_met(self, condition: str | None, key: SubjectKey, event: Mapping[str, str]) -> bool:
        """As `holds`, for the conditions of starts and stops: one that cannot be decided does not hold."""
        if condition is None:
            return True
        try:
            return self.holds(condition, key, event)
        except ExpressionError as error:
            log.warning("flow.condition_failed", subject_kind=key[0], subject_id=str(key[1]), error=error.code)
            return False
