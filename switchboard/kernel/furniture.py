"""Furniture: what a workspace is set up with, kept by a process for as long as its revision stays.

Whatever counts as furniture (see the triggers of that name) gets a new revision when any of it changes, in the same
commit. So whoever knows the revision at the beginning of a transaction may use what was read under it before: it is as
new as what the transaction would have read then.
"""

from collections import OrderedDict
from typing import Any
from uuid import UUID

MOST_WORKSPACES = 256
MOST_PIECES = 256


class Furniture:
    """What one process keeps, by workspace: only of the revision it has seen last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[UUID, tuple[UUID, dict[str, Any]]] = OrderedDict()

    def of(self, workspace_id: UUID, revision: UUID) -> dict[str, Any]:
        """What is kept of this revision by its names, to be added to; empty where the workspace has changed."""
        kept = self._kept.get(workspace_id)
        # Names may hold what somebody typed: no workspace may fill the memory with them.
        if kept is None or kept[0] != revision or len(kept[1]) >= MOST_PIECES:
            kept = self._kept[workspace_id] = (revision, {})
        self._kept.move_to_end(workspace_id)
        while len(self._kept) > MOST_WORKSPACES:
            self._kept.popitem(last=False)
        return kept[1]
