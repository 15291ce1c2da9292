"""What follows when people enter and leave segments: the size is kept, and each of them is told of."""

from collections.abc import Iterator, Sequence

from switchboard.kernel import events
from switchboard.kernel.db import Tx
from switchboard.kernel.events import Actor, Event
from switchboard.people import repository_segments as repository
from switchboard.people.segment_models import Changes


async def write_changes(tx: Tx, changes: Sequence[Changes], actor: Actor) -> None:
    """Keep the sizes of segments whose members have just been written, and say who has come and who has gone."""
    await write_sizes(tx, changes)
    await events.append(tx, [event for each in changes for event in _told(each, actor)])


async def write_sizes(tx: Tx, changes: Sequence[Changes]) -> None:
    """Keep the sizes alone: nobody is told of those that a segment is filled with."""
    grown = [(each.segment.id, len(each.entered) - len(each.left)) for each in changes]
    differing = [(segment_id, members) for segment_id, members in grown if members]
    await repository.add_to_tally(tx, differing)
    for segment_id, _ in differing:
        await repository.fold_tally(tx, segment_id)


def _told(changes: Changes, actor: Actor) -> Iterator[Event]:
    segment = changes.segment
    data = {"segment": segment.name, "title": segment.title}
    for kind, contact_ids in (("segment.entered", changes.entered), ("segment.left", changes.left)):
        for contact_id in contact_ids:
            yield Event(kind, segment.id, contact_id, actor=actor, data=data)
