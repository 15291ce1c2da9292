"""The statements about what letters of one template share."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from switchboard.kernel.db import Tx

# The markup of a message, as an expression over a row of app.message: its own, or its pieces in their frame. The frame
# is found by primary key, and only looked for where there is one.
HTML = """CASE WHEN frame_id IS NULL THEN body_html ELSE (
        SELECT string_agg(part.text || coalesce(message.frame_pieces ->> (part.place - 1)::integer, ''), ''
                          ORDER BY part.place)
        FROM app.letter_frame f, unnest(f.texts) WITH ORDINALITY AS part (text, place)
        WHERE f.workspace_id = message.workspace_id AND f.id = message.frame_id
    ) END"""


async def keep_frames(tx: Tx, frames: Mapping[UUID, Sequence[str]]) -> None:
    """Keep what letters share, by the id that is made from it; what is there already stays."""
    # In the order of their ids, since whoever keeps the same at once waits here.
    for frame_id in sorted(frames):
        # By primary key.
        await tx.execute(
            "INSERT INTO app.letter_frame (workspace_id, id, texts) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (tx.workspace_id, frame_id, list(frames[frame_id])),
        )
