"""What letters of one template share, kept once for all of them."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from switchboard.delivery import repository_frames
from switchboard.kernel.db import Tx

MOST_KNOWN = 10_000


class KeptFrames:
    """Keeps frames, and knows those that this process has kept before, so that it does so once for each."""

    def __init__(self) -> None:
        self._known: set[tuple[UUID, UUID]] = set()

    async def keep(self, tx: Tx, frames: Mapping[UUID, Sequence[str]]) -> None:
        """Keep these of the transaction's workspace, by the id that is made from what they say."""
        new = {each: texts for each, texts in frames.items() if (tx.workspace_id, each) not in self._known}
        if new:
            await repository_frames.keep_frames(tx, new)

    def note(self, workspace_id: UUID, frame_ids: Iterable[UUID]) -> None:
        """Remember what a transaction that is committed has kept: it is never taken away again."""
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        self._known.update((workspace_id, each) for each in frame_ids)
