"""What flows can be about. A room above registers its own kind; contacts are known here already."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from switchboard.kernel.db import Tx
from switchboard.kernel.events import Actor


class Facts(msgspec.Struct, frozen=True):
    """What conditions and letters may know of one subject.

    `values` is nested as the names in `definition.FLOW_FIELDS` are: `{"lead": {"stage": …}, "contact": {…},
    "source": {"name": …}, "owner": {"name": …, "email": …}}`, as far as the kind has them.
    """

    contact_id: UUID | None
    values: Mapping[str, Mapping[str, object]]


class SubjectKind(Protocol):
    """One kind of subject. Ids that are gone are missing from every answer; none of the functions raises for them."""

    @property
    def kind(self) -> str:
        """`lead` or `contact`, as `subject:` in a flow says."""
        ...

    async def load_facts(self, tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Facts]:
        """The facts of many subjects in a bounded number of queries."""
        ...

    async def lock(self, tx: Tx, ids: Sequence[UUID]) -> None:
        """Hold these subjects against changes by others until the transaction ends, locked in the order of ids."""
        ...

    async def change(self, tx: Tx, ids: Sequence[UUID], field: str, value: object, actor: Actor) -> None:
        """Write one value to all of `ids`, with the events that a person's change would append.

        `field` is `stage` (its key), `value` (minor units), `junk` (True or False), or `fields.NAME` (a text).
        Rows that have the value already are left alone. Raises a SwitchboardError that says what cannot be done.
        """
        ...

    async def current_owner(self, tx: Tx, ids: Sequence[UUID]) -> dict[UUID, UUID | None]:
        """The member who has each subject now, or None."""
        ...

    async def list_stages(self, tx: Tx) -> frozenset[str] | None:
        """The keys of the stages that `set: {stage: …}` may name; None where the kind has no stages."""
        ...


SubjectKinds = Mapping[str, SubjectKind]
